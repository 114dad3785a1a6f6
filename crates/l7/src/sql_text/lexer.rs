//! Tokens of SQL, as far as they differ in what may be shown.
//!
//! PostgreSQL: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>, with `standard_conforming_strings`.
//! MySQL: <https://dev.mysql.com/doc/refman/8.4/en/language-structure.html>, without `ANSI_QUOTES`.

use memchr::memchr;
use memchr::memmem;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL and what descends from it.
    PostgreSql,
    /// MySQL and MariaDB.
    MySql,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Blanks and line ends.
    Space,
    /// A comment, its marks included.
    Comment,
    /// A string, number or bit string, its prefix included.
    Literal,
    /// A keyword or a plain name.
    Word,
    /// A quoted name.
    Quoted,
    /// Anything else: an operator's character, a parameter.
    Symbol,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}

impl Token<'_> {
    /// Whether this is a keyword, written in upper case here.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.bytes.eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// Whether this is a symbol of one character.
    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol && self.bytes == [symbol]
    }
}

/// The tokens of a text; together they are the text.
pub(super) fn tokens(sql: &[u8], dialect: Dialect) -> impl Iterator<Item = Token<'_>> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let &first = rest.first()?;
        let (kind, length) = token(first, rest, dialect);
        let (bytes, behind) = rest.split_at(length.clamp(1, rest.len()));
        rest = behind;
        Some(Token { kind, bytes })
    })
}

fn token(first: u8, rest: &[u8], dialect: Dialect) -> (Kind, usize) {
    let second = rest.get(1).copied().unwrap_or_default();
    match first {
        _ if first.is_ascii_whitespace() => (Kind::Space, run(rest, |byte| byte.is_ascii_whitespace())),
        b'-' if second == b'-' && is_dash_comment(rest, dialect) => (Kind::Comment, line(rest)),
        b'#' if dialect == Dialect::MySql => (Kind::Comment, line(rest)),
        b'/' if second == b'*' => (Kind::Comment, block(rest, dialect)),
        b'\'' => (Kind::Literal, quoted(rest, 1, b'\'', dialect == Dialect::MySql)),
        b'"' if dialect == Dialect::MySql => (Kind::Literal, quoted(rest, 1, b'"', true)),
        b'"' => (Kind::Quoted, quoted(rest, 1, b'"', false)),
        b'`' if dialect == Dialect::MySql => (Kind::Quoted, quoted(rest, 1, b'`', false)),
        b'0'..=b'9' => (Kind::Literal, number(rest)),
        b'.' if second.is_ascii_digit() => (Kind::Literal, number(rest)),
        b'$' if dialect == Dialect::PostgreSql => dollar(rest, second),
        _ if is_word_start(first) => prefixed(first, rest, dialect).unwrap_or_else(|| {
            (Kind::Word, run(rest, |byte| is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'))
        }),
        _ => (Kind::Symbol, 1),
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

/// MySQL wants a blank behind the dashes.
fn is_dash_comment(rest: &[u8], dialect: Dialect) -> bool {
    dialect == Dialect::PostgreSql || rest.get(2).is_none_or(u8::is_ascii_whitespace)
}

fn run(rest: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    rest.iter().position(|&byte| !belongs(byte)).unwrap_or(rest.len())
}

/// Up to the end of the line.
fn line(rest: &[u8]) -> usize {
    memchr(b'\n', rest).unwrap_or(rest.len())
}

/// Up to the end of a comment; those of PostgreSQL nest.
fn block(rest: &[u8], dialect: Dialect) -> usize {
    let (mut at, mut depth) = (2, 1u32);
    while let Some(found) = rest.get(at..).and_then(|rest| memchr::memchr2(b'*', b'/', rest)) {
        at += found;
        match (rest.get(at), rest.get(at + 1)) {
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            (Some(b'/'), Some(b'*')) if dialect == Dialect::PostgreSql => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// Up to the closing quote; a doubled quote is one of the text, and so is one behind a backslash if they escape.
fn quoted(rest: &[u8], start: usize, quote: u8, escapes: bool) -> usize {
    let mut at = start;
    while let Some(&byte) = rest.get(at) {
        if escapes && byte == b'\\' {
            at += 2;
        } else if byte != quote {
            at += 1;
        } else if rest.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    rest.len()
}

/// Digits and what may stand in a number, in any base; `1..2` are two numbers.
fn number(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        let after = rest.get(at + 1).copied().unwrap_or_default();
        let belongs = match byte {
            b'.' => after != b'.',
            b'+' | b'-' => at > 0 && after.is_ascii_digit() && matches!(rest.get(at - 1), Some(b'e' | b'E')),
            _ => byte.is_ascii_alphanumeric() || byte == b'_',
        };
        if !belongs {
            break;
        }
        at += 1;
    }
    at
}

/// A parameter (`$1`) or a dollar-quoted string (`$tag$…$tag$`).
fn dollar(rest: &[u8], second: u8) -> (Kind, usize) {
    let behind = rest.get(1..).unwrap_or_default();
    if second.is_ascii_digit() {
        return (Kind::Symbol, 1 + run(behind, |byte| byte.is_ascii_digit()));
    }
    let tag = 1 + run(behind, |byte| is_word_start(byte) || byte.is_ascii_digit());
    if rest.get(tag) != Some(&b'$') {
        return (Kind::Symbol, 1);
    }
    let (mark, body) = rest.split_at((tag + 1).min(rest.len()));
    let length = memmem::find(body, mark).map_or(rest.len(), |end| mark.len() + end + mark.len());
    (Kind::Literal, length)
}

/// A string with a letter before it (`E'…'`, `x'…'`, `U&"…"`).
fn prefixed(first: u8, rest: &[u8], dialect: Dialect) -> Option<(Kind, usize)> {
    let escapes = dialect == Dialect::MySql;
    match (first.to_ascii_uppercase(), rest.get(1), rest.get(2)) {
        (b'E', Some(b'\''), _) => Some((Kind::Literal, quoted(rest, 2, b'\'', true))),
        (b'B' | b'X' | b'N', Some(b'\''), _) => Some((Kind::Literal, quoted(rest, 2, b'\'', escapes))),
        (b'U', Some(b'&'), Some(b'\'')) => Some((Kind::Literal, quoted(rest, 3, b'\'', escapes))),
        (b'U', Some(b'&'), Some(b'"')) if !escapes => Some((Kind::Quoted, quoted(rest, 3, b'"', false))),
        _ => None,
    }
}
