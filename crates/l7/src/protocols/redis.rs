//! Redis serialization protocol, versions 2 and 3 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

mod command;
mod error;
mod parser;
mod reply;
mod request;
mod session;
#[cfg(test)]
mod tests;
mod walk;

pub use session::{Redis, parser, probe};
