//! Redis serialization protocol, versions 2 and 3 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

mod command;
mod error;
mod expect;
mod parser;
mod probe;
mod reply;
mod request;
mod session;
#[cfg(test)]
mod tests;
mod walk;

pub use probe::probe;
pub use session::{Redis, parser};
