//! What to look for next, given the rows found so far. Pure.
//!
//! A hop takes the other end of a call, by its connection and sequence number, and what the process at that end did
//! meanwhile. Both are asked for in one round, as the other end's entity is likely known. Only rows of the tree lead on:
//! what merely happened at the same time does not.
//!
//! A process is judged by all that is looked at, so what is looked at must not depend on where the look-up began. The
//! search climbs to the root first and begins anew there; rows that are held already are not asked for again, and rows
//! that are held but that nothing led to are not looked at.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use hadal_model::ObservationPoint;
use hadal_trace::{EvidenceSet, Forest, Limits, Node, Span, assemble};

use super::Trace;
use super::held::{FAR_S, Held, judged};

/// How far from the first row others are looked for, in seconds.
const REACH_S: u32 = 600;
/// How far the clocks of two hosts may be apart, in seconds: at first, and where the other end was not found.
const CLOCKS_S: u32 = 2;
const BAD_CLOCKS_S: u32 = 60;
/// How long after a request others that were open with it are looked at, in seconds: they tell how its process works.
const AFTER_S: u32 = 5;
/// How long a request without an answer is thought to be worked on, in seconds.
const BEFORE_S: u32 = 60;
/// How much longer than a call the entity at its other end is asked for, in microseconds: below, and on the way up, where
/// whole requests around the call are wanted.
const DOWN_US: u64 = 20_000;
const UP_US: u64 = 300_000;
/// Most windows of one process that are asked for apart.
const MAX_WINDOWS: usize = 16;
/// Most requests that are tried as the parent of a call.
const MAX_TRIED: usize = 64;
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

impl CallKey {
    pub(super) fn of(span: &Span) -> Self {
        Self { ports: span.ports, seqs: span.seqs, request_id: span.request_id }
    }
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

/// What an entity did in a time, as client and as server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntityWindow {
    pub(crate) entity: u32,
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
}

/// One round of look-ups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Round {
    pub(crate) calls: Vec<CallKey>,
    pub(crate) calls_within: Option<Seconds>,
    pub(crate) windows: Vec<Window>,
    pub(crate) windows_within: Option<Seconds>,
    /// Entities that the other ends of calls likely belong to; what they did is likely asked for next.
    pub(crate) entities: Vec<EntityWindow>,
    pub(crate) entities_within: Option<Seconds>,
    /// A time, in microseconds, in which likely few enough requests were open to ask for all of them.
    pub(crate) everything: Option<(u64, u64)>,
    pub(crate) everything_within: Option<Seconds>,
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
    pub(super) fn is_empty(&self) -> bool {
        let ids = self.x_request_ids.is_empty() && self.trace_ids.is_empty();
        ids && self.calls.is_empty() && self.windows.is_empty() && self.parents.is_empty()
    }
}

/// Rows found, and whether there were more.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) spans: Vec<Span>,
    pub(crate) more: bool,
    /// All windows and entities were answered in full.
    pub(crate) is_whole: bool,
    /// So was everything.
    pub(crate) has_everything: bool,
}

type Process<'a> = (&'a str, u32);

/// The rows looked at so far and what they led to.
pub(crate) struct Search {
    seed: u64,
    limits: Limits,
    /// Only the way to the root is looked for.
    is_climbing: bool,
    /// Roots that the way up led over, the topmost last.
    path: Vec<u64>,
    reach: Seconds,
    held: Held,
    spans: Vec<Span>,
    looked_at: HashSet<u64>,
    /// These spans put together, if that was asked for since the last of them came.
    forest: Option<Rc<Forest>>,
    /// What the rows to come were asked for.
    pending: Round,
    calls_asked: HashSet<(u64, u32)>,
    parents_asked: HashSet<(u64, u32)>,
    ids_asked: HashSet<String>,
    windows_asked: HashMap<(String, u32), Vec<(u64, u64)>>,
    rounds: usize,
    truncated: bool,
}

/// Windows of one process that overlap are one; so are all of them if there are many. They are given by process and start.
fn joined(windows: Vec<Window>) -> Vec<Window> {
    let is_same = |one: &Window, other: &Window| (&one.agent, one.pid) == (&other.agent, other.pid);
    let mut joined: Vec<Window> = Vec::new();
    for group in windows.chunk_by(is_same) {
        let are_many = group.len() > MAX_WINDOWS;
        let first = joined.len();
        for window in group {
            match joined.get_mut(first..).and_then(<[Window]>::last_mut) {
                Some(last) if are_many || window.from_us <= last.to_us => {
                    last.to_us = last.to_us.max(window.to_us);
                    last.contexts.extend(&window.contexts);
                }
                _ => joined.push(window.clone()),
            }
        }
    }
    joined
}

fn note_root(path: &mut Vec<u64>, id: u64) {
    if path.last() != Some(&id) {
        path.push(id);
    }
}

pub(super) fn second(time_us: u64) -> u32 {
    u32::try_from(time_us / 1_000_000).unwrap_or(u32::MAX)
}

/// Whether no other row of its call is there. Rows of a call stand next to each other.
fn is_alone(tree: &[&Node], place: usize) -> bool {
    let is_other = |other: Option<&&Node>| other.is_none_or(|other| other.call != tree[place].call);
    is_other(place.checked_sub(1).and_then(|before| tree.get(before))) && is_other(tree.get(place + 1))
}

impl Search {
    /// Looks for the way to the root first.
    pub(crate) fn new(seed: Span, without: EvidenceSet) -> Self {
        let reach = Seconds {
            from: second(seed.start_us).saturating_sub(REACH_S),
            to: second(seed.end_us).saturating_add(REACH_S),
        };
        Self {
            seed: seed.id,
            limits: Limits { spans: MAX_SPANS, patterns: false, without },
            is_climbing: true,
            path: Vec::new(),
            reach,
            held: Held::new(seed.clone()),
            looked_at: HashSet::from([seed.id]),
            spans: vec![seed],
            forest: None,
            pending: Round::default(),
            calls_asked: HashSet::new(),
            parents_asked: HashSet::new(),
            ids_asked: HashSet::new(),
            windows_asked: HashMap::new(),
            rounds: 0,
            truncated: false,
        }
    }

    /// Begins anew at a row that is held, as if nothing else had been seen.
    fn begin_at(&mut self, id: u64) {
        self.seed = id;
        self.spans = self.held.row(id).cloned().into_iter().collect();
        self.forest = None;
        self.looked_at = HashSet::from([id]);
        self.calls_asked.clear();
        self.parents_asked.clear();
        self.ids_asked.clear();
        self.windows_asked.clear();
    }

    /// Looks for everything below a row. What is found depends on this row alone.
    pub(crate) fn descend_from(&mut self, id: u64) {
        self.begin_at(id);
        self.is_climbing = false;
        self.rounds = 0;
        self.truncated = false;
    }

    /// Roots that the way up led over, the topmost first.
    pub(crate) fn roots(&self) -> Vec<u64> {
        self.path.iter().rev().copied().collect()
    }

    /// Whether the row is in the tree that was looked for.
    pub(crate) fn has(&mut self, id: u64) -> bool {
        let forest = self.forest();
        self.looked_at.contains(&id) && self.tree(&forest).iter().any(|node| node.id == id)
    }

    /// Something may be missing.
    pub(crate) fn cut(&mut self) {
        self.truncated = true;
    }

    /// Takes what a round found.
    pub(crate) fn add(&mut self, round: &Round, found: Found) {
        self.truncated |= found.more;
        self.held.add(round, found);
        let pending = std::mem::take(&mut self.pending);
        self.look_at(&pending);
    }

    /// Looks at the rows that are held and were asked for.
    fn look_at(&mut self, asked: &Round) {
        for span in self.held.wanted(asked) {
            if self.looked_at.contains(&span.id) {
                continue;
            }
            if self.spans.len() >= MAX_SPANS {
                self.truncated = true;
                return;
            }
            self.looked_at.insert(span.id);
            self.spans.push(span.clone());
            self.forest = None;
        }
    }

    fn forest(&mut self) -> Rc<Forest> {
        let put_together = || Rc::new(assemble(&self.spans, &HashMap::new(), self.limits));
        Rc::clone(self.forest.get_or_insert_with(put_together))
    }

    /// The tree of the row that the search began at. On the way down that row's call is the root: what may be above it was
    /// looked for on the way up, with all that its process did.
    fn tree<'a>(&self, forest: &'a Forest) -> Vec<&'a Node> {
        let tree = forest.tree_of(self.seed);
        let own_call = tree.iter().find(|node| node.id == self.seed).map(|node| node.call);
        if self.is_climbing {
            return tree;
        }
        let mut below = HashSet::with_capacity(tree.len());
        let is_below = |node: &&'a Node| {
            let is_own = Some(node.call) == own_call || node.link.is_some_and(|link| below.contains(&link.parent));
            is_own && below.insert(node.id)
        };
        tree.into_iter().filter(is_below).collect()
    }

    /// What to look for next; `None` if the trace is complete, or no more fits.
    pub(crate) fn next_round(&mut self) -> Option<Round> {
        loop {
            let room = MAX_SPANS.saturating_sub(self.spans.len());
            if room == 0 || self.rounds >= MAX_ROUNDS {
                self.truncated = true;
                return None;
            }
            self.rounds += 1;
            let asked = self.asked(room);
            if asked.is_empty() {
                match self.probable_parent() {
                    Some(parent) => self.begin_at(parent),
                    None => return None,
                }
                continue;
            }
            let missing = self.missing(&asked);
            if !missing.is_empty() {
                self.pending = asked;
                return Some(missing);
            }
            self.look_at(&asked);
        }
    }

    /// What the rows of the tree lead to and nobody asked for yet.
    fn asked(&mut self, room: usize) -> Round {
        let forest = self.forest();
        let mut tree = self.tree(&forest);
        if self.is_climbing {
            let call = tree.first().map(|root| root.call);
            tree.retain(|node| Some(node.call) == call);
            tree.first().into_iter().for_each(|root| note_root(&mut self.path, root.id));
        }
        let mut round = Round { room, reach: Some(self.reach), ..Round::default() };
        self.ask_calls(&tree, CLOCKS_S, &mut round);
        self.ask_parents(&tree, (1, AFTER_S), &mut round);
        self.ask_windows(&tree, &mut round);
        self.ask_ids(&tree, &mut round);
        if round.is_empty() {
            self.ask_calls(&tree, BAD_CLOCKS_S, &mut round);
            // A row is stamped with its end: what is around a call may end long after it, and a request without an
            // answer ends when it begins.
            self.ask_parents(&tree, (BEFORE_S, REACH_S), &mut round);
        }
        round
    }

    /// The part that is not held yet, and what is likely asked for next.
    fn missing(&mut self, asked: &Round) -> Round {
        let mut missing = asked.clone();
        let is_near = |within: Option<Seconds>| within.is_some_and(|within| within.to - within.from <= FAR_S);
        let near_calls = self.clocks_of(asked) == CLOCKS_S;
        let is_held = |key: &CallKey| self.held.has_both_ends(key) || (near_calls && self.held.has_time_of(key));
        missing.calls.retain(|key| !is_held(key));
        missing.windows.retain(|window| !self.held.has_window(window));
        missing.parents.retain(|window| !self.held.has_parents(window, is_near(asked.parents_within)));
        let leads_on = !missing.windows.is_empty() || (near_calls && !missing.calls.is_empty());
        let time = leads_on.then(|| self.time_of_tree()).flatten();
        if let Some(time) = time.filter(|time| self.held.may_have(*time)) {
            missing.everything = Some(time);
            missing.everything_within = Some(self.within(time.0, time.1, 1, AFTER_S));
            return missing;
        }
        let (mut from_us, mut to_us) = (u64::MAX, 0);
        let keys: HashSet<CallKey> = missing.calls.iter().copied().collect();
        for span in self.spans.iter().filter(|span| keys.contains(&CallKey::of(span))) {
            let (entity, more_us) = match (span.is_client_side(), self.is_climbing) {
                (true, _) => (span.entities[1], DOWN_US),
                (false, true) => (span.entities[0], UP_US),
                _ => continue,
            };
            let window = EntityWindow {
                entity,
                from_us: span.start_us.saturating_sub(more_us),
                to_us: span.end_us.saturating_add(more_us),
            };
            if entity != 0 && !self.held.has_entity(&window) {
                (from_us, to_us) = (from_us.min(window.from_us), to_us.max(window.to_us));
                missing.entities.push(window);
            }
        }
        missing.entities_within = Some(self.within(from_us, to_us, 1, AFTER_S));
        missing
    }

    fn clocks_of(&self, asked: &Round) -> u32 {
        let are_bad = |span: &Span| self.calls_asked.contains(&(span.id, BAD_CLOCKS_S));
        let keys: HashSet<CallKey> = asked.calls.iter().copied().collect();
        let mut wanted = self.spans.iter().filter(|span| keys.contains(&CallKey::of(span)));
        if wanted.any(are_bad) { BAD_CLOCKS_S } else { CLOCKS_S }
    }

    /// The time of the row that the search began at; on the way up with that of requests around it.
    fn time_of_tree(&mut self) -> Option<(u64, u64)> {
        let more_us = if self.is_climbing { UP_US } else { DOWN_US };
        let forest = self.forest();
        let root = &self.spans[self.tree(&forest).first()?.index];
        let (from_us, to_us) = judged(root);
        Some((from_us.saturating_sub(more_us), to_us.saturating_add(more_us)))
    }

    /// On the way up, if nothing else leads on from a call: the request that has it as its call when all that is looked at
    /// is what its process did during that request, as it will be if the search begins there.
    fn probable_parent(&mut self) -> Option<u64> {
        let forest = self.forest();
        let root = *forest.tree_of(self.seed).first()?;
        let call = &self.spans[root.index];
        if !self.is_climbing || call.point != ObservationPoint::ClientProcess || call.own_pid() == 0 {
            return None;
        }
        let around = self.held.requests_around(call);
        let tried = around.into_iter().take(MAX_TRIED).filter(|request| !self.path.contains(&request.id));
        let sure = |request: &Span| {
            let rows = self.held.beside(request);
            let forest = assemble(&rows, &HashMap::new(), self.limits);
            let link = forest.nodes.iter().find(|node| node.id == call.id)?.link?;
            (link.parent == request.id).then_some((link.confidence, request.id))
        };
        let best = tried.filter_map(sure).max_by(|one, other| one.0.total_cmp(&other.0))?;
        Some(best.1)
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
            keys.insert(CallKey::of(span));
        }
        round.calls = keys.into_iter().collect();
        round.calls.sort_by_key(|key| (key.ports, key.seqs));
        round.calls_within = (!round.calls.is_empty()).then(|| self.within(from_us, to_us, clocks_s, clocks_s));
    }

    /// The requests that the root may be a call of.
    fn ask_parents(&mut self, tree: &[&Node], (before_s, after_s): (u32, u32), round: &mut Round) {
        let Some(span) = tree.first().map(|root| &self.spans[root.index]) else { return };
        let is_call = span.point == ObservationPoint::ClientProcess && span.own_pid() != 0;
        if is_call && self.parents_asked.insert((span.id, after_s)) {
            round.parents_within = Some(self.within(span.start_us, span.end_us, before_s, after_s));
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

    /// The times of the tree's rows: its requests, and calls whose request is not known yet.
    fn ask_windows(&mut self, tree: &[&Node], round: &mut Round) {
        let tree = if self.is_climbing { &tree[..tree.len().min(1)] } else { tree };
        let mut windows: Vec<Window> = Vec::new();
        for node in tree {
            let span = &self.spans[node.index];
            let Some((from_us, to_us)) = self.time_of(node, span) else { continue };
            let contexts = span.contexts.iter().copied().filter(|context| *context != 0).collect();
            let (agent, pid, entity) = (span.agent.clone(), span.own_pid(), span.own_entity());
            windows.push(Window { agent, pid, entity, from_us, to_us, contexts });
        }
        windows.sort_by(|one, other| (&one.agent, one.pid, one.from_us).cmp(&(&other.agent, other.pid, other.from_us)));
        let mut windows = joined(windows);
        windows.retain(|window| self.is_new(window));
        let from_us = windows.iter().map(|window| window.from_us).min();
        let to_us = windows.iter().map(|window| window.to_us).max();
        round.windows_within = from_us.zip(to_us).map(|(from_us, to_us)| self.within(from_us, to_us, 1, AFTER_S));
        round.windows = windows;
    }

    fn is_new(&mut self, window: &Window) -> bool {
        let asked = self.windows_asked.entry((window.agent.clone(), window.pid)).or_default();
        let is_new = !asked.iter().any(|(from_us, to_us)| *from_us <= window.from_us && *to_us >= window.to_us);
        if is_new {
            asked.push((window.from_us, window.to_us));
        }
        is_new
    }

    /// Of a call without a known request: also the time of all requests that may be its parent.
    fn time_of(&self, node: &Node, span: &Span) -> Option<(u64, u64)> {
        let own = (span.start_us, span.end_us);
        match span.point {
            _ if span.own_pid() == 0 => None,
            ObservationPoint::ServerProcess => Some(judged(span)),
            ObservationPoint::ClientProcess if node.link.is_none() => {
                let is_around = |other: &&Span| {
                    other.point == ObservationPoint::ServerProcess
                        && (&other.agent, other.own_pid()) == (&span.agent, span.own_pid())
                        && other.start_us <= span.end_us
                        && other.end_us >= span.start_us
                };
                let around = self.spans.iter().filter(is_around);
                Some(around.map(judged).fold(own, |time, other| (time.0.min(other.0), time.1.max(other.1))))
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
    pub(crate) fn finish(&self) -> Trace {
        // Once: it takes a while.
        let forest = assemble(&self.spans, &HashMap::new(), Limits { patterns: true, ..self.limits });
        let tree = self.tree(&forest);
        let own = |node: &Node| (node.clone(), self.spans[node.index].clone());
        let mut spans: Vec<(Node, Span)> = tree.iter().map(|node| own(node)).collect();
        spans.first_mut().into_iter().for_each(|(root, _)| root.link = None);
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
