//! Streams of one connection: reassembly, parsing and pairing of requests with responses. Pure. Datagrams need no
//! reassembly; the rest is the same.
//!
//! [`Connection`] takes the socket events (or packets) of one connection and gives [`Session`]s. It reads no clock: time
//! comes with the events and with [`Connection::expire`].
#![forbid(unsafe_code)]

pub mod connection;
mod lane;
pub mod limits;
pub mod output;
mod pairing;
mod stream;
mod undecided;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Role};
pub use hadal_l7::contract::{Message, Options, Origin, PayloadNeed, Transport};
pub use limits::{Limits, Settings};
pub use output::{Losses, Output, Session};
pub use stream::Segment;
