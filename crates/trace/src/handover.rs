//! Connections and turns that one request hands to another.
//!
//! Where a pool is exhausted, what waits is sent by the callback that frees a place: in the context of somebody else's answer.
//! Such a call leads on to another request than its context came from. So where looking back and looking forward often
//! contradict each other, at the same step, the step does not say whose the call is, and its context is not used. In such a
//! program nothing speaks for a call alone but that a request was just read, or is answered at once.

use std::collections::HashMap;

use hadal_model::ObservationPoint;

use crate::context::{Contexts, Sibling, is_nested};
use crate::evidence::{Evidence, Proposal};
use crate::ranked::{Process, Ranked};
use crate::turns::{Kind, kind};

/// Steps that are looked for, the most doubtful first: what one of them spoils is clear without it.
const STEPS: usize = 6;
/// One contradiction in so many is too many.
const CONTRADICTIONS: usize = 20;

/// From what was read to what was called.
type Step<'a> = (Process, (bool, Kind<'a>), Kind<'a>);

/// Leaves out the contexts of steps that hand over, in programs of whose loops the callbacks are known.
pub(crate) fn leave_out<'a>(ranked: &mut [Ranked<'a>], mut contexts: Contexts) -> Contexts {
    if !ranked.iter().any(|span| is_nested(span.contexts[0])) {
        return contexts;
    }
    for _ in 0..STEPS {
        let steps = steps(ranked, &contexts);
        let Some((worst, is_too_much)) = most_doubtful(ranked, &mut contexts, &steps) else { break };
        contexts.distrust(worst.0);
        if !is_too_much {
            break;
        }
        for (rank, _) in steps.iter().filter(|(_, step)| **step == worst) {
            ranked[*rank].contexts[0] = 0;
        }
        contexts = contexts.again(ranked);
    }
    contexts.again(ranked)
}

/// The steps to calls that callbacks made.
fn steps<'a>(ranked: &[Ranked<'a>], contexts: &Contexts) -> HashMap<usize, Step<'a>> {
    let mut read: HashMap<(Process, u64), (bool, Kind<'a>)> = HashMap::new();
    for span in ranked {
        let is_call = span.span.point == ObservationPoint::ClientProcess;
        let context = span.contexts[usize::from(is_call)];
        if let Some(process) = span.process.filter(|_| is_nested(context)) {
            read.insert((process, context), (is_call, kind(span)));
        }
    }
    let step = |(rank, span): (usize, &Ranked<'a>)| {
        let process = span.process.filter(|process| contexts.is_nested(*process))?;
        let is_call = span.is_head && span.span.point == ObservationPoint::ClientProcess;
        let from = read.get(&(process, span.contexts[0])).filter(|_| is_call)?;
        Some((rank, (process, *from, kind(span))))
    };
    ranked.iter().enumerate().filter_map(step).collect()
}

/// The step at which looking back and looking forward contradict each other most, and whether that is too often for it.
fn most_doubtful<'a>(
    ranked: &mut [Ranked<'a>],
    contexts: &mut Contexts,
    steps: &HashMap<usize, Step<'a>>,
) -> Option<(Step<'a>, bool)> {
    let mut seen: HashMap<Step<'a>, (usize, usize)> = HashMap::new();
    for rank in 0..ranked.len() {
        if !ranked[rank].is_head || ranked[rank].span.point != ObservationPoint::ClientProcess {
            continue;
        }
        let (back, forward) = (before(rank, ranked, contexts), contexts.answered_after(rank, ranked));
        if let (Some(back), Some(forward), Some(step)) = (back, forward, steps.get(&rank)) {
            let count = seen.entry(*step).or_default();
            count.0 += 1;
            count.1 += usize::from(back != forward);
        }
        let parent = forward.or(back).filter(|parent| *parent < rank);
        ranked[rank].link = parent.map(|parent| Proposal { parent, evidence: Evidence::TaskContext, confidence: 1.0 });
        contexts.decide(&ranked[rank]);
    }
    ranked.iter_mut().for_each(|span| span.link = None);
    let doubtful = seen.into_iter().filter(|(_, (_, contradict))| *contradict > 0);
    let share = |(all, contradict): (usize, usize)| contradict as f64 / all as f64;
    doubtful
        .max_by(|one, other| share(one.1).total_cmp(&share(other.1)).then(one.0.cmp(&other.0)))
        .map(|(step, (all, contradict))| (step, contradict * CONTRADICTIONS > all))
}

/// Whose the call is by what was read before it.
fn before(rank: usize, ranked: &[Ranked<'_>], contexts: &Contexts) -> Option<usize> {
    let call = &ranked[rank];
    match (contexts.read_before(call), contexts.sibling_before(call)) {
        ([request], _) => Some(*request),
        ([], Some(Sibling::Of(parent, _))) => Some(parent),
        _ => None,
    }
}
