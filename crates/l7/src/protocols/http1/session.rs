//! State of an HTTP/1 connection: which bodies are under way and which methods wait for their responses.
//!
//! Heads are parsed when complete, bodies are skipped by count and never kept. Where bytes are missing so that the end
//! of a message cannot be known (a head longer than what is captured, a hole in a chunked body), the message is held
//! open in [`State::Blind`] and ends with whatever shows that it is over: the next head of its direction, the other
//! direction's next message, silence, or the end of the connection.

use std::collections::VecDeque;

use hadal_model::Direction;

use super::message;
use super::parser::{self, Advance, Body, Fields};
use super::side::{Side, State};
use crate::contract::{
    AfterGap, Chunk, Gap, Half, Message, Options, Origin, Parser, PayloadNeed, Probe, Progress, Transport,
};
use crate::early::Early;
use crate::registry::Sample;

/// Most requests whose method is remembered while they wait for their responses.
const MAX_OPEN: usize = 256;

/// Whether these bytes start an HTTP/1 message.
pub fn probe(sample: Sample<'_>) -> Probe {
    match sample.direction {
        Some(direction) => parser::start(direction, sample.bytes),
        None => match parser::request_start(sample.bytes) {
            Probe::No => parser::response_start(sample.bytes),
            verdict => verdict,
        },
    }
}

/// A parser for one connection, always a stream.
pub fn parser(options: Options, _: Transport) -> Box<dyn Parser> {
    Box::new(Http1::new(options))
}

/// The parser of one HTTP/1 connection: about 200 bytes, and the message under way in each direction.
pub struct Http1 {
    options: Options,
    requests: Side,
    responses: Side,
    /// What is known of the requests that have no response yet, oldest first.
    open: VecDeque<Open>,
    early: Early,
    /// A response came while two requests were open.
    pipelined: bool,
    /// A head once came in more than one piece.
    split: bool,
}

/// What the framing of a response depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Head,
    Connect,
    Other,
}

impl Parser for Http1 {
    fn parse(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let state = self.side(direction).state;
        match state {
            State::Head => self.head(direction, chunk, out),
            State::Body(body) => match self.side(direction).instead_of_body(direction, body, chunk.bytes) {
                Probe::Yes(_) => {
                    self.finish_unextended(direction, out);
                    self.head(direction, chunk, out)
                }
                Probe::Need(more) => Progress::Need(more.max(chunk.bytes.len() + 1)),
                Probe::No => self.body(direction, body, chunk, 0, out),
            },
            State::Blind => self.blind(direction, chunk, out),
            State::Tunnel => Progress::Consumed(chunk.bytes.len()),
        }
    }

    fn gap(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        match self.side(direction).state {
            State::Head => self.gap_in_head(direction, gap, out),
            State::Body(body) => self.gap_in_body(direction, body, gap, out),
            State::Blind => {
                self.side(direction).extend(gap.before.bytes.len() as u64 + gap.length, gap.last);
                AfterGap::Resumed
            }
            State::Tunnel => AfterGap::Resumed,
        }
    }

    fn resync(&mut self, direction: Direction, bytes: &[u8]) -> Option<usize> {
        self.side(direction).scanned = 0;
        parser::find_start(direction, bytes)
    }

    fn close(&mut self, direction: Direction, _origin: Origin, out: &mut Vec<Message>) {
        let side = self.side(direction);
        let Some(message) = &mut side.pending else {
            return;
        };
        if side.state != State::Body(Body::UntilClose) {
            message.truncated = true;
            if message.half == Half::Response && side.state != State::Blind {
                "connection closed within the body".clone_into(&mut message.response_exception);
            }
        }
        self.finish_unextended(direction, out);
    }

    fn settle(&mut self, out: &mut Vec<Message>) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.end_blind(direction, out);
        }
        // A request that was refused before its body was sent.
        if self.requests.fresh && self.requests.optional && self.open.is_empty() {
            self.finish_unextended(Direction::ToServer, out);
        }
    }

    fn partial(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.requests.pending.is_some(),
            Direction::ToClient => self.responses.pending.is_some(),
        }
    }

    fn payload(&self) -> PayloadNeed {
        match (self.requests.state, self.responses.state) {
            (State::Tunnel, State::Tunnel) => PayloadNeed::None,
            _ if self.pipelined || self.split => PayloadNeed::All,
            _ => PayloadNeed::Flips,
        }
    }
}

impl Http1 {
    /// A parser at the start of a connection, or somewhere in one.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            requests: Side::default(),
            responses: Side::default(),
            open: VecDeque::new(),
            early: Early::default(),
            pipelined: false,
            split: false,
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::ToServer => &mut self.requests,
            Direction::ToClient => &mut self.responses,
        }
    }

    fn head(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let blank = chunk.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if blank > 0 {
            return Progress::Consumed(blank);
        }
        let max_head = self.options.max_head;
        let side = self.side(direction);
        let Some(length) = parser::head_length(chunk.bytes, side.scanned) else {
            return self.incomplete_head(direction, chunk, max_head, out);
        };
        self.split |= side.scanned > 0;
        self.side(direction).scanned = 0;
        let head = chunk.bytes.get(..length).unwrap_or_default();
        let first = Chunk { bytes: head, ..chunk };
        let begun = match direction {
            Direction::ToServer => self.request(first, out),
            Direction::ToClient => self.response(first, out),
        };
        match begun {
            None => self.lost(),
            Some((message, state)) => self.begin(direction, message, state, chunk, length, out),
        }
    }

    fn incomplete_head(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        max_head: usize,
        out: &mut Vec<Message>,
    ) -> Progress {
        let length = chunk.bytes.len();
        // Any method may come on a connection that has been recognised, as long as the line is well-formed.
        let plausible = match parser::split_line(chunk.bytes) {
            None => parser::start(direction, chunk.bytes) != Probe::No || cut_method(direction, chunk.bytes),
            Some((line, _)) if direction == Direction::ToServer => parser::request_line(line).is_some(),
            Some((line, _)) => parser::status_line(line).is_some(),
        };
        if !plausible {
            return self.lost();
        }
        if length < max_head {
            self.side(direction).scanned = length;
            return Progress::Need(length + 1);
        }
        let Some(message) = self.cut_head(direction, chunk, out) else {
            return self.lost();
        };
        let side = self.side(direction);
        side.scanned = 0;
        side.state = State::Blind;
        side.pending = Some(Box::new(message));
        Progress::Consumed(length)
    }

    /// After this nothing is known about what is open.
    fn lost(&mut self) -> Progress {
        self.open.clear();
        self.early = Early::default();
        self.requests.scanned = 0;
        self.responses.scanned = 0;
        Progress::Lost
    }

    /// Enters the body of a message; its first bytes may be there already.
    fn begin(
        &mut self,
        direction: Direction,
        mut message: Message,
        state: State,
        chunk: Chunk<'_>,
        head: usize,
        out: &mut Vec<Message>,
    ) -> Progress {
        message.length = head as u64;
        message.last = chunk.origin_before(head);
        let interim = matches!(message.response_code, Some(code) if code < 200 && state == State::Head);
        let side = self.side(direction);
        side.fresh = true;
        side.state = state;
        match state {
            State::Head | State::Tunnel => {
                if !interim {
                    out.push(message);
                }
                Progress::Consumed(head)
            }
            // Most bodies come with their head: no need to keep the message.
            State::Body(Body::Length(left)) if left <= (chunk.bytes.len() - head) as u64 => {
                let end = head + left as usize;
                (side.state, side.fresh) = (State::Head, false);
                message.length = end as u64;
                message.last = chunk.origin_before(end);
                out.push(message);
                Progress::Consumed(end)
            }
            State::Body(body) => {
                side.pending = Some(Box::new(message));
                if head < chunk.bytes.len() {
                    self.body(direction, body, chunk, head, out)
                } else {
                    Progress::Consumed(head)
                }
            }
            State::Blind => {
                side.pending = Some(Box::new(message));
                Progress::Consumed(head)
            }
        }
    }

    /// Skips bytes of a body, from offset `from` of the chunk.
    fn body(
        &mut self,
        direction: Direction,
        mut body: Body,
        chunk: Chunk<'_>,
        from: usize,
        out: &mut Vec<Message>,
    ) -> Progress {
        let (used, advance) = body.advance(chunk.bytes.get(from..).unwrap_or_default());
        let side = self.side(direction);
        side.state = State::Body(body);
        side.fresh &= used == 0;
        side.extend(used as u64, chunk.origin_before(from + used));
        let consumed = from + used;
        match advance {
            Advance::Done => {
                let last = chunk.origin_before(consumed);
                self.finish(direction, last, out);
                // An empty body ends without a byte; the caller needs progress.
                if consumed == 0 { self.head(direction, chunk, out) } else { Progress::Consumed(consumed) }
            }
            Advance::Broken => {
                side.blind();
                side.extend((chunk.bytes.len() - consumed) as u64, chunk.last);
                Progress::Consumed(chunk.bytes.len())
            }
            Advance::Need(more) if consumed == 0 => Progress::Need(more),
            Advance::Need(_) | Advance::More => Progress::Consumed(consumed),
        }
    }

    fn blind(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        match parser::start(direction, chunk.bytes) {
            Probe::Yes(_) => {
                self.end_blind(direction, out);
                self.side(direction).state = State::Head;
                self.head(direction, chunk, out)
            }
            Probe::Need(more) if more > chunk.bytes.len() => Progress::Need(more),
            Probe::Need(_) | Probe::No => {
                let side = self.side(direction);
                side.extend(chunk.bytes.len() as u64, chunk.last);
                if chunk.bytes.ends_with(b"\r\n0\r\n\r\n") || chunk.bytes == b"0\r\n\r\n" {
                    self.finish_unextended(direction, out);
                }
                Progress::Consumed(chunk.bytes.len())
            }
        }
    }

    /// Emits the message whose end could not be seen, if there is one.
    fn end_blind(&mut self, direction: Direction, out: &mut Vec<Message>) {
        let side = self.side(direction);
        if side.state == State::Blind
            && let Some(mut message) = side.pending.take()
        {
            message.truncated = true;
            out.push(*message);
        }
    }

    /// The message under way has ended where it was last seen.
    fn finish_unextended(&mut self, direction: Direction, out: &mut Vec<Message>) {
        if let Some(last) = self.side(direction).pending.as_ref().map(|message| message.last) {
            self.finish(direction, last, out);
        }
    }

    fn finish(&mut self, direction: Direction, last: Origin, out: &mut Vec<Message>) {
        let side = self.side(direction);
        side.state = State::Head;
        if let Some(mut message) = side.pending.take() {
            message.last = last;
            out.push(*message);
        }
    }

    fn gap_in_head(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        self.side(direction).scanned = 0;
        let Some(mut message) = self.cut_head(direction, gap.before, out) else {
            self.lost();
            return AfterGap::Lost;
        };
        self.answered(direction, out);
        message.length += gap.length;
        message.last = gap.last;
        let side = self.side(direction);
        side.state = State::Blind;
        side.pending = Some(Box::new(message));
        AfterGap::Resumed
    }

    fn gap_in_body(&mut self, direction: Direction, mut body: Body, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        let length = gap.before.bytes.len() as u64 + gap.length;
        let (used, advance) = body.skip(length);
        let side = self.side(direction);
        side.state = State::Body(body);
        side.fresh = false;
        match advance {
            Advance::Done => {
                let behind = (length - used) as u32;
                let last = Origin { seq: gap.last.seq.wrapping_sub(behind), ..gap.last };
                side.extend(used, last);
                self.finish(direction, last, out);
                if used == length {
                    return AfterGap::Resumed;
                }
                self.lost();
                AfterGap::Lost
            }
            Advance::Broken => {
                side.blind();
                side.extend(length, gap.last);
                AfterGap::Resumed
            }
            Advance::More | Advance::Need(_) => {
                side.extend(used, gap.last);
                AfterGap::Resumed
            }
        }
    }

    /// The message of a head whose end is missing; its fields as far as they are there.
    fn cut_head(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Option<Message> {
        let (line, rest) = parser::split_line(chunk.bytes).unwrap_or((chunk.bytes, &[]));
        let fields = Fields::read(rest);
        let mut message = match direction {
            Direction::ToServer => {
                let line = parser::cut_request_line(line)?;
                self.remember(line.method, chunk.first, out);
                message::request(&self.options, line, &fields, chunk.first)
            }
            Direction::ToClient => {
                let line = parser::status_line(line)?;
                self.answer(chunk.first);
                message::response(&self.options, line, &fields, chunk.first)
            }
        };
        message.length = chunk.bytes.len() as u64;
        message.last = chunk.last;
        Some(message)
    }

    /// A message of one direction shows that the one of the other direction, whose end was not seen, is over.
    fn answered(&mut self, direction: Direction, out: &mut Vec<Message>) {
        self.end_blind(direction.reverse(), out);
    }

    fn request(&mut self, head: Chunk<'_>, out: &mut Vec<Message>) -> Option<(Message, State)> {
        let (line, rest) = parser::split_line(head.bytes)?;
        let line = parser::request_line(line)?;
        let fields = Fields::read(rest);
        self.answered(Direction::ToServer, out);
        self.remember(line.method, head.first, out);
        let message = message::request(&self.options, line, &fields, head.first);
        self.requests.optional = fields.expects_continue;
        let state = match (fields.chunked, fields.content_length) {
            (true, _) => State::Body(Body::ChunkSize),
            _ if fields.other_coding => State::Blind,
            (false, Some(1..)) => State::Body(Body::Length(fields.content_length.unwrap_or_default())),
            (false, _) => State::Head,
        };
        Some((message, state))
    }

    fn remember(&mut self, method: &[u8], first: Origin, out: &mut Vec<Message>) {
        if self.early.take(first) {
            // Had its request been seen before, the response would have been known to have no body. It is the one under
            // way only if no later one has come.
            if method == b"HEAD" && self.early.is_none() && self.responses.fresh && self.responses.optional {
                self.finish_unextended(Direction::ToClient, out);
            }
            return;
        }
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back(match method {
            b"HEAD" => Open::Head,
            b"CONNECT" => Open::Connect,
            _ => Open::Other,
        });
    }

    /// The request that a final response answers.
    fn answer(&mut self, first: Origin) -> Option<Open> {
        let open = self.open.pop_front();
        match open {
            Some(_) => self.early.regular(),
            None => self.early.response(first),
        }
        self.pipelined |= !self.open.is_empty();
        open
    }

    fn response(&mut self, head: Chunk<'_>, out: &mut Vec<Message>) -> Option<(Message, State)> {
        let (line, rest) = parser::split_line(head.bytes)?;
        let line = parser::status_line(line)?;
        let fields = Fields::read(rest);
        let message = message::response(&self.options, line, &fields, head.first);
        if line.code < 200 && line.code != 101 {
            return Some((message, State::Head));
        }
        self.answered(Direction::ToClient, out);
        let open = self.answer(head.first);
        self.responses.optional = open.is_none();
        if line.code == 101 || (open == Some(Open::Connect) && line.code < 300) {
            self.requests.state = State::Tunnel;
            return Some((message, State::Tunnel));
        }
        let empty = open == Some(Open::Head) || matches!(line.code, 204 | 304);
        let state = match (fields.chunked, fields.content_length) {
            _ if empty => State::Head,
            (true, _) => State::Body(Body::ChunkSize),
            (false, Some(0)) => State::Head,
            (false, Some(length)) if !fields.other_coding => State::Body(Body::Length(length)),
            _ => State::Body(Body::UntilClose),
        };
        Some((message, state))
    }
}

/// Whether a request line with an unregistered method may start here, for all that is there of it.
fn cut_method(direction: Direction, bytes: &[u8]) -> bool {
    let method = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
    direction == Direction::ToServer
        && method.len() <= 24
        && !method.is_empty()
        && method.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
}
