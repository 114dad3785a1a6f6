//! Rows that were fetched, and which questions they answer. Pure.

use std::collections::{HashMap, HashSet};

use hadal_model::{MessageType, ObservationPoint};
use hadal_trace::Span;

use super::search::{CallKey, EntityWindow, Found, Round, Window, second};

/// How long after a window a row of it may end, in seconds, and how long before it a row without an answer.
const AFTER_S: u32 = 5;
const BEFORE_S: u32 = 1;

/// Everything is asked for in shorter times only.
const MAX_TIME_US: u64 = 10_000_000;

/// Parents that were looked for in more seconds than these were looked for everywhere.
pub(super) const FAR_S: u32 = 300;

/// How much longer than a request its process is looked at, before and after, as a share of the request: how it works on
/// several requests shows where they meet.
const JUDGED_SHARE: u64 = 2;
const JUDGED_LEAST_US: u64 = 20_000;
const JUDGED_MOST_US: u64 = 500_000;

/// The time in which the process of a request is looked at. It depends on the request alone.
pub(super) fn judged(request: &Span) -> (u64, u64) {
    let share = request.end_us.saturating_sub(request.start_us) / JUDGED_SHARE;
    let more_us = share.clamp(JUDGED_LEAST_US, JUDGED_MOST_US);
    (request.start_us.saturating_sub(more_us), request.end_us.saturating_add(more_us))
}

/// All rows that were fetched, whether anything led to them or not.
pub(crate) struct Held {
    rows: Vec<Span>,
    places: HashMap<u64, usize>,
    /// What was answered in full.
    windows: Vec<Window>,
    entities: Vec<EntityWindow>,
    everything: Vec<(u64, u64)>,
    /// Length of a time in which too much happened, in microseconds.
    too_long_us: u64,
    /// Requests around these calls, however long.
    parents: Vec<Window>,
}

/// Whether a row was open in a time.
fn overlaps(span: &Span, from_us: u64, to_us: u64) -> bool {
    span.start_us <= to_us && (span.end_us >= from_us || span.kind == MessageType::Request)
}

/// The same, as far as a window of a process reaches.
fn is_near(span: &Span, from_us: u64, to_us: u64) -> bool {
    let end = second(span.end_us);
    overlaps(span, from_us, to_us) && end <= second(to_us) + AFTER_S && end + BEFORE_S >= second(from_us)
}

fn is_of(span: &Span, agent: &str, pid: u32) -> bool {
    let is_own = matches!(span.point, ObservationPoint::ClientProcess | ObservationPoint::ServerProcess);
    is_own && span.own_pid() == pid && span.agent == agent
}

fn is_request_of(span: &Span, agent: &str, pid: u32) -> bool {
    span.point == ObservationPoint::ServerProcess && is_of(span, agent, pid)
}

/// What `fetch` asks for the other end of a call by.
pub(super) fn is_same_call(key: &CallKey, span: &Span) -> bool {
    let [request, response] = key.seqs;
    let by_connection = match (request, response) {
        (0, 0) => false,
        (0, response) => span.seqs[1] == response,
        (request, _) => span.seqs[0] == request,
    };
    let by_numbers = request != 0 && response != 0 && span.seqs == key.seqs;
    let by_id = key.request_id.is_some_and(|id| span.request_id.unwrap_or_default() == id);
    by_numbers || (span.ports == key.ports && (by_connection || by_id))
}

fn holds(outer: (u64, u64), inner: (u64, u64)) -> bool {
    outer.0 <= inner.0 && outer.1 >= inner.1
}

impl Held {
    pub(crate) fn new(seed: Span) -> Self {
        let places = HashMap::from([(seed.id, 0)]);
        Self {
            rows: vec![seed],
            places,
            windows: Vec::new(),
            entities: Vec::new(),
            everything: Vec::new(),
            too_long_us: MAX_TIME_US,
            parents: Vec::new(),
        }
    }

    pub(crate) fn row(&self, id: u64) -> Option<&Span> {
        self.places.get(&id).map(|place| &self.rows[*place])
    }

    pub(crate) fn add(&mut self, round: &Round, found: Found) {
        for span in found.spans {
            if !self.places.contains_key(&span.id) {
                self.places.insert(span.id, self.rows.len());
                self.rows.push(span);
            }
        }
        if found.is_whole {
            self.windows.extend(round.windows.iter().cloned());
            self.entities.extend(&round.entities);
        }
        match round.everything {
            Some(time) if found.has_everything => self.everything.push(time),
            Some((from_us, to_us)) => self.too_long_us = self.too_long_us.min(to_us - from_us),
            None => {}
        }
        if !found.more && round.parents_within.is_some_and(|within| within.to - within.from > FAR_S) {
            self.parents.extend(round.parents.iter().cloned());
        }
    }

    /// The rows that a round asks for, by id.
    pub(crate) fn wanted(&self, round: &Round) -> Vec<&Span> {
        let trace_ids: HashSet<&str> = round.trace_ids.iter().map(String::as_str).collect();
        let x_request_ids: HashSet<&str> = round.x_request_ids.iter().map(String::as_str).collect();
        let is_wanted =
            |span: &&Span| {
                round.calls.iter().any(|key| is_same_call(key, span))
                    || round.windows.iter().any(|window| {
                        is_of(span, &window.agent, window.pid) && is_near(span, window.from_us, window.to_us)
                    })
                    || round.parents.iter().any(|call| {
                        is_request_of(span, &call.agent, call.pid) && overlaps(span, call.from_us, call.to_us)
                    })
                    || trace_ids.contains(span.trace_id.as_str())
                    || span.x_request_ids.iter().any(|id| x_request_ids.contains(id.as_str()))
            };
        let mut wanted: Vec<&Span> = self.rows.iter().filter(is_wanted).collect();
        wanted.sort_unstable_by_key(|span| span.id);
        wanted
    }

    /// Whether both ends of the call are there.
    pub(crate) fn has_both_ends(&self, key: &CallKey) -> bool {
        let has = |point| self.rows.iter().any(|span| span.point == point && is_same_call(key, span));
        has(ObservationPoint::ClientProcess) && has(ObservationPoint::ServerProcess)
    }

    /// Whether everything in this time is worth asking for.
    pub(crate) fn may_have(&self, (from_us, to_us): (u64, u64)) -> bool {
        to_us - from_us < self.too_long_us && !self.has_time(from_us, to_us)
    }

    fn has_time(&self, from_us: u64, to_us: u64) -> bool {
        self.everything.iter().any(|time| holds(*time, (from_us, to_us)))
    }

    /// Whether everything is there that happened during the call; its other end too, if clocks are right.
    pub(crate) fn has_time_of(&self, key: &CallKey) -> bool {
        let mut rows = self.rows.iter().filter(|span| CallKey::of(span) == *key);
        rows.any(|span| self.has_time(span.start_us, span.end_us))
    }

    pub(crate) fn has_entity(&self, wanted: &EntityWindow) -> bool {
        let is_held = |one: &EntityWindow| {
            one.entity == wanted.entity && holds((one.from_us, one.to_us), (wanted.from_us, wanted.to_us))
        };
        self.has_time(wanted.from_us, wanted.to_us) || self.entities.iter().any(is_held)
    }

    pub(crate) fn has_window(&self, wanted: &Window) -> bool {
        let is_held = |one: &Window| {
            (&one.agent, one.pid) == (&wanted.agent, wanted.pid)
                && holds((one.from_us, one.to_us), (wanted.from_us, wanted.to_us))
        };
        let has_time = self.has_time(wanted.from_us, wanted.to_us);
        has_time || self.has_entity_of(wanted) || self.windows.iter().any(is_held)
    }

    /// Near ones are among what their process did; others were asked for.
    pub(crate) fn has_parents(&self, wanted: &Window, is_near: bool) -> bool {
        (is_near && self.has_window(wanted)) || self.parents.contains(wanted)
    }

    fn has_entity_of(&self, wanted: &Window) -> bool {
        let window = EntityWindow { entity: wanted.entity, from_us: wanted.from_us, to_us: wanted.to_us };
        wanted.entity != 0 && self.has_entity(&window)
    }

    /// Requests of the call's process that were open when it was made, those that began last first.
    pub(crate) fn requests_around(&self, call: &Span) -> Vec<&Span> {
        let is_around = |span: &&Span| {
            is_request_of(span, &call.agent, call.own_pid()) && overlaps(span, call.start_us, call.start_us)
        };
        let mut around: Vec<&Span> = self.rows.iter().filter(is_around).collect();
        around.sort_unstable_by_key(|span| (std::cmp::Reverse(span.start_us), span.id));
        around
    }

    /// What the request's process did while it is looked at.
    pub(crate) fn beside(&self, request: &Span) -> Vec<Span> {
        let (from_us, to_us) = judged(request);
        let is_beside = |span: &&Span| is_of(span, &request.agent, request.own_pid()) && is_near(span, from_us, to_us);
        self.rows.iter().filter(is_beside).cloned().collect()
    }
}
