//! Turns of event loops: what was read together and answered in the same order.
//!
//! A loop reads from all sockets that are ready and then runs what waited for them, in that order. What is sent then
//! carries the context of the last read, whoever it was for. Where as many messages were sent as were read, each goes
//! with the read in its place; where not, nothing is known and everything stays as it was.

use std::collections::{BTreeMap, HashSet};

use hadal_model::ObservationPoint;

use crate::context::is_own;
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
        .filter(|span| span.contexts.iter().any(|context| is_own(*context)))
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
