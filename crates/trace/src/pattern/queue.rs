//! Who came first: requests at the same stage are usually served in the order in which they got there.

use super::model::Map;

/// Turns are compared with those that began so much earlier at most.
const REACH: u32 = 250;

/// A request waited at a stage since one turn, and went on at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Its number.
    pub(super) stage: u64,
    pub(super) since: u32,
    pub(super) at: u32,
    pub(super) request: usize,
}

/// All turns by stage, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues(Map<u64, Vec<(u32, u32, usize)>>);

impl Queues {
    pub(super) fn add(&mut self, turns: Vec<Turn>) {
        for turn in turns {
            let queue = self.0.entry(turn.stage).or_default();
            let own = (turn.since, turn.at, turn.request);
            queue.insert(queue.partition_point(|other| *other < own), own);
        }
    }

    pub(super) fn remove(&mut self, turns: &[Turn]) {
        for turn in turns {
            if let Some(queue) = self.0.get_mut(&turn.stage)
                && let Ok(at) = queue.binary_search(&(turn.since, turn.at, turn.request))
            {
                queue.remove(at);
            }
        }
    }

    /// With how many others that waited at the same time the order was kept, and with how many it was not.
    pub(super) fn order(&self, turn: &Turn) -> [u32; 2] {
        let Some(queue) = self.0.get(&turn.stage) else { return [0, 0] };
        let first = queue.partition_point(|(since, ..)| *since + REACH < turn.since);
        let (mut kept, mut broken) = (0, 0);
        for (since, at, request) in queue.iter().skip(first) {
            if *since >= turn.at {
                break;
            }
            if *request == turn.request || *at <= turn.since {
                continue;
            }
            if (*since < turn.since) == (*at < turn.at) {
                kept += 1;
            } else {
                broken += 1;
            }
        }
        [kept, broken]
    }
}
