//! Agent ⇄ server: numbered Arrow batches over Flight `DoPut`, and the gRPC control channel.
#![forbid(unsafe_code)]

pub mod client;
pub mod control;
pub mod server;
mod wire;

pub use wire::{BatchId, DEFAULT_PORT, Origin};
