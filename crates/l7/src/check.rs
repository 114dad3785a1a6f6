//! Checks that a parser keeps the contract: a small caller that feeds it and asserts what it answers, and cases as data.

#[cfg(test)]
mod any;
pub mod cases;

use hadal_model::{Direction, L7Protocol};

use crate::contract::{AfterGap, Chunk, Gap, Message, Options, Origin, Parser, Progress, Transport};

#[cfg(test)]
pub(crate) use any::any_steps;

/// What happens on the wire in one direction.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes were seen; of datagrams, one.
    Bytes(Direction, Vec<u8>),
    /// So many bytes were not captured; of datagrams, the rest of the one before.
    Gap(Direction, u64),
    /// The direction ended.
    Close(Direction),
    /// Nothing happened for a while.
    Settle,
}

/// A dialogue made of any bytes: each step is one byte that tells what happens, one with a length, and bytes.
pub fn steps(mut input: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let [what, length, rest @ ..] = input {
        let direction = if what & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (bytes, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        let step = match what >> 1 {
            0 => Step::Gap(direction, u64::from(*length) + 1),
            1 => Step::Close(direction),
            2 => Step::Settle,
            _ => Step::Bytes(direction, bytes.to_vec()),
        };
        input = if matches!(step, Step::Bytes(..)) { behind } else { rest };
        steps.push(step);
    }
    steps
}

/// What came of a dialogue.
#[derive(Debug, Default)]
pub struct Outcome {
    /// All messages, in the order they were appended.
    pub messages: Vec<Message>,
    /// How often the parser lost its place.
    pub lost: usize,
}

/// Feeds a dialogue to the parser of a stream and asserts the contract at each call. Time is the index of the step.
pub fn drive(parser: &mut dyn Parser, options: &Options, steps: &[Step]) -> Outcome {
    drive_over(Transport::Stream, parser, options, steps)
}

/// The same for either transport.
pub fn drive_over(transport: Transport, parser: &mut dyn Parser, options: &Options, steps: &[Step]) -> Outcome {
    let mut driver = Driver { parser, transport, sides: Default::default(), outcome: Outcome::default() };
    for (index, step) in steps.iter().enumerate() {
        let origin = Origin { time_us: index as u64, ..Origin::default() };
        match step {
            Step::Bytes(direction, bytes) if transport == Transport::Datagram => {
                let cut = matches!(steps.get(index + 1), Some(Step::Gap(next, _)) if next == direction);
                driver.datagram(*direction, bytes, origin, cut);
            }
            Step::Bytes(direction, bytes) => driver.bytes(*direction, bytes, origin),
            Step::Gap(direction, length) => driver.gap(*direction, *length, origin),
            Step::Close(direction) => driver.parser.close(*direction, origin, &mut driver.outcome.messages),
            Step::Settle => driver.parser.settle(&mut driver.outcome.messages),
        }
        driver.bounded(options);
    }
    driver.outcome
}

/// The bytes of one direction that the parser has not consumed.
#[derive(Default)]
struct Side {
    rest: Vec<u8>,
    first: Origin,
    need: usize,
    lost: bool,
    seq: u32,
}

struct Driver<'a> {
    parser: &'a mut dyn Parser,
    transport: Transport,
    sides: [Side; 2],
    outcome: Outcome,
}

impl Driver<'_> {
    fn bytes(&mut self, direction: Direction, bytes: &[u8], origin: Origin) {
        let side = side(&mut self.sides, direction);
        let mut first = Origin { seq: side.seq, ..origin };
        if side.rest.is_empty() {
            side.first = first;
        }
        side.rest.extend_from_slice(bytes);
        side.seq = side.seq.wrapping_add(bytes.len() as u32);
        let last = Origin { seq: side.seq.wrapping_sub(1), ..origin };
        while !side.rest.is_empty() {
            let used = if side.lost {
                resync(self.parser, direction, side)
            } else if side.rest.len() < side.need {
                return;
            } else {
                let chunk = Chunk { bytes: &side.rest, first: side.first, last };
                let progress = self.parser.parse(direction, chunk, &mut self.outcome.messages);
                match used(side, progress) {
                    Some(used) => used,
                    None => return,
                }
            };
            self.outcome.lost += usize::from(side.lost && used == 1);
            side.rest.drain(..used);
            first.seq = side.seq.wrapping_sub(side.rest.len() as u32);
            side.first = first;
        }
    }

    /// One datagram; one that is cut is kept for the gap.
    fn datagram(&mut self, direction: Direction, bytes: &[u8], origin: Origin, cut: bool) {
        let side = side(&mut self.sides, direction);
        side.rest = bytes.to_vec();
        side.first = Origin { seq: side.seq, ..origin };
        side.seq = side.seq.wrapping_add(bytes.len() as u32);
        let last = Origin { seq: side.seq.wrapping_sub(1), ..origin };
        while !cut && !side.rest.is_empty() && !side.lost {
            let chunk = Chunk { bytes: &side.rest, first: side.first, last };
            let progress = self.parser.parse(direction, chunk, &mut self.outcome.messages);
            match used(side, progress) {
                Some(used) => drop(side.rest.drain(..used)),
                None => side.lost = true,
            }
            side.first.seq = side.seq.wrapping_sub(side.rest.len() as u32);
        }
        if !cut {
            self.outcome.lost += usize::from(side.lost);
            side.rest.clear();
            side.lost = false;
        }
    }

    fn gap(&mut self, direction: Direction, length: u64, origin: Origin) {
        let side = side(&mut self.sides, direction);
        let rest = std::mem::take(&mut side.rest);
        let before = Chunk { bytes: &rest, first: side.first, last: side.first };
        side.seq = side.seq.wrapping_add(length as u32);
        side.need = 0;
        let gap = Gap { before, length, last: Origin { seq: side.seq.wrapping_sub(1), ..origin } };
        if !side.lost && self.parser.gap(direction, gap, &mut self.outcome.messages) == AfterGap::Lost {
            side.lost = self.transport == Transport::Stream;
            self.outcome.lost += 1;
        }
    }

    fn bounded(&self, options: &Options) {
        for message in &self.outcome.messages {
            let texts = [&message.request_resource, &message.response_exception, &message.response_result];
            assert!(texts.iter().all(|text| text.len() <= options.max_text + 3), "a text is too long: {message:?}");
            let seen = u64::from(message.last.seq.wrapping_sub(message.first.seq).wrapping_add(1));
            // Records of other requests may lie between those of one.
            let interleaved = message.protocol == L7Protocol::FastCgi && message.length < seen;
            assert!(
                message.truncated || seen == message.length || interleaved,
                "length is not that of its ends: {message:?}"
            );
            let attributes = message.attributes.iter();
            assert!(message.names.len() <= Message::MAX_NAMES, "too many names");
            assert!(attributes.clone().all(|(_, text)| text.len() <= options.max_text), "an attribute is too long");
        }
    }
}

fn side(sides: &mut [Side; 2], direction: Direction) -> &mut Side {
    let [requests, responses] = sides;
    if direction == Direction::ToServer { requests } else { responses }
}

/// Bytes to drop after an answer; `None` if the caller has to wait.
fn used(side: &mut Side, progress: Progress) -> Option<usize> {
    side.need = 0;
    match progress {
        Progress::Consumed(used) => {
            assert!((1..=side.rest.len()).contains(&used), "consumed {used} of {}", side.rest.len());
            Some(used)
        }
        Progress::Need(need) => {
            assert!(need > side.rest.len(), "needs {need} and has {}", side.rest.len());
            side.need = need;
            None
        }
        Progress::Lost => {
            side.lost = true;
            Some(1)
        }
    }
}

fn resync(parser: &mut dyn Parser, direction: Direction, side: &mut Side) -> usize {
    match parser.resync(direction, &side.rest) {
        Some(drop) => {
            assert!(drop <= side.rest.len(), "drops {drop} of {}", side.rest.len());
            side.lost = false;
            drop
        }
        None => side.rest.len(),
    }
}
