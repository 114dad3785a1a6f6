//! HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112).

mod message;
mod parser;
mod session;
mod side;
#[cfg(test)]
mod tests;

pub use session::{Http1, parser, probe};
