//! State of a FastCGI connection: the record under way in each direction, and the requests that are open.
//!
//! Records are walked over as they come; of parameters and output only what is shown is kept. Where a gap reaches beyond
//! the record under way, the place of the next one is not known: the message is held open ("blind") and ends with what
//! shows that it is over: the last record at the end of a call, the next request of its number, silence, or the end of the
//! connection.

use std::collections::VecDeque;

use hadal_model::Direction;

use super::exchange::Exchange;
use super::parser::{self, FIXED, HEADER, Header, Kind, NoHeader, Role};
use super::request::Request;
use super::response::{End, Response};
use crate::contract::{AfterGap, Chunk, Gap, Message, Options, Origin, Parser, PayloadNeed, Progress, Transport};

/// Most requests that are open at once; beyond, the oldest one is given up.
const MAX_OPEN: usize = 64;

/// Most responses without a request that are remembered.
const MAX_EARLY: usize = 32;

/// How much earlier than its request a response may be stamped: a send is stamped when the call returns.
const SKEW_US: u64 = 200;

/// A parser for one connection, always a stream.
pub fn parser(options: Options, _: Transport) -> Box<dyn Parser> {
    Box::new(FastCgi::new(options))
}

/// The parser of one FastCGI connection: about 200 bytes, and the requests that are open.
pub struct FastCgi {
    pub(super) options: Options,
    pub(super) requests: Side,
    pub(super) responses: Side,
    /// Oldest first.
    pub(super) open: Vec<Exchange>,
    /// Number of the newest request.
    pub(super) serial: u64,
    /// The last responses whose requests were not seen, oldest first.
    pub(super) early: VecDeque<Early>,
    /// The last response came after its request. Otherwise responses may seem early because requests are missing, and a
    /// quick client sends its next request soon after each.
    pub(super) regular: bool,
    /// The first bytes after each change of direction are not enough: requests overlap, parameters are too long, or an
    /// answer went on after a long silence.
    pub(super) all: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// The record under way, or the last one.
    pub(super) kind: Kind,
    pub(super) id: u16,
    /// Bytes of it that have yet to pass.
    pub(super) content: u64,
    pub(super) padding: u64,
    /// Where the next record starts is not known.
    pub(super) blind: bool,
    /// Bytes since then.
    pub(super) unseen: u64,
}

/// A response without a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    pub(super) id: u16,
    pub(super) serial: u64,
    pub(super) first_us: u64,
}

impl Parser for FastCgi {
    fn parse(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let side = self.side(direction);
        if side.blind {
            return self.blind(direction, chunk, out);
        }
        if side.content > 0 || side.padding > 0 {
            return self.inside(direction, chunk, out);
        }
        self.record(direction, chunk, out)
    }

    fn gap(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        let mut missing = gap.before.bytes.len() as u64 + gap.length;
        if !self.side(direction).blind && !gap.before.bytes.is_empty() {
            // A record's header is cut, or one that has a content of fixed length.
            match parser::header(direction, gap.before.bytes) {
                Ok(header) => {
                    self.cut_record(direction, header, gap.before, out);
                    missing -= HEADER as u64;
                }
                Err(_) => return self.go_blind(direction, missing, gap.last, out),
            }
        }
        self.skip(direction, missing, gap.last, out)
    }

    fn resync(&mut self, direction: Direction, bytes: &[u8]) -> Option<usize> {
        *self.side(direction) = Side::default();
        let any = self.open.is_empty();
        let open: Vec<u16> = self.open.iter().map(|exchange| exchange.id).collect();
        parser::find(direction, bytes, |id| any || open.contains(&id))
    }

    fn close(&mut self, direction: Direction, _origin: Origin, out: &mut Vec<Message>) {
        let end = if self.side(direction).blind { End::Cut } else { End::Closed };
        self.cut(direction, end, out);
    }

    fn settle(&mut self, out: &mut Vec<Message>) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            if self.side(direction).blind {
                self.cut(direction, End::Cut, out);
            }
        }
    }

    fn partial(&self, direction: Direction) -> bool {
        self.open.iter().any(|exchange| exchange.is_under_way(direction))
    }

    fn payload(&self) -> PayloadNeed {
        // A request mostly has its parameters in its first bytes, and an answer its status.
        if self.all { PayloadNeed::All } else { PayloadNeed::Flips }
    }
}

impl FastCgi {
    /// A parser at the start of a connection, or somewhere in one.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            requests: Side::default(),
            responses: Side::default(),
            open: Vec::new(),
            serial: 0,
            early: VecDeque::new(),
            regular: false,
            all: false,
        }
    }

    pub(super) fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::ToServer => &mut self.requests,
            Direction::ToClient => &mut self.responses,
        }
    }

    pub(super) fn exchange(&mut self, id: u16) -> Option<&mut Exchange> {
        self.open.iter_mut().find(|exchange| exchange.id == id)
    }

    /// A record starts.
    pub(super) fn record(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let header = match parser::header(direction, chunk.bytes) {
            Ok(header) => header,
            Err(NoHeader::Short) => return Progress::Need(HEADER),
            Err(NoHeader::Bad) => {
                self.lost(direction, chunk.first, out);
                return Progress::Lost;
            }
        };
        let fixed = matches!(header.kind, Kind::Begin | Kind::End);
        if fixed && chunk.bytes.len() < FIXED {
            return Progress::Need(FIXED);
        }
        let used = if fixed { FIXED } else { HEADER };
        let content = chunk.bytes.get(HEADER..used).unwrap_or_default();
        let last = chunk.origin_before(used);
        self.start(direction, header, used, chunk.first, out);
        match header.kind {
            Kind::Begin => self.begin(header.id, parser::role(content), (chunk.first, used, last), out),
            Kind::End => {
                self.extend(header.id, Direction::ToClient, used as u64, last);
                let end = parser::ended(content).map_or(End::Cut, End::Record);
                self.end(header.id, end, out);
            }
            _ => {
                self.extend(header.id, direction, used as u64, last);
                self.end_of_stream(header, out);
            }
        }
        Progress::Consumed(used)
    }

    /// The side enters a record of which so many bytes are at hand.
    pub(super) fn start(
        &mut self,
        direction: Direction,
        header: Header,
        used: usize,
        first: Origin,
        out: &mut Vec<Message>,
    ) {
        let side = self.side(direction);
        (side.kind, side.id) = (header.kind, header.id);
        side.content = (HEADER as u64 + u64::from(header.content)).saturating_sub(used as u64);
        side.padding = u64::from(header.padding);
        if direction == Direction::ToClient && header.kind != Kind::Management {
            self.responds(header.id, first, out);
        }
    }

    /// A request starts.
    pub(super) fn begin(
        &mut self,
        id: u16,
        role: Role,
        (first, length, last): (Origin, usize, Origin),
        out: &mut Vec<Message>,
    ) {
        self.end_blind(id, first, out);
        let others = |exchange: &Exchange| exchange.id != id && exchange.asked && !exchange.answered;
        self.all |= self.open.iter().any(others);
        let mut exchange = self.early_response(id, first, out).unwrap_or_else(|| {
            self.serial += 1;
            Exchange::new(id, self.serial)
        });
        exchange.asked = true;
        let mut request = Request::new(role, first);
        (request.length, request.last) = (length as u64, last);
        exchange.request = Some(request);
        self.insert(exchange, first, out);
    }

    /// The exchange of a response that was seen before this request. What else is open with this number is over.
    fn early_response(&mut self, id: u16, first: Origin, out: &mut Vec<Message>) -> Option<Exchange> {
        let skew_us = if self.regular { SKEW_US } else { 0 };
        let is_early = |since_us: u64| since_us.saturating_add(skew_us) >= first.time_us;
        let at = self.open.iter().position(|exchange| exchange.id == id);
        if let Some(exchange) = at.map(|at| self.open.remove(at)) {
            let since_us = exchange.response.as_ref().map(|response| response.first.time_us);
            if !exchange.asked && since_us.is_some_and(is_early) {
                return Some(exchange);
            }
            self.regular &= exchange.asked;
            exchange.give_up(End::Cut, first, &self.options, out);
        }
        // Those that are older than this request answered others, which are missing.
        self.early.retain(|early| early.id != id || is_early(early.first_us));
        let at = self.early.iter().position(|early| early.id == id)?;
        let early = self.early.remove(at)?;
        self.regular &= early.first_us >= first.time_us;
        Some(Exchange { answered: true, ..Exchange::new(id, early.serial) })
    }

    fn insert(&mut self, exchange: Exchange, at: Origin, out: &mut Vec<Message>) {
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0).give_up(End::Cut, at, &self.options, out);
        }
        self.open.push(exchange);
    }

    /// A record of a response starts.
    pub(super) fn responds(&mut self, id: u16, first: Origin, out: &mut Vec<Message>) {
        if self.exchange(id).is_none_or(|exchange| exchange.answered) {
            if let Some(at) = self.open.iter().position(|exchange| exchange.id == id) {
                self.open.remove(at).give_up(End::Cut, first, &self.options, out);
            }
            self.serial += 1;
            self.insert(Exchange::new(id, self.serial), first, out);
        }
        // An answer shows that the request whose end was not seen is over.
        if self.requests.blind {
            self.send_blind(id, out);
        }
        if let Some(exchange) = self.exchange(id) {
            let aborted = exchange.aborted;
            exchange.response.get_or_insert_with(|| Response::new(first, aborted));
        }
    }

    /// The response is complete.
    pub(super) fn end(&mut self, id: u16, end: End, out: &mut Vec<Message>) {
        let Some(at) = self.open.iter().position(|exchange| exchange.id == id) else {
            return;
        };
        let mut exchange = self.open.remove(at);
        let first_us = exchange.response.as_ref().map_or(0, |response| response.first.time_us);
        let told = exchange.served(end, &self.options, out);
        if exchange.asked {
            self.regular = true;
        } else if told {
            if self.early.len() >= MAX_EARLY {
                self.early.pop_front();
            }
            self.early.push_back(Early { id, serial: exchange.serial, first_us });
        }
    }

    /// An empty record ends its stream, and the last stream the request; so does giving up.
    fn end_of_stream(&mut self, header: Header, out: &mut Vec<Message>) {
        let options = self.options;
        let Some(at) = self.open.iter().position(|exchange| exchange.id == header.id) else {
            return;
        };
        let Some(exchange) = self.open.get_mut(at) else {
            return;
        };
        if let Some(request) = &mut exchange.request {
            request.has_params |= header.kind == Kind::Params && header.content == 0;
        }
        exchange.aborted |= header.kind == Kind::Abort;
        let ends = exchange.request.as_ref().is_some_and(|request| {
            header.kind == Kind::Abort || (header.content == 0 && request.ends_with(header.kind))
        });
        if ends {
            exchange.send(false, &options, out);
            if exchange.answered {
                self.open.remove(at);
            }
        }
    }

    pub(super) fn extend(&mut self, id: u16, direction: Direction, length: u64, last: Origin) {
        if let Some(exchange) = self.exchange(id) {
            exchange.extend(direction, length, last);
        }
    }

    /// In a record.
    fn inside(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let side = self.side(direction);
        let (kind, id) = (side.kind, side.id);
        let content = pass(&mut side.content, chunk.bytes.len() as u64) as usize;
        let ended = kind == Kind::End && content > 0 && side.content == 0;
        let used = content + pass(&mut side.padding, (chunk.bytes.len() - content) as u64) as usize;
        let bytes = chunk.bytes.get(..content).unwrap_or_default();
        let options = self.options;
        if let Some(exchange) = self.exchange(id) {
            match (kind, &mut exchange.request, &mut exchange.response) {
                (Kind::Params, Some(request), _) => request.params.feed(bytes),
                (Kind::Stdin, Some(request), _) => request.input += content as u64,
                (Kind::Stdout, _, Some(response)) => response.stdout(bytes, &options),
                (Kind::Stderr, _, Some(response)) => response.stderr(bytes, &options),
                _ => {}
            }
            let counted = if ended { content } else { used };
            exchange.extend(direction, counted as u64, chunk.origin_before(counted));
        }
        if ended {
            self.end(id, End::Unseen, out);
        }
        Progress::Consumed(used)
    }

    /// Gives out all messages of this direction as far as they were seen.
    pub(super) fn cut(&mut self, direction: Direction, end: End, out: &mut Vec<Message>) {
        let options = self.options;
        let unseen = if end == End::Cut && self.responses.blind { self.unseen_end() } else { end };
        for mut exchange in std::mem::take(&mut self.open) {
            match direction {
                Direction::ToServer => exchange.send(true, &options, out),
                Direction::ToClient if exchange.response.is_some() => {
                    exchange.send(true, &options, out);
                    exchange.answer(unseen, &options, out);
                }
                Direction::ToClient => {}
            }
            if !exchange.answered || exchange.request.is_some() {
                self.open.push(exchange);
            }
        }
    }

    /// Messages of this direction may be missing from here on.
    pub(super) fn lost(&mut self, direction: Direction, at: Origin, out: &mut Vec<Message>) {
        self.cut(direction, End::Cut, out);
        *self.side(direction) = Side::default();
        self.regular = false;
        if direction == Direction::ToClient {
            // What comes next may answer a request that was not seen.
            for exchange in std::mem::take(&mut self.open) {
                if exchange.asked && exchange.request.is_none() {
                    exchange.give_up(End::Cut, at, &self.options, out);
                } else {
                    self.open.push(exchange);
                }
            }
        }
    }
}

/// Counts down what is left of something by what there is of it: how much that is.
pub(super) fn pass(left: &mut u64, available: u64) -> u64 {
    let used = available.min(*left);
    *left -= used;
    used
}
