//! One direction of an HTTP/1 connection.

use hadal_model::Direction;

use super::parser::{self, Body};
use crate::contract::{Message, Origin, Probe};

/// One direction.
#[derive(Default)]
pub(super) struct Side {
    pub(super) state: State,
    /// The message whose body is under way.
    pub(super) pending: Option<Box<Message>>,
    /// Bytes of the head at hand that are known not to complete it.
    pub(super) scanned: usize,
    /// Nothing of the body was seen yet.
    pub(super) fresh: bool,
    /// The body that was announced may not come: the request may be refused before, or answers a HEAD.
    pub(super) optional: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// A head comes next.
    #[default]
    Head,
    /// In a body.
    Body(Body),
    /// Somewhere in a message, whose end cannot be told from its own bytes; or, with no message pending, behind it.
    Blind,
    /// What follows is not HTTP.
    Tunnel,
}

impl Side {
    /// Counts bytes of the message under way.
    pub(super) fn extend(&mut self, length: u64, last: Origin) {
        if length > 0
            && let Some(message) = &mut self.pending
        {
            message.length = message.length.saturating_add(length);
            message.last = last;
        }
    }

    /// Whether a head comes in place of the body that was announced.
    pub(super) fn instead_of_body(&self, direction: Direction, body: Body, bytes: &[u8]) -> Probe {
        let left = match body {
            Body::Length(left) if self.fresh && self.optional => left,
            _ => return Probe::No,
        };
        match parser::start(direction, bytes) {
            // The bytes at hand complete the body: nothing more may come.
            Probe::Need(_) if left <= bytes.len() as u64 => Probe::No,
            probe => probe,
        }
    }

    pub(super) fn blind(&mut self) {
        self.state = State::Blind;
    }
}
