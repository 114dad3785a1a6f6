//! Errors and notices: who is to blame, and what may be shown.

use hadal_model::ResponseStatus;

use super::parser::fields;
use crate::text::text;

/// SQLSTATE classes, and single codes before them, and whether the server is to blame: the code then tells of the
/// server's state, or of that of other sessions, and not of the statement, which might succeed later. Classes that are
/// not listed are the client's fault: they come from wrong statements and from functions of users.
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>)
const SQLSTATES: &[(&str, ResponseStatus)] = &[
    // Protocol violation.
    ("08P01", ResponseStatus::ClientError),
    // Object in use, lock not available.
    ("55006", ResponseStatus::ServerError),
    ("55P03", ResponseStatus::ServerError),
    // Success, warning, no data.
    ("00", ResponseStatus::Ok),
    ("01", ResponseStatus::Ok),
    ("02", ResponseStatus::Ok),
    // Connection exception.
    ("08", ResponseStatus::ServerError),
    // Feature not supported, cardinality, data, integrity, transaction state, authorization, syntax, privileges.
    ("0A", ResponseStatus::ClientError),
    ("21", ResponseStatus::ClientError),
    ("22", ResponseStatus::ClientError),
    ("23", ResponseStatus::ClientError),
    ("25", ResponseStatus::ClientError),
    ("28", ResponseStatus::ClientError),
    ("42", ResponseStatus::ClientError),
    // External routine: a function of the server failed.
    ("38", ResponseStatus::ServerError),
    ("39", ResponseStatus::ServerError),
    // Transaction rollback: deadlock, serialization failure.
    ("40", ResponseStatus::ServerError),
    // Insufficient resources.
    ("53", ResponseStatus::ServerError),
    // Program limit exceeded: the statement is too complex.
    ("54", ResponseStatus::ClientError),
    // Object not in prerequisite state.
    ("55", ResponseStatus::ClientError),
    // Operator intervention: shutdown, cancelled, crashed.
    ("57", ResponseStatus::ServerError),
    // System error: input and output.
    ("58", ResponseStatus::ServerError),
    // Snapshot too old, configuration file, foreign data wrapper, internal error.
    ("72", ResponseStatus::ServerError),
    ("F0", ResponseStatus::ServerError),
    ("HV", ResponseStatus::ServerError),
    ("XX", ResponseStatus::ServerError),
];

/// The status that an SQLSTATE stands for.
pub(super) fn status(sqlstate: &str) -> ResponseStatus {
    let row = SQLSTATES.iter().find(|(start, _)| sqlstate.starts_with(start));
    row.map_or(ResponseStatus::ClientError, |&(_, status)| status)
}

/// An error or a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// `ERROR`, `FATAL`, `NOTICE`, …; not translated since PostgreSQL 9.6.
    pub(super) severity: String,
    /// Five characters; empty if not there.
    pub(super) sqlstate: String,
    /// The message, in the server's language.
    pub(super) message: String,
}

impl Report {
    pub(super) fn read(body: &[u8], max_text: usize, obfuscate: bool) -> Self {
        let mut report = Self::default();
        for (code, value) in fields(body) {
            match code {
                b'V' => report.severity = text(value, 16),
                b'S' if report.severity.is_empty() => report.severity = text(value, 16),
                b'C' => report.sqlstate = text(value, 5),
                b'M' => report.message = text(value, max_text),
                _ => {}
            }
        }
        if obfuscate {
            report.message = without_values(&report.message, report.sqlstate.starts_with("22"));
        }
        report
    }

    /// The connection ends with this error.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// `42P01: relation "x" does not exist`
    pub(super) fn line(&self, max_text: usize) -> String {
        let mut line = match self.sqlstate.as_str() {
            "" => self.message.clone(),
            sqlstate => format!("{sqlstate}: {}", self.message),
        };
        crate::text::truncate(&mut line, max_text);
        line
    }
}

/// Messages quote names, which are shown, and values, which are not. Those of data exceptions (class 22) quote values;
/// elsewhere what starts like a literal is one (`syntax error at or near "'x'"`).
fn without_values(message: &str, data_exception: bool) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, quoted)) = rest.split_once('"') {
        shown.push_str(before);
        let literal = data_exception || quoted.starts_with(|first: char| first == '\'' || first.is_ascii_digit());
        // A value may hold quotes itself, so all up to the last one is hidden.
        let end = if literal { quoted.rfind('"') } else { quoted.find('"') };
        let (value, behind) = match end {
            Some(end) => (quoted.get(..end).unwrap_or_default(), quoted.get(end + 1..).unwrap_or_default()),
            None => (quoted, ""),
        };
        shown.push('"');
        shown.push_str(if literal { "?" } else { value });
        if end.is_some() {
            shown.push('"');
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let cases = [
            ("42P01", ResponseStatus::ClientError),
            ("22012", ResponseStatus::ClientError),
            ("23505", ResponseStatus::ClientError),
            ("28P01", ResponseStatus::ClientError),
            ("40P01", ResponseStatus::ServerError),
            ("53300", ResponseStatus::ServerError),
            ("55P03", ResponseStatus::ServerError),
            ("55000", ResponseStatus::ClientError),
            ("57014", ResponseStatus::ServerError),
            ("08006", ResponseStatus::ServerError),
            ("08P01", ResponseStatus::ClientError),
            ("XX000", ResponseStatus::ServerError),
            ("P0001", ResponseStatus::ClientError),
            ("", ResponseStatus::ClientError),
        ];
        for (sqlstate, want) in cases {
            assert_eq!(status(sqlstate), want, "{sqlstate}");
        }
    }

    #[test]
    fn values_are_hidden() {
        let cases = [
            ("42P01", "relation \"reef\" does not exist", "42P01: relation \"reef\" does not exist"),
            (
                "22P02",
                "invalid input syntax for type integer: \"se\"cret\"",
                "22P02: invalid input syntax for type integer: \"?\"",
            ),
            ("22012", "division by zero", "22012: division by zero"),
            ("42601", "syntax error at or near \"'secret'\"", "42601: syntax error at or near \"?\""),
            ("42601", "syntax error at or near \"sel", "42601: syntax error at or near \"sel"),
            ("", "odd", "odd"),
        ];
        for (sqlstate, message, want) in cases {
            let body = format!("SERROR\0VERROR\0C{sqlstate}\0M{message}\0\0");
            assert_eq!(Report::read(body.as_bytes(), 100, true).line(100), want);
        }
        let plain = Report::read(b"SFATAL\0C22P02\0Mno: \"secret\"\0\0", 100, false);
        assert_eq!(plain.line(15), "22P02: no: \"sec");
        assert!(plain.is_fatal());
    }
}
