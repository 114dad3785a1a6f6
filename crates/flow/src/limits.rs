//! What bounds a connection's memory and patience.

use hadal_l7::contract::Options;

/// Settings shared by all connections of an agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Bounds of memory and time.
    pub limits: Limits,
    /// What parsers hide and keep.
    pub options: Options,
}

/// Bounds of one connection.
///
/// At most `2 × (max_buffer + max_reorder)` bytes of payload, `max_open` requests and [`Limits::MAX_EARLY`] responses
/// wait in one connection; an idle one holds none of them. All connections together are the caller's to bound, by
/// [`Connection::held_bytes`](crate::Connection::held_bytes) and [`Connection::shed`](crate::Connection::shed).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes per direction that wait for the rest of their message head.
    pub max_buffer: usize,
    /// Bytes per direction that wait for an earlier segment.
    pub max_reorder: usize,
    /// Segments per direction that wait for an earlier segment.
    pub max_segments: usize,
    /// How long a segment waits for an earlier one, and a response for its request, in microseconds.
    pub reorder_us: u64,
    /// How long a request waits for its response, in microseconds.
    pub request_timeout_us: u64,
    /// Requests that wait for a response.
    pub max_open: usize,
    /// How much later than its response a request may be stamped and still belong to it, in microseconds: the two are
    /// seen by different threads, and a send is stamped when the call returns.
    pub skew_us: u64,
    /// After so long a silence a message whose end was not captured is over, in microseconds.
    pub settle_us: u64,
    /// After losing its place so often without a message in between, a connection is not parsed any more.
    pub max_lost: u16,
}

impl Limits {
    /// Responses that wait for a request that comes late.
    pub const MAX_EARLY: usize = 32;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_buffer: 64 * 1024,
            max_reorder: 64 * 1024,
            max_segments: 64,
            reorder_us: 100_000,
            request_timeout_us: 30_000_000,
            max_open: 512,
            skew_us: 200,
            settle_us: 5_000_000,
            max_lost: 64,
        }
    }
}
