//! Spans in the one order in which parents come before children, with corrected times.

use std::collections::HashMap;

use crate::Span;
use crate::call::Calls;
use crate::evidence::Proposal;

/// How far the time stamps of two sockets of one host may be in the wrong order, in microseconds. Seen: 64.
const SKEW_US: i64 = 1_000;
/// How long after its parent's end a call may end that its parent waited for.
pub(crate) const SLACK_US: i64 = 10_000;
/// The same between two hosts, whose clocks are only known so well.
pub(crate) const HOSTS_SLACK_US: i64 = 1_000_000;

/// A process that an agent saw: its number of the agent, and the process id.
pub(crate) type Process = (u32, u32);

/// How a span lies in the time of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// It starts and ends inside.
    Nested,
    /// It starts inside and ends later.
    Outlives,
    /// It does not start inside.
    Outside,
}

/// One span in its place.
#[derive(Clone, Debug)]
pub(crate) struct Ranked<'a> {
    pub(crate) span: &'a Span,
    /// The process at the end that saw it; `None` between the ends.
    pub(crate) process: Option<Process>,
    pub(crate) agent: u32,
    pub(crate) start_us: i64,
    /// The last that is known of it.
    pub(crate) end_us: i64,
    /// Number of its call.
    pub(crate) call: usize,
    /// Whether it comes first on the path of its call.
    pub(crate) is_head: bool,
    /// As the span has them, or better.
    pub(crate) contexts: [u64; 2],
    pub(crate) link: Option<Proposal>,
}

impl Ranked<'_> {
    /// Until when it may have been open: without a response nobody knows.
    pub(crate) fn open_until_us(&self) -> i64 {
        if self.span.kind == hadal_model::MessageType::Request { i64::MAX } else { self.end_us }
    }

    /// How `child` lies in this span's time.
    pub(crate) fn holds(&self, child: &Self) -> Within {
        let (before, after) =
            if self.agent == child.agent { (SKEW_US, SLACK_US) } else { (HOSTS_SLACK_US, HOSTS_SLACK_US) };
        let end_us = self.open_until_us();
        if child.start_us < self.start_us.saturating_sub(before) || child.start_us > end_us.saturating_add(before) {
            Within::Outside
        } else if child.end_us <= end_us.saturating_add(after) {
            Within::Nested
        } else {
            Within::Outlives
        }
    }
}

/// Numbers of the agents by name.
pub(crate) fn agents(spans: &[&Span]) -> HashMap<String, u32> {
    let mut numbers = HashMap::new();
    for span in spans {
        let next = numbers.len() as u32;
        if !numbers.contains_key(&span.agent) {
            numbers.insert(span.agent.clone(), next);
        }
    }
    numbers
}

/// The spans in order: by start of their call, then along its path.
///
/// A call starts when any of its rows does: the receiver of a request may stamp it before the sender.
pub(crate) fn rank<'a>(spans: &[&'a Span], agents: &[u32], shifts: &[i64], calls: &Calls) -> Vec<Ranked<'a>> {
    let corrected = |time_us: u64, index: usize| -> i64 {
        i64::try_from(time_us).unwrap_or(i64::MAX).saturating_sub(shifts[agents[index] as usize])
    };
    let start_of = |index: usize| corrected(spans[index].start_us, index);
    let mut order: Vec<(i64, usize, usize, usize)> = Vec::with_capacity(spans.len());
    for (call, rows) in calls.rows.iter().enumerate() {
        let start = rows.iter().map(|row| start_of(*row)).min().unwrap_or_default();
        order.extend(rows.iter().enumerate().map(|(place, row)| (start, call, place, *row)));
    }
    order.sort_unstable();
    let place = |(_, call, place, index): (i64, usize, usize, usize)| {
        let (span, agent) = (spans[index], agents[index]);
        let start_us = start_of(index);
        Ranked {
            span,
            process: Some((agent, span.own_pid())).filter(|(_, pid)| *pid != 0),
            agent,
            start_us,
            end_us: corrected(span.end_us, index).max(start_us),
            call,
            is_head: place == 0,
            contexts: span.contexts,
            link: None,
        }
    };
    order.into_iter().map(place).collect()
}
