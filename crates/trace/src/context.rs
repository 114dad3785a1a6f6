//! Contexts: what a task reads opens one, what it sends next carries it.
//!
//! A context is opened by a request that a server end reads, or by an answer that a client end reads. It is used by the
//! calls and answers that the same task sends before it reads again. So from a call one can look back, to what was read
//! before it was sent, and forward, to what was sent after its answer was read. In a program that gives each request a
//! thread both lead to the same request. In an event loop a context may belong to whoever was read last, and the two
//! contradict each other often enough to be told apart.

use std::collections::{BTreeMap, HashMap, HashSet};

use hadal_model::ObservationPoint;

use crate::ranked::{Process, Ranked, Within};

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
    siblings: HashMap<Key, Sibling>,
}

fn key(of: &Ranked<'_>, side: usize) -> Option<Key> {
    let context = of.span.contexts[side];
    of.process.filter(|_| context != 0).map(|process| (process, context))
}

fn is(of: &Ranked<'_>, point: ObservationPoint) -> bool {
    of.span.point == point
}

impl Contexts {
    pub(crate) fn new(ranked: &[Ranked<'_>]) -> Self {
        let mut contexts = Self::default();
        let mut used: BTreeMap<Key, Used> = BTreeMap::new();
        for (rank, span) in ranked.iter().enumerate() {
            let (first, second) = (key(span, 0), key(span, 1));
            if is(span, ObservationPoint::ServerProcess) {
                first.into_iter().for_each(|key| contexts.requests.entry(key).or_default().push(rank));
                second.into_iter().for_each(|key| used.entry(key).or_default().responses.push(rank));
            } else if is(span, ObservationPoint::ClientProcess) {
                first.into_iter().for_each(|key| used.entry(key).or_default().calls.push(rank));
            }
        }
        contexts.note_answers(ranked, &used);
        contexts.note_multiplexed(ranked, &used);
        contexts
    }

    /// Later contexts first: a context of a call's answer is younger than the one the call was sent in.
    fn note_answers(&mut self, ranked: &[Ranked<'_>], used: &BTreeMap<Key, Used>) {
        for (own, used) in used.iter().rev() {
            let mut requests = Requests::NONE;
            used.responses.iter().for_each(|rank| requests.add(*rank));
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

    /// Which processes do not follow one request to its end: a task answers another request than it read last; or it
    /// answers two in one go, while other answers it read led to nothing. (A worker that gets requests from another
    /// thread also answers in the context of what it did before, but uses every answer it read.)
    fn note_multiplexed(&mut self, ranked: &[Ranked<'_>], used: &BTreeMap<Key, Used>) {
        let is_call = |span: &&Ranked<'_>| is(span, ObservationPoint::ClientProcess);
        let answers = ranked.iter().filter(is_call).filter_map(|span| key(span, 1));
        let idle: HashSet<Process> = answers.filter(|key| !used.contains_key(key)).map(|key| key.0).collect();
        for (own, used) in used {
            let read = self.requests.get(own);
            let is_other = |rank: &usize| read.is_some_and(|read| !read.contains(rank));
            let in_one_go = used.responses.windows(2).any(|pair| ranked[pair[0]].call != ranked[pair[1]].call);
            if used.responses.iter().any(is_other) || (in_one_go && idle.contains(&own.0)) {
                self.multiplexed.insert(own.0);
            }
        }
    }

    pub(crate) fn is_multiplexed(&self, process: Process) -> bool {
        self.multiplexed.contains(&process)
    }

    /// Requests that the task had read last when it sent the call.
    pub(crate) fn read_before(&self, call: &Ranked<'_>) -> &[usize] {
        let requests = key(call, 0).filter(|key| !self.is_answered(*key, call)).and_then(|key| self.requests.get(&key));
        requests.map_or(&[], |requests| &requests[..requests.len().min(MAX_REQUESTS + 1)])
    }

    /// The parent of the calls whose answer the task had read last when it sent the call.
    pub(crate) fn sibling_before(&self, call: &Ranked<'_>) -> Option<Sibling> {
        let key = key(call, 0).filter(|key| !self.is_answered(*key, call))?;
        self.siblings.get(&key).copied()
    }

    /// The one request around the call that was answered after its answer was read.
    pub(crate) fn answered_after(&self, rank: usize, ranked: &[Ranked<'_>]) -> Option<usize> {
        let call = &ranked[rank];
        let Requests::Few(requests) = self.answered.get(&key(call, 1)?)? else { return None };
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
