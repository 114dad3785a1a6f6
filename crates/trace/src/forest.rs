//! From spans to trees.

use std::collections::{BTreeSet, HashMap, HashSet};

use hadal_model::ObservationPoint;

use crate::call::{self, Calls};
use crate::context::{Contexts, Sibling, is_handed, is_nested, is_own, is_shared};
use crate::evidence::{Evidence, EvidenceSet, Link, Proposal, Proposals};
use crate::headers::Headers;
use crate::ranked::{Process, Ranked, Within, agents, rank};
use crate::times::{Times, times};
use crate::{Span, clock, handover, pattern};

/// What the program itself says it runs.
const SAME_TASK: f64 = 0.9;
/// What a task read last, looking back or forward alone.
const CONTEXT: f64 = 0.6;
/// The same where tasks work on several requests by turns.
const MULTIPLEXED_CONTEXT: f64 = 0.35;
/// What a thread was handed, where several requests are open: others may have taken that, and it something else.
const HANDED_CONTEXT: f64 = 0.45;
/// A thread answers a request that it was handed in what it has read itself.
const HANDED_RESPONSE: f64 = 0.85;
/// What fits the usual best; alone it is not enough.
const PATTERN: f64 = 0.4;
/// The same where threads hand requests to each other, and often tell when what was handed over is done.
const HANDED_PATTERN: f64 = 0.6;
/// A call that ends after its parent was not waited for; or it is another one's.
const OUTLIVES: f64 = 0.6;

/// How much is put together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most spans; of more the first are taken.
    pub spans: usize,
    /// Whether parents are looked for by pattern too, which takes about a quarter of a millisecond per call of a process
    /// that works on several requests by turns.
    pub patterns: bool,
    /// Kinds of evidence that are left out, to see what they contribute.
    pub without: EvidenceSet,
}

impl Default for Limits {
    fn default() -> Self {
        Self { spans: 5000, patterns: false, without: EvidenceSet::default() }
    }
}

/// A span in its tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `id` of the span.
    pub id: u64,
    /// Where the span was in the input.
    pub index: usize,
    /// Its parent, which comes earlier among the nodes; `None` of a root.
    pub link: Option<Link>,
    /// Spans of one call have the same number.
    pub call: u32,
    /// Start in microseconds, by a clock that is the same for all spans.
    pub start_us: i64,
    /// Time in which no child was open.
    pub self_us: u64,
    /// Time in which a child was open.
    pub waiting_us: u64,
    /// Of the client's end of a call: how much longer it took there than at the server's end, if that was seen too.
    pub network_us: Option<u64>,
}

/// Every span once, each with at most one parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forest {
    /// Parents come before their children; else by start.
    pub nodes: Vec<Node>,
    /// There were more spans than the limit.
    pub truncated: bool,
}

impl Forest {
    /// The nodes of the tree in which this span is, in order; none if it is not there.
    pub fn tree_of(&self, id: u64) -> Vec<&Node> {
        let mut roots: HashMap<u64, u64> = HashMap::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let root = node.link.and_then(|link| roots.get(&link.parent).copied());
            roots.insert(node.id, root.unwrap_or(node.id));
        }
        let wanted = roots.get(&id).copied();
        self.nodes.iter().filter(|node| wanted.is_some() && roots.get(&node.id).copied() == wanted).collect()
    }
}

/// Puts spans together.
///
/// `offsets` are microseconds to subtract from an agent's times, as far as they are known. A span given twice counts once.
pub fn assemble(spans: &[Span], offsets: &HashMap<String, i64>, limits: Limits) -> Forest {
    let mut seen = HashSet::with_capacity(spans.len());
    let indexes: Vec<usize> = (0..spans.len()).filter(|index| seen.insert(spans[*index].id)).collect();
    let truncated = indexes.len() > limits.spans;
    let indexes = &indexes[..indexes.len().min(limits.spans)];
    let chosen: Vec<&Span> = indexes.iter().map(|index| &spans[*index]).collect();
    let ranked = linked(&chosen, offsets, limits);
    let places: HashMap<u64, usize> = indexes.iter().map(|index| (spans[*index].id, *index)).collect();
    Forest { nodes: nodes(&ranked, &places), truncated }
}

fn linked<'a>(spans: &[&'a Span], offsets: &HashMap<String, i64>, limits: Limits) -> Vec<Ranked<'a>> {
    let numbers = agents(spans);
    let mut known = vec![0; numbers.len()];
    numbers.iter().for_each(|(name, number)| known[*number as usize] = offsets.get(name).copied().unwrap_or_default());
    let agents: Vec<u32> = spans.iter().map(|span| numbers[&span.agent]).collect();
    let calls = call::group(spans);
    let shifts = clock::shifts(spans, &agents, &known, &calls);
    let mut ranked = rank(spans, &agents, &shifts, &calls);
    link(&mut ranked, &calls, limits);
    ranked
}

/// In order, so that the parents of earlier spans are known.
fn link(ranked: &mut [Ranked<'_>], calls: &Calls, limits: Limits) {
    let contexts = Contexts::new(ranked);
    let mut contexts = handover::leave_out(ranked, contexts);
    let mut headers = Headers::new(ranked);
    let by_pattern = limits.patterns && !limits.without.has(Evidence::Pattern);
    let patterns = if by_pattern { patterns(ranked, &contexts) } else { Patterns::new() };
    for rank in 0..ranked.len() {
        let call = ranked[rank].call;
        let link = if ranked[rank].is_head {
            parent_of_call(rank, ranked, &contexts, &headers, &patterns, limits.without)
        } else {
            // The rows of a call stand next to each other.
            let link = Proposal { parent: rank - 1, evidence: Evidence::SameCall, confidence: calls.confidence[call] };
            Some(link).filter(|link| !limits.without.has(link.evidence))
        };
        ranked[rank].link = link;
        contexts.decide(&ranked[rank]);
        headers.see(rank, &ranked[rank], !has_server_side(rank, ranked));
    }
}

fn has_server_side(rank: usize, ranked: &[Ranked<'_>]) -> bool {
    let call = ranked[rank].call;
    let rest = ranked[rank..].iter().take_while(|other| other.call == call);
    rest.last().is_some_and(|last| !last.span.is_client_side())
}

/// Parents by pattern, of the calls of processes that work on several requests by turns; where callbacks tell, they tell more.
type Patterns = HashMap<usize, usize>;

fn patterns(ranked: &[Ranked<'_>], contexts: &Contexts) -> Patterns {
    let processes: BTreeSet<Process> = ranked.iter().filter_map(|span| span.process).collect();
    let demand = |process: Process| match contexts.hands_requests(process) {
        true => Some(pattern::HANDED),
        false if contexts.is_multiplexed(process) && !contexts.is_nested(process) => Some(pattern::MULTIPLEXED),
        false => None,
    };
    let unclear = processes.into_iter().filter_map(|process| Some((process, demand(process)?)));
    unclear.flat_map(|(process, demand)| pattern::parents(ranked, process, demand)).collect()
}

fn parent_of_call(
    rank: usize,
    ranked: &[Ranked<'_>],
    contexts: &Contexts,
    headers: &Headers<'_>,
    patterns: &Patterns,
    without: EvidenceSet,
) -> Option<Proposal> {
    let mut proposals = Proposals::without(without);
    headers.propose(rank, ranked, &mut proposals);
    if ranked[rank].span.point == ObservationPoint::ClientProcess {
        propose_by_context(rank, ranked, contexts, &mut proposals);
        if let Some(parent) = patterns.get(&rank).copied().filter(|parent| *parent < rank) {
            let hands = ranked[rank].process.is_some_and(|process| contexts.hands_requests(process));
            proposals.add(parent, Evidence::Pattern, if hands { HANDED_PATTERN } else { PATTERN });
        }
    }
    proposals.choose()
}

fn propose_by_context(rank: usize, ranked: &[Ranked<'_>], contexts: &Contexts, proposals: &mut Proposals) {
    let call = &ranked[rank];
    let is_multiplexed = call.process.is_some_and(|process| contexts.is_multiplexed(process));
    let hands_over = call.process.is_some_and(|process| contexts.hands_over(process));
    let hands_requests = call.process.is_some_and(|process| contexts.hands_requests(process));
    let is_sole = contexts.is_sole(call);
    let sure_of = |context: u64| match is_own(context) {
        true => SAME_TASK,
        false if is_nested(context) && !hands_over => CONTEXT,
        false if is_handed(context) && !is_shared(context) && !is_sole => HANDED_CONTEXT,
        false if is_handed(context) && !is_shared(context) => CONTEXT,
        false if is_multiplexed || is_shared(context) => MULTIPLEXED_CONTEXT,
        false => CONTEXT,
    };
    let sure = sure_of(call.contexts[0]);
    let read_sure = if is_nested(call.contexts[0]) { CONTEXT } else { sure };
    let holding = |parent: usize, sure: f64| match ranked[parent].holds(call) {
        _ if parent >= rank => None,
        Within::Nested => Some((parent, sure)),
        Within::Outlives => Some((parent, sure * OUTLIVES)),
        Within::Outside => None,
    };
    let read: Vec<_> = contexts.read_before(call).iter().filter_map(|parent| holding(*parent, read_sure)).collect();
    proposals.add_equals(&read, Evidence::TaskContext);
    if let Some(Sibling::Of(parent, sibling_sure)) = contexts.sibling_before(call) {
        // A thread that is handed work may have begun something else since it read that.
        let is_stale = hands_requests && !is_sole && !is_handed(call.contexts[0]) && !is_own(call.contexts[0]);
        let own = if is_stale { sure.min(MULTIPLEXED_CONTEXT) } else { sure };
        let found = holding(parent, own.min(sibling_sure));
        proposals.add_equals(found.as_slice(), Evidence::AnswerContext);
    }
    if let Some(parent) = contexts.answered_by(rank, ranked) {
        proposals.add(parent, Evidence::SameTask, SAME_TASK);
    }
    if let Some(parent) = contexts.waited(rank, ranked) {
        let found = holding(parent, CONTEXT);
        proposals.add_equals(found.as_slice(), Evidence::JoinedContext);
    }
    if let Some(parent) = contexts.answered_after(rank, ranked) {
        let at_once = is_nested(call.contexts[1]) && contexts.is_answered_at_once(call, parent);
        let sure = match at_once {
            _ if hands_requests && !is_shared(call.contexts[1]) && contexts.goes_on(call) => HANDED_RESPONSE,
            true => CONTEXT,
            _ if hands_requests && !is_sole => sure_of(call.contexts[1]).min(HANDED_CONTEXT),
            false => sure_of(call.contexts[1]),
        };
        proposals.add(parent, Evidence::ResponseContext, sure);
    }
}

fn nodes(ranked: &[Ranked<'_>], places: &HashMap<u64, usize>) -> Vec<Node> {
    let node = |(span, times): (&Ranked<'_>, Times)| Node {
        id: span.span.id,
        index: places.get(&span.span.id).copied().unwrap_or_default(),
        link: span.link.map(|link| Link {
            parent: ranked[link.parent].span.id,
            evidence: link.evidence,
            confidence: link.confidence,
        }),
        call: span.call as u32,
        start_us: span.start_us,
        self_us: times.own_us,
        waiting_us: times.waiting_us,
        network_us: times.network_us,
    };
    ranked.iter().zip(times(ranked)).map(node).collect()
}
