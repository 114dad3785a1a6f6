//! Turns of event loops: what was read together and answered in the same order.
//!
//! A loop reads from all sockets that are ready and then runs what waited for them, in that order. What is sent then
//! carries the context of the last read, whoever it was for. Where as many messages were sent as were read, each goes
//! with the read in its place; where not, nothing is known and everything stays as it was.

use std::collections::{BTreeMap, HashSet};

use hadal_model::ObservationPoint;

use crate::context::{is_nested, is_own};
use crate::ranked::{Process, Ranked};

/// Reads of one turn are no further apart. A context is the time of the read in nanoseconds, times 256.
const TURN: u64 = 10_000_000 << 8;

/// A message that was sent: when, whose, and which side of the span.
type Sent = (i64, usize, usize);

/// Gives messages the context of the read they follow, in processes that work on several requests by turns and of which only
/// threads are known.
pub(crate) fn untangle(ranked: &mut [Ranked<'_>], multiplexed: &HashSet<Process>) {
    // By process and context, also those in which nothing was sent.
    let mut sent: BTreeMap<(Process, u64), Vec<Sent>> = BTreeMap::new();
    let known: HashSet<Process> = ranked
        .iter()
        .filter(|span| span.contexts.iter().any(|context| is_own(*context) || is_nested(*context)))
        .filter_map(|span| span.process)
        .collect();
    for (rank, span) in ranked.iter().enumerate() {
        let is_untold = |process: &Process| multiplexed.contains(process) && !known.contains(process);
        let Some(process) = span.process.filter(is_untold) else { continue };
        let (read, used, time_us) = match span.span.point {
            ObservationPoint::ServerProcess => (0, 1, span.end_us),
            ObservationPoint::ClientProcess => (1, 0, span.start_us),
            _ => continue,
        };
        if span.contexts[read] != 0 {
            sent.entry((process, span.contexts[read])).or_default();
        }
        if span.contexts[used] != 0 {
            sent.entry((process, span.contexts[used])).or_default().push((time_us, rank, used));
        }
    }
    let mut turn: Vec<(Process, u64)> = Vec::new();
    for (own, mut messages) in sent {
        turn.retain(|(process, context)| *process == own.0 && own.1 - context <= TURN);
        turn.push(own);
        if messages.is_empty() {
            continue;
        }
        messages.sort_unstable();
        if messages.len() == turn.len() {
            for ((_, context), (_, rank, side)) in turn.iter().zip(messages) {
                ranked[rank].contexts[side] = *context;
            }
        }
        turn.clear();
    }
}

/// Messages that one read brought, and what was sent in the callback: when or where in the stream, whose, and which side.
#[derive(Debug, Default)]
struct Together {
    read: Vec<(u32, usize, usize)>,
    sent: Vec<(i64, u32, usize, usize)>,
}

/// Gives each of several messages that came with one read a context of its own, if as much was sent for each of them.
///
/// A callback hands them on in order, and what waits for them runs in that order; new connections are made when there are no
/// others left. If nothing says that they were treated alike, nothing is known and everything stays as it was.
pub(crate) fn split(ranked: &mut [Ranked<'_>]) {
    let mut groups: BTreeMap<(Process, u64), Together> = BTreeMap::new();
    for (rank, span) in ranked.iter().enumerate() {
        let Some(process) = span.process else { continue };
        let (read, used, sent_us) = match span.span.point {
            ObservationPoint::ServerProcess => (0, 1, span.end_us),
            ObservationPoint::ClientProcess => (1, 0, span.start_us),
            _ => continue,
        };
        if is_nested(span.contexts[read]) {
            let group = groups.entry((process, span.contexts[read])).or_default();
            group.read.push((span.span.seqs[read], rank, read));
        }
        if is_nested(span.contexts[used]) {
            let group = groups.entry((process, span.contexts[used])).or_default();
            group.sent.push((sent_us, span.span.seqs[used], rank, used));
        }
    }
    for mut group in groups.into_values().filter(|group| group.read.len() > 1 && !group.sent.is_empty()) {
        group.sort();
        if !group.is_regular(ranked) {
            continue;
        }
        let each = group.sent.len() / group.read.len();
        let context = |place: usize, context: u64| context + ((place as u64) << 8);
        for (place, (_, rank, side)) in group.read.iter().enumerate() {
            ranked[*rank].contexts[*side] = context(place, ranked[*rank].contexts[*side]);
        }
        for (place, (.., rank, side)) in group.sent.iter().enumerate() {
            ranked[*rank].contexts[*side] = context(place / each, ranked[*rank].contexts[*side]);
        }
    }
}

impl Together {
    /// Sequence numbers may begin anew after the largest.
    fn sort(&mut self) {
        let first = self.read[0].0;
        self.read.sort_by_key(|(seq, ..)| seq.wrapping_sub(first).cast_signed());
        self.sent.sort_unstable();
    }

    /// Whether the same kinds of messages were sent, in the same order, for each that was read.
    fn is_regular(&self, ranked: &[Ranked<'_>]) -> bool {
        let kinds: Vec<_> = self.sent.iter().map(|(.., rank, side)| (*side, kind(&ranked[*rank]))).collect();
        let each = kinds.len() / self.read.len();
        each > 0
            && kinds.len() == each * self.read.len()
            && kinds.chunks_exact(each).all(|chunk| *chunk == kinds[..each])
    }
}

/// What is asked, and of whom.
pub(crate) type Kind<'a> = (&'a str, u16, [u8; 16]);

/// The kind of a call, or of a request.
pub(crate) fn kind<'a>(of: &Ranked<'a>) -> Kind<'a> {
    (&of.span.protocol, of.span.ports[1], of.span.addresses[1])
}
