//! Which statements of users are passed on at all. The engine's own read-only mode is the second wall; this one also
//! stops what is done outside of it, such as `INTO OUTFILE`.

use crate::error::QueryError;

const ALLOWED: &[&str] = &["SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"];

#[derive(Debug)]
struct Word {
    text: String,
    at: usize,
}

/// The words outside of literals and comments, in upper case; `;` is a word of its own.
fn words(sql: &str) -> Result<Vec<Word>, QueryError> {
    let chars: Vec<char> = sql.chars().collect();
    let mut out: Vec<Word> = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        at = match (c, next) {
            ('\'' | '"' | '`', _) => end_of_quote(&chars, at)?,
            ('-', Some('-')) | ('#', Some('!' | ' ')) => end_of_line(&chars, at),
            ('/', Some('*')) => end_of_comment(&chars, at)?,
            (';', _) => {
                out.push(Word { text: ";".to_owned(), at });
                at + 1
            }
            _ if c.is_alphanumeric() || c == '_' => {
                let end = at + chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                out.push(Word { text: chars[at..end].iter().collect::<String>().to_uppercase(), at });
                end
            }
            ('$', _) => return Err(QueryError::new("heredoc strings are not supported: use quotes", at, 1)),
            _ => at + 1,
        };
    }
    Ok(out)
}

fn end_of_quote(chars: &[char], start: usize) -> Result<usize, QueryError> {
    let mut at = start + 1;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => at += 2,
            _ if c == chars[start] => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err(QueryError::new("the quote does not end", start, chars.len() - start))
}

fn end_of_line(chars: &[char], start: usize) -> usize {
    chars[start..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| start + length)
}

fn end_of_comment(chars: &[char], start: usize) -> Result<usize, QueryError> {
    let rest = chars.get(start + 2..).unwrap_or_default();
    let end = rest.windows(2).position(|pair| pair == ['*', '/']);
    end.map(|length| start + length + 4)
        .ok_or_else(|| QueryError::new("the comment does not end", start, chars.len() - start))
}

/// Refuses everything but one statement that reads.
pub fn check_read_only(sql: &str) -> Result<(), QueryError> {
    let words = words(sql)?;
    let Some(first) = words.first().filter(|first| first.text != ";") else {
        return Err(QueryError::new("the query is empty", 0, sql.chars().count()));
    };
    if !ALLOWED.contains(&first.text.as_str()) {
        let message = format!("only {} are allowed here, not {}", "SELECT, SHOW, DESCRIBE and EXPLAIN", first.text);
        return Err(QueryError::new(message, first.at, first.text.chars().count()));
    }
    for pair in words.windows(2) {
        let [word, next] = pair else { continue };
        if word.text == ";" {
            return Err(QueryError::new("one statement at a time", next.at, next.text.chars().count()));
        }
        if word.text == "INTO" && next.text == "OUTFILE" {
            return Err(QueryError::new("queries cannot write files", word.at, 12));
        }
    }
    Ok(())
}

/// The statement without the `FORMAT` clause and the semicolon it ends with, and that format's name.
pub fn statement_format(sql: &str) -> (String, Option<String>) {
    let Ok(words) = words(sql) else { return (sql.to_owned(), None) };
    let chars: Vec<char> = sql.chars().collect();
    let words: Vec<_> = words.iter().filter(|word| word.text != ";").collect();
    let ends_at = |at: usize| chars[..at].iter().collect::<String>();
    if let [.., format, name] = words.as_slice()
        && format.text == "FORMAT"
    {
        let name: String = chars[name.at..].iter().take_while(|c| c.is_alphanumeric()).collect();
        return (ends_at(format.at), Some(name));
    }
    (sql.trim_end().trim_end_matches(';').to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_passes() {
        for sql in [
            "SELECT 1",
            "  -- comment\n with x as (select 1) select * from x;",
            "/* a */ SHOW TABLES FROM flow_log",
            "describe flow_log.l7_flow_log",
            "EXPLAIN SELECT 'insert; into outfile'",
            "SELECT \"into outfile\", `;`",
        ] {
            assert_eq!(check_read_only(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn what_does_not_is_refused_with_its_place() {
        for (sql, at) in [
            ("INSERT INTO x VALUES (1)", 0),
            ("", 0),
            (";", 0),
            ("SELECT 1; DROP TABLE x", 10),
            ("SELECT 1 INTO/**/OUTFILE 'x'", 9),
            ("SELECT 1 into\n-- x\noutfile 'x'", 9),
            ("SELECT 'x", 7),
            ("SELECT /* 1", 7),
            ("SELECT $a$x$a$", 7),
            ("SET readonly = 0", 0),
        ] {
            assert_eq!(check_read_only(sql).expect_err(sql).position, at, "{sql}");
        }
    }

    #[test]
    fn formats_are_taken_off() {
        assert_eq!(statement_format("SELECT 1 FORMAT JSON;"), ("SELECT 1 ".into(), Some("JSON".into())));
        assert_eq!(statement_format("SELECT 1;"), ("SELECT 1".into(), None));
        assert_eq!(statement_format("SELECT 'FORMAT JSON'"), ("SELECT 'FORMAT JSON'".into(), None));
    }

    #[test]
    fn every_prefix_is_answered() {
        let sql = "SELECT 'a\\'b', `c` -- d\n /* e */ FROM x; #! y";
        for (end, _) in sql.char_indices() {
            let _ = check_read_only(&sql[..end]);
            let _ = statement_format(&sql[..end]);
        }
    }
}
