//! Finds the other half of each message.
//!
//! By order, the n-th response answers the n-th request, as long as no message is missing. Where messages are missing,
//! what can be concluded depends on whether the client ever had two requests open: if not, a request is over when the
//! next one is sent. If so, nothing can be concluded until the connection falls silent, and all halves stay alone:
//! wrong is worse than orphan.
//!
//! By id, a response answers the oldest request that carries its id. A client that has repeated a request over datagrams
//! has two of them open: the first response ends the first one, which tells how long the client has waited; the second
//! one has its own response or none, as was seen.

use std::collections::VecDeque;

use hadal_l7::contract::{Half, Message, Pairing};
use hadal_model::{Direction, LossCause, ResponseStatus};

use crate::limits::Limits;
use crate::output::{Output, Session};

/// A silence of so many times the usual duration of a call shows that all requests are answered. Should it not, a
/// response without a request will show that (see [`Pairs::take_early`]).
const QUIET_CALLS: u64 = 10;

/// Shortest and longest such silence.
const QUIET_US: (u64, u64) = (1_000, 1_000_000);

/// Requests that were sent within so short a time of each other were sent without waiting for a response: no round trip
/// is shorter.
const BURST_US: u64 = 20;

/// A longer queue of open requests is given back when it is empty.
const IDLE_OPEN: usize = 16;

const NOT_SEEN: &str = "response not captured";
const AMBIGUOUS: &str = "responses could not be told apart";
const NO_ROOM: &str = "too many bytes waited";
const TOO_MANY: &str = "too many open requests";
const NO_RESPONSE: &str = "no response within the time limit";

/// The halves of one connection that wait: 120 bytes and the messages.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    open: VecDeque<Open>,
    /// Responses whose request was not seen yet.
    early: VecDeque<Box<Message>>,
    /// Memory of the messages in both.
    bytes: usize,
    order: Order,
    /// The client sends requests without waiting for responses: two were sent at once, or before a response to the first.
    pipelined: bool,
    /// The last response came after its request.
    regular: bool,
    /// Time of the newest message.
    newest_us: u64,
    /// Usual duration of a call, 0 if unknown.
    usual_us: u64,
}

/// Requests that have no response yet.
#[derive(Debug)]
enum Open {
    /// One that is paired by order.
    Next(Box<Message>),
    /// One that is paired by its id.
    Id(u64, Box<Message>),
    /// So many that are paired by order and were given out already; their responses will come alone.
    Gone(u32),
}

impl Open {
    fn memory(&self) -> usize {
        self.request().map_or(0, Message::memory)
    }

    fn is_ordered(&self) -> bool {
        !matches!(self, Self::Id(..))
    }

    fn request(&self) -> Option<&Message> {
        match self {
            Self::Next(request) | Self::Id(_, request) => Some(request),
            Self::Gone(_) => None,
        }
    }

    fn into_request(self) -> Option<Box<Message>> {
        match self {
            Self::Next(request) | Self::Id(_, request) => Some(request),
            Self::Gone(_) => None,
        }
    }
}

/// What is known about the order of requests and responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// No message is missing.
    #[default]
    Known,
    /// A response may be missing; the next request shows that those before it are over.
    ResponseMissing,
    /// Only the first so many open requests are in order.
    KnownFor(usize),
}

/// What the parser has in hand while time passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partial {
    /// A request is under way.
    pub(crate) request: bool,
    /// A response is under way.
    pub(crate) response: bool,
}

impl Pairs {
    pub(crate) fn message(&mut self, message: Message, limits: &Limits, out: &mut Output) {
        let since_us = message.first.time_us.saturating_sub(self.newest_us);
        self.newest_us = self.newest_us.max(message.last.time_us);
        let (half, truncated) = (message.half, message.truncated);
        match (message.pairing, half) {
            (Pairing::OneWay, _) => out.sessions.push(Session::one_way(message)),
            (Pairing::Order, Half::Request) => self.ordered_request(message, since_us, limits, out),
            (Pairing::Order, Half::Response) => self.ordered_response(message, limits, out),
            (Pairing::Id(id), Half::Request) => self.request_with(id, message, limits, out),
            (Pairing::Id(id), Half::Response) => self.response_with(id, message, out),
        }
        if truncated {
            self.lost(if half == Half::Request { Direction::ToServer } else { Direction::ToClient }, out);
        }
    }

    /// Messages of this direction may be missing from here on.
    pub(crate) fn lost(&mut self, direction: Direction, out: &mut Output) {
        self.regular = false;
        match (self.pipelined, direction) {
            (false, Direction::ToServer) => {}
            (false, Direction::ToClient) => self.order = Order::ResponseMissing,
            (true, Direction::ToServer) => {
                if self.order == Order::Known {
                    self.order = Order::KnownFor(self.ordered());
                }
            }
            (true, Direction::ToClient) => {
                self.order = Order::KnownFor(0);
                self.release_ordered(NOT_SEEN, out);
            }
        }
    }

    /// Gives out what has waited too long.
    pub(crate) fn expire(&mut self, now_us: u64, limits: &Limits, partial: Partial, out: &mut Output) {
        let waits =
            |response: &Message| partial.request || now_us.saturating_sub(response.last.time_us) <= limits.reorder_us;
        while self.early.front().is_some_and(|response| !waits(response)) {
            out.sessions.extend(self.take_held(0).map(Session::response));
        }
        let late = |request: &Message| {
            !request.blocking && now_us.saturating_sub(request.last.time_us) > limits.request_timeout_us
        };
        // A response that has begun is a response: it may be long.
        let answered = usize::from(partial.response);
        for open in self.open.iter_mut().skip(answered).filter(|open| open.request().is_some_and(late)) {
            // Only the order has to remember that a response may still come.
            let left = Open::Gone(u32::from(open.is_ordered()));
            self.bytes -= open.memory();
            give_out(std::mem::replace(open, left), ResponseStatus::Timeout, NO_RESPONSE, out);
        }
        self.open.retain(|open| !matches!(open, Open::Gone(0)));
    }

    /// No more messages will come: gives out all that waits.
    pub(crate) fn finish(&mut self, why: &'static str, out: &mut Output) {
        out.sessions.extend(self.early.drain(..).map(|response| Session::response(*response)));
        self.open.drain(..).for_each(|open| give_out(open, ResponseStatus::Unknown, why, out));
        self.bytes = 0;
    }

    /// Memory of the messages that wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(crate) fn check_held(&self) {
        let open: usize = self.open.iter().map(Open::memory).sum();
        assert_eq!(self.bytes, open + self.early.iter().map(|response| response.memory()).sum::<usize>());
    }

    /// Gives out all that waits, to make room, and goes on; whether that was anything.
    pub(crate) fn shed(&mut self, out: &mut Output) -> bool {
        if self.bytes == 0 {
            return false;
        }
        self.finish(NO_ROOM, out);
        self.lost(Direction::ToServer, out);
        self.lost(Direction::ToClient, out);
        self.trim();
        true
    }

    /// Gives memory back after a long pipeline.
    pub(crate) fn trim(&mut self) {
        if self.open.is_empty() && self.open.capacity() > IDLE_OPEN {
            self.open = VecDeque::new();
        }
    }

    /// Requests without a response.
    pub(crate) fn requests(&mut self) -> impl Iterator<Item = &mut Message> {
        self.open.iter_mut().filter_map(|open| match open {
            Open::Next(request) | Open::Id(_, request) => Some(&mut **request),
            Open::Gone(_) => None,
        })
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.early.is_empty()
    }

    /// How many responses are due in order.
    fn ordered(&self) -> usize {
        let due = |open: &Open| match open {
            Open::Next(_) => 1,
            Open::Gone(count) => *count as usize,
            Open::Id(..) => 0,
        };
        self.open.iter().map(due).sum()
    }

    fn ordered_request(&mut self, request: Message, since_us: u64, limits: &Limits, out: &mut Output) {
        self.recover(since_us, limits, out);
        if let Some(response) = self.take_early(&request, limits, out) {
            out.sessions.push(Session::pair(request, response));
        } else if matches!(self.order, Order::KnownFor(_)) {
            out.sessions.push(Session::request(request, ResponseStatus::Unknown, AMBIGUOUS));
        } else if self.open.len() < limits.max_open {
            let before = self.open.back().filter(|open| open.is_ordered()).and_then(Open::request);
            self.pipelined |=
                before.is_some_and(|before| request.first.time_us.saturating_sub(before.first.time_us) <= BURST_US);
            self.push(Open::Next(Box::new(request)));
        } else {
            out.losses.add(LossCause::PairingTableFull);
            out.sessions.push(Session::request(request, ResponseStatus::Unknown, TOO_MANY));
            match self.open.back_mut() {
                Some(Open::Gone(count)) => *count = count.saturating_add(1),
                _ => self.open.push_back(Open::Gone(1)),
            }
        }
    }

    /// A request may show that those before it are over.
    fn recover(&mut self, since_us: u64, limits: &Limits, out: &mut Output) {
        let quiet = since_us
            > match self.usual_us {
                0 => QUIET_US.1,
                usual_us => usual_us.saturating_mul(QUIET_CALLS).clamp(QUIET_US.0, QUIET_US.1),
            };
        match self.order {
            Order::ResponseMissing => self.release_ordered(NOT_SEEN, out),
            Order::KnownFor(_) if quiet => self.release_ordered(AMBIGUOUS, out),
            // A client that waits for each response has given up waiting.
            Order::Known if !self.pipelined && since_us > limits.skew_us => {
                if self.open.iter().all(|open| matches!(open, Open::Gone(_))) {
                    self.open.clear();
                }
                return;
            }
            Order::Known | Order::KnownFor(_) => return,
        }
        self.order = Order::Known;
    }

    /// The response that came before this request, if there is one. Those of requests that were not seen are given out
    /// on the way.
    ///
    /// A response may be stamped a little earlier than its request. So may the response to a request that was not seen,
    /// if the client is quick to send the next one; then it would be so each time. Only if the last response came after
    /// its request can it be the former.
    fn take_early(&mut self, request: &Message, limits: &Limits, out: &mut Output) -> Option<Message> {
        if self.open.iter().any(Open::is_ordered) {
            return None;
        }
        let skew_us = if self.regular { limits.skew_us } else { 0 };
        while let Some(at) = self.early.iter().position(|response| response.pairing == Pairing::Order) {
            let response = self.take_held(at)?;
            if response.first.time_us.saturating_add(skew_us) >= request.first.time_us {
                self.regular = response.first.time_us >= request.first.time_us;
                return Some(response);
            }
            self.regular = false;
            if self.pipelined {
                self.order = Order::KnownFor(0);
            }
            out.sessions.push(Session::response(response));
        }
        None
    }

    fn ordered_response(&mut self, response: Message, limits: &Limits, out: &mut Output) {
        match self.order {
            Order::KnownFor(0) => {
                out.sessions.push(Session::response(response));
                return;
            }
            Order::KnownFor(left) => self.order = Order::KnownFor(left - 1),
            Order::ResponseMissing => {
                if !self.choose(&response, limits, out) {
                    out.sessions.push(Session::response(response));
                    return;
                }
            }
            Order::Known => {}
        }
        let Some(at) = self.open.iter().position(Open::is_ordered) else {
            self.hold(response, out);
            return;
        };
        match self.open.get_mut(at) {
            Some(Open::Gone(count)) if *count > 1 => {
                *count -= 1;
                out.sessions.push(Session::response(response));
            }
            _ => self.answer(at, response, out),
        }
    }

    fn answer(&mut self, at: usize, response: Message, out: &mut Output) {
        let Some(request) = self.take_open(at) else {
            out.sessions.push(Session::response(response));
            return;
        };
        self.regular = true;
        let next = self.open.iter().find(|open| open.is_ordered()).and_then(Open::request);
        self.pipelined |= next.is_some_and(|next| next.first.time_us < response.first.time_us);
        let session = Session::pair(*request, response);
        let duration_us = session.duration_us.unwrap_or_default().max(1);
        self.usual_us = match self.usual_us {
            0 => duration_us,
            // The mean of about the last eight.
            usual_us => usual_us - usual_us / 8 + duration_us / 8,
        };
        out.sessions.push(session);
    }

    /// A response may be missing. The client waits for each response, so one answers the last request sent before it,
    /// and those before that one are over. Whether that request was found.
    fn choose(&mut self, response: &Message, limits: &Limits, out: &mut Output) -> bool {
        let before = |open: &Open| match open {
            Open::Next(request) => request.first.time_us <= response.first.time_us.saturating_add(limits.skew_us),
            Open::Gone(_) => true,
            Open::Id(..) => false,
        };
        let Some(last) = self.open.iter().rposition(before) else {
            return false;
        };
        let mut at = 0;
        self.open.retain_mut(|open| {
            at += 1;
            let over = at <= last && open.is_ordered();
            if over {
                self.bytes -= open.memory();
                give_out(std::mem::replace(open, Open::Gone(1)), ResponseStatus::Unknown, NOT_SEEN, out);
            }
            !over
        });
        true
    }

    fn request_with(&mut self, id: u64, request: Message, limits: &Limits, out: &mut Output) {
        let early = self.early.iter().position(|response| response.pairing == Pairing::Id(id));
        if let Some(response) = early.and_then(|at| self.take_held(at)) {
            out.sessions.push(Session::pair(request, response));
            return;
        }
        if self.open.len() >= limits.max_open {
            out.losses.add(LossCause::PairingTableFull);
            let oldest = self.take_open(0);
            out.sessions.extend(oldest.map(|oldest| Session::request(*oldest, ResponseStatus::Unknown, TOO_MANY)));
        }
        self.push(Open::Id(id, Box::new(request)));
    }

    fn response_with(&mut self, id: u64, response: Message, out: &mut Output) {
        let at = self.open.iter().position(|open| matches!(open, Open::Id(open, _) if *open == id));
        match at.and_then(|at| self.take_open(at)) {
            Some(request) if response.length == 0 => {
                out.sessions.push(Session::request(*request, ResponseStatus::Unknown, NOT_SEEN));
            }
            None if response.length == 0 => {}
            Some(request) => out.sessions.push(Session::pair(*request, response)),
            None => self.hold(response, out),
        }
    }

    fn hold(&mut self, response: Message, out: &mut Output) {
        self.bytes += response.memory();
        self.early.push_back(Box::new(response));
        if self.early.len() > Limits::MAX_EARLY {
            out.sessions.extend(self.take_held(0).map(Session::response));
        }
    }

    fn take_held(&mut self, at: usize) -> Option<Message> {
        let response = *self.early.remove(at)?;
        self.bytes -= response.memory();
        Some(response)
    }

    fn push(&mut self, open: Open) {
        self.bytes += open.memory();
        self.open.push_back(open);
    }

    fn take_open(&mut self, at: usize) -> Option<Box<Message>> {
        let request = self.open.remove(at)?.into_request()?;
        self.bytes -= request.memory();
        Some(request)
    }

    /// Gives out the open requests that are paired by order.
    fn release_ordered(&mut self, why: &'static str, out: &mut Output) {
        for open in std::mem::take(&mut self.open) {
            match open {
                Open::Id(..) => self.open.push_back(open),
                _ => {
                    self.bytes -= open.memory();
                    give_out(open, ResponseStatus::Unknown, why, out);
                }
            }
        }
    }
}

fn give_out(open: Open, status: ResponseStatus, why: &'static str, out: &mut Output) {
    out.sessions.extend(open.into_request().map(|request| Session::request(*request, status, why)));
}
