//! Clocks of agents: what is known of them, bounded by calls that were seen at both ends.

use std::collections::{HashMap, VecDeque};

use crate::Span;
use crate::call::Calls;

/// By how much the server's agent may be shifted against the client's so that a call's server side lies inside its
/// client side: all of its calls together.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: i64,
    most: i64,
}

impl Bounds {
    const ANY: Self = Self { least: i64::MIN, most: i64::MAX };

    fn and(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), most: self.most.min(other.most) }
    }

    /// The smallest change of a shift that keeps the bounds; their middle if they contradict each other.
    fn nearest(self, shift: i64) -> i64 {
        if self.least <= self.most { shift.clamp(self.least, self.most) } else { self.most.midpoint(self.least) }
    }

    /// The same seen from the other agent.
    fn reversed(self) -> Self {
        let negated = |value: i64| value.checked_neg().unwrap_or(i64::MAX);
        Self { least: negated(self.most), most: negated(self.least) }
    }
}

/// What to subtract from each agent's times, in microseconds.
///
/// `known` is what is subtracted to begin with. An agent whose side of a call does not fit into the other side is shifted
/// just enough.
pub(crate) fn shifts(spans: &[&Span], agents: &[u32], known: &[i64], calls: &Calls) -> Vec<i64> {
    let pairs = pairs(spans, agents, calls);
    let mut is_served = vec![false; known.len()];
    pairs.iter().for_each(|(_, server)| is_served[agents[*server] as usize] = true);
    let mut neighbours: HashMap<u32, Vec<(u32, Bounds)>> = HashMap::new();
    for ((one, other), found) in bounds(spans, agents, known, &pairs) {
        neighbours.entry(one).or_default().push((other, found));
        neighbours.entry(other).or_default().push((one, found.reversed()));
    }
    neighbours.values_mut().for_each(|agents| agents.sort_by_key(|(agent, _)| *agent));
    // Added to the times; the first agents on the paths stay as they are.
    let mut added: Vec<Option<i64>> = vec![None; known.len()];
    let mut first: Vec<u32> = (0..known.len() as u32).collect();
    first.sort_by_key(|agent| (is_served[*agent as usize], *agent));
    for root in first {
        if added[root as usize].is_some() {
            continue;
        }
        added[root as usize] = Some(0);
        spread(root, &neighbours, &mut added);
    }
    known.iter().zip(added).map(|(known, added)| known.saturating_sub(added.unwrap_or_default())).collect()
}

fn spread(root: u32, neighbours: &HashMap<u32, Vec<(u32, Bounds)>>, added: &mut [Option<i64>]) {
    let mut waiting = VecDeque::from([root]);
    while let Some(agent) = waiting.pop_front() {
        let own = added[agent as usize].unwrap_or_default();
        for (other, bounds) in neighbours.get(&agent).into_iter().flatten() {
            if added[*other as usize].is_none() {
                added[*other as usize] = Some(own.saturating_add(bounds.nearest(-own)));
                waiting.push_back(*other);
            }
        }
    }
}

/// Client's and server's row of each call that two agents saw.
fn pairs(spans: &[&Span], agents: &[u32], calls: &Calls) -> Vec<(usize, usize)> {
    let ends = calls.rows.iter().filter_map(|rows| Some((*rows.first()?, *rows.last()?)));
    let is_pair = |(client, server): &(usize, usize)| {
        let by_two = agents[*client] != agents[*server];
        by_two && spans[*client].is_client_side() && !spans[*server].is_client_side()
    };
    ends.filter(is_pair).collect()
}

/// By two agents: how much the second may be shifted against the first.
fn bounds(spans: &[&Span], agents: &[u32], known: &[i64], pairs: &[(usize, usize)]) -> HashMap<(u32, u32), Bounds> {
    let mut found: HashMap<(u32, u32), Bounds> = HashMap::new();
    for (client, server) in pairs.iter().copied() {
        let ends = (agents[client], agents[server]);
        let own = bounds_of(spans, (client, server), [known[ends.0 as usize], known[ends.1 as usize]]);
        // The same two agents the other way round are the same two clocks.
        let (key, own) = if ends.0 < ends.1 { (ends, own) } else { ((ends.1, ends.0), own.reversed()) };
        let bounds = found.entry(key).or_insert(Bounds::ANY);
        *bounds = bounds.and(own);
    }
    found
}

fn bounds_of(spans: &[&Span], (client, server): (usize, usize), known: [i64; 2]) -> Bounds {
    let at = |time: u64, known: i64| i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(known);
    let least = at(spans[client].start_us, known[0]).saturating_sub(at(spans[server].start_us, known[1]));
    let most = at(spans[client].end_us, known[0]).saturating_sub(at(spans[server].end_us, known[1]));
    let is_whole = |span: &Span| span.kind == hadal_model::MessageType::Session;
    let both = is_whole(spans[client]) && is_whole(spans[server]);
    // A server's side that is longer than the client's has no place inside of it: then the starts decide.
    Bounds { least, most: if both && most >= least { most } else { i64::MAX } }
}
