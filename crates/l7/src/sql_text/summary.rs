//! The name of a statement: its operation and main table, as OpenTelemetry's `db.query.summary`
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-spans/#generating-a-summary-of-the-query>).

use super::lexer::{Kind, Token};
use crate::endpoint::{MAX_LENGTH, is_variable};
use crate::text::text;

/// Most statements named; what follows becomes one `*`.
const MAX_STATEMENTS: usize = 4;

/// What the name of a statement is made of, by its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The word alone. Names of savepoints, cursors and prepared statements are often made up by a driver.
    Alone,
    /// The word and the name that follows.
    Named,
    /// The word and the table behind `FROM`.
    From,
    /// The kind of thing and its name (`CREATE TABLE x`).
    Thing,
    /// The first word is that of the statement behind the common table expressions.
    With,
}

/// First words of statements.
const OPERATIONS: &[(Form, &str)] = &[
    (Form::From, "SELECT DELETE"),
    (
        Form::Named,
        "INSERT UPDATE MERGE REPLACE TRUNCATE COPY LOCK CALL TABLE ANALYZE VACUUM LISTEN UNLISTEN NOTIFY SET SHOW RESET \
         DESCRIBE DESC USE",
    ),
    (Form::Thing, "CREATE ALTER DROP REFRESH REINDEX RENAME"),
    (Form::With, "WITH"),
    (
        Form::Alone,
        "BEGIN START COMMIT ROLLBACK END ABORT SAVEPOINT RELEASE PREPARE EXECUTE DEALLOCATE DECLARE FETCH MOVE CLOSE \
         EXPLAIN VALUES DO GRANT REVOKE COMMENT DISCARD CHECKPOINT CLUSTER SECURITY IMPORT REASSIGN LOAD KILL FLUSH \
         OPTIMIZE CHECK HANDLER PURGE CHANGE STOP INSTALL UNINSTALL HELP XA BASE_BACKUP IDENTIFY_SYSTEM \
         START_REPLICATION CREATE_REPLICATION_SLOT DROP_REPLICATION_SLOT TIMELINE_HISTORY",
    ),
];

/// Words between the first word and the name that do not belong to it.
const FILLERS: &[&str] = &[
    "INTO",
    "ONLY",
    "LATERAL",
    "IF",
    "NOT",
    "EXISTS",
    "CONCURRENTLY",
    "ON",
    "LOCAL",
    "SESSION",
    "LOW_PRIORITY",
    "IGNORE",
    "DELAYED",
    "QUICK",
    "HIGH_PRIORITY",
    "VERBOSE",
    "FULL",
    "FREEZE",
    "ANALYZE",
];

/// Things that are created, altered and dropped; words before them are left out.
const THINGS: &[&str] = &[
    "TABLE",
    "INDEX",
    "VIEW",
    "SEQUENCE",
    "SCHEMA",
    "DATABASE",
    "ROLE",
    "USER",
    "FUNCTION",
    "PROCEDURE",
    "TRIGGER",
    "TYPE",
    "DOMAIN",
    "EXTENSION",
    "POLICY",
    "PUBLICATION",
    "SUBSCRIPTION",
    "TABLESPACE",
    "RULE",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONVERSION",
    "LANGUAGE",
    "OPERATOR",
    "SERVER",
    "STATISTICS",
    "GROUP",
    "EVENT",
    "SYSTEM",
];

fn form(word: &[u8]) -> Option<(Form, &'static str)> {
    let mut all =
        OPERATIONS.iter().flat_map(|(form, words)| words.split_ascii_whitespace().map(move |word| (*form, word)));
    all.find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(word))
}

/// What of a statement is awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Awaits {
    /// The first word.
    #[default]
    Operation,
    /// The verb behind common table expressions, outside of parentheses.
    Verb,
    /// `FROM`, in parentheses of this depth.
    From(u32),
    /// The kind of thing.
    Thing,
    /// A name; behind `FROM`, perhaps a query in parentheses.
    Name { from: bool },
    /// A dot and more of the name.
    Dot,
    /// What follows a dot.
    Part,
    /// Nothing: the name is complete, or there is none.
    Nothing,
}

/// The name as it grows.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Names of the statements before this one.
    names: Vec<String>,
    more: bool,
    name: String,
    awaits: Awaits,
    depth: u32,
    /// The last word was `DISTINCT` (`IS DISTINCT FROM`).
    distinct: bool,
    copy: bool,
    from: bool,
    copies_in: bool,
}

impl Summary {
    pub(super) fn copies_in(&self) -> bool {
        self.copies_in
    }

    pub(super) fn token(&mut self, token: Token<'_>) {
        if matches!(token.kind, Kind::Space | Kind::Comment) {
            return;
        }
        if token.is_symbol(b';') && self.depth == 0 {
            return self.end();
        }
        self.copies_in |= self.copy && self.from && token.is("STDIN");
        self.from = token.is("FROM");
        let distinct = std::mem::replace(&mut self.distinct, token.is("DISTINCT"));
        if token.is_symbol(b'(') {
            self.depth += 1;
        } else if token.is_symbol(b')') {
            self.depth = self.depth.saturating_sub(1);
        }
        if self.awaits != Awaits::Nothing {
            self.awaits = self.next(token, distinct);
        }
    }

    fn next(&mut self, token: Token<'_>, distinct: bool) -> Awaits {
        match self.awaits {
            Awaits::Operation if token.is_symbol(b'(') => Awaits::Operation,
            Awaits::Operation => self.operation(token),
            Awaits::Verb if self.depth == 0 && token.kind == Kind::Word => match form(token.bytes) {
                Some((Form::From | Form::Named, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE")) => {
                    self.operation(token)
                }
                _ => Awaits::Verb,
            },
            Awaits::From(depth) if self.depth == depth && !distinct && token.is("FROM") => Awaits::Name { from: true },
            Awaits::From(depth) if self.depth < depth => Awaits::Nothing,
            Awaits::Thing => self.thing(token),
            Awaits::Name { from } => self.target(token, from),
            Awaits::Dot if token.is_symbol(b'.') => Awaits::Part,
            Awaits::Part if matches!(token.kind, Kind::Word | Kind::Quoted) => {
                self.push(".", token);
                Awaits::Dot
            }
            Awaits::Dot | Awaits::Part => Awaits::Nothing,
            same => same,
        }
    }

    fn operation(&mut self, token: Token<'_>) -> Awaits {
        let Some((form, word)) = (token.kind == Kind::Word).then(|| form(token.bytes)).flatten() else {
            return Awaits::Nothing;
        };
        if form == Form::With {
            return Awaits::Verb;
        }
        self.name.push_str(word);
        self.copy = word == "COPY";
        match form {
            Form::From => Awaits::From(self.depth),
            Form::Named => Awaits::Name { from: false },
            Form::Thing => Awaits::Thing,
            Form::Alone | Form::With => Awaits::Nothing,
        }
    }

    fn thing(&mut self, token: Token<'_>) -> Awaits {
        let known = THINGS.iter().find(|thing| token.is(thing));
        if let Some(thing) = known {
            self.name.push(' ');
            self.name.push_str(thing);
            return Awaits::Name { from: false };
        }
        if token.kind == Kind::Word { Awaits::Thing } else { Awaits::Nothing }
    }

    fn target(&mut self, token: Token<'_>, from: bool) -> Awaits {
        match token.kind {
            // A query in place of a table, or options in place of a name.
            Kind::Symbol if token.is_symbol(b'(') && (from || self.copy) => Awaits::Name { from: true },
            Kind::Word if from && token.is("SELECT") => Awaits::From(self.depth),
            Kind::Word if FILLERS.iter().any(|filler| token.is(filler)) => Awaits::Name { from },
            // `TRUNCATE TABLE x`, `LOCK TABLES x`.
            Kind::Word if !from && (token.is("TABLE") || token.is("TABLES")) && !self.name.ends_with("TABLE") => {
                Awaits::Name { from }
            }
            Kind::Word | Kind::Quoted => {
                self.push(" ", token);
                Awaits::Dot
            }
            _ => Awaits::Nothing,
        }
    }

    fn push(&mut self, before: &str, token: Token<'_>) {
        let quotes = |byte: &u8| matches!(byte, b'"' | b'`');
        let bytes = match token.kind {
            Kind::Quoted => {
                let inner = token.bytes.split(quotes).find(|part| !part.is_empty() && *part != b"U&" && *part != b"u&");
                inner.unwrap_or_default()
            }
            _ => token.bytes,
        };
        let name = text(bytes, MAX_LENGTH / 4);
        self.name.push_str(before);
        self.name.push_str(if is_variable(&name) { "{}" } else { &name });
    }

    /// The statement is complete.
    fn end(&mut self) {
        let name = std::mem::take(&mut self.name);
        if !name.is_empty() && self.names.last() != Some(&name) {
            if self.names.len() < MAX_STATEMENTS {
                self.names.push(name);
            } else {
                self.more = true;
            }
        }
        let (names, more) = (std::mem::take(&mut self.names), self.more);
        *self = Self { names, more, copies_in: self.copies_in, ..Self::default() };
    }

    pub(super) fn finish(mut self) -> String {
        self.end();
        let mut summary = self.names.join("; ");
        if self.more {
            summary.push_str("; *");
        }
        crate::text::truncate(&mut summary, MAX_LENGTH);
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, read};
    use crate::contract::Options;

    #[test]
    fn summaries() {
        let cases = [
            ("", ""),
            ("hello world", ""),
            ("select * from orders where id = 1", "SELECT orders"),
            ("SELECT 1", "SELECT"),
            ("SELECT extract(year FROM d), a IS DISTINCT FROM b FROM public.\"Orders\" o", "SELECT public.Orders"),
            ("SELECT (SELECT max(x) FROM inner_t) FROM ONLY outer_t", "SELECT outer_t"),
            ("SELECT * FROM (SELECT * FROM a JOIN b USING (i)) s", "SELECT a"),
            ("SELECT * FROM (a JOIN b USING (i))", "SELECT a"),
            ("SELECT * FROM generate_series(1, 3)", "SELECT generate_series"),
            ("(SELECT a FROM t) UNION (SELECT b FROM u)", "SELECT t"),
            (
                "WITH x AS (SELECT 1 FROM y), z(a) AS MATERIALIZED (DELETE FROM q) INSERT INTO t SELECT * FROM x",
                "INSERT t",
            ),
            ("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", "SELECT x"),
            ("INSERT INTO s.t (a) VALUES (1)", "INSERT s.t"),
            ("update only t set a = 1", "UPDATE t"),
            ("DELETE FROM t USING u", "DELETE t"),
            ("TRUNCATE TABLE t", "TRUNCATE t"),
            ("COPY t (a, b) FROM STDIN", "COPY t"),
            ("COPY (SELECT * FROM t) TO STDOUT", "COPY t"),
            ("CREATE TEMP TABLE IF NOT EXISTS t (a int)", "CREATE TABLE t"),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX i"),
            ("DROP TABLE IF EXISTS t", "DROP TABLE t"),
            ("CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ SELECT 1; $$ LANGUAGE sql", "CREATE FUNCTION f"),
            ("begin", "BEGIN"),
            ("BEGIN; INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); COMMIT;", "BEGIN; INSERT a; COMMIT"),
            (
                "SELECT 1; SELECT 2 FROM a; SELECT 3 FROM b; SELECT 4 FROM c; SELECT 5 FROM d",
                "SELECT; SELECT a; SELECT b; SELECT c; *",
            ),
            ("SAVEPOINT sp_1", "SAVEPOINT"),
            ("SET LOCAL search_path TO x", "SET search_path"),
            ("/* who */ SHOW server_version", "SHOW server_version"),
            ("SELECT * FROM tmp_550e8400e29b41d4a716446655440000", "SELECT {}"),
            ("NOTIFY news, 'x'", "NOTIFY news"),
            ("SELECT", "SELECT"),
            ("SELECT * FROM", "SELECT"),
        ];
        for (sql, want) in cases {
            assert_eq!(read(sql.as_bytes(), Dialect::PostgreSql, &Options::default()).summary, want, "{sql}");
        }
    }

    #[test]
    fn rows_from_the_client() {
        let copies = |sql: &str| read(sql.as_bytes(), Dialect::PostgreSql, &Options::default()).copies_in;
        assert!(copies("copy t (a) from stdin with (format csv)"));
        assert!(!copies("copy t to stdout"));
        assert!(!copies("copy t from '/tmp/stdin'"));
        assert!(!copies("SELECT a FROM stdin"));
    }
}
