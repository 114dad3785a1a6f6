//! The protocols, one folder each: `parser.rs` is pure syntax, `session.rs` holds the state of a connection.

pub mod dns;
pub mod fastcgi;
pub mod http1;
pub mod postgresql;
pub mod redis;
