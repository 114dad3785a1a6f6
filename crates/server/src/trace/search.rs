//! What to look for next, given the rows found so far. Pure.
//!
//! A hop takes two rounds: the other end of a call by its connection and sequence number, then what the process at that
//! end did meanwhile. Only rows of the tree lead on: what merely happened at the same time does not.

use std::collections::{HashMap, HashSet};

use hadal_model::ObservationPoint;
use hadal_trace::{Forest, Limits, Node, Span, assemble};

use super::Trace;

/// How far from the first row others are looked for, in seconds.
const REACH_S: u32 = 600;
/// How far the clocks of two hosts may be apart, in seconds: at first, and where the other end was not found.
const CLOCKS_S: u32 = 2;
const BAD_CLOCKS_S: u32 = 60;
/// How long after a request others that were open with it are looked at, in seconds: they tell how its process works.
const AFTER_S: u32 = 5;
/// How long a request without an answer is thought to be worked on, in seconds.
const BEFORE_S: u32 = 60;
/// Most spans that are looked at.
const MAX_SPANS: usize = 5000;
/// Most ids that one round asks for.
const MAX_KEYS: usize = 1000;
/// A trace has fewer hops.
const MAX_ROUNDS: usize = 64;

/// Seconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// Rows of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallKey {
    pub(crate) ports: [u16; 2],
    pub(crate) seqs: [u32; 2],
    pub(crate) request_id: Option<u64>,
}

/// What a process did in a time, in microseconds of its agent's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) agent: String,
    pub(crate) pid: u32,
    pub(crate) entity: u32,
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
    /// Contexts of the tree's rows in this process: what to look for if it did too much.
    pub(crate) contexts: Vec<u64>,
}

/// One round of look-ups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Round {
    pub(crate) calls: Vec<CallKey>,
    pub(crate) calls_within: Option<Seconds>,
    pub(crate) windows: Vec<Window>,
    pub(crate) windows_within: Option<Seconds>,
    /// Calls whose request is looked for: their own times.
    pub(crate) parents: Vec<Window>,
    pub(crate) parents_within: Option<Seconds>,
    pub(crate) x_request_ids: Vec<String>,
    pub(crate) trace_ids: Vec<String>,
    pub(crate) reach: Option<Seconds>,
    /// Most rows that still fit.
    pub(crate) room: usize,
}

impl Round {
    fn is_empty(&self) -> bool {
        let ids = self.x_request_ids.is_empty() && self.trace_ids.is_empty();
        ids && self.calls.is_empty() && self.windows.is_empty() && self.parents.is_empty()
    }
}

/// Rows found, and whether there were more.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) spans: Vec<Span>,
    pub(crate) more: bool,
}

type Process<'a> = (&'a str, u32);

/// The rows found so far and what was asked.
pub(crate) struct Search {
    seed: u64,
    reach: Seconds,
    spans: Vec<Span>,
    known: HashSet<u64>,
    calls_asked: HashSet<(u64, u32)>,
    parents_asked: HashSet<u64>,
    ids_asked: HashSet<String>,
    windows_asked: HashMap<(String, u32), (u64, u64)>,
    rounds: usize,
    truncated: bool,
}

fn second(time_us: u64) -> u32 {
    u32::try_from(time_us / 1_000_000).unwrap_or(u32::MAX)
}

/// Whether no other row of its call is there. Rows of a call stand next to each other.
fn is_alone(tree: &[&Node], place: usize) -> bool {
    let is_other = |other: Option<&&Node>| other.is_none_or(|other| other.call != tree[place].call);
    is_other(place.checked_sub(1).and_then(|before| tree.get(before))) && is_other(tree.get(place + 1))
}

impl Search {
    pub(crate) fn new(seed: Span) -> Self {
        let reach = Seconds {
            from: second(seed.start_us).saturating_sub(REACH_S),
            to: second(seed.end_us).saturating_add(REACH_S),
        };
        Self {
            seed: seed.id,
            reach,
            known: HashSet::from([seed.id]),
            spans: vec![seed],
            calls_asked: HashSet::new(),
            parents_asked: HashSet::new(),
            ids_asked: HashSet::new(),
            windows_asked: HashMap::new(),
            rounds: 0,
            truncated: false,
        }
    }

    /// Something may be missing.
    pub(crate) fn cut(&mut self) {
        self.truncated = true;
    }

    /// Takes what a round found.
    pub(crate) fn add(&mut self, found: Found) {
        self.truncated |= found.more;
        for span in found.spans {
            if self.known.contains(&span.id) {
                continue;
            }
            if self.spans.len() >= MAX_SPANS {
                self.truncated = true;
                return;
            }
            self.known.insert(span.id);
            self.spans.push(span);
        }
    }

    fn forest(&self) -> Forest {
        assemble(&self.spans, &HashMap::new(), Limits { spans: MAX_SPANS })
    }

    /// What to look for next; `None` if the trace is complete, or no more fits.
    pub(crate) fn next_round(&mut self) -> Option<Round> {
        let room = MAX_SPANS - self.spans.len();
        if room == 0 || self.rounds >= MAX_ROUNDS {
            self.truncated = true;
            return None;
        }
        self.rounds += 1;
        let forest = self.forest();
        let tree = forest.tree_of(self.seed);
        let mut round = Round { room, reach: Some(self.reach), ..Round::default() };
        self.ask_calls(&tree, CLOCKS_S, &mut round);
        self.ask_parents(&tree, &mut round);
        self.ask_windows(&tree, &mut round);
        self.ask_ids(&tree, &mut round);
        if round.is_empty() {
            self.ask_calls(&tree, BAD_CLOCKS_S, &mut round);
        }
        (!round.is_empty()).then_some(round)
    }

    fn within(&self, from_us: u64, to_us: u64, before_s: u32, after_s: u32) -> Seconds {
        Seconds {
            from: second(from_us).saturating_sub(before_s).max(self.reach.from),
            to: second(to_us).saturating_add(after_s).min(self.reach.to),
        }
    }

    /// The other ends of calls that were seen at one end only.
    fn ask_calls(&mut self, tree: &[&Node], clocks_s: u32, round: &mut Round) {
        let mut keys = HashSet::new();
        let (mut from_us, mut to_us) = (u64::MAX, 0);
        for (place, node) in tree.iter().enumerate() {
            let span = &self.spans[node.index];
            let has_key = span.ports[1] != 0 && (span.seqs != [0, 0] || span.request_id.is_some());
            let is_wanted = has_key && is_alone(tree, place) && keys.len() < MAX_KEYS;
            if !is_wanted || !self.calls_asked.insert((span.id, clocks_s)) {
                continue;
            }
            (from_us, to_us) = (from_us.min(span.start_us), to_us.max(span.end_us));
            keys.insert(CallKey { ports: span.ports, seqs: span.seqs, request_id: span.request_id });
        }
        round.calls = keys.into_iter().collect();
        round.calls.sort_by_key(|key| (key.ports, key.seqs));
        round.calls_within = Some(self.within(from_us, to_us, clocks_s, clocks_s));
    }

    /// The requests that the root may be a call of.
    fn ask_parents(&mut self, tree: &[&Node], round: &mut Round) {
        let Some(span) = tree.first().map(|root| &self.spans[root.index]) else { return };
        let is_call = span.point == ObservationPoint::ClientProcess && span.own_pid() != 0;
        if is_call && self.parents_asked.insert(span.id) {
            // A row is stamped with its end: what is around a call may end long after it, and a request without an
            // answer ends when it begins.
            round.parents_within = Some(self.within(span.start_us, span.end_us, BEFORE_S, REACH_S));
            round.parents.push(Window {
                agent: span.agent.clone(),
                pid: span.own_pid(),
                entity: span.entities[0],
                from_us: span.start_us,
                to_us: span.end_us,
                contexts: Vec::new(),
            });
        }
    }

    /// The times of the tree's rows by process: its requests, and calls whose request is not known yet.
    fn ask_windows(&mut self, tree: &[&Node], round: &mut Round) {
        let mut wanted: HashMap<Process<'_>, (u64, u64, Vec<u64>)> = HashMap::new();
        for node in tree {
            let span = &self.spans[node.index];
            let Some((from_us, to_us)) = self.time_of(node, span) else { continue };
            let window = wanted.entry((&span.agent, span.own_pid())).or_insert((from_us, to_us, Vec::new()));
            (window.0, window.1) = (window.0.min(from_us), window.1.max(to_us));
            window.2.extend(span.contexts.iter().filter(|context| **context != 0));
        }
        let mut windows: Vec<Window> = wanted
            .into_iter()
            .map(|((agent, pid), (from_us, to_us, contexts))| Window {
                agent: agent.to_owned(),
                pid,
                entity: 0,
                from_us,
                to_us,
                contexts,
            })
            .collect();
        windows.retain(|window| self.is_new(window));
        windows.sort_by(|one, other| (&one.agent, one.pid).cmp(&(&other.agent, other.pid)));
        let from_us = windows.iter().map(|window| window.from_us).min().unwrap_or_default();
        let to_us = windows.iter().map(|window| window.to_us).max().unwrap_or_default();
        round.windows_within = Some(self.within(from_us, to_us, 1, AFTER_S));
        round.windows = windows;
    }

    fn is_new(&mut self, window: &Window) -> bool {
        let key = (window.agent.clone(), window.pid);
        let asked = self.windows_asked.entry(key).or_insert((u64::MAX, 0));
        let is_new = window.from_us < asked.0 || window.to_us > asked.1;
        *asked = (asked.0.min(window.from_us), asked.1.max(window.to_us));
        is_new
    }

    /// Of a call without a known request: also the time of all requests that may be its parent.
    fn time_of(&self, node: &Node, span: &Span) -> Option<(u64, u64)> {
        let own = (span.start_us, span.end_us);
        match span.point {
            _ if span.own_pid() == 0 => None,
            ObservationPoint::ServerProcess => Some(own),
            ObservationPoint::ClientProcess if node.link.is_none() => {
                let is_around = |other: &&Span| {
                    other.point == ObservationPoint::ServerProcess
                        && (&other.agent, other.own_pid()) == (&span.agent, span.own_pid())
                        && other.start_us <= span.end_us
                        && other.end_us >= span.start_us
                };
                let around = self.spans.iter().filter(is_around);
                Some(around.fold(own, |time, other| (time.0.min(other.start_us), time.1.max(other.end_us))))
            }
            _ => None,
        }
    }

    /// Trace ids always; X-Request-IDs only where the other end of a call was not found.
    fn ask_ids(&mut self, tree: &[&Node], round: &mut Round) {
        // Their other ends are asked for in this round.
        let asked: HashSet<[u32; 2]> = round.calls.iter().map(|key| key.seqs).collect();
        for (place, node) in tree.iter().enumerate() {
            let span = &self.spans[node.index];
            if !span.trace_id.is_empty() && self.ids_asked.insert(format!("trace {}", span.trace_id)) {
                round.trace_ids.push(span.trace_id.clone());
            }
            let is_gap = is_alone(tree, place) && !asked.contains(&span.seqs);
            for id in span.x_request_ids.iter().filter(|id| is_gap && !id.is_empty()) {
                if self.ids_asked.insert(format!("x {id}")) {
                    round.x_request_ids.push(id.clone());
                }
            }
        }
        round.trace_ids.truncate(MAX_KEYS);
        round.x_request_ids.truncate(MAX_KEYS);
    }

    /// The tree of the first row.
    pub(crate) fn finish(self) -> Trace {
        let forest = self.forest();
        let tree = forest.tree_of(self.seed);
        let own = |node: &Node| (node.clone(), self.spans[node.index].clone());
        let spans = tree.iter().map(|node| own(node)).collect();
        let orphans = self.orphans(&forest, &tree).map(own).collect();
        Trace { spans, orphans, truncated: self.truncated || forest.truncated }
    }

    /// Calls that processes of the tree made while they worked on its requests, and that have no sure parent.
    fn orphans<'a>(&'a self, forest: &'a Forest, tree: &[&Node]) -> impl Iterator<Item = &'a Node> {
        let mut worked: HashMap<Process<'a>, Vec<(u64, u64)>> = HashMap::new();
        for node in tree {
            let span = &self.spans[node.index];
            if span.point == ObservationPoint::ServerProcess && span.own_pid() != 0 {
                worked.entry((&span.agent, span.own_pid())).or_default().push((span.start_us, span.end_us));
            }
        }
        let own: HashSet<u64> = tree.iter().map(|node| node.id).collect();
        forest.nodes.iter().filter(move |node| {
            let span = &self.spans[node.index];
            let times = worked.get(&(span.agent.as_str(), span.own_pid()));
            let is_call =
                span.point == ObservationPoint::ClientProcess && node.link.is_none() && !own.contains(&node.id);
            is_call && times.is_some_and(|times| times.iter().any(|(from, to)| (*from..=*to).contains(&span.start_us)))
        })
    }
}
