//! The words every part of Hadal shares: enums with their stored names, ids, the latency sketch and the catalog of
//! tables, columns and tags. No I/O, no clock, no runtime.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod enums;
pub mod sketch;

pub use enums::{
    Direction, L7Protocol, LossCause, MessageType, ObservationPoint, ResponseStatus, SignalSource, Transport,
};

/// In a context (`syscall_trace_id_*`): the task that opened it works on several requests at the same time, so that what it
/// sends next may belong to any of them. The rest is the time in nanoseconds, times 256, and the CPU's number.
pub const CONTEXT_SHARED: u64 = 0x80;

/// In a context: what the program runs was asked, a task of asyncio or a greenlet; all that carries it belongs to one request.
pub const CONTEXT_OWN: u64 = 0x40;

/// In a context: it was read by a callback of an event loop. What is sent in it is sent by that same callback if it has the
/// mark, and later if not.
pub const CONTEXT_NESTED: u64 = 0x20;

/// In a context: the thread that uses it got it from another one, by being woken.
pub const CONTEXT_HANDED: u64 = 0x10;

/// What of a context is the same for who opens it and who uses it: how sure it is, and who got it from whom, may differ.
pub const CONTEXT_KEY: u64 = !(CONTEXT_SHARED | CONTEXT_OWN | CONTEXT_HANDED);
