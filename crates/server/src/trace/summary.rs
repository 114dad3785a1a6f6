//! What took the time of a trace, in figures and in a sentence. Pure.

use std::collections::{BTreeSet, HashMap};

use hadal_model::MessageType;
use hadal_trace::{Node, Span, Step};
use serde::Serialize;
use utoipa::ToSchema;

/// What a span is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) service: String,
    /// Method and endpoint.
    pub(crate) what: String,
    pub(crate) status: String,
    /// The protocol's own code; empty if there is none.
    pub(crate) code: String,
}

impl Name {
    /// `protocol` is what a request is called that has no method.
    pub(crate) fn new(service: &str, protocol: &str, method: &str, endpoint: &str) -> Self {
        // Of SQL the method is a kind of message; the endpoint says the statement.
        let is_sql = protocol.contains("SQL") && !endpoint.is_empty();
        let verb = if method.is_empty() { protocol } else { method };
        // The endpoint of a command or a statement begins with its verb.
        let has_verb = is_sql || endpoint.split_whitespace().next() == Some(verb);
        let what = if has_verb { endpoint.to_owned() } else { format!("{verb} {endpoint}").trim_end().to_owned() };
        Self { service: service.to_owned(), what, ..Self::default() }
    }

    fn has_failed(&self) -> bool {
        matches!(self.status.as_str(), "client_error" | "server_error" | "timeout")
    }

    /// What it failed with, in as few words as possible.
    fn outcome(&self) -> String {
        match (self.code.as_str(), self.status.as_str()) {
            ("", "timeout") => "a timeout".to_owned(),
            ("", status) => format!("a {}", status.replace('_', " ")),
            (code, _) => code.to_owned(),
        }
    }
}

/// How the trace spent a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartKind {
    /// In a server, while it waited for no call.
    Own,
    /// For a server that was not seen from inside.
    Waiting,
    /// Between the two ends of a call: on the network, or in queues.
    Network,
    /// For an answer that nobody saw.
    NoAnswer,
}

/// A share of the trace's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Part {
    pub(crate) kind: PartKind,
    /// Service that the time was spent in, or waited for.
    pub(crate) service: String,
    /// Method and endpoint.
    pub(crate) what: String,
    /// Microseconds of the critical path.
    pub(crate) time_us: u64,
    /// How many calls it is the sum of.
    pub(crate) calls: usize,
    /// `id` of the span with the largest share.
    pub(crate) span_id: String,
    /// Whether it is the time of the trace's first server itself.
    pub(crate) is_entry: bool,
}

/// The trace in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) total_us: u64,
    /// The largest share first; together they are the total.
    pub(crate) parts: Vec<Part>,
    pub(crate) sentence: String,
}

type Tree<'a> = [(&'a Node, &'a Span)];

/// `steps` is the critical path of `tree`, `names` are by id of the span.
pub(crate) fn summarize(tree: &Tree<'_>, steps: &[Step], names: &HashMap<u64, Name>) -> Summary {
    let total_us = steps.iter().map(length).sum();
    let parts = parts(tree, steps, names);
    let took = took(total_us, &parts);
    let failed = failed(tree, names).unwrap_or_default();
    let sentence = [took, failed].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    Summary { total_us, parts, sentence }
}

fn length(step: &Step) -> u64 {
    u64::try_from(step.to_us.saturating_sub(step.from_us)).unwrap_or_default()
}

/// What a part is summed up from.
#[derive(Default)]
struct Sum {
    time_us: u64,
    calls: BTreeSet<u32>,
    by_span: HashMap<u64, u64>,
    is_entry: bool,
}

fn parts(tree: &Tree<'_>, steps: &[Step], names: &HashMap<u64, Name>) -> Vec<Part> {
    let mut sums: HashMap<(PartKind, &str, &str), Sum> = HashMap::new();
    let unknown = Name::default();
    for step in steps {
        let (node, _) = tree[step.place];
        let name = names.get(&node.id).unwrap_or(&unknown);
        let kind = kind_of(tree, step.place);
        let sum = sums.entry((kind, &name.service, &name.what)).or_default();
        sum.time_us += length(step);
        sum.calls.insert(node.call);
        *sum.by_span.entry(node.id).or_default() += length(step);
        sum.is_entry |= kind == PartKind::Own && node.call == tree[0].0.call;
    }
    let mut parts: Vec<Part> = sums
        .into_iter()
        .map(|((kind, service, what), sum)| Part {
            kind,
            service: service.to_owned(),
            what: what.to_owned(),
            time_us: sum.time_us,
            calls: sum.calls.len(),
            span_id: sum.by_span.into_iter().max_by_key(|(id, time)| (*time, *id)).map_or(0, |(id, _)| id).to_string(),
            is_entry: sum.is_entry,
        })
        .collect();
    parts.sort_by(|one, other| {
        let order = |part: &Part| (std::cmp::Reverse(part.time_us), part.kind, part.service.clone(), part.what.clone());
        order(one).cmp(&order(other))
    });
    parts
}

/// The rows of a call stand next to each other, in path order.
fn kind_of(tree: &Tree<'_>, place: usize) -> PartKind {
    let (node, span) = tree[place];
    let last = tree[place..].iter().take_while(|(other, _)| other.call == node.call).last().map_or(span, |last| last.1);
    match (span.is_client_side(), last.is_client_side()) {
        (true, false) => PartKind::Network,
        _ if span.kind == MessageType::Request => PartKind::NoAnswer,
        (true, true) => PartKind::Waiting,
        (false, _) => PartKind::Own,
    }
}

/// Parts below this share of the whole are not worth a word.
const WORTH_PERCENT: u64 = 10;
/// Parts that are named at most.
const MOST_NAMED: usize = 3;
/// From here on it is one thing that takes the time.
const NEARLY_ALL_PERCENT: u64 = 95;

/// What took the time.
fn took(total_us: u64, parts: &[Part]) -> String {
    let Some(first) = parts.first() else { return String::new() };
    let total = duration(total_us);
    let is_over = |part: &Part, percent: u64| part.time_us.saturating_mul(100) >= total_us.saturating_mul(percent);
    if is_over(first, NEARLY_ALL_PERCENT) {
        let share = if parts.len() == 1 { "all of it" } else { "nearly all of it" };
        return format!("{total}, {share} {}.", place(first));
    }
    let named: Vec<_> = parts
        .iter()
        .filter(|part| is_over(part, WORTH_PERCENT))
        .take(MOST_NAMED)
        .map(|part| format!("{} {}", duration(part.time_us), place(part)))
        .collect();
    match named.split_last() {
        None => format!("{total} in many places; the most, {} {}.", duration(first.time_us), place(first)),
        Some((last, [])) => format!("{total}, of which {last}."),
        Some((last, before)) => format!("{total}, of which {} and {last}.", before.join(", ")),
    }
}

/// Where a part was spent, to be read after a time.
fn place(part: &Part) -> String {
    let Part { service, calls, .. } = part;
    let what = cut(&part.what);
    let times = if *calls > 1 { format!(" ({calls} calls)") } else { String::new() };
    match part.kind {
        PartKind::Own if part.is_entry => format!("in {service} itself"),
        PartKind::Own => format!("in {service} {what}{times}"),
        PartKind::Waiting => format!("waiting for {service} {what}{times}"),
        PartKind::Network => format!("on the way to {service} and back{times}"),
        PartKind::NoAnswer => format!("without an answer from {service} {what}{times}"),
    }
}

/// Characters of an endpoint in a sentence; statements are longer.
const MOST_CHARACTERS: usize = 60;

fn cut(what: &str) -> String {
    match what.char_indices().nth(MOST_CHARACTERS) {
        None => what.to_owned(),
        Some((end, _)) => format!("{}…", what[..end].trim_end()),
    }
}

/// What failed, and what failed first.
fn failed(tree: &Tree<'_>, names: &HashMap<u64, Name>) -> Option<String> {
    // Of each call the last row, which is nearest to the server.
    let is_last = |place: usize| tree.get(place + 1).is_none_or(|next| next.0.call != tree[place].0.call);
    let failed: Vec<usize> = (0..tree.len())
        .filter(|place| is_last(*place) && names.get(&tree[*place].0.id).is_some_and(Name::has_failed))
        .collect();
    let root = failed.first().copied().filter(|place| tree[*place].0.call == tree[0].0.call);
    let name = |place: usize| names.get(&tree[place].0.id);
    let Some(root) = root else {
        let first = name(*failed.first()?)?;
        let which = format!("{} {}", first.service, cut(&first.what));
        return Some(match failed.len() {
            1 => format!("It succeeded, although {which} failed with {}.", first.outcome()),
            calls => format!("It succeeded, although {calls} calls failed, first {which} with {}.", first.outcome()),
        });
    };
    let own = name(root)?;
    let cause = origin(root, &failed, tree);
    let cause = (cause != root).then(|| name(cause)).flatten();
    Some(match cause {
        None => format!("It failed with {}.", own.outcome()),
        Some(cause) => {
            let which = format!("{} {}", cause.service, cut(&cause.what));
            format!("It failed with {}, after {which} failed with {}.", own.outcome(), cause.outcome())
        }
    })
}

/// Down from a failed span through failed ones: the last to fail each time.
fn origin(root: usize, failed: &[usize], tree: &Tree<'_>) -> usize {
    let places: HashMap<u64, usize> = tree.iter().enumerate().map(|(place, (node, _))| (node.id, place)).collect();
    let head = |place: usize| {
        let call = tree[place].0.call;
        (0..=place).rev().take_while(|other| tree[*other].0.call == call).last().unwrap_or(place)
    };
    let above = |place: usize| tree[head(place)].0.link.and_then(|link| places.get(&link.parent).copied());
    let mut at = root;
    // Parents come before their children, so this ends.
    while let Some(below) = failed.iter().rev().find(|place| **place > at && above(**place) == Some(at)) {
        at = *below;
    }
    at
}

/// Units from large to small, in microseconds.
const UNITS: &[(f64, &str)] = &[(86_400e6, "d"), (3600e6, "h"), (60e6, "min"), (1e6, "s"), (1e3, "ms"), (1.0, "µs")];

/// A time as people say it: at most two digits, more only before the point.
pub(crate) fn duration(micros: u64) -> String {
    let value = micros as f64;
    // The factor keeps 999.96 from being shown as 1000 of the smaller unit.
    let (unit, word) = UNITS.iter().copied().find(|(unit, _)| value >= unit * 0.9995).unwrap_or((1.0, "µs"));
    let size = value / unit;
    let digits = if size >= 10.0 || unit <= 1.0 { 0 } else { 1 };
    let text = format!("{size:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}\u{a0}{word}")
}

#[cfg(test)]
mod tests {
    use hadal_model::ObservationPoint;
    use hadal_trace::{Limits, assemble, critical_path};

    use super::*;
    use crate::trace::tests::end;

    /// `pid` at the client's or server's end, `call` names the connection.
    struct Row(u64, ObservationPoint, u32, u32, (u64, u64), [u64; 2], &'static str, &'static str);

    fn check(rows: &[Row], want: &str) {
        let spans: Vec<Span> = rows
            .iter()
            .map(|Row(id, point, pid, call, times, contexts, ..)| end(*id, *point, *pid, *call, *times, *contexts))
            .collect();
        let names = rows.iter().map(|Row(id, .., name, code)| {
            let (service, what) = name.split_once(' ').unwrap();
            let status = if code.is_empty() { "ok" } else { "server_error" };
            let name =
                Name { status: status.to_owned(), code: (*code).to_owned(), ..Name::new(service, "HTTP1", "", what) };
            (*id, Name { what: what.to_owned(), ..name })
        });
        let names: HashMap<u64, Name> = names.collect();
        let forest = assemble(&spans, &HashMap::new(), Limits::default());
        let tree: Vec<(&Node, &Span)> = forest.nodes.iter().map(|node| (node, &spans[node.index])).collect();
        let summary = summarize(&tree, &critical_path(&tree), &names);
        assert_eq!(summary.parts.iter().map(|part| part.time_us).sum::<u64>(), summary.total_us);
        assert_eq!(summary.sentence.replace('\u{a0}', " "), want);
    }

    const C: ObservationPoint = ObservationPoint::ClientProcess;
    const S: ObservationPoint = ObservationPoint::ServerProcess;

    #[test]
    fn a_sentence_says_what_took_the_time() {
        check(&[Row(1, S, 20, 1, (0, 5000), [1, 2], "shop GET /", "")], "5 ms, all of it in shop itself.");
        check(
            &[
                Row(1, S, 20, 1, (0, 412_000), [1, 3], "shop GET /cart/{}", ""),
                Row(2, C, 20, 2, (10_000, 390_000), [1, 2], "postgres SELECT items", ""),
            ],
            "412 ms, of which 380 ms waiting for postgres SELECT items.",
        );
        check(
            &[
                Row(1, C, 10, 1, (0, 100_000), [0, 0], "shop GET /cart/{}", ""),
                Row(2, S, 20, 1, (20_000, 98_000), [1, 4], "shop GET /cart/{}", ""),
                Row(3, C, 20, 2, (20_000, 40_000), [1, 2], "redis GET", ""),
                Row(4, C, 20, 3, (50_000, 70_000), [2, 3], "redis GET", ""),
            ],
            "100 ms, of which 40 ms waiting for redis GET (2 calls), 38 ms in shop itself and 22 ms on the way to shop and back.",
        );
    }

    #[test]
    fn what_failed_first_is_named() {
        let cart = |code| {
            [
                Row(1, S, 20, 1, (0, 100_000), [1, 3], "nginx GET /cart/{}", code),
                Row(2, C, 20, 2, (1000, 99_000), [1, 2], "shop GET /cart/{}", "500"),
                Row(3, S, 30, 2, (1000, 99_000), [4, 6], "shop GET /cart/{}", "500"),
                Row(4, C, 30, 3, (2000, 98_000), [4, 5], "redis GET", "ERR"),
            ]
        };
        let time = "100 ms, nearly all of it waiting for redis GET.";
        check(&cart("502"), &format!("{time} It failed with 502, after redis GET failed with ERR."));
        check(&cart(""), &format!("{time} It succeeded, although 2 calls failed, first shop GET /cart/{{}} with 500."));
        check(
            &[Row(1, S, 20, 1, (0, 5000), [1, 2], "shop GET /", "500")],
            "5 ms, all of it in shop itself. It failed with 500.",
        );
    }

    #[test]
    fn times_as_people_say_them() {
        let said = [0, 311, 999, 1000, 1240, 38_400, 999_960, 1_230_000, 90_000_000].map(duration);
        assert_eq!(
            said.map(|text| text.replace('\u{a0}', " ")),
            ["0 µs", "311 µs", "999 µs", "1 ms", "1.2 ms", "38 ms", "1 s", "1.2 s", "1.5 min"]
        );
    }

    #[test]
    fn a_verb_is_said_once() {
        let what = |method, endpoint| Name::new("a", "HTTP1", method, endpoint).what;
        assert_eq!(Name::new("postgres", "PostgreSQL", "Query", "SELECT items").what, "SELECT items");
        assert_eq!(
            [what("GET", "/x"), what("GET", "GET"), what("SELECT", "SELECT items"), what("", "")],
            ["GET /x", "GET", "SELECT items", "HTTP1"]
        );
    }
}
