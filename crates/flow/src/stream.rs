//! Reassembly of one direction: segments come in any order and leave in that of their sequence numbers.
//!
//! Sequence numbers decide, never time stamps. A hole is waited for as long as the segments behind it are few and
//! young; then it becomes a gap of known length.

use hadal_l7::contract::Origin;
use hadal_model::LossCause;

use crate::limits::Limits;
use crate::output::Losses;

/// After so many segments in a row that lie behind the stream, the stream is elsewhere: more than 2 GiB were missed.
const MAX_OLD: u8 = 64;

/// One socket call or packet with payload. Of datagrams it is one whole datagram, and sequence numbers mean nothing.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Sequence number of the first byte.
    pub seq: u32,
    /// Bytes on the wire; at most 2^31 - 1.
    pub length: u32,
    /// The first of these bytes, perhaps none.
    pub captured: &'a [u8],
    /// Origin of the first byte.
    pub first: Origin,
    /// Origin of the last byte.
    pub last: Origin,
}

impl<'a> Segment<'a> {
    /// Origin of the last captured byte.
    pub(crate) fn last_captured(&self) -> Origin {
        let end = self.seq.wrapping_add(self.captured.len() as u32);
        Origin { seq: end.wrapping_sub(1), ..self.last }
    }

    /// Bytes that were not captured.
    pub(crate) fn missing(&self) -> u32 {
        let captured = u32::try_from(self.captured.len()).unwrap_or(u32::MAX);
        self.length.saturating_sub(captured)
    }

    /// Without the first `skip` bytes.
    fn after(self, skip: u32) -> Self {
        let seq = self.seq.wrapping_add(skip);
        Self {
            seq,
            length: self.length.saturating_sub(skip),
            captured: self.captured.get(skip as usize..).unwrap_or_default(),
            first: Origin { seq, ..self.first },
            last: self.last,
        }
    }
}

/// A segment that waits for an earlier one.
#[derive(Debug)]
pub(crate) struct Stored {
    seq: u32,
    length: u32,
    captured: Box<[u8]>,
    first: Origin,
    last: Origin,
}

impl Stored {
    pub(crate) fn new(segment: Segment<'_>) -> Self {
        Self {
            seq: segment.seq,
            length: segment.length,
            captured: segment.captured.into(),
            first: segment.first,
            last: segment.last,
        }
    }

    pub(crate) fn segment(&self) -> Segment<'_> {
        Segment { seq: self.seq, length: self.length, captured: &self.captured, first: self.first, last: self.last }
    }
}

/// What becomes of a segment.
#[derive(Debug)]
pub(crate) enum Accepted<'a> {
    /// It is next; [`Stream::pop`] gives those that follow it.
    Next(Segment<'a>),
    /// It waits, or was seen before.
    Held,
}

/// A hole that is not waited for any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    pub(crate) length: u32,
    pub(crate) last: Origin,
}

/// The order of one direction: 40 bytes and the segments that wait.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Sequence number of the next byte.
    next: Option<u32>,
    /// Segments behind a hole, by sequence.
    stored: Vec<Stored>,
    stored_bytes: usize,
    old: u8,
}

impl Stream {
    /// Makes `seq` the first byte, unless bytes were seen already.
    pub(crate) fn start_at(&mut self, seq: u32) {
        self.next.get_or_insert(seq);
    }

    pub(crate) fn accept<'a>(&mut self, segment: Segment<'a>) -> Accepted<'a> {
        let length = segment.length.min(i32::MAX as u32);
        let captured = segment.captured.get(..length as usize).unwrap_or(segment.captured);
        let segment = Segment { length, captured, ..segment };
        if length == 0 {
            return Accepted::Held;
        }
        let next = *self.next.get_or_insert(segment.seq);
        match distance(next, segment.seq) {
            0 => self.advance(segment),
            ahead @ 1.. => {
                self.store(segment, next, ahead);
                Accepted::Held
            }
            behind => {
                let skip = behind.unsigned_abs();
                if skip < length { self.advance(segment.after(skip)) } else { self.repeated(segment) }
            }
        }
    }

    fn advance<'a>(&mut self, segment: Segment<'a>) -> Accepted<'a> {
        self.old = 0;
        self.next = Some(segment.seq.wrapping_add(segment.length));
        Accepted::Next(segment)
    }

    fn repeated<'a>(&mut self, segment: Segment<'a>) -> Accepted<'a> {
        self.old += 1;
        if self.old < MAX_OLD {
            return Accepted::Held;
        }
        self.advance(segment)
    }

    fn store(&mut self, segment: Segment<'_>, next: u32, ahead: i32) {
        let at = self.stored.partition_point(|stored| distance(next, stored.seq) < ahead);
        let same = self.stored.get(at).filter(|stored| stored.seq == segment.seq);
        if same.is_some_and(|stored| stored.length >= segment.length) {
            return;
        }
        self.old = 0;
        self.stored_bytes += segment.captured.len();
        let stored = Stored::new(segment);
        self.stored.insert(at, stored);
    }

    /// The stored segment that is next, without what was seen already.
    pub(crate) fn pop(&mut self) -> Option<Stored> {
        loop {
            let next = self.next?;
            let behind = distance(self.stored.first()?.seq, next);
            if behind < 0 {
                return None;
            }
            let mut stored = self.stored.remove(0);
            self.stored_bytes -= stored.captured.len();
            let skip = behind.unsigned_abs();
            if skip >= stored.length {
                continue;
            }
            if skip > 0 {
                stored = Stored::new(stored.segment().after(skip));
            }
            self.next = Some(stored.seq.wrapping_add(stored.length));
            return Some(stored);
        }
    }

    /// Gives up the first hole if it was waited for long enough or too much waits behind it.
    pub(crate) fn close_hole(&mut self, now_us: u64, limits: &Limits, losses: &mut Losses) -> Option<Hole> {
        let oldest = self.stored.iter().map(|stored| stored.last.time_us).min()?;
        let full = self.stored.len() > limits.max_segments || self.stored_bytes > limits.max_reorder;
        if !full && now_us.saturating_sub(oldest) <= limits.reorder_us {
            return None;
        }
        losses.add(if full { LossCause::StreamBufferFull } else { LossCause::StreamGap });
        self.give_up()
    }

    /// Gives up the first hole, if there is one: nothing more will come.
    pub(crate) fn close_hole_at_end(&mut self, losses: &mut Losses) -> Option<Hole> {
        let hole = self.give_up()?;
        losses.add(LossCause::StreamGap);
        Some(hole)
    }

    /// Whether segments wait behind a hole.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.stored.is_empty()
    }

    /// Memory of the segments that wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.stored_bytes + self.stored.len() * size_of::<Stored>()
    }

    /// Drops the segments that wait and goes on behind them; false if there are none.
    pub(crate) fn shed(&mut self) -> bool {
        let Some(last) = std::mem::take(&mut self.stored).pop() else { return false };
        self.next = Some(last.seq.wrapping_add(last.length));
        self.stored_bytes = 0;
        true
    }

    fn give_up(&mut self) -> Option<Hole> {
        let stored = self.stored.first()?;
        let length = distance(self.next?, stored.seq).unsigned_abs();
        self.next = Some(stored.seq);
        Some(Hole { length, last: Origin { seq: stored.seq.wrapping_sub(1), ..stored.first } })
    }
}

/// How far `b` is ahead of `a`; negative if it is behind.
fn distance(a: u32, b: u32) -> i32 {
    b.wrapping_sub(a).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `(seq, bytes)` and gives the stream as text, holes as dots.
    fn check(start: u32, segments: &[(u32, &str)], want: &str) {
        let mut stream = Stream::default();
        stream.start_at(start);
        let mut got = String::new();
        for (seq, text) in segments {
            let origin = Origin::default();
            let segment = Segment {
                seq: start.wrapping_add(*seq),
                length: text.len() as u32,
                captured: text.as_bytes(),
                first: origin,
                last: origin,
            };
            if let Accepted::Next(segment) = stream.accept(segment) {
                got.push_str(std::str::from_utf8(segment.captured).unwrap());
            }
            drain(&mut stream, &mut got);
        }
        while let Some(hole) = stream.close_hole_at_end(&mut Losses::default()) {
            got.push_str(&".".repeat(hole.length as usize));
            drain(&mut stream, &mut got);
        }
        assert_eq!(got, want, "{segments:?} from {start}");
        assert_eq!((stream.stored.len(), stream.stored_bytes), (0, 0));
    }

    fn drain(stream: &mut Stream, got: &mut String) {
        while let Some(stored) = stream.pop() {
            got.push_str(std::str::from_utf8(&stored.captured).unwrap());
        }
    }

    #[test]
    fn order_comes_from_sequence() {
        for start in [0, 1000, u32::MAX - 3, i32::MAX as u32 - 2] {
            check(start, &[(0, "abc"), (3, "def")], "abcdef");
            check(start, &[(3, "def"), (0, "abc")], "abcdef");
            check(start, &[(6, "g"), (3, "def"), (3, "def"), (0, "abc")], "abcdefg");
            check(start, &[(0, "abc"), (0, "abc"), (1, "bcd")], "abcd");
            check(start, &[(2, "cde"), (4, "ef"), (0, "abcd")], "abcdef");
            check(start, &[(2, "c"), (2, "cde"), (0, "ab")], "abcde");
            check(start, &[(0, "ab"), (4, "ef"), (9, "j")], "ab..ef...j");
        }
    }

    #[test]
    fn holes_close_by_time_and_by_size() {
        let limits = Limits { max_segments: 2, ..Limits::default() };
        let mut losses = Losses::default();
        let mut stream = Stream::default();
        stream.start_at(0);
        let origin = |time_us| Origin { time_us, ..Origin::default() };
        let segment =
            |seq, time_us| Segment { seq, length: 1, captured: b"x", first: origin(time_us), last: origin(time_us) };
        stream.accept(segment(5, 10));
        assert!(stream.close_hole(10 + limits.reorder_us, &limits, &mut losses).is_none());
        assert_eq!(stream.close_hole(11 + limits.reorder_us, &limits, &mut losses).map(|hole| hole.length), Some(5));
        assert!(stream.pop().is_some());
        stream.accept(segment(10, 10));
        stream.accept(segment(12, 10));
        assert!(stream.close_hole(10, &limits, &mut losses).is_none());
        stream.accept(segment(14, 10));
        assert_eq!(stream.close_hole(10, &limits, &mut losses).map(|hole| hole.length), Some(4));
        let counts = [LossCause::StreamGap, LossCause::StreamBufferFull].map(|cause| losses.count(cause));
        assert_eq!(counts, [1, 1]);
    }

    #[test]
    fn a_stream_that_is_elsewhere_is_followed() {
        let mut stream = Stream::default();
        stream.start_at(1 << 31);
        let origin = Origin::default();
        let accepted = (0..200u32).filter(|&index| {
            let segment = Segment { seq: 100 + index, length: 1, captured: b"x", first: origin, last: origin };
            matches!(stream.accept(segment), Accepted::Next(_))
        });
        assert_eq!(accepted.count(), 200 - usize::from(MAX_OLD) + 1);
    }
}
