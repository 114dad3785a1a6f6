//! One direction of a connection: its order, the bytes in hand, and the loop that offers them to the parser.

use hadal_l7::contract::{AfterGap, Chunk, Gap, Origin, Parser, Progress};
use hadal_model::{Direction, L7Protocol, LossCause};

use crate::limits::Limits;
use crate::output::Output;
use crate::pairing::{Pairs, Partial};
use crate::stream::{Segment, Stream};

/// What a connection has once its protocol is known.
pub(crate) struct Known {
    pub(crate) protocol: L7Protocol,
    pub(crate) parser: Box<dyn Parser>,
    pub(crate) pairs: Pairs,
    /// Losses since the last message.
    pub(crate) lost: u16,
}

impl Known {
    pub(crate) fn new(protocol: L7Protocol, parser: Box<dyn Parser>) -> Self {
        Self { protocol, parser, pairs: Pairs::default(), lost: 0 }
    }

    pub(crate) fn partial(&self) -> Partial {
        Partial {
            request: self.parser.partial(Direction::ToServer),
            response: self.parser.partial(Direction::ToClient),
        }
    }

    /// Pairs what the parser has appended.
    pub(crate) fn pair(&mut self, limits: &Limits, out: &mut Output) {
        let mut messages = std::mem::take(&mut out.messages);
        for message in messages.drain(..) {
            self.lost = 0;
            self.pairs.message(message, limits, out);
        }
        self.pairs.trim();
        out.messages = messages;
    }

    pub(crate) fn lost(&mut self, direction: Direction, out: &mut Output) {
        self.lost = self.lost.saturating_add(1);
        out.losses.add(LossCause::ParserLost);
        self.pairs.lost(direction, out);
    }
}

/// One direction: 160 bytes and what waits.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) stream: Stream,
    /// Bytes that the parser has not consumed.
    rest: Vec<u8>,
    /// Origins of the first and the last of them.
    first: Origin,
    last: Origin,
    /// Nothing can be done before there are so many.
    need: usize,
    /// The start of a message has to be found first.
    lost: bool,
}

/// The bytes in hand: the rest of earlier segments and one segment.
#[derive(Clone, Copy)]
struct Hand<'a> {
    bytes: &'a [u8],
    /// How many of them are of earlier segments.
    rest: usize,
    rest_first: Origin,
    segment_first: Origin,
    last: Origin,
}

impl<'a> Hand<'a> {
    /// The segment alone.
    fn of(segment: Segment<'a>) -> Self {
        Self {
            bytes: segment.captured,
            rest: 0,
            rest_first: segment.first,
            segment_first: segment.first,
            last: segment.last_captured(),
        }
    }

    fn origin(&self, at: usize) -> Origin {
        let (origin, offset) =
            if at < self.rest { (self.rest_first, at) } else { (self.segment_first, at - self.rest) };
        Origin { seq: origin.seq.wrapping_add(offset as u32), ..origin }
    }

    fn chunk(&self, at: usize) -> Chunk<'a> {
        Chunk { bytes: self.bytes.get(at..).unwrap_or_default(), first: self.origin(at), last: self.last }
    }
}

impl Lane {
    /// The next bytes may be anywhere in a message.
    pub(crate) fn forget(&mut self) {
        self.rest.clear();
        self.need = 0;
        self.lost = true;
    }

    /// Memory of what waits here.
    pub(crate) fn held_bytes(&self) -> usize {
        self.rest.capacity() + self.stream.held_bytes()
    }

    /// Drops what waits here; whether that was anything.
    pub(crate) fn shed(&mut self) -> bool {
        let had = self.stream.shed() | !self.rest.is_empty();
        self.rest = Vec::new();
        if had {
            self.forget();
        }
        had
    }

    /// Parses the bytes in hand and a segment.
    pub(crate) fn parse(
        &mut self,
        known: &mut Known,
        direction: Direction,
        segment: Segment<'_>,
        limits: &Limits,
        out: &mut Output,
    ) {
        self.last = segment.last_captured();
        let alone = Hand::of(segment);
        if self.rest.is_empty() {
            let used = self.offer(known, direction, alone, limits, out);
            if let Some(rest) = segment.captured.get(used..).filter(|rest| !rest.is_empty()) {
                self.first = alone.origin(used);
                self.rest.extend_from_slice(rest);
            }
        } else {
            let rest = self.rest.len();
            let mut bytes = std::mem::take(&mut self.rest);
            bytes.extend_from_slice(segment.captured);
            let hand = Hand { bytes: &bytes, rest, rest_first: self.first, ..alone };
            let used = self.offer(known, direction, hand, limits, out);
            self.first = hand.origin(used);
            bytes.drain(..used);
            self.rest = bytes;
        }
        self.bound(known, direction, limits, out);
    }

    /// Parses a datagram. What the parser does not consume of it is dropped, and the next one starts afresh.
    pub(crate) fn datagram(
        &mut self,
        known: &mut Known,
        direction: Direction,
        segment: Segment<'_>,
        limits: &Limits,
        out: &mut Output,
    ) {
        let hand = Hand::of(segment);
        match u64::from(segment.missing()) {
            0 => self.whole_datagram(known, direction, hand, limits, out),
            length => {
                let gap = Gap { before: hand.chunk(0), length, last: segment.last };
                let after = known.parser.gap(direction, gap, &mut out.messages);
                known.pair(limits, out);
                if after == AfterGap::Lost {
                    known.lost(direction, out);
                }
            }
        }
    }

    fn whole_datagram(
        &mut self,
        known: &mut Known,
        direction: Direction,
        hand: Hand<'_>,
        limits: &Limits,
        out: &mut Output,
    ) {
        let mut at = 0;
        while at < hand.bytes.len() && !self.lost {
            match self.ask(known, direction, hand.chunk(at), limits, out) {
                Some(used) => at += used,
                None => {
                    known.lost(direction, out);
                    break;
                }
            }
        }
        self.need = 0;
        self.lost = false;
    }

    fn bound(&mut self, known: &mut Known, direction: Direction, limits: &Limits, out: &mut Output) {
        if self.rest.len() > limits.max_buffer {
            out.losses.add(LossCause::StreamBufferFull);
            self.forget();
            known.lost(direction, out);
        }
        if self.rest.is_empty() && self.rest.capacity() > IDLE_CAPACITY {
            self.rest = Vec::new();
        }
    }

    /// Offers bytes to the parser as long as it makes progress: how many are done with.
    fn offer(
        &mut self,
        known: &mut Known,
        direction: Direction,
        hand: Hand<'_>,
        limits: &Limits,
        out: &mut Output,
    ) -> usize {
        let mut at = 0;
        while let Some(left) = hand.bytes.len().checked_sub(at).filter(|&left| left > 0) {
            if self.lost {
                at += self.resync(known, direction, hand.chunk(at).bytes);
                continue;
            }
            if left < self.need {
                break;
            }
            match self.ask(known, direction, hand.chunk(at), limits, out) {
                Some(used) => at += used,
                None => break,
            }
        }
        at
    }

    /// Offers bytes to the parser once: how many are done with, `None` if it needs more.
    fn ask(
        &mut self,
        known: &mut Known,
        direction: Direction,
        chunk: Chunk<'_>,
        limits: &Limits,
        out: &mut Output,
    ) -> Option<usize> {
        self.need = 0;
        let left = chunk.bytes.len();
        let progress = known.parser.parse(direction, chunk, &mut out.messages);
        known.pair(limits, out);
        match progress {
            Progress::Consumed(used) if (1..=left).contains(&used) => Some(used),
            Progress::Need(need) => {
                self.need = need.max(left + 1);
                None
            }
            // A parser that consumes nothing, or more than there is, breaks the contract; it is as good as lost.
            Progress::Lost | Progress::Consumed(_) => {
                self.lost = true;
                known.lost(direction, out);
                Some(1)
            }
        }
    }

    fn resync(&mut self, known: &mut Known, direction: Direction, bytes: &[u8]) -> usize {
        match known.parser.resync(direction, bytes) {
            Some(skip) if skip < bytes.len() => {
                self.lost = false;
                skip
            }
            _ => bytes.len(),
        }
    }

    /// Bytes are missing behind those in hand.
    pub(crate) fn gap(
        &mut self,
        known: &mut Known,
        direction: Direction,
        (length, last): (u64, Origin),
        limits: &Limits,
        out: &mut Output,
    ) {
        if self.lost {
            return;
        }
        let bytes = std::mem::take(&mut self.rest);
        let before = Chunk { bytes: &bytes, first: self.first, last: self.last };
        let after = known.parser.gap(direction, Gap { before, length, last }, &mut out.messages);
        self.need = 0;
        known.pair(limits, out);
        if after == AfterGap::Lost {
            self.lost = true;
            known.lost(direction, out);
        }
    }
}

/// A buffer larger than this is given back when it is empty.
const IDLE_CAPACITY: usize = 1024;
