//! Contexts: what a task reads opens one, what it sends next carries it.
//!
//! A context is opened by a request that a server end reads, or by an answer that a client end reads. It is used by the
//! calls and answers that the same task sends before it reads again. So from a call one can look back, to what was read
//! before it was sent, and forward, to what was sent after its answer was read. In a program that gives each request a
//! thread both lead to the same request. In an event loop a context may belong to whoever was read last, and the two
//! contradict each other often enough to be told apart.

use std::collections::{BTreeMap, HashMap, HashSet};

use hadal_model::{CONTEXT_HANDED, CONTEXT_KEY, CONTEXT_NESTED, CONTEXT_OWN, CONTEXT_SHARED, ObservationPoint};

use crate::ranked::{Process, Ranked, Within};
use crate::turns::{split, untangle};

/// A context of a process.
type Key = (Process, u64);

/// More requests than these cannot be told apart anyway.
const MAX_REQUESTS: usize = 4;

/// Requests that some context leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requests {
    Few(Vec<usize>),
    TooMany,
}

impl Requests {
    const NONE: Self = Self::Few(Vec::new());

    fn add(&mut self, request: usize) {
        if let Self::Few(requests) = self
            && !requests.contains(&request)
        {
            requests.push(request);
            if requests.len() > MAX_REQUESTS {
                *self = Self::TooMany;
            }
        }
    }

    fn add_all(&mut self, others: &Self) {
        match others {
            Self::Few(requests) => requests.iter().for_each(|request| self.add(*request)),
            Self::TooMany => *self = Self::TooMany,
        }
    }
}

/// What was sent in one context, by rank.
#[derive(Debug, Default)]
struct Used {
    calls: Vec<usize>,
    responses: Vec<usize>,
}

/// The parent of the calls whose answers opened a context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sibling {
    /// All of them have this parent, so surely.
    Of(usize, f64),
    /// They have different parents, or one has none.
    Mixed,
}

/// All contexts of a set of spans.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// Server ends whose request opened the context.
    requests: HashMap<Key, Vec<usize>>,
    /// When the task had answered a request in this context: what it sends later belongs to something else.
    answered_us: HashMap<Key, i64>,
    /// Requests that were answered after the context's answer was read.
    answered: HashMap<Key, Requests>,
    /// Processes with a task that works on several requests by turns.
    multiplexed: HashSet<Process>,
    /// Processes of whose reads most are those of a loop's callbacks.
    nested: HashSet<Process>,
    /// Of processes whose threads hand requests to others: when their requests began, and when they ended, in order.
    handing: HashMap<Process, [Vec<i64>; 2]>,
    /// Contexts in which the task that opened them has sent something itself.
    kept: HashSet<Key>,
    /// Those of them in which one request hands connections or turns to another.
    handing_over: HashSet<Process>,
    /// The one request that was answered by the callback that read the context's answer.
    answered_at_once: HashMap<Key, usize>,
    siblings: HashMap<Key, Sibling>,
}

/// Whether the task that opened the context works on several requests at the same time.
pub(crate) fn is_shared(context: u64) -> bool {
    context & CONTEXT_SHARED != 0
}

/// Whether it is known by what the program runs, not by threads.
pub(crate) fn is_own(context: u64) -> bool {
    context & CONTEXT_OWN != 0
}

/// Whether what is sent in this context is sent by the callback that read what opened it.
pub(crate) fn is_nested(context: u64) -> bool {
    context & CONTEXT_NESTED != 0
}

/// Whether the thread that uses it got it from another one.
pub(crate) fn is_handed(context: u64) -> bool {
    context & CONTEXT_HANDED != 0
}

pub(crate) fn without_marks(context: u64) -> u64 {
    context & CONTEXT_KEY
}

/// How sure a context is may differ between who opens and who uses it.
fn key(of: &Ranked<'_>, side: usize) -> Option<Key> {
    let context = without_marks(of.contexts[side]);
    of.process.filter(|_| context != 0).map(|process| (process, context))
}

/// The same, if threads say it.
fn thread_key(of: &Ranked<'_>, side: usize) -> Option<Key> {
    key(of, side).filter(|_| !is_own(of.contexts[side]) && !is_handed(of.contexts[side]))
}

fn is(of: &Ranked<'_>, point: ObservationPoint) -> bool {
    of.span.point == point
}

impl Contexts {
    /// Contexts of the spans, which are changed where turns tell better.
    pub(crate) fn new(ranked: &mut [Ranked<'_>]) -> Self {
        follow_what_was_put_off(ranked);
        split(ranked);
        let (_, used) = collect(ranked, thread_key);
        let multiplexed = multiplexed(ranked, &used);
        untangle(ranked, &multiplexed);
        let handing = handing(ranked);
        leave_out_mixed(ranked, &handing);
        let (requests, used) = collect(ranked, key);
        let nested = mostly(ranked, is_nested).collect();
        let sent_in = |span: &Ranked<'_>| usize::from(is(span, ObservationPoint::ServerProcess));
        let kept = ranked.iter().filter(|span| !is_handed(span.contexts[sent_in(span)]));
        let kept = kept.filter_map(|span| key(span, sent_in(span))).collect();
        let mut contexts = Self { requests, multiplexed, nested, handing, kept, ..Self::default() };
        contexts.note_answers(ranked, &used);
        contexts
    }

    /// The same, after contexts of some spans were left out, and with no parent decided.
    pub(crate) fn again(self, ranked: &[Ranked<'_>]) -> Self {
        let (requests, used) = collect(ranked, key);
        let Self { multiplexed, nested, handing, kept, handing_over, .. } = self;
        let mut contexts = Self { requests, multiplexed, nested, handing, kept, handing_over, ..Self::default() };
        contexts.note_answers(ranked, &used);
        contexts
    }

    /// Later contexts first: a context of a call's answer is younger than the one the call was sent in.
    fn note_answers(&mut self, ranked: &[Ranked<'_>], used: &BTreeMap<Key, Used>) {
        for (own, used) in used.iter().rev() {
            let mut requests = Requests::NONE;
            used.responses.iter().for_each(|rank| requests.add(*rank));
            if let [response] = used.responses[..] {
                self.answered_at_once.insert(*own, response);
            }
            if let Some(answered_us) = used.responses.iter().map(|rank| ranked[*rank].end_us).min() {
                self.answered_us.insert(*own, answered_us);
            }
            for call in used.calls.iter().filter(|rank| !self.is_answered(*own, &ranked[**rank])) {
                let next = key(&ranked[*call], 1).filter(|next| next > own);
                if let Some(later) = next.and_then(|next| self.answered.get(&next)) {
                    requests.add_all(later);
                }
            }
            self.answered.insert(*own, requests);
        }
    }

    /// Whether the task had answered a request in this context before it sent the call. Both are stamped by one task.
    fn is_answered(&self, context: Key, call: &Ranked<'_>) -> bool {
        self.answered_us.get(&context).is_some_and(|answered_us| call.start_us > *answered_us)
    }

    pub(crate) fn is_multiplexed(&self, process: Process) -> bool {
        self.multiplexed.contains(&process)
    }

    /// Whether what is sent tells by itself what it comes of, or that nobody knows.
    pub(crate) fn is_nested(&self, process: Process) -> bool {
        self.nested.contains(&process)
    }

    /// Whether its threads hand requests to others, so that some contexts are not sure.
    pub(crate) fn hands_requests(&self, process: Process) -> bool {
        self.handing.contains_key(&process)
    }

    /// Whether the thread that read the call's answer went on itself.
    pub(crate) fn goes_on(&self, call: &Ranked<'_>) -> bool {
        key(call, 1).is_some_and(|key| self.kept.contains(&key))
    }

    /// Whether its process worked on one request only when the call was made.
    pub(crate) fn is_sole(&self, call: &Ranked<'_>) -> bool {
        let Some([starts, ends]) = call.process.and_then(|process| self.handing.get(&process)) else { return false };
        let started = starts.partition_point(|start_us| *start_us <= call.start_us);
        started == ends.partition_point(|end_us| *end_us < call.start_us) + 1
    }

    /// From now on more than one thing has to speak for a call of this process.
    pub(crate) fn distrust(&mut self, process: Process) {
        self.handing_over.insert(process);
    }

    pub(crate) fn hands_over(&self, process: Process) -> bool {
        self.handing_over.contains(&process)
    }

    /// Whether the callback that read the call's answer answered this request.
    pub(crate) fn is_answered_at_once(&self, call: &Ranked<'_>, request: usize) -> bool {
        key(call, 1).is_some_and(|key| self.answered_at_once.get(&key) == Some(&request))
    }

    /// Requests that the task had read last when it sent the call.
    pub(crate) fn read_before(&self, call: &Ranked<'_>) -> &[usize] {
        self.read_in(key(call, 0).filter(|key| !self.is_answered(*key, call)))
    }

    fn read_in(&self, key: Option<Key>) -> &[usize] {
        let requests = key.and_then(|key| self.requests.get(&key));
        requests.map_or(&[], |requests| &requests[..requests.len().min(MAX_REQUESTS + 1)])
    }

    /// The one request that the thread worked on which waited for the call.
    pub(crate) fn waited(&self, rank: usize, ranked: &[Ranked<'_>]) -> Option<usize> {
        let call = &ranked[rank];
        let joined = without_marks(call.span.joined);
        let key = call.process.filter(|_| joined != 0).map(|process| (process, joined))?;
        match (self.read_in(Some(key)), self.siblings.get(&key)) {
            ([request], _) => Some(*request),
            ([], Some(Sibling::Of(parent, _))) => Some(*parent),
            _ => self.answered_in(key, rank, ranked),
        }
    }

    /// The parent of the calls whose answer the task had read last when it sent the call.
    pub(crate) fn sibling_before(&self, call: &Ranked<'_>) -> Option<Sibling> {
        let key = key(call, 0).filter(|key| !self.is_answered(*key, call))?;
        self.siblings.get(&key).copied()
    }

    /// The one request around the call that was answered after its answer was read.
    pub(crate) fn answered_after(&self, rank: usize, ranked: &[Ranked<'_>]) -> Option<usize> {
        self.answered_in(key(&ranked[rank], 1)?, rank, ranked)
    }

    /// The one request around the call that was answered by what sent the call.
    pub(crate) fn answered_by(&self, rank: usize, ranked: &[Ranked<'_>]) -> Option<usize> {
        self.answered_in(key(&ranked[rank], 0).filter(|_| is_own(ranked[rank].contexts[0]))?, rank, ranked)
    }

    fn answered_in(&self, context: Key, rank: usize, ranked: &[Ranked<'_>]) -> Option<usize> {
        let call = &ranked[rank];
        let Requests::Few(requests) = self.answered.get(&context)? else { return None };
        let mut around = requests
            .iter()
            .copied()
            .filter(|request| *request < rank && ranked[*request].holds(call) == Within::Nested);
        around.next().filter(|_| around.next().is_none())
    }

    /// Remembers the parent of a call for those that follow its answer.
    pub(crate) fn decide(&mut self, call: &Ranked<'_>) {
        let Some(key) = key(call, 1).filter(|_| is(call, ObservationPoint::ClientProcess)) else { return };
        let own = call.link.map_or(Sibling::Mixed, |link| Sibling::Of(link.parent, link.confidence));
        let before = self.siblings.get(&key).copied();
        let both = match (before, own) {
            (None, own) => own,
            (Some(Sibling::Of(parent, sure)), Sibling::Of(other, other_sure)) if parent == other => {
                Sibling::Of(parent, sure.min(other_sure))
            }
            _ => Sibling::Mixed,
        };
        self.siblings.insert(key, both);
    }
}

/// What a loop sends later than in the callback of a read belongs to anything; unless the loop worked on one request only.
fn follow_what_was_put_off(ranked: &mut [Ranked<'_>]) {
    let read = |span: &Ranked<'_>| key(span, usize::from(is(span, ObservationPoint::ClientProcess)));
    let opened: HashSet<Key> = ranked.iter().filter_map(read).filter(|key| is_nested(key.1)).collect();
    for span in ranked {
        let side = usize::from(is(span, ObservationPoint::ServerProcess));
        if let Some((process, context)) = key(span, side)
            && !is_shared(span.contexts[side])
            && opened.contains(&(process, context | CONTEXT_NESTED))
        {
            span.contexts[side] |= CONTEXT_NESTED;
        }
    }
}

/// Server ends by the context that their request opened, and what was sent in each context.
fn collect(
    ranked: &[Ranked<'_>],
    key: fn(&Ranked<'_>, usize) -> Option<Key>,
) -> (HashMap<Key, Vec<usize>>, BTreeMap<Key, Used>) {
    let mut requests: HashMap<Key, Vec<usize>> = HashMap::new();
    let mut used: BTreeMap<Key, Used> = BTreeMap::new();
    for (rank, span) in ranked.iter().enumerate() {
        let (first, second) = (key(span, 0), key(span, 1));
        if is(span, ObservationPoint::ServerProcess) {
            first.into_iter().for_each(|key| requests.entry(key).or_default().push(rank));
            second.into_iter().for_each(|key| used.entry(key).or_default().responses.push(rank));
        } else if is(span, ObservationPoint::ClientProcess) {
            first.into_iter().for_each(|key| used.entry(key).or_default().calls.push(rank));
        }
    }
    (requests, used)
}

/// Which processes do not follow one request to its end. A task answers another request than it read last. Or it sends
/// several messages after one read, while other reads led to nothing: answers it sends after an answer, or anything it
/// sends after a request. (A worker that gets requests from another thread also answers in the context of what it did
/// before, but uses every answer it read; and the thread that reads sends nothing.)
fn multiplexed(ranked: &[Ranked<'_>], used: &BTreeMap<Key, Used>) -> HashSet<Process> {
    let is_call = |span: &&Ranked<'_>| is(span, ObservationPoint::ClientProcess);
    let answers = ranked.iter().filter(is_call).filter_map(|span| thread_key(span, 1));
    let idle: HashSet<Process> = answers.filter(|key| !used.contains_key(key)).map(|key| key.0).collect();
    let read: HashSet<(Key, usize)> = ranked
        .iter()
        .enumerate()
        .filter(|(_, span)| is(span, ObservationPoint::ServerProcess))
        .filter_map(|(rank, span)| Some((thread_key(span, 0)?, rank)))
        .collect();
    let opened: HashSet<Key> = read.iter().map(|(key, _)| *key).collect();
    let unanswered: HashSet<Process> = opened.iter().filter(|key| !used.contains_key(key)).map(|key| key.0).collect();
    let is_multiplexed = |(own, used): &(&Key, &Used)| {
        let is_other = |rank: &usize| opened.contains(own) && !read.contains(&(**own, *rank));
        let in_one_go = used.responses.windows(2).any(|pair| ranked[pair[0]].call != ranked[pair[1]].call);
        let several = opened.contains(own) && used.calls.len() + used.responses.len() > 1;
        used.responses.iter().any(is_other)
            || (in_one_go && idle.contains(&own.0))
            || (several && unanswered.contains(&own.0))
    };
    let mut found: HashSet<Process> = used.iter().filter(is_multiplexed).map(|(own, _)| own.0).collect();
    found.extend(mostly(ranked, is_shared));
    found
}

/// Processes whose threads hand requests to others, with the times of their requests.
fn handing(ranked: &[Ranked<'_>]) -> HashMap<Process, [Vec<i64>; 2]> {
    let is_call = |span: &&Ranked<'_>| is(span, ObservationPoint::ClientProcess) && is_handed(span.contexts[0]);
    let processes = ranked.iter().filter(is_call).filter_map(|span| span.process);
    let mut handing: HashMap<Process, [Vec<i64>; 2]> = processes.map(|process| (process, Default::default())).collect();
    for request in ranked.iter().filter(|span| is(span, ObservationPoint::ServerProcess)) {
        if let Some([starts, ends]) = request.process.and_then(|process| handing.get_mut(&process)) {
            starts.push(request.start_us);
            ends.push(request.open_until_us());
        }
    }
    handing.values_mut().flatten().for_each(|times| times.sort_unstable());
    handing
}

/// Answers that came with one read go to threads of their own, and nobody knows which to which.
fn leave_out_mixed(ranked: &mut [Ranked<'_>], handing: &HashMap<Process, [Vec<i64>; 2]>) {
    let answer = |span: &Ranked<'_>| {
        let is_call = is(span, ObservationPoint::ClientProcess);
        key(span, 1).filter(|key| is_call && handing.contains_key(&key.0))
    };
    let mut opened: HashMap<Key, usize> = HashMap::new();
    ranked.iter().filter_map(answer).for_each(|key| *opened.entry(key).or_default() += 1);
    for span in ranked {
        if answer(span).is_some_and(|key| opened[&key] > 1) {
            span.contexts[1] = 0;
        }
    }
}

/// Processes most of whose reads opened contexts that are marked so, of those that threads tell.
fn mostly(ranked: &[Ranked<'_>], is_marked: impl Fn(u64) -> bool) -> impl Iterator<Item = Process> {
    let mut reads: HashMap<Process, (usize, usize)> = HashMap::new();
    for span in ranked {
        let side = usize::from(is(span, ObservationPoint::ClientProcess));
        if let Some((process, _)) = thread_key(span, side) {
            let count = reads.entry(process).or_default();
            count.0 += 1;
            count.1 += usize::from(is_marked(span.contexts[side]));
        }
    }
    reads.into_iter().filter(|(_, (all, marked))| marked * 2 > *all).map(|(process, _)| process)
}
