//! A request and its response, as far as they are under way.

use hadal_model::{Direction, L7Protocol};

use super::request::Request;
use super::response::{End, Response};
use crate::contract::{Half, Message, Options, Origin, Pairing};

/// A request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The number that the records carry.
    pub(super) id: u16,
    /// The number by which the halves are paired, each once in a connection.
    pub(super) serial: u64,
    /// The request was seen.
    pub(super) asked: bool,
    /// The response was seen, to its end.
    pub(super) answered: bool,
    /// The client has given up.
    pub(super) aborted: bool,
    pub(super) request: Option<Request>,
    pub(super) response: Option<Response>,
}

impl Exchange {
    pub(super) fn new(id: u16, serial: u64) -> Self {
        Self { id, serial, asked: false, answered: false, aborted: false, request: None, response: None }
    }

    pub(super) fn is_under_way(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.request.is_some(),
            Direction::ToClient => self.response.is_some(),
        }
    }

    /// Counts bytes of a message.
    pub(super) fn extend(&mut self, direction: Direction, length: u64, last: Origin) {
        let counted = match direction {
            Direction::ToServer => self.request.as_mut().map(|request| (&mut request.length, &mut request.last)),
            Direction::ToClient => self.response.as_mut().map(|response| (&mut response.length, &mut response.last)),
        };
        if let Some((counted, end)) = counted
            && length > 0
        {
            *counted = counted.saturating_add(length);
            *end = last;
        }
    }

    /// The response is complete, and so is the request but for what nobody waits for: applications may answer before they
    /// read that the input has ended, and without reading it at all.
    pub(super) fn served(&mut self, end: End, options: &Options, out: &mut Vec<Message>) -> bool {
        let truncated = self.request.as_ref().is_some_and(|request| !request.has_input());
        self.send(truncated, options, out);
        self.answer(end, options, out)
    }

    /// Gives out the request.
    pub(super) fn send(&mut self, truncated: bool, options: &Options, out: &mut Vec<Message>) {
        if let Some(request) = self.request.take() {
            out.push(request.message(self.id, self.serial, truncated, options));
        }
    }

    /// Gives out the response; not the tail of one whose request was not seen, for that tells nothing. Whether it did.
    pub(super) fn answer(&mut self, end: End, options: &Options, out: &mut Vec<Message>) -> bool {
        let Some(mut response) = self.response.take() else {
            return false;
        };
        self.answered = true;
        let tells = self.asked || response.tells(options);
        if tells {
            out.push(response.message(self.id, self.serial, end, options));
        }
        tells
    }

    /// Gives out what is there; no more will come.
    pub(super) fn give_up(mut self, end: End, at: Origin, options: &Options, out: &mut Vec<Message>) {
        self.send(true, options, out);
        self.answer(end, options, out);
        if self.asked && !self.answered {
            // The request has no answer that was seen.
            let mut nothing = Message::new(L7Protocol::FastCgi, Half::Response, at);
            (nothing.pairing, nothing.truncated) = (Pairing::Id(self.serial), true);
            out.push(nothing);
        }
    }
}
