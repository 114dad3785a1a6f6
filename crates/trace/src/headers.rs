//! Ids that requests carry: X-Request-ID, trace ids, ids of spans.

use std::collections::{BTreeSet, HashMap};

use crate::evidence::{Evidence, Proposals};
use crate::ranked::{Process, Ranked, Within};

/// Received and sent on by one process.
const SAME_PROCESS: f64 = 0.9;
/// Sent by one process and received by another, with something in between that nobody observed.
const OVER_A_GAP: f64 = 0.7;
/// A reported span's own id.
const REPORTED: f64 = 1.0;
/// A call that ends after its parent was not waited for; or it is another one's.
const OUTLIVES: f64 = 0.6;
/// More spans that are open with the same id are not told apart.
const MAX_EQUALS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Id<'a> {
    XRequest(&'a str),
    Trace(&'a str),
    /// Trace and span.
    Span(&'a str, &'a str),
}

impl Id<'_> {
    const fn evidence(self) -> Evidence {
        match self {
            Self::XRequest(_) => Evidence::XRequestId,
            Self::Trace(_) => Evidence::TraceId,
            Self::Span(..) => Evidence::SpanId,
        }
    }
}

/// Spans by end, so that those still open are found without looking at all.
type Open = BTreeSet<(i64, usize)>;

/// What spans before the current one carry.
#[derive(Debug, Default)]
pub(crate) struct Headers<'a> {
    /// Server ends by process and id.
    received: HashMap<(Process, Id<'a>), Open>,
    /// Client ends whose server end nobody saw.
    sent: HashMap<Id<'a>, Open>,
    /// Reported spans by their own id.
    reported: HashMap<Id<'a>, Option<usize>>,
    /// Server ends, or else client ends, by the id of a reported span that they carry.
    carried: HashMap<Id<'a>, usize>,
}

/// Ids that a process hands on.
fn handed_on<'a>(span: &Ranked<'a>) -> Vec<Id<'a>> {
    let span = span.span;
    let mut ids: Vec<Id<'a>> =
        span.x_request_ids.iter().filter(|id| !id.is_empty()).map(|id| Id::XRequest(id)).collect();
    ids.dedup();
    ids.extend(Some(Id::Trace(&span.trace_id)).filter(|_| !span.trace_id.is_empty()));
    ids
}

/// Ids that nobody between two processes changes.
fn unchanged<'a>(span: &Ranked<'a>) -> Vec<Id<'a>> {
    let mut ids: Vec<Id<'a>> = handed_on(span).into_iter().filter(|id| matches!(id, Id::XRequest(_))).collect();
    ids.extend(span_id(span));
    ids
}

fn span_id<'a>(span: &Ranked<'a>) -> Option<Id<'a>> {
    let span = span.span;
    let has_both = !span.trace_id.is_empty() && !span.span_id.is_empty();
    has_both.then(|| Id::Span(&span.trace_id, &span.span_id))
}

impl<'a> Headers<'a> {
    /// The reported spans, which are known from the start.
    pub(crate) fn new(ranked: &[Ranked<'a>]) -> Self {
        let mut headers = Self::default();
        for (rank, span) in ranked.iter().enumerate() {
            let Some(id) = span_id(span) else { continue };
            if span.span.is_reported() {
                // An id that two spans claim is nobody's.
                headers.reported.entry(id).and_modify(|owner| *owner = None).or_insert(Some(rank));
            } else {
                headers.carried.insert(id, rank);
            }
        }
        headers
    }

    /// Makes a span known to those after it. `is_alone`: nobody saw the other end of its call.
    pub(crate) fn see(&mut self, rank: usize, span: &Ranked<'a>, is_alone: bool) {
        let open = (span.open_until_us(), rank);
        if span.span.is_reported() {
            return;
        }
        if !span.span.is_client_side() {
            if let Some(process) = span.process {
                for id in handed_on(span) {
                    self.received.entry((process, id)).or_default().insert(open);
                }
            }
        } else if is_alone {
            for id in unchanged(span) {
                self.sent.entry(id).or_default().insert(open);
            }
        }
    }

    /// Proposes parents of a span that is the first of its call.
    pub(crate) fn propose(&self, rank: usize, ranked: &[Ranked<'a>], proposals: &mut Proposals) {
        let span = &ranked[rank];
        self.propose_reported(rank, span, proposals);
        if span.span.is_reported() {
            return;
        }
        if !span.span.is_client_side() {
            for id in unchanged(span) {
                let found = self.sent.get(&id).map(|open| around(open, rank, ranked, OVER_A_GAP)).unwrap_or_default();
                proposals.add_equals(&found, id.evidence());
            }
        } else if let Some(process) = span.process {
            for id in handed_on(span) {
                let found = self.received.get(&(process, id)).map(|open| around(open, rank, ranked, SAME_PROCESS));
                proposals.add_equals(&found.unwrap_or_default(), id.evidence());
            }
        }
    }

    fn propose_reported(&self, rank: usize, span: &Ranked<'a>, proposals: &mut Proposals) {
        let own = span.span;
        let parent = if own.is_reported() {
            let id = Id::Span(&own.trace_id, &own.parent_span_id);
            let is_known = !own.trace_id.is_empty() && !own.parent_span_id.is_empty();
            let carrier = self.carried.get(&id).copied();
            is_known.then(|| carrier.or_else(|| self.reported.get(&id).copied().flatten())).flatten()
        } else {
            span_id(span).and_then(|id| self.reported.get(&id).copied().flatten())
        };
        if let Some(parent) = parent.filter(|parent| *parent < rank) {
            proposals.add(parent, Evidence::SpanId, REPORTED);
        }
    }
}

/// Spans that are open around one: those it is nested in, or else those it outlives.
fn around(open: &Open, rank: usize, ranked: &[Ranked<'_>], confidence: f64) -> Vec<(usize, f64)> {
    let span = &ranked[rank];
    let mut found = Vec::new();
    // The latest ends first: what ends before the span starts is never looked at.
    for (end_us, parent) in open.iter().rev().take(MAX_EQUALS + 1) {
        let holds = ranked[*parent].holds(span);
        if *end_us < span.end_us && holds != Within::Nested && !found.is_empty() {
            break;
        }
        match holds {
            Within::Nested => found.push((*parent, confidence)),
            Within::Outlives => found.push((*parent, confidence * OUTLIVES)),
            Within::Outside => {}
        }
    }
    found
}
