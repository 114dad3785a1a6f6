//! SQL as it is shown: without literals and comments, under a name of low cardinality, with the trace context that a
//! comment carries.
//!
//! Texts are cut where a capture ends, and their bytes may be anything: whatever is not closed is hidden up to the end.
//! Time is linear in the text, and at most `max_text` bytes are kept.

mod lexer;
mod summary;

pub use lexer::Dialect;
use lexer::{Kind, Token, tokens};
use summary::Summary;

use crate::contract::Options;
use crate::text::text;
use crate::trace_context::{Carriers, TraceContext};

/// What is known of a statement, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SqlText {
    /// The text, with `?` for literals if so configured.
    pub(crate) text: String,
    /// Operation and main table (`SELECT orders`), of several statements the first few; empty if it is no SQL.
    pub(crate) summary: String,
    /// Trace context of a comment, as sqlcommenter writes them (<https://google.github.io/sqlcommenter/spec/>).
    pub(crate) trace: Option<TraceContext>,
    /// `COPY … FROM STDIN`: the client sends rows.
    pub(crate) copies_in: bool,
}

/// Reads a text of statements.
pub(crate) fn read(sql: &[u8], dialect: Dialect, options: &Options) -> SqlText {
    let (mut carriers, mut summary) = (Carriers::default(), Summary::default());
    let mut shown = Shown::new(options);
    for token in tokens(sql, dialect) {
        shown.token(token);
        summary.token(token);
        if token.kind == Kind::Comment {
            carried(token.bytes, &mut carriers);
        }
    }
    let copies_in = summary.copies_in();
    SqlText { text: shown.finish(), summary: summary.finish(), trace: carriers.context(options.max_text), copies_in }
}

/// Takes the `key='value'` pairs of a comment.
fn carried<'a>(comment: &'a [u8], carriers: &mut Carriers<'a>) {
    let border = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'*' | b'/');
    for pair in comment.split(border) {
        let Some(at) = memchr::memchr(b'=', pair) else {
            continue;
        };
        let (key, value) = pair.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        carriers.take(key, unquoted(value));
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    let is_quote = |byte: &u8| matches!(byte, b'\'' | b'"');
    let start = value.iter().position(|byte| !is_quote(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_quote(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// The text as it grows.
struct Shown {
    out: Vec<u8>,
    max: usize,
    obfuscate: bool,
    /// The last word was `PASSWORD`: what follows it is never shown.
    secret: bool,
    /// A comment stood here; blanks behind it go with it.
    after_comment: bool,
}

impl Shown {
    fn new(options: &Options) -> Self {
        Self {
            out: Vec::new(),
            max: options.max_text,
            obfuscate: options.obfuscate,
            secret: false,
            after_comment: false,
        }
    }

    fn token(&mut self, token: Token<'_>) {
        let after_comment = std::mem::take(&mut self.after_comment);
        match token.kind {
            Kind::Space if after_comment => self.after_comment = true,
            Kind::Comment if self.obfuscate => {
                // A blank behind two minuses would make a comment of what follows (MySQL).
                let parted = self.out.last().is_none_or(u8::is_ascii_whitespace) || self.out.ends_with(b"--");
                if !parted {
                    self.push(b" ");
                }
                self.after_comment = true;
            }
            Kind::Literal if self.obfuscate || self.secret => self.push(b"?"),
            _ => self.push(token.bytes),
        }
        if !matches!(token.kind, Kind::Space | Kind::Comment) {
            self.secret = token.is("PASSWORD") || token.is("IDENTIFIED") || (self.secret && token.is("BY"));
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        // A few bytes more than are kept, so that a character at the limit is cut and not replaced.
        let room = (self.max + 4).saturating_sub(self.out.len());
        self.out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn finish(self) -> String {
        text(self.out.trim_ascii(), self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn obfuscated(sql: &str) -> String {
        read(sql.as_bytes(), Dialect::PostgreSql, &Options::default()).text
    }

    #[test]
    fn literals_are_hidden() {
        let cases = [
            ("", ""),
            ("delete  from test;", "delete  from test;"),
            ("SELECT * FROM t WHERE a = 'x' AND b=42", "SELECT * FROM t WHERE a = ? AND b=?"),
            ("SELECT 'it''s', E'a\\'b', e'\\\\', U&'\\0441', B'101', x'1F', N'y'", "SELECT ?, ?, ?, ?, ?, ?, ?"),
            ("SELECT 'a\\', b", "SELECT ?, b"),
            ("SELECT $$a'b$$, $tag$x $$ y$tag$, $1, $23", "SELECT ?, ?, $1, $23"),
            ("SELECT 1, 1.5, .5, 1e10, 1.5E-3, 0xFF, 1_000, -7", "SELECT ?, ?, ?, ?, ?, ?, ?, -?"),
            ("SELECT t1.c2, a$1, _3 FROM s1.t1", "SELECT t1.c2, a$1, _3 FROM s1.t1"),
            ("SELECT \"a'b\"\"1\" FROM \"T 1\"", "SELECT \"a'b\"\"1\" FROM \"T 1\""),
            ("SELECT '1'::int, x::numeric(10,2)", "SELECT ?::int, x::numeric(?,?)"),
            ("SELECT DATE '2020-01-01', TRUE, NULL", "SELECT DATE ?, TRUE, NULL"),
            ("SELECT a -- secret\nFROM t", "SELECT a FROM t"),
            ("/* who */ SELECT/* a /* nested */ b */1", "SELECT ?"),
            ("SELECT a FROM t /*traceparent='00-1'*/", "SELECT a FROM t"),
            ("SELECT 'never closed", "SELECT ?"),
            ("SELECT $x$never closed", "SELECT ?"),
            ("SELECT /* never closed", "SELECT"),
            ("SELECT $x never", "SELECT $x never"),
            ("SELECT größe FROM straße WHERE ü='ö'", "SELECT größe FROM straße WHERE ü=?"),
            ("SELECT d ? 'k', d->>'k', a[1:2]", "SELECT d ? ?, d->>?, a[?:?]"),
            ("INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES (?,?),(?,?)"),
        ];
        for (sql, want) in cases {
            assert_eq!(obfuscated(sql), want, "{sql}");
        }
    }

    #[test]
    fn dialects() {
        let read = |sql: &str, dialect| read(sql.as_bytes(), dialect, &Options::default()).text;
        let sql = "SELECT `a b`, \"x\", 'it\\'s' # secret\nFROM t";
        assert_eq!(read(sql, Dialect::MySql), "SELECT `a b`, ?, ? FROM t");
        assert_eq!(read("SELECT a # b, \"x\"", Dialect::PostgreSql), "SELECT a # b, \"x\"");
        assert_eq!(read("SELECT 5--1", Dialect::MySql), "SELECT ?--?");
        assert_eq!(read("SELECT 5--/* c */ 1, 'x'", Dialect::MySql), "SELECT ?--?, ?");
    }

    #[test]
    fn plain_text_is_kept_and_passwords_never_are() {
        let options = Options { obfuscate: false, ..Options::default() };
        let plain = |sql: &str| read(sql.as_bytes(), Dialect::PostgreSql, &options).text;
        assert_eq!(plain("SELECT 1 /* c */ , 'x'"), "SELECT 1 /* c */ , 'x'");
        assert_eq!(
            plain("ALTER USER u WITH PASSWORD  'p' VALID UNTIL 'x'"),
            "ALTER USER u WITH PASSWORD  ? VALID UNTIL 'x'"
        );
    }

    #[test]
    fn traces() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let carried = |sql: &str| {
            let trace = read(sql.as_bytes(), Dialect::PostgreSql, &Options::default()).trace;
            trace.map(|context| (context.trace_id, context.span_id))
        };
        let want = Some((trace.to_owned(), span.to_owned()));
        assert_eq!(carried(&format!("SELECT 1 /*traceparent='00-{trace}-{span}-01'*/")), want);
        assert_eq!(carried(&format!("/*app='x',traceparent='00-{trace}-{span}-01',v='1'*/ SELECT 1")), want);
        assert_eq!(carried(&format!("SELECT 1 -- traceparent=00-{trace}-{span}-01")), want);
        assert_eq!(carried(&format!("SELECT '/*traceparent=''00-{trace}-{span}-01''*/'")), None);
        assert_eq!(carried("SELECT 1 /*traceparent='00-xyz'*/"), None);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let options = Options { max_text: 10, ..Options::default() };
        let sql = read("SELECT ßßßß".as_bytes(), Dialect::PostgreSql, &options);
        assert_eq!(sql.text, "SELECT ß");
        assert_eq!(read(b"SELECT \xff", Dialect::PostgreSql, &options).text, "SELECT \u{fffd}");
    }

    const WORDS: &[&str] = &[
        "'", "\"", "$", "$a$", "$$", "/*", "*/", "--", "\n", "\\", "E'", "U&'", "(", ")", ";", " ", "x", "7", ".", "ß",
        "SELECT", "FROM", "INSERT", "INTO", "WITH", "COPY", "STDIN", "CREATE", "TABLE", "`", "#", "secret",
    ];

    proptest! {
        #[test]
        fn whatever_is_within_quotes_is_hidden(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..30)) {
            for dialect in [Dialect::PostgreSql, Dialect::MySql] {
                let sql = words.concat();
                let options = Options { max_text: 40, ..Options::default() };
                let seen = read(sql.as_bytes(), dialect, &options);
                prop_assert!(seen.text.len() <= 40);
                prop_assert!(seen.summary.len() <= crate::endpoint::MAX_LENGTH);
                // Tokens cover the text.
                prop_assert_eq!(tokens(sql.as_bytes(), dialect).map(|token| token.bytes.len()).sum::<usize>(), sql.len());
                let hidden = tokens(seen.text.as_bytes(), dialect).all(|token| token.kind != Kind::Literal);
                prop_assert!(hidden, "{}", seen.text);
            }
        }
    }
}
