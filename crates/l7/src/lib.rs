//! The parser contract, protocol inference and the protocols. Pure: bytes in, records out.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "check"))]
pub mod check;
pub mod contract;
mod early;
pub mod endpoint;
mod http;
pub mod inference;
pub mod protocols;
pub mod registry;
pub mod sql_text;
mod text;
mod trace_context;

pub use hadal_model::Direction;
