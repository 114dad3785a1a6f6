//! What comes out of a connection.

use hadal_l7::contract::{Half, Message};
use hadal_model::{LossCause, MessageType, ResponseStatus};

/// A request with its response, or one of them alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which halves are there.
    pub kind: MessageType,
    /// The request.
    pub request: Option<Message>,
    /// The response.
    pub response: Option<Message>,
    /// From the first byte of the request to the last byte of the response, in microseconds; of a pair only.
    pub duration_us: Option<u64>,
    /// How it ended: the response's status; `Timeout` or `Unknown` of a lone request, `Ok` of a one-way message.
    pub status: ResponseStatus,
    /// Why a request has no response, in words; empty otherwise.
    pub exception: &'static str,
}

impl Session {
    pub(crate) fn pair(request: Message, response: Message) -> Self {
        Self {
            kind: MessageType::Session,
            duration_us: Some(response.last.time_us.saturating_sub(request.first.time_us)),
            status: response.status,
            request: Some(request),
            response: Some(response),
            exception: "",
        }
    }

    pub(crate) fn request(request: Message, status: ResponseStatus, exception: &'static str) -> Self {
        Self {
            kind: MessageType::Request,
            request: Some(request),
            response: None,
            duration_us: None,
            status,
            exception,
        }
    }

    pub(crate) fn response(response: Message) -> Self {
        Self {
            kind: MessageType::Response,
            status: response.status,
            request: None,
            response: Some(response),
            duration_us: None,
            exception: "",
        }
    }

    pub(crate) fn one_way(message: Message) -> Self {
        let status = match message.status {
            ResponseStatus::Unknown => ResponseStatus::Ok,
            known => known,
        };
        match message.half {
            Half::Request => Self::request(message, status, ""),
            Half::Response => Self { status, ..Self::response(message) },
        }
    }
}

/// How often something was lost, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    counts: [u64; LossCause::ALL.len()],
    /// Whether there are some: asked after each event.
    any: bool,
}

impl Losses {
    /// Counts one loss.
    pub fn add(&mut self, cause: LossCause) {
        if let Some(count) = self.counts.get_mut(cause as usize) {
            *count += 1;
            self.any = true;
        }
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// How often this was the cause.
    pub fn count(&self, cause: LossCause) -> u64 {
        self.counts.get(cause as usize).copied().unwrap_or_default()
    }

    /// The causes that occurred.
    pub fn iter(&self) -> impl Iterator<Item = (LossCause, u64)> + '_ {
        LossCause::ALL.iter().map(|&cause| (cause, self.count(cause))).filter(|&(_, count)| count > 0)
    }
}

/// Collects what connections give. One serves all connections of a thread; the caller empties it.
#[derive(Debug, Default)]
pub struct Output {
    /// Finished sessions, in the order they were finished.
    pub sessions: Vec<Session>,
    /// What was lost.
    pub losses: Losses,
    /// Messages between parser and pairing; empty between calls, kept for its memory.
    pub(crate) messages: Vec<Message>,
}
