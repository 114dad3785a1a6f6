//! Query languages to ClickHouse SQL. Pure: text in, text or an error with its place out.
#![forbid(unsafe_code)]

mod error;
mod filter;
mod guard;
mod keys;

pub use error::QueryError;
pub use filter::{Target, filter_to_sql, outcomes};
pub use guard::{check_read_only, statement_format};
pub use keys::{Key, KeyKind, keys, tag_expression};

/// A string literal.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('\'');
    out
}
