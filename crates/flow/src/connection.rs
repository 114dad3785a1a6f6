//! One observed connection.

use std::sync::Arc;

use hadal_l7::contract::{Half, Message, Origin, PayloadNeed, Transport};
use hadal_l7::registry::Protocol;
use hadal_model::{Direction, L7Protocol, LossCause};

use crate::lane::{Known, Lane};
use crate::limits::Settings;
use crate::output::Output;
use crate::stream::{Accepted, Segment, Stored};
use crate::undecided::{Decision, Undecided};

/// Which end of a connection the observer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It has opened the connection: what it sends goes to the server.
    Client,
    /// It has accepted the connection.
    Server,
}

impl Role {
    /// The direction of what this end sends (`egress`) or receives.
    pub const fn direction(self, egress: bool) -> Direction {
        match (self, egress) {
            (Self::Client, true) | (Self::Server, false) => Direction::ToServer,
            (Self::Client, false) | (Self::Server, true) => Direction::ToClient,
        }
    }
}

/// One connection as one end of it sees it (or as a capture does, for which the sender of the first packet may be the
/// client). About 350 bytes until its protocol is known; what it holds then is bounded by [`Limits`](crate::Limits).
pub struct Connection {
    settings: Arc<Settings>,
    role: Option<Role>,
    transport: Transport,
    /// What this end receives and what it sends.
    lanes: [Lane; 2],
    state: State,
    /// Time of the newest event.
    newest_us: u64,
}

enum State {
    Undecided(Undecided),
    Known(Box<Known>),
    Unknown,
}

impl Connection {
    /// A connection of which nothing was seen yet; without a role, the first message recognised decides.
    ///
    /// Of [`Transport::Datagram`] it is what two addresses say to each other. Each [`Segment`] is one datagram, taken as
    /// it comes: sequence numbers mean nothing, and one with less captured than its length is cut and followed by one
    /// that starts afresh. A role that is only a guess is better left out: messages that contradict it are not recognised.
    pub fn new(role: Option<Role>, transport: Transport, settings: Arc<Settings>) -> Self {
        let state = State::Undecided(Undecided::default());
        Self { settings, role, transport, lanes: Default::default(), state, newest_us: 0 }
    }

    /// What carries it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Of a stream: the first byte of this direction has this sequence number: what is missing before the first segment is a gap,
    /// and an earlier segment that comes later is waited for. Without it a stream starts where it is first seen.
    pub fn start_at(&mut self, egress: bool, seq: u32) {
        self.lane(egress).stream.start_at(seq);
    }

    /// The end this is, once it is known.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// The protocol, once it is known.
    pub fn protocol(&self) -> Option<L7Protocol> {
        match &self.state {
            State::Known(known) => Some(known.protocol),
            State::Undecided(_) | State::Unknown => None,
        }
    }

    /// Whether inference or parsing was given up; for good.
    pub fn is_unknown(&self) -> bool {
        matches!(self.state, State::Unknown)
    }

    /// How much payload is still needed; [`PayloadNeed::None`] is final.
    pub fn needs_payload(&self) -> PayloadNeed {
        match &self.state {
            State::Undecided(_) => PayloadNeed::All,
            State::Known(known) => known.parser.payload(),
            State::Unknown => PayloadNeed::None,
        }
    }

    /// Whether something waits for time to pass: [`Connection::expire`] has nothing to do otherwise.
    pub fn is_waiting(&self) -> bool {
        let partial = match &self.state {
            State::Known(known) => !known.pairs.is_empty() || known.partial().request || known.partial().response,
            State::Undecided(_) | State::Unknown => false,
        };
        partial || self.lanes.iter().any(|lane| lane.stream.is_waiting())
    }

    /// Memory of the payload and the messages that wait here, in bytes: next to nothing between two calls.
    pub fn held_bytes(&self) -> usize {
        let state = match &self.state {
            State::Known(known) => known.pairs.held_bytes(),
            State::Undecided(undecided) => undecided.held_bytes(),
            State::Unknown => 0,
        };
        state + self.lanes.iter().map(Lane::held_bytes).sum::<usize>()
    }

    /// Gives up what [`Connection::held_bytes`] counts, because all connections together hold too much: bytes in hand are
    /// dropped, messages are given out without their other half. It goes on with the next message.
    pub fn shed(&mut self, out: &mut Output) {
        for egress in [false, true] {
            let shed = self.lane(egress).shed();
            if shed && let (State::Known(known), Some(role)) = (&mut self.state, self.role) {
                known.lost(role.direction(egress), out);
            }
            if shed {
                out.losses.add(LossCause::StreamBufferFull);
            }
        }
        let shed = match &mut self.state {
            State::Known(known) => known.pairs.shed(out),
            State::Undecided(undecided) => undecided.shed(),
            State::Unknown => false,
        };
        if shed {
            out.losses.add(LossCause::StreamBufferFull);
        }
        self.stop_if_lost(out);
    }

    /// Bytes were sent (`egress`) or received; of datagrams, one.
    pub fn data(&mut self, egress: bool, segment: Segment<'_>, out: &mut Output) {
        if self.is_unknown() {
            return;
        }
        self.newest_us = self.newest_us.max(segment.last.time_us);
        if self.transport == Transport::Datagram {
            return self.datagram(egress, segment, out);
        }
        if let Accepted::Next(segment) = self.lane(egress).stream.accept(segment) {
            self.deliver(egress, segment, out);
        }
        self.drain(egress, out);
        self.close_holes(egress, self.newest_us, out);
    }

    /// Requests without a response whose first byte is one of these.
    pub fn requests_in(&mut self, seq: u32, length: u32) -> impl Iterator<Item = &mut Message> {
        let known = match &mut self.state {
            State::Known(known) => Some(known),
            State::Undecided(_) | State::Unknown => None,
        };
        known
            .into_iter()
            .flat_map(|known| known.pairs.requests())
            .filter(move |request| request.first.seq.wrapping_sub(seq) < length)
    }

    /// One direction has ended (FIN, shutdown).
    pub fn close(&mut self, egress: bool, origin: Origin, out: &mut Output) {
        while let Some(hole) = self.lane(egress).stream.close_hole_at_end(&mut out.losses) {
            self.gap(egress, u64::from(hole.length), hole.last, out);
            self.drain(egress, out);
        }
        if let (State::Known(known), Some(role)) = (&mut self.state, self.role) {
            known.parser.close(role.direction(egress), origin, &mut out.messages);
            known.pair(&self.settings.limits, out);
        }
    }

    /// The connection is gone in both directions: gives out all that waits.
    pub fn finish(&mut self, origin: Origin, out: &mut Output) {
        // The request's end first: it may pair with the response's.
        let egress_first = self.role == Some(Role::Client);
        self.close(egress_first, origin, out);
        self.close(!egress_first, origin, out);
        if let State::Known(known) = &mut self.state {
            known.pairs.finish("connection closed before the response", out);
        }
    }

    /// Time has passed: gives up holes, messages without an end and requests without a response.
    pub fn expire(&mut self, now_us: u64, out: &mut Output) {
        for egress in [false, true] {
            self.close_holes(egress, now_us, out);
        }
        let State::Known(known) = &mut self.state else {
            return;
        };
        let limits = &self.settings.limits;
        if now_us.saturating_sub(self.newest_us) > limits.settle_us {
            known.parser.settle(&mut out.messages);
            known.pair(limits, out);
        }
        let partial = known.partial();
        known.pairs.expire(now_us, limits, partial, out);
    }

    /// What is counted of waiting messages is their memory.
    #[cfg(test)]
    pub(crate) fn check_held(&self) {
        if let State::Known(known) = &self.state {
            known.pairs.check_held();
        }
    }

    fn datagram(&mut self, egress: bool, segment: Segment<'_>, out: &mut Output) {
        if segment.length == 0 {
            return;
        }
        let captured = segment.captured.get(..segment.length as usize).unwrap_or(segment.captured);
        self.bytes(egress, Segment { captured, ..segment }, out);
    }

    fn lane(&mut self, egress: bool) -> &mut Lane {
        let [received, sent] = &mut self.lanes;
        if egress { sent } else { received }
    }

    fn drain(&mut self, egress: bool, out: &mut Output) {
        while let Some(stored) = self.lane(egress).stream.pop() {
            self.deliver(egress, stored.segment(), out);
        }
    }

    fn close_holes(&mut self, egress: bool, now_us: u64, out: &mut Output) {
        if !self.lane(egress).stream.is_waiting() {
            return;
        }
        let limits = self.settings.limits;
        while let Some(hole) = self.lane(egress).stream.close_hole(now_us, &limits, &mut out.losses) {
            self.gap(egress, u64::from(hole.length), hole.last, out);
            self.drain(egress, out);
        }
    }

    /// Bytes of a direction in order, and what of them was not captured.
    fn deliver(&mut self, egress: bool, segment: Segment<'_>, out: &mut Output) {
        if !segment.captured.is_empty() {
            self.bytes(egress, segment, out);
        }
        let missing = u64::from(segment.length).saturating_sub(segment.captured.len() as u64);
        if missing > 0 {
            self.gap(egress, missing, segment.last, out);
        }
    }

    fn bytes(&mut self, egress: bool, segment: Segment<'_>, out: &mut Output) {
        match self.state {
            State::Undecided(_) => self.infer(egress, segment, out),
            State::Known(_) => self.parse(egress, segment, out),
            State::Unknown => {}
        }
    }

    fn infer(&mut self, egress: bool, segment: Segment<'_>, out: &mut Output) {
        let State::Undecided(undecided) = &mut self.state else {
            return;
        };
        let direction = self.role.map(|role| role.direction(egress));
        let decision = match self.transport {
            Transport::Stream => undecided.offer(egress, direction, segment),
            Transport::Datagram => undecided.datagram(egress, direction, segment),
        };
        match decision {
            Decision::Wait => {}
            Decision::Unknown => self.give_up(),
            Decision::Known(protocol, half) => self.decide(protocol, half, egress, segment, out),
        }
    }

    /// Parses what was seen so far, requests first.
    fn decide(&mut self, protocol: &Protocol, half: Half, egress: bool, segment: Segment<'_>, out: &mut Output) {
        let sent_by_client = egress == (half == Half::Request);
        self.role.get_or_insert(if sent_by_client { Role::Client } else { Role::Server });
        let parser = (protocol.parser)(self.settings.options, self.transport);
        let known = State::Known(Box::new(Known::new(protocol.protocol, parser)));
        let State::Undecided(mut undecided) = std::mem::replace(&mut self.state, known) else {
            return;
        };
        if undecided.has_missed(!egress) {
            self.lane(!egress).forget();
        }
        let (mut kept, mut other) = (undecided.take(egress), undecided.take(!egress));
        kept.push(Stored::new(segment));
        let mut sides = [(egress, &mut kept), (!egress, &mut other)];
        if half == Half::Response {
            sides.reverse();
        }
        for (egress, segments) in sides {
            segments.drain(..).for_each(|stored| self.parse(egress, stored.segment(), out));
        }
    }

    fn parse(&mut self, egress: bool, segment: Segment<'_>, out: &mut Output) {
        let transport = self.transport;
        let Self { lanes: [received, sent], state: State::Known(known), settings, role: Some(role), .. } = self else {
            return;
        };
        let (lane, direction) = (if egress { sent } else { received }, role.direction(egress));
        match transport {
            Transport::Stream => lane.parse(known, direction, segment, &settings.limits, out),
            Transport::Datagram => lane.datagram(known, direction, segment, &settings.limits, out),
        }
        self.stop_if_lost(out);
    }

    fn gap(&mut self, egress: bool, length: u64, last: Origin, out: &mut Output) {
        let Self { lanes: [received, sent], state, settings, role, .. } = self;
        let lane = if egress { sent } else { received };
        match (state, role) {
            (State::Known(known), Some(role)) => {
                lane.gap(known, role.direction(egress), (length, last), &settings.limits, out);
                self.stop_if_lost(out);
            }
            (State::Undecided(undecided), _) => {
                if matches!(undecided.gap(egress), Decision::Unknown) {
                    self.give_up();
                }
            }
            _ => {}
        }
    }

    fn stop_if_lost(&mut self, out: &mut Output) {
        if let State::Known(known) = &mut self.state
            && known.lost >= self.settings.limits.max_lost
        {
            known.pairs.finish("connection not understood any more", out);
            self.give_up();
        }
    }

    /// From here on this connection costs nothing.
    fn give_up(&mut self) {
        self.state = State::Unknown;
        self.lanes = Default::default();
    }
}
