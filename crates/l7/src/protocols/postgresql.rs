//! PostgreSQL's frontend/backend protocol, version 3 (<https://www.postgresql.org/docs/current/protocol.html>).
//!
//! What counts as one request: a simple query; up to its `Execute`, each statement of an extended batch; a `Parse`,
//! `Describe` or `Close` that no `Execute` follows up to the next `Sync` or `Flush`; the login. A batch that is sent
//! without waiting becomes as many records as it executes statements.

mod client;
mod error;
mod expect;
mod gap;
mod parser;
mod probe;
mod reply;
mod request;
mod server;
mod session;
mod statements;
#[cfg(test)]
mod tests;

pub use probe::probe;
pub use session::{PostgreSql, parser};
