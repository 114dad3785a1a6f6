//! One trace: the rows that belong to a row. `search` is pure and says what to look for; `held` knows what was found;
//! `fetch` asks the store, and `rows` reads its answers; `summary` says what took the time.

pub(crate) mod fetch;
mod held;
mod rows;
pub(crate) mod search;
pub(crate) mod summary;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use hadal_store::Engine;
use hadal_trace::{EvidenceSet, Node, Span};

use crate::map::MapError;
use search::{Found, Round, Search};

/// How long rows are looked for, if nothing is in a hurry.
pub(crate) const BUDGET: Duration = Duration::from_secs(2);

/// A trace: its spans in order, and whether something may be missing.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) spans: Vec<(Node, Span)>,
    /// Calls that the same processes made meanwhile, without a sure parent.
    pub(crate) orphans: Vec<(Node, Span)>,
    pub(crate) truncated: bool,
}

impl Trace {
    pub(crate) fn tree(&self) -> Vec<(&Node, &Span)> {
        self.spans.iter().map(|(node, span)| (node, span)).collect()
    }
}

/// Most roots that are tried.
const MAX_ROOTS: usize = 4;

/// Looks for the trace of a row, hop by hop, as long as there is time and room.
pub(crate) fn trace_of(
    engine: &dyn Engine,
    seed: Span,
    budget: Duration,
    without: EvidenceSet,
) -> Result<Trace, MapError> {
    let deadline = Instant::now() + budget;
    let look_up = |round: &Round| {
        let has_time = Instant::now() < deadline;
        has_time.then(|| fetch::look_up(engine, round, deadline)).transpose()
    };
    searched(seed, without, look_up)
}

/// Up to the root, and from there down, so that the trace is the same from all of its rows. Where the way up led too far,
/// from further below. `look_up` gives nothing when time is up.
fn searched<Failed>(
    seed: Span,
    without: EvidenceSet,
    mut look_up: impl FnMut(&Round) -> Result<Option<Found>, Failed>,
) -> Result<Trace, Failed> {
    let mut run = |search: &mut Search| {
        while let Some(round) = search.next_round() {
            let Some(found) = look_up(&round)? else {
                search.cut();
                break;
            };
            search.add(&round, found);
        }
        Ok(())
    };
    let id = seed.id;
    let mut search = Search::new(seed, without);
    run(&mut search)?;
    let above = search.roots().into_iter().filter(|root| *root != id).take(MAX_ROOTS);
    for root in above.collect::<Vec<_>>() {
        search.descend_from(root);
        run(&mut search)?;
        if !search.has(id) {
            continue;
        }
        // With patterns it may belong to another tree.
        let trace = search.finish();
        if trace.spans.iter().any(|(node, _)| node.id == id) {
            return Ok(trace);
        }
    }
    search.descend_from(id);
    run(&mut search)?;
    Ok(search.finish())
}
