//! One trace: the rows that belong to a row. `search` is pure and says what to look for; `fetch` asks the store; `summary`
//! says what took the time.

pub(crate) mod fetch;
pub(crate) mod search;
pub(crate) mod summary;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use hadal_store::Engine;
use hadal_trace::{Node, Span};

use crate::map::MapError;
use search::Search;

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

/// Looks for the trace of a row, hop by hop, as long as there is time and room.
pub(crate) fn trace_of(engine: &dyn Engine, seed: Span, budget: Duration) -> Result<Trace, MapError> {
    let deadline = Instant::now() + budget;
    let mut search = Search::new(seed);
    while let Some(round) = search.next_round() {
        search.add(fetch::look_up(engine, &round, deadline)?);
        if Instant::now() >= deadline {
            search.cut();
            break;
        }
    }
    Ok(search.finish())
}
