//! State of a conversation: messages under way in a stream, zone transfers, and the questions of the last requests, since
//! some responses do not repeat them.
//!
//! Which half a message is stands in its header and not in its direction: with mDNS and between servers both ends ask.

use std::collections::VecDeque;

use hadal_model::Direction;

use super::contents::{Contents, Zone};
use super::message::message;
use super::parser::{Header, MULTICAST_BIT, Reader};
use super::probe::{self, PREFIX};
use super::transfer::Transfer;
use crate::contract::{
    AfterGap, Chunk, Gap, Half, Message, Options, Origin, Pairing, Parser, PayloadNeed, Progress, Transport,
};

/// Most requests whose question is remembered.
const MAX_RECENT: usize = 64;

/// Least bytes of a message that are waited for.
const MIN_HEAD: usize = 512;

/// A parser for one connection.
pub fn parser(options: Options, transport: Transport) -> Box<dyn Parser> {
    Box::new(Dns::new(options, transport))
}

/// The parser of one connection: about 200 bytes, and the messages under way.
pub struct Dns {
    options: Options,
    transport: Transport,
    sides: [Side; 2],
    /// Requests, newest last.
    recent: VecDeque<Recent>,
    transfer: Option<Box<(Direction, Transfer)>>,
}

/// One direction of a stream.
#[derive(Default)]
struct Side {
    /// Some bytes of a message are waited for.
    begun: bool,
    /// A message whose head was read and whose other bytes do not matter.
    rest: Option<Box<Rest>>,
}

struct Rest {
    message: Option<Understood>,
    /// Bytes of it that are still to come.
    left: u64,
}

/// A message, and what is not shown of it.
struct Understood {
    message: Message,
    id: u16,
    kind: Option<u16>,
    zone: Zone,
}

/// What a response without a question may answer.
struct Recent {
    id: u16,
    direction: Direction,
    key: u64,
    kind: Option<u16>,
}

impl Parser for Dns {
    fn parse(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        match self.transport {
            Transport::Stream => self.stream(direction, chunk, out),
            Transport::Datagram => self.datagram(direction, chunk, out),
        }
    }

    fn gap(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        match self.transport {
            Transport::Stream => self.gap_in_stream(direction, gap, out),
            Transport::Datagram => self.cut_datagram(direction, gap, out),
        }
    }

    fn resync(&mut self, _direction: Direction, bytes: &[u8]) -> Option<usize> {
        probe::find(bytes)
    }

    fn close(&mut self, direction: Direction, _origin: Origin, out: &mut Vec<Message>) {
        let side = self.side(direction);
        side.begun = false;
        if let Some(mut understood) = side.rest.take().and_then(|rest| rest.message) {
            understood.message.truncated = true;
            self.complete(direction, understood, out);
        }
        if self.transfer.as_ref().is_some_and(|transfer| transfer.0 == direction) {
            self.end_transfer(true, out);
        }
    }

    fn settle(&mut self, out: &mut Vec<Message>) {
        self.end_transfer(true, out);
    }

    fn partial(&self, direction: Direction) -> bool {
        let [requests, responses] = &self.sides;
        let side = if direction == Direction::ToServer { requests } else { responses };
        side.begun || side.rest.is_some() || self.transfer.as_ref().is_some_and(|transfer| transfer.0 == direction)
    }

    fn payload(&self) -> PayloadNeed {
        PayloadNeed::All
    }
}

impl Dns {
    /// A parser at the start of a conversation, or somewhere in one.
    pub fn new(options: Options, transport: Transport) -> Self {
        Self { options, transport, sides: Default::default(), recent: VecDeque::new(), transfer: None }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        let [requests, responses] = &mut self.sides;
        if direction == Direction::ToServer { requests } else { responses }
    }

    fn datagram(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        let Ok(contents) = Contents::read(chunk.bytes, self.options.max_text) else {
            return Progress::Lost;
        };
        let length = chunk.bytes.len() as u64;
        let understood = self.understand(direction, contents, chunk.first);
        self.finish(direction, understood, chunk.last, length, out);
        Progress::Consumed(chunk.bytes.len())
    }

    fn cut_datagram(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        let before = gap.before;
        match Contents::read(before.bytes, self.options.max_text) {
            Ok(contents) => {
                let length = before.bytes.len() as u64 + gap.length;
                let understood = self.understand(direction, contents, before.first);
                self.finish(direction, understood, gap.last, length, out);
                AfterGap::Resumed
            }
            Err(_) => AfterGap::Lost,
        }
    }

    fn stream(&mut self, direction: Direction, chunk: Chunk<'_>, out: &mut Vec<Message>) -> Progress {
        if let Some(left) = self.side(direction).rest.as_ref().map(|rest| rest.left) {
            let used = usize::try_from(left).map_or(chunk.bytes.len(), |left| left.min(chunk.bytes.len()));
            self.pass(direction, used as u64, chunk.origin_before(used), out);
            return Progress::Consumed(used);
        }
        self.side(direction).begun = true;
        let Some((prefix, bytes)) = chunk.bytes.split_first_chunk() else {
            return Progress::Need(PREFIX);
        };
        let length = usize::from(u16::from_be_bytes(*prefix));
        let head = length.min(self.options.max_head.max(MIN_HEAD));
        let header = Reader::new(bytes, 0).header();
        if length < Header::LENGTH || header.is_ok_and(|header| !header.is_plausible()) {
            return self.lost(direction, out);
        }
        let Some(read) = bytes.get(..head) else {
            return Progress::Need(PREFIX + head);
        };
        let used = PREFIX + head;
        match Contents::read(read, self.options.max_text) {
            Ok(contents) => {
                let understood = self.understand(direction, contents, chunk.first);
                self.begin(direction, Some(understood), PREFIX + length);
                self.pass(direction, used as u64, chunk.origin_before(used), out);
                Progress::Consumed(used)
            }
            Err(_) => self.lost(direction, out),
        }
    }

    fn gap_in_stream(&mut self, direction: Direction, gap: Gap<'_>, out: &mut Vec<Message>) -> AfterGap {
        let before = gap.before;
        if self.side(direction).rest.is_none() {
            let Some((prefix, bytes)) = before.bytes.split_first_chunk() else {
                self.lost(direction, out);
                return AfterGap::Lost;
            };
            let length = PREFIX + usize::from(u16::from_be_bytes(*prefix));
            let contents = Contents::read(bytes, self.options.max_text).ok();
            let understood = contents.map(|contents| self.understand(direction, contents, before.first));
            self.begin(direction, understood, length);
            self.pass(direction, before.bytes.len() as u64, before.last, out);
        }
        let left = self.side(direction).rest.as_ref().map_or(0, |rest| rest.left);
        let behind = gap.length.saturating_sub(left);
        let end = Origin { seq: gap.last.seq.wrapping_sub(behind as u32), ..gap.last };
        self.pass(direction, gap.length.min(left), end, out);
        if behind == 0 {
            return AfterGap::Resumed;
        }
        self.lost(direction, out);
        AfterGap::Lost
    }

    /// A message has begun that has so many bytes.
    fn begin(&mut self, direction: Direction, message: Option<Understood>, length: usize) {
        let side = self.side(direction);
        side.begun = false;
        side.rest = Some(Box::new(Rest { message, left: length as u64 }));
    }

    /// Bytes of the message under way have passed, up to `last`.
    fn pass(&mut self, direction: Direction, length: u64, last: Origin, out: &mut Vec<Message>) {
        let Some(rest) = &mut self.side(direction).rest else {
            return;
        };
        rest.left = rest.left.saturating_sub(length);
        if let Some(understood) = &mut rest.message {
            understood.message.length += length;
            understood.message.last = last;
        }
        if rest.left == 0
            && let Some(understood) = self.side(direction).rest.take().and_then(|rest| rest.message)
        {
            self.complete(direction, understood, out);
        }
    }

    /// From here on the borders between messages are not known.
    fn lost(&mut self, direction: Direction, out: &mut Vec<Message>) -> Progress {
        *self.side(direction) = Side::default();
        if self.transfer.as_ref().is_some_and(|transfer| transfer.0 == direction) {
            self.end_transfer(true, out);
        }
        Progress::Lost
    }

    /// What there is to know of a message but its end.
    fn understand(&self, direction: Direction, mut contents: Contents, first: Origin) -> Understood {
        let zone = std::mem::take(&mut contents.answers.zone);
        let (id, kind) = (contents.header.id, contents.questions.first().map(|question| question.kind));
        let one_way = self.transport == Transport::Datagram && is_multicast(&contents);
        let asked_by = if contents.header.is_response() { direction.reverse() } else { direction };
        let own = u64::from(asked_by == Direction::ToClient) << 48 | u64::from(id);
        let question = contents.questions.first().map(|question| hash(&question.name, question.kind));
        let mut message = message(contents, first, self.options.max_text);
        message.pairing = match question {
            _ if one_way => Pairing::OneWay,
            // Some clients use one id for all, so the question belongs to what pairs.
            Some(hash) => Pairing::Id(u64::from(hash) << 16 | own),
            None => Pairing::Id(own),
        };
        Understood { message, id, kind, zone }
    }

    fn finish(
        &mut self,
        direction: Direction,
        mut understood: Understood,
        last: Origin,
        length: u64,
        out: &mut Vec<Message>,
    ) {
        understood.message.last = last;
        understood.message.length = length;
        self.complete(direction, understood, out);
    }

    /// A message is complete.
    fn complete(&mut self, direction: Direction, mut understood: Understood, out: &mut Vec<Message>) {
        if self.continues(direction, &understood, out) {
            return;
        }
        self.pair(direction, &mut understood);
        let Understood { message, id, kind, zone } = understood;
        if self.transport == Transport::Stream && Transfer::begins(&message, kind, &zone) {
            let transfer = Transfer::new(message, id, kind, &zone);
            let over = transfer.is_over(&zone);
            self.end_transfer(false, out);
            self.transfer = Some(Box::new((direction, transfer)));
            if over {
                self.end_transfer(false, out);
            }
        } else {
            out.push(message);
        }
    }

    /// Takes note of a request, and of which one a response answers.
    fn pair(&mut self, direction: Direction, understood: &mut Understood) {
        let Pairing::Id(key) = understood.message.pairing else {
            return;
        };
        if understood.message.half == Half::Request {
            self.remember(Recent { id: understood.id, direction, key, kind: understood.kind });
        } else if let Some(asked) = self.recall(direction, understood, key) {
            understood.message.pairing = Pairing::Id(asked.key);
            understood.kind = understood.kind.or(asked.kind);
        }
    }

    /// Whether a message is part of the transfer under way. A response to something else shows that it is over.
    fn continues(&mut self, direction: Direction, understood: &Understood, out: &mut Vec<Message>) -> bool {
        let Some(transfer) = self.transfer.as_deref_mut().filter(|transfer| transfer.0 == direction) else {
            return false;
        };
        let belongs = transfer.1.has(&understood.message, understood.id);
        if belongs {
            transfer.1.extend(&understood.message, &understood.zone);
        }
        if !belongs || transfer.1.is_over(&understood.zone) {
            self.end_transfer(false, out);
        }
        belongs
    }

    fn end_transfer(&mut self, truncated: bool, out: &mut Vec<Message>) {
        out.extend(self.transfer.take().map(|transfer| transfer.1.into_response(truncated)));
    }

    fn remember(&mut self, request: Recent) {
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(request);
    }

    /// The oldest request that this response may answer: by its question, by its id if one of them does not tell it.
    fn recall(&mut self, direction: Direction, response: &Understood, key: u64) -> Option<Recent> {
        let exact = |request: &Recent| request.direction != direction && request.key == key;
        let vague = |request: &Recent| {
            let untold = request.kind.is_none() || response.kind.is_none();
            request.direction != direction && request.id == response.id && untold
        };
        let at = self.recent.iter().position(exact).or_else(|| self.recent.iter().position(vague))?;
        self.recent.remove(at)
    }
}

/// Whether a message has the marks of mDNS, whose answers go to all or come from somebody else.
fn is_multicast(contents: &Contents) -> bool {
    let local = |name: &str| name.ends_with(".local") || name.ends_with(".arpa");
    let header = contents.header;
    header.is_multicast()
        && match contents.questions.first() {
            None => header.is_response() && header.answers > 0,
            Some(question) => {
                question.class & MULTICAST_BIT != 0
                    || local(&question.name.to_ascii_lowercase())
                    || !header.is_response() && header.answers > 0
            }
        }
}

/// A hash of a question (FNV-1a), whatever the case of its letters.
fn hash(name: &str, kind: u16) -> u32 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let name = name.bytes().map(|byte| byte.to_ascii_lowercase());
    name.chain(kind.to_be_bytes()).fold(0x811c_9dc5, mix)
}
