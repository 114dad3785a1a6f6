//! The words every part of Hadal shares: enums with their stored names, ids, the latency sketch and the catalog of
//! tables, columns and tags. No I/O, no clock, no runtime.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod enums;
pub mod sketch;

pub use enums::{
    Direction, L7Protocol, LossCause, MessageType, ObservationPoint, ResponseStatus, SignalSource, Transport,
};
