//! Parents by pattern: where neither threads nor ids tell, the usual order and pace of a process' steps may.
//!
//! A request is read, calls are made and answered one after another or at once, the request is answered. Which request is
//! answered is known, and which call; not which call was made for which request. All that a process did is explained at
//! once, by what is usual in it: which step follows which, how soon, and how often the context of a task is right. What is
//! usual is learned from the explanation itself. (The idea is that of vPath and TraceWeaver.)

mod model;
mod queue;
mod sampler;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use hadal_model::{CONTEXT_SHARED, MessageType, ObservationPoint};

use crate::context::{is_handed, is_own, is_shared, without_marks};
use crate::ranked::{Process, Ranked};
use model::{Step, Trust};
use sampler::{Call, Read, Request, Sampler, Work};

/// What is asked of an explanation: measured with programs that write down which call belongs to which request
/// (docs/tracing.md).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// Fewer calls tell nothing of what is usual.
    calls: usize,
    /// A call is known if it is found with one request in such a share of all rounds.
    known: f64,
    /// The model is simpler than the world: differences count so much less than it says.
    sober: f64,
    /// Whether contexts are the first guess: they must be better than the usual order.
    by_context: bool,
    /// If fewer calls of a process are known, what is usual in it is not what was learned.
    well_known: f64,
}

/// If the program itself says of such a share of its calls whose they are, patterns add nothing.
const TOLD: f64 = 0.8;

/// Of a task that works on several requests by turns.
pub(crate) const MULTIPLEXED: Demand =
    Demand { calls: 100, known: 0.95, sober: 2.4, by_context: false, well_known: 0.8 };
/// Of threads that hand requests to each other, where half of the calls is sure.
pub(crate) const HANDED: Demand = Demand { calls: 40, known: 0.9, sober: 3.0, by_context: true, well_known: 0.5 };

/// Of more calls it takes too long to find out what is usual.
const MOST_CALLS: usize = 2000;

/// The requests that calls of a process were made for, by the call's rank; none if the process cannot be explained well.
pub(crate) fn parents(ranked: &[Ranked<'_>], process: Process, demand: Demand) -> HashMap<usize, usize> {
    let (work, calls, requests) = work_of(ranked, process);
    if !(demand.calls..=MOST_CALLS).contains(&calls.len()) || is_told(ranked, &calls, &requests) {
        return HashMap::new();
    }
    let found = calls.iter().zip(Sampler::new(&work, demand.by_context).run(demand.sober));
    let is_known = |(_, sure): &(usize, f64)| *sure >= demand.known;
    let known: HashMap<usize, usize> = found
        .filter_map(|(call, found)| found.filter(is_known).map(|(request, _)| (*call, requests[request])))
        .collect();
    // Of requests at the edges not all is there.
    let inside = calls.get(calls.len() / 8..calls.len() * 7 / 8).unwrap_or_default();
    let share = inside.iter().filter(|call| known.contains_key(call)).count() as f64 / inside.len().max(1) as f64;
    if share < demand.well_known { HashMap::new() } else { known }
}

/// Whether most calls were made by tasks that the program itself knows, and that answered a request.
fn is_told(ranked: &[Ranked<'_>], calls: &[usize], requests: &[usize]) -> bool {
    let tasks = |rank: usize| {
        let own = ranked[rank].contexts.into_iter().filter(|context| is_own(*context));
        own.map(|context| context & !CONTEXT_SHARED)
    };
    let answering: HashSet<u64> = requests.iter().flat_map(|rank| tasks(*rank)).collect();
    let told = calls.iter().filter(|rank| tasks(**rank).any(|task| answering.contains(&task))).count();
    told as f64 >= TOLD * calls.len() as f64
}

/// The whole calls and requests of a process, and their ranks.
fn work_of(ranked: &[Ranked<'_>], process: Process) -> (Work, Vec<usize>, Vec<usize>) {
    let of_process = |point: ObservationPoint| -> Vec<usize> {
        let is_own = |span: &Ranked<'_>| {
            span.process == Some(process) && span.span.kind == MessageType::Session && span.span.point == point
        };
        let mut ranks: Vec<usize> = (0..ranked.len()).filter(|rank| is_own(&ranked[*rank])).collect();
        ranks.sort_by_key(|rank| (ranked[*rank].start_us, ranked[*rank].span.seqs[0]));
        ranks
    };
    let (calls, requests) = (of_process(ObservationPoint::ClientProcess), of_process(ObservationPoint::ServerProcess));
    let mut reads: HashMap<u64, Read> = HashMap::new();
    let opened = |rank: &usize, side: usize| without_marks(ranked[*rank].span.contexts[side]);
    reads.extend(requests.iter().enumerate().map(|(place, rank)| (opened(rank, 0), Read::Request(place))));
    reads.extend(calls.iter().enumerate().map(|(place, rank)| (opened(rank, 1), Read::Answer(place))));
    reads.remove(&0);
    let mut kinds: HashMap<(&str, u16, [u8; 16]), Step> = HashMap::new();
    let mut work = Work::default();
    for rank in &calls {
        let (own, span) = (&ranked[*rank], ranked[*rank].span);
        let next = kinds.len() as Step;
        let kind = *kinds.entry((&span.protocol, span.ports[1], span.addresses[1])).or_insert(next);
        let reads = told_by(span.contexts[0], span.joined, &reads);
        work.calls.push(Call { kind, start_us: own.start_us, end_us: own.end_us, turns: [0; 2], reads });
    }
    for rank in &requests {
        let own = &ranked[*rank];
        let reads = told_by(own.span.contexts[1], 0, &reads);
        work.requests.push(Request { start_us: own.start_us, end_us: own.end_us, turns: [0; 2], reads });
    }
    work.kinds = kinds.len();
    count_turns(&mut work, ranked, &calls);
    (work, calls, requests)
}

/// What a context says was read, and what one says that waited.
fn told_by(context: u64, joined: u64, reads: &HashMap<u64, Read>) -> [Option<(Read, Trust)>; 2] {
    let trust = match () {
        () if is_shared(context) => Trust::Shared,
        () if is_handed(context) => Trust::Handed,
        () => Trust::Own,
    };
    let read = |context: u64| reads.get(&without_marks(context)).copied();
    [read(context).map(|read| (read, trust)), read(joined).map(|read| (read, Trust::Joined))]
}

/// Puts all that was read and sent into one order. What was read at once, or sent, goes by its place in the stream.
fn count_turns(work: &mut Work, ranked: &[Ranked<'_>], calls: &[usize]) {
    enum End {
        Call(usize, usize),
        Request(usize, usize),
    }
    let mut order: Vec<(i64, u8, u32, End)> = Vec::new();
    for (place, call) in work.calls.iter().enumerate() {
        let seqs = ranked[calls[place]].span.seqs;
        order.push((call.start_us, 1, seqs[0], End::Call(place, 0)));
        order.push((call.end_us, 0, seqs[1], End::Call(place, 1)));
    }
    for (place, request) in work.requests.iter().enumerate() {
        order.push((request.start_us, 0, 0, End::Request(place, 0)));
        order.push((request.end_us, 1, 0, End::Request(place, 1)));
    }
    order.sort_by_key(|(time_us, is_sent, seq, _)| (*time_us, *is_sent, *seq));
    for (turn, (.., end)) in order.into_iter().enumerate() {
        match end {
            End::Call(place, side) => work.calls[place].turns[side] = turn as u32,
            End::Request(place, side) => work.requests[place].turns[side] = turn as u32,
        }
    }
}
