//! Where the time of a span went.

use hadal_model::MessageType;

use crate::ranked::Ranked;

/// Times of one span in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// No child was open.
    pub(crate) own_us: u64,
    /// A child was open.
    pub(crate) waiting_us: u64,
    /// The client's end took so much longer than the server's.
    pub(crate) network_us: Option<u64>,
}

/// By rank.
pub(crate) fn times(ranked: &[Ranked<'_>]) -> Vec<Times> {
    // Children by parent and start: sorted once, each parent has a run of its own.
    let mut children: Vec<(usize, i64, i64)> =
        ranked.iter().filter_map(|child| child.link.map(|link| (link.parent, child.start_us, child.end_us))).collect();
    children.sort_unstable();
    let mut all: Vec<Times> =
        ranked.iter().map(|span| Times { own_us: length(span.start_us, span.end_us), ..Times::default() }).collect();
    for run in children.chunk_by(|one, other| one.0 == other.0) {
        let parent = run[0].0;
        let waiting = covered(&ranked[parent], run);
        all[parent].waiting_us = waiting;
        all[parent].own_us = all[parent].own_us.saturating_sub(waiting);
    }
    let mut rank = 0;
    for call in ranked.chunk_by(|one, other| one.call == other.call) {
        all[rank].network_us = network(call);
        rank += call.len();
    }
    all
}

fn length(start_us: i64, end_us: i64) -> u64 {
    u64::try_from(end_us.saturating_sub(start_us)).unwrap_or_default()
}

/// How much of the parent's time its children cover together.
fn covered(parent: &Ranked<'_>, children: &[(usize, i64, i64)]) -> u64 {
    let (mut covered, mut until) = (0, parent.start_us);
    for (_, start_us, end_us) in children {
        let (start_us, end_us) = ((*start_us).max(until), (*end_us).min(parent.end_us));
        covered += length(start_us, end_us);
        until = until.max(end_us);
    }
    covered
}

fn network(call: &[Ranked<'_>]) -> Option<u64> {
    let (client, server) = (call.first()?, call.last()?);
    let is_whole = |span: &Ranked<'_>| span.span.kind == MessageType::Session;
    let both_ends = client.span.is_client_side() && !server.span.is_client_side();
    let duration = |span: &Ranked<'_>| length(span.start_us, span.end_us);
    (both_ends && is_whole(client) && is_whole(server)).then(|| duration(client).saturating_sub(duration(server)))
}
