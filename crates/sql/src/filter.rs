//! The filter line: `service = cart status = server_error latency > 100ms`.
//!
//! Terms are joined by AND. A term is a key, an operator (`= != > >= < <= ~ !~`) and a value, bare or quoted; `a|b`
//! means either. A two-sided key without suffix means either side, negated neither side.

use crate::error::QueryError;
use crate::keys::{self, Key, KeyKind, OnMetrics};
use crate::quote;

/// What kind of table the condition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The request log.
    Log,
    /// Metrics per second and endpoint.
    Metrics,
    /// Metrics of connections, which know sides and ports only.
    Connections,
}

const OPERATORS: &[&str] = &["!=", ">=", "<=", "!~", "=", ">", "<", "~"];

#[derive(Debug)]
struct Term {
    key: String,
    operator: &'static str,
    values: Vec<String>,
    key_at: usize,
    value_at: usize,
    value_length: usize,
}

/// Translates a filter into a condition; `1` if it is empty.
pub fn filter_to_sql(filter: &str, target: Target) -> Result<String, QueryError> {
    let terms = parse(filter)?;
    let conditions: Result<Vec<_>, _> = terms.iter().map(|term| condition(term, target)).collect();
    let conditions = conditions?;
    Ok(if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") })
}

/// Which outcomes the terms about `status` leave over, of the words of that key; all of them without such a term.
///
/// Rows of metrics hold a counter per outcome, so sums must take only these.
pub fn outcomes(filter: &str) -> Result<Vec<&'static str>, QueryError> {
    let KeyKind::Enum(words) = keys::find("status").map_or(KeyKind::Text, |(key, _)| key.kind) else {
        return Ok(Vec::new());
    };
    let terms = parse(filter)?;
    let about: Vec<_> = terms.iter().filter(|term| matches!(term.key.as_str(), "status" | "response_status")).collect();
    let left = |word: &&&str| {
        about.iter().all(|term| term.values.iter().any(|value| value == **word) == (term.operator == "="))
    };
    Ok(words.iter().filter(left).copied().collect())
}

struct Cursor {
    chars: Vec<char>,
    at: usize,
}

impl Cursor {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn operator(&mut self) -> Option<&'static str> {
        let rest: String = self.chars[self.at..].iter().take(2).collect();
        let operator = OPERATORS.iter().copied().find(|operator| rest.starts_with(operator))?;
        self.at += operator.len();
        Some(operator)
    }

    /// A quoted value, with `\"` and `\\`.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' => return Ok(value),
                '\\' => {
                    value.extend(self.peek());
                    self.at += 1;
                }
                _ => value.push(c),
            }
        }
        Err(QueryError::new("the quote does not end", start, self.chars.len() - start))
    }

    /// `a`, `"a b"` or several with `|` between them.
    fn values(&mut self) -> Result<Vec<String>, QueryError> {
        let mut values = Vec::new();
        loop {
            let value = if self.peek() == Some('"') {
                self.quoted()?
            } else {
                self.take_while(|c| !c.is_whitespace() && c != '|')
            };
            values.push(value);
            if self.peek() != Some('|') {
                return Ok(values);
            }
            self.at += 1;
        }
    }
}

fn parse(filter: &str) -> Result<Vec<Term>, QueryError> {
    let mut cursor = Cursor { chars: filter.chars().collect(), at: 0 };
    let mut terms = Vec::new();
    loop {
        cursor.skip_blanks();
        let key_at = cursor.at;
        if cursor.peek().is_none() {
            return Ok(terms);
        }
        let key = cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if key.eq_ignore_ascii_case("and") {
            continue;
        }
        if key.is_empty() {
            return Err(QueryError::new("a term begins with a key, such as service = cart", key_at, 1));
        }
        cursor.skip_blanks();
        let Some(operator) = cursor.operator() else {
            let length = key.chars().count();
            return Err(QueryError::new(
                format!("an operator is missing after {key}: = != ~ !~ > >= < <="),
                key_at,
                length,
            ));
        };
        cursor.skip_blanks();
        let value_at = cursor.at;
        let values = cursor.values()?;
        if values.iter().all(String::is_empty) && cursor.chars.get(value_at) != Some(&'"') {
            let length = cursor.at - key_at;
            return Err(QueryError::new(format!("a value is missing after {key} {operator}"), key_at, length));
        }
        terms.push(Term { key, operator, values, key_at, value_at, value_length: cursor.at - value_at });
    }
}

fn condition(term: &Term, target: Target) -> Result<String, QueryError> {
    let key_length = term.key.chars().count();
    let Some((key, side)) = keys::find(&term.key) else {
        let error = QueryError::new(format!("there is no {}", term.key), term.key_at, key_length);
        return Err(error.suggest(&term.key, keys::names()));
    };
    let on_connections = key.two_sided || matches!(key.name, "server_port" | "observation_point" | "agent");
    let known_here = match target {
        Target::Log => true,
        Target::Metrics => key.on_metrics != OnMetrics::No,
        Target::Connections => on_connections,
    };
    if !known_here {
        let message = format!("only single requests have {}: open the requests to filter by it", term.key);
        return Err(QueryError::new(message, term.key_at, key_length));
    }
    if key.two_sided {
        return two_sided(term, &key, side);
    }
    match (target, key.on_metrics) {
        (Target::Metrics, OnMetrics::StatusCounters) => status_counters(term),
        (Target::Metrics, OnMetrics::Longest) => compare("rrt_max", term, &key),
        _ => compare(&format!("`{}`", key.column), term, &key),
    }
}

fn two_sided(term: &Term, key: &Key, side: Option<u8>) -> Result<String, QueryError> {
    let on = |side: u8| compare(&format!("`{}_{side}`", key.column), term, key);
    match side {
        Some(side) => on(side),
        None if term.operator.starts_with('!') => Ok(format!("({} AND {})", on(0)?, on(1)?)),
        None => Ok(format!("({} OR {})", on(0)?, on(1)?)),
    }
}

/// Rows of metrics hold counters, so a status means that there were any.
fn status_counters(term: &Term) -> Result<String, QueryError> {
    let counter = |status: &String| match status.as_str() {
        "ok" => Ok("request > error"),
        "client_error" => Ok("client_error > 0"),
        "server_error" => Ok("server_error > 0"),
        "timeout" => Ok("timeout > 0"),
        "unknown" => Ok("request > response"),
        other => Err(bad_word(term, other)),
    };
    let any = term.values.iter().map(counter).collect::<Result<Vec<_>, _>>()?.join(" OR ");
    match term.operator {
        "=" => Ok(format!("({any})")),
        "!=" => Ok(format!("NOT ({any})")),
        operator => Err(bad_operator(term, operator, "= and !=")),
    }
}

fn bad_word(term: &Term, word: &str) -> QueryError {
    let KeyKind::Enum(words) = keys::find(&term.key).map_or(KeyKind::Text, |(key, _)| key.kind) else {
        return QueryError::new(format!("{word} is no value of {}", term.key), term.value_at, term.value_length);
    };
    QueryError::new(format!("{} is one of {}", term.key, words.join(", ")), term.value_at, term.value_length)
        .suggest(word, words.iter().map(|word| (*word).to_owned()))
}

fn bad_operator(term: &Term, operator: &str, allowed: &str) -> QueryError {
    let length = term.value_at - term.key_at;
    QueryError::new(format!("{} cannot be compared by {operator}: use {allowed}", term.key), term.key_at, length)
}

fn compare(column: &str, term: &Term, key: &Key) -> Result<String, QueryError> {
    let values = term.values.iter().map(|value| literal(value, term, key)).collect::<Result<Vec<_>, _>>()?;
    let is_text = matches!(key.kind, KeyKind::Text | KeyKind::Enum(_));
    match (term.operator, is_text) {
        ("=", _) => Ok(format!("{column} IN ({})", values.join(", "))),
        ("!=", _) => Ok(format!("{column} NOT IN ({})", values.join(", "))),
        ("~" | "!~", true) => {
            let any: Vec<_> =
                values.iter().map(|value| format!("positionCaseInsensitiveUTF8({column}, {value}) > 0")).collect();
            let negation = if term.operator == "!~" { "NOT " } else { "" };
            Ok(format!("{negation}({})", any.join(" OR ")))
        }
        (operator, false) if !operator.ends_with('~') => match values.as_slice() {
            [value] => Ok(format!("{column} {operator} {value}")),
            _ => Err(bad_operator(term, operator, "= or != with several values")),
        },
        (operator, true) => Err(bad_operator(term, operator, "=, !=, ~ or !~")),
        (operator, false) => Err(bad_operator(term, operator, "=, !=, >, >=, < or <=")),
    }
}

fn literal(value: &str, term: &Term, key: &Key) -> Result<String, QueryError> {
    match key.kind {
        KeyKind::Text => Ok(quote(value)),
        KeyKind::Enum(words) if term.operator.ends_with('=') && !words.contains(&value) => Err(bad_word(term, value)),
        KeyKind::Enum(_) => Ok(quote(value)),
        KeyKind::Number => value.parse::<i64>().map(|number| number.to_string()).map_err(|_| {
            QueryError::new(format!("{} is a number, not {value}", term.key), term.value_at, term.value_length)
        }),
        KeyKind::Duration => duration_us(value).map(|us| us.to_string()).ok_or_else(|| {
            let message = format!("{} is a time such as 100ms, not {value}", term.key);
            QueryError::new(message, term.value_at, term.value_length)
        }),
    }
}

/// `100ms`, `1.5s`, `20us` in microseconds.
fn duration_us(text: &str) -> Option<u64> {
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let number: f64 = number.trim().parse().ok()?;
    (0.0..1e12).contains(&number).then_some((number * factor).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str, target: Target, want: &str) {
        let got = filter_to_sql(filter, target).unwrap_or_else(|error| panic!("{filter}: {error:?}"));
        assert_eq!(got, want, "{filter}");
    }

    fn fails(filter: &str, target: Target, at: (usize, usize), suggestion: Option<&str>) {
        let error = filter_to_sql(filter, target).expect_err(filter);
        assert_eq!((error.position, error.length), at, "{filter}: {error}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{filter}: {error}");
    }

    #[test]
    fn terms() {
        use Target::{Log, Metrics};
        check("", Log, "1");
        check(
            "service = cart",
            Log,
            "(`auto_service` IN ('cart') OR `auto_service` IN ('cart'))"
                .replace(
                    "`auto_service` IN ('cart') OR `auto_service`",
                    "`auto_service_0` IN ('cart') OR `auto_service_1`",
                )
                .as_str(),
        );
        check("service!=cart", Log, "(`auto_service_0` NOT IN ('cart') AND `auto_service_1` NOT IN ('cart'))");
        check("auto_service_1 = a|\"b c\"", Log, "`auto_service_1` IN ('a', 'b c')");
        check("latency>=1.5ms code=500", Log, "`response_duration` >= 1500 AND `response_code` IN (500)");
        check(
            "endpoint ~ cart and host_0 = h",
            Log,
            "(positionCaseInsensitiveUTF8(`endpoint`, 'cart') > 0) AND `host_0` IN ('h')",
        );
        check("status = server_error|timeout", Metrics, "(server_error > 0 OR timeout > 0)");
        check("latency > 1s", Metrics, "rrt_max > 1000000");
        check("domain = \"\"", Log, "`request_domain` IN ('')");
    }

    #[test]
    fn hostile_values_stay_literals() {
        check("domain = \"x' OR '1\\\\\"", Target::Log, "`request_domain` IN ('x\\' OR \\'1\\\\')");
    }

    #[test]
    fn errors_have_a_place() {
        fails("stauts = ok", Target::Log, (0, 6), Some("status"));
        fails("status = okk", Target::Log, (9, 3), Some("ok"));
        fails("status", Target::Log, (0, 6), None);
        fails("status =", Target::Log, (0, 8), None);
        fails("latency > fast", Target::Log, (10, 4), None);
        fails("= x", Target::Log, (0, 1), None);
        fails("domain = \"x", Target::Log, (9, 2), None);
        fails("code ~ 5", Target::Log, (0, 7), None);
        fails("domain = x", Target::Metrics, (0, 6), None);
        fails("endpoint = x", Target::Connections, (0, 8), None);
    }

    #[test]
    fn outcomes_left_over() {
        let check = |filter: &str, want: &[&str]| assert_eq!(outcomes(filter).unwrap(), want, "{filter}");
        check("service = a", &["ok", "client_error", "server_error", "timeout", "unknown"]);
        check("status = server_error|timeout", &["server_error", "timeout"]);
        check("status != ok status != unknown", &["client_error", "server_error", "timeout"]);
        check("status = ok status = timeout", &[]);
    }

    #[test]
    fn any_text_is_answered() {
        for length in 0..40 {
            let text: String =
                "service = \"a|b\\\" latency>=1ms ~!=<é".chars().cycle().skip(length).take(length).collect();
            let _ = filter_to_sql(&text, Target::Log);
        }
    }
}
