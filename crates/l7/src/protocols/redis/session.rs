//! State of a Redis connection: the value under way in each direction and how the open commands will be answered.
//!
//! Values are walked over as they come; of payloads only what is shown is kept. Where bytes other than payload are
//! missing the message is held open, as its end cannot be known, until the other direction's next message, silence, or
//! the end of the connection.

use std::collections::VecDeque;

use hadal_model::{Direction, L7Protocol, ResponseStatus};

use super::expect::{Expect, Kind};
use super::parser::{self, Nested, NoHeader};
use super::probe::{find_command, probe_command};
use super::reply::Reply;
use super::request::Request;
use super::walk::{Walk, Walked};
use crate::contract::{
    AfterGap, Chunk, Gap, Half, Message, Options, Origin, Pairing, Parser, PayloadNeed, Probe, Progress, Transport,
};
use crate::early::Early;

/// Most commands whose answer is waited for; beyond, all answers are taken for plain ones.
const MAX_OPEN: usize = 1024;

/// A parser for one connection, always a stream.
pub fn parser(options: Options, _: Transport) -> Box<dyn Parser> {
    Box::new(Redis::new(options))
}

/// The parser of one Redis connection: about 500 bytes and what is shown of the values under way.
pub struct Redis {
    options: Options,
    requests: Side<Request>,
    replies: Side<Reply>,
    /// How the open commands will be answered, oldest first.
    open: VecDeque<Expect>,
    early: Early,
    mode: Mode,
}

/// One direction.
struct Side<T> {
    walk: Walk,
    /// The message under way.
    value: Option<T>,
    /// The end of the message under way cannot be known.
    blind: bool,
}

/// What earlier commands have switched.
#[derive(Debug, Default)]
struct Mode {
    resp3: bool,
    /// `SUBSCRIBE` was seen: arrays may be deliveries.
    subscribed: bool,
    /// `MONITOR` was answered.
    monitor: bool,
    /// `CLIENT REPLY OFF`.
    silent: bool,
    /// `CLIENT REPLY SKIP`: the next command is not answered.
    skip: bool,
    /// Replication: what follows is no dialogue.
    replication: bool,
}

impl Parser for Redis {
    fn parse(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        if self.mode.replication {
            return Progress::Consumed(chunk.bytes.len());
        }
        match direction {
            Direction::ToServer => self.parse_request(chunk, out),
            Direction::ToClient => self.parse_reply(chunk, out),
        }
    }

    fn gap(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        if self.mode.replication {
            return AfterGap::Resumed;
        }
        let length = gap.before.bytes.len() as u64 + gap.length;
        let after = match direction {
            Direction::ToServer => self.requests.gap(length, gap.last),
            Direction::ToClient => self.replies.gap(length, gap.last),
        };
        match (after, direction) {
            (Gone::Complete, Direction::ToServer) => self.request(gap.last, out),
            (Gone::Complete, Direction::ToClient) => self.reply(gap.last, false, out),
            (Gone::Inside, _) => {}
            (Gone::Lost, _) => {
                self.forget(direction);
                return AfterGap::Lost;
            }
        }
        AfterGap::Resumed
    }

    fn resync(&mut self, direction: Direction, bytes: &[u8]) -> Option<usize> {
        match direction {
            Direction::ToServer => find_command(bytes),
            // An element of a longer answer looks like an answer, so only the start of a call's bytes is tried.
            Direction::ToClient => (parser::header(bytes, self.options.max_head) != Err(NoHeader::Bad)).then_some(0),
        }
    }

    fn close(&mut self, direction: Direction, _origin: Origin, out: &mut Vec<Message>) {
        match direction {
            Direction::ToServer => self.cut_request(out),
            Direction::ToClient => self.cut_reply(out),
        }
    }

    fn settle(&mut self, out: &mut Vec<Message>) {
        if self.requests.blind {
            self.cut_request(out);
        }
        if self.replies.blind {
            self.cut_reply(out);
        }
    }

    fn partial(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.requests.value.is_some(),
            Direction::ToClient => self.replies.value.is_some(),
        }
    }

    fn payload(&self) -> PayloadNeed {
        match self.mode {
            Mode { replication: true, .. } => PayloadNeed::None,
            // Any call may hold a pipeline, and its commands are told apart only by their bytes.
            _ => PayloadNeed::All,
        }
    }
}

impl Redis {
    /// A parser at the start of a connection, or somewhere in one.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            requests: Side::new(),
            replies: Side::new(),
            open: VecDeque::new(),
            early: Early::default(),
            mode: Mode::default(),
        }
    }

    fn parse_request(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        if self.requests.blind {
            if !matches!(probe_command(chunk.bytes, false), Probe::Yes(_)) {
                return self.requests.swallow(chunk);
            }
            self.cut_request(out);
        }
        if self.requests.value.is_none() && chunk.bytes.first() != Some(&b'*') {
            return self.parse_inline(chunk, out);
        }
        let request = self.requests.value.get_or_insert_with(|| Request::new(chunk.first, &self.options));
        match self.requests.walk.walk(chunk.bytes, self.options.max_head, request) {
            Walked::Complete(used) => {
                request.length += used as u64;
                self.request(chunk.origin_before(used), out);
                Progress::Consumed(used)
            }
            Walked::Inside(0) => self.requests.wait(chunk),
            Walked::Inside(used) => {
                request.length += used as u64;
                request.last = chunk.origin_before(used);
                Progress::Consumed(used)
            }
            Walked::Bad => self.lost(Direction::ToServer),
        }
    }

    /// A command as typed in a terminal.
    fn parse_inline(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let Some(end) = memchr::memchr(b'\n', chunk.bytes) else {
            let text = chunk.bytes.iter().all(|&byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
            let waits = text && chunk.bytes.len() < self.options.max_head;
            return if waits { Progress::Need(chunk.bytes.len() + 1) } else { self.lost(Direction::ToServer) };
        };
        let line = chunk.bytes.get(..end).unwrap_or_default();
        let mut request = Request::new(chunk.first, &self.options);
        request.inline(line);
        if request.is_empty() && line.trim_ascii().is_empty() {
            return Progress::Consumed(end + 1);
        }
        if !request.is_plausible() {
            return self.lost(Direction::ToServer);
        }
        request.length = end as u64 + 1;
        self.requests.value = Some(request);
        self.request(chunk.origin_before(end + 1), out);
        Progress::Consumed(end + 1)
    }

    fn parse_reply(&mut self, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        if self.replies.blind {
            return self.replies.swallow(chunk);
        }
        let reply = self.replies.value.get_or_insert_with(|| Reply::new(chunk.first, &self.options));
        match self.replies.walk.walk(chunk.bytes, self.options.max_head, reply) {
            Walked::Complete(used) => {
                reply.length += used as u64;
                self.reply(chunk.origin_before(used), false, out);
                Progress::Consumed(used)
            }
            Walked::Inside(0) => self.replies.wait(chunk),
            Walked::Inside(used) => {
                reply.length += used as u64;
                reply.last = chunk.origin_before(used);
                Progress::Consumed(used)
            }
            Walked::Bad => self.lost(Direction::ToClient),
        }
    }

    fn lost(&mut self, direction: Direction) -> Progress {
        self.forget(direction);
        Progress::Lost
    }

    /// From here on nothing is known of this direction and of what is open.
    fn forget(&mut self, direction: Direction) {
        self.open.clear();
        self.early = Early::default();
        match direction {
            Direction::ToServer => self.requests.clear(),
            Direction::ToClient => self.replies.clear(),
        }
    }

    /// The request under way is complete.
    fn request(&mut self, last: Origin, out: &mut Vec<Message>) {
        // What is sent next shows that the answer whose end was not seen is over.
        if self.replies.blind {
            self.cut_reply(out);
        }
        self.requests.blind = false;
        if let Some(request) = self.requests.value.take().filter(|request| !request.is_empty()) {
            let answered = self.switch(&request);
            let mut message = request.message(last, &self.options, self.version());
            if !answered {
                message.pairing = Pairing::OneWay;
            }
            out.push(message);
        }
    }

    /// Takes note of what a command changes and how it will be answered; whether it will be at all.
    fn switch(&mut self, request: &Request) -> bool {
        let command = &request.command;
        let (name, first, second) = (command.name.as_str(), command.first.as_str(), command.second.as_str());
        match (name, first, second) {
            ("CLIENT", "REPLY", "ON") => self.mode.silent = false,
            ("CLIENT", "REPLY", "OFF") => self.mode.silent = true,
            ("CLIENT", "REPLY", "SKIP") => {
                self.mode.skip = true;
                return false;
            }
            _ => {}
        }
        if self.mode.silent || std::mem::take(&mut self.mode.skip) {
            return false;
        }
        let expect = match (name, Kind::of(name)) {
            (_, Some(kind)) => {
                self.mode.subscribed = true;
                Expect::Acknowledgements { kind, left: request.arguments().max(1), answered: false }
            }
            ("HELLO", _) => Expect::Hello { resp3: first == "3" || (first.is_empty() && self.mode.resp3) },
            ("MONITOR", _) => Expect::Monitor,
            ("SYNC" | "PSYNC", _) => Expect::Replication,
            _ => Expect::Plain,
        };
        if self.early.take(request.first) {
            return true;
        }
        if self.open.len() == MAX_OPEN {
            self.open.clear();
        }
        self.open.push_back(expect);
        true
    }

    /// The answer under way is complete, or cut where bytes are missing.
    fn reply(&mut self, last: Origin, truncated: bool, out: &mut Vec<Message>) {
        // An answer shows that the command whose end was not seen is over.
        if self.requests.blind {
            self.cut_request(out);
        }
        self.replies.blind = false;
        let Some(reply) = self.replies.value.take() else {
            return;
        };
        self.mode.resp3 |= reply.is_resp3();
        if let Some(pairing) = self.pairing(&reply) {
            let mut message = reply.message(last, pairing, self.version());
            message.truncated = truncated;
            out.push(message);
        }
    }

    /// What an answer answers; `None` for acknowledgements behind the first one.
    fn pairing(&mut self, reply: &Reply) -> Option<Pairing> {
        let word = reply.first_word();
        let may_be_push = reply.is_push() || self.mode.subscribed || self.open.is_empty();
        if let Some(kind) = Kind::of(word).filter(|_| may_be_push && reply.is_acknowledgement()) {
            return self.acknowledged(kind);
        }
        if reply.is_push() || (may_be_push && reply.is_delivery()) {
            return Some(Pairing::OneWay);
        }
        let open = self.open.pop_front();
        if open.is_some() {
            self.early.regular();
        }
        match open {
            Some(Expect::Hello { resp3 }) if !reply.is_error() => self.mode.resp3 = resp3,
            Some(Expect::Monitor) if !reply.is_error() => self.mode.monitor = true,
            Some(Expect::Replication) if !reply.is_error() => self.mode.replication = true,
            None if self.mode.monitor => return Some(Pairing::OneWay),
            None => self.early.response(reply.first),
            Some(_) => {}
        }
        Some(Pairing::Order)
    }

    fn acknowledged(&mut self, acknowledged: Kind) -> Option<Pairing> {
        let Some(Expect::Acknowledgements { kind, left, answered }) = self.open.front_mut() else {
            return None;
        };
        if *kind != acknowledged {
            return None;
        }
        let first = !std::mem::replace(answered, true);
        *left -= 1;
        if *left == 0 {
            self.open.pop_front();
        }
        first.then_some(Pairing::Order)
    }

    fn version(&self) -> &'static str {
        if self.mode.resp3 { "3" } else { "2" }
    }

    /// Emits the command under way as far as it was seen.
    fn cut_request(&mut self, out: &mut Vec<Message>) {
        let side = &mut self.requests;
        side.blind = false;
        side.walk.clear();
        if let Some(request) = side.value.take().filter(Request::is_plausible) {
            let answered = self.switch(&request);
            let last = request.last;
            let mut message = request.message(last, &self.options, self.version());
            message.truncated = true;
            if !answered {
                message.pairing = Pairing::OneWay;
            }
            out.push(message);
        }
    }

    fn cut_reply(&mut self, out: &mut Vec<Message>) {
        self.replies.walk.clear();
        self.replies.blind = false;
        if let Some(last) = self.replies.value.as_ref().map(|reply| reply.last) {
            self.reply(last, true, out);
        }
    }
}

/// What a direction has in common whichever half it carries.
pub(super) trait Value {
    /// Takes note of bytes of the message and of where they end.
    fn extend(&mut self, length: u64, last: Origin);
    /// Whether enough was seen of the message for a record.
    fn is_recognised(&self) -> bool;
}

/// What is left of a message behind a gap.
enum Gone {
    Complete,
    Inside,
    Lost,
}

impl<T: Value + super::walk::Collect> Side<T> {
    fn new() -> Self {
        Self { walk: Walk::default(), value: None, blind: false }
    }

    fn clear(&mut self) {
        self.walk.clear();
        self.value = None;
        self.blind = false;
    }

    /// A header line is not complete.
    fn wait(&mut self, chunk: Chunk<'_>) -> Progress {
        Progress::Need(chunk.bytes.len() + 1)
    }

    fn swallow(&mut self, chunk: Chunk<'_>) -> Progress {
        if let Some(value) = &mut self.value {
            value.extend(chunk.bytes.len() as u64, chunk.last);
        }
        Progress::Consumed(chunk.bytes.len())
    }

    fn gap(&mut self, length: u64, last: Origin) -> Gone {
        let Some(value) = &mut self.value else {
            return if self.blind { Gone::Inside } else { Gone::Lost };
        };
        value.extend(length, last);
        if self.blind {
            return Gone::Inside;
        }
        match self.walk.skip(length, value) {
            Some(Nested::Complete) => Gone::Complete,
            Some(_) => Gone::Inside,
            None if value.is_recognised() => {
                self.walk.clear();
                self.blind = true;
                Gone::Inside
            }
            None => Gone::Lost,
        }
    }
}

/// A message of this protocol with nothing in it yet.
pub(super) fn message(half: Half, first: Origin, status: ResponseStatus) -> Message {
    Message { status, ..Message::new(L7Protocol::Redis, half, first) }
}
