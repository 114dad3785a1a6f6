//! The search over a store of spans in memory.

use hadal_model::{MessageType, ObservationPoint};
use hadal_trace::{Node, Span};

use super::search::{Found, Round};
use super::{Trace, searched};

/// One end of a call: connection and sequence number are made of its number.
pub(super) fn end(
    id: u64,
    point: ObservationPoint,
    pid: u32,
    call: u32,
    times: (u64, u64),
    contexts: [u64; 2],
) -> Span {
    Span {
        id,
        start_us: 1_000_000_000 + times.0,
        end_us: 1_000_000_000 + times.1,
        point,
        agent: "a".to_owned(),
        entities: [0; 2],
        addresses: [[1; 16]; 2],
        ports: [40_000, 80],
        pids: if point == ObservationPoint::ClientProcess { [pid, 0] } else { [0, pid] },
        protocol: "HTTP1".to_owned(),
        request_id: None,
        seqs: [call + (1 << 24), call + (1 << 25)],
        contexts,
        joined: 0,
        x_request_ids: [String::new(), String::new()],
        trace_id: String::new(),
        span_id: String::new(),
        parent_span_id: String::new(),
        kind: MessageType::Session,
    }
}

/// `hops` services in a line, each asking `calls` times: first the next service, then others that nobody sees.
fn chain(hops: u32, calls: u32, request: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    for hop in 0..hops {
        // Numbers of rows, contexts and calls of one hop of one request; no other has them.
        let own = (request * 100 + u64::from(hop) + 1) * 100;
        let inset = u64::from(hop) * 10;
        let (from, to) = (request * 5 + inset, request * 5 + 100_000 - inset);
        let pid = 100 + hop;
        // The request is the first call of the hop before.
        let contexts = [own, own + u64::from(calls)];
        spans.push(end(own, ObservationPoint::ServerProcess, pid, own as u32 - 100, (from, to), contexts));
        for number in 0..u64::from(calls) {
            let times = if number == 0 { (from + 5, to - 500) } else { (to - 400 + number, to - 390 + number) };
            let contexts = [own + number, own + number + 1];
            let call = (own + number) as u32;
            spans.push(end(own + 1 + number, ObservationPoint::ClientProcess, pid, call, times, contexts));
        }
    }
    spans
}

fn look_up(store: &[Span], round: &Round) -> Found {
    let is_wanted = |span: &&Span| {
        let by_call = round.calls.iter().any(|key| key.seqs[0] == span.seqs[0]);
        let by_window = round.windows.iter().any(|window| {
            (window.pid, window.agent.as_str()) == (span.own_pid(), span.agent.as_str())
                && span.start_us <= window.to_us
                && span.end_us >= window.from_us
        });
        let by_parent = round.parents.iter().any(|call| {
            (call.pid, span.point) == (span.own_pid(), ObservationPoint::ServerProcess)
                && span.start_us <= call.to_us
                && span.end_us >= call.from_us
        });
        let by_entity = round
            .entities
            .iter()
            .any(|one| one.entity == span.own_entity() && span.start_us <= one.to_us && span.end_us >= one.from_us);
        let by_time = round.everything.is_some_and(|(from, to)| span.start_us <= to && span.end_us >= from);
        let by_id = span.x_request_ids.iter().any(|id| round.x_request_ids.contains(id));
        by_call || by_time || by_entity || by_window || by_parent || by_id || round.trace_ids.contains(&span.trace_id)
    };
    let found: Vec<Span> = store.iter().filter(is_wanted).cloned().collect();
    let more = found.len() > round.room;
    Found { more, is_whole: !more, has_everything: !more, spans: found.into_iter().take(round.room).collect() }
}

fn trace_of(store: &[Span], seed: Span, rounds: &mut usize) -> Trace {
    let look_up = |round: &Round| {
        *rounds += 1;
        Ok::<_, std::convert::Infallible>(Some(look_up(store, round)))
    };
    searched(seed, hadal_trace::EvidenceSet::default(), look_up).unwrap()
}

/// Ids of the trace, how many rounds it took, and whether it was cut.
fn run(store: &[Span], seed: u64) -> (Vec<u64>, usize, bool) {
    let seed = store.iter().find(|span| span.id == seed).cloned().unwrap();
    let mut rounds = 0;
    let trace = trace_of(store, seed, &mut rounds);
    let mut ids: Vec<u64> = trace.spans.iter().map(|(node, _)| node.id).collect();
    ids.sort_unstable();
    (ids, rounds, trace.truncated)
}

#[test]
fn two_rounds_for_a_hop_from_any_row_and_nothing_of_others() {
    let requests: Vec<Vec<Span>> = (0..20).map(|request| chain(5, 3, request)).collect();
    let store: Vec<Span> = requests.iter().flatten().cloned().collect();
    for request in &requests {
        let mut own: Vec<u64> = request.iter().map(|span| span.id).collect();
        own.sort_unstable();
        for seed in own.iter().step_by(5) {
            let (ids, rounds, truncated) = run(&store, *seed);
            assert_eq!((ids, truncated), (own.clone(), false), "from {seed}");
            assert!(rounds <= 2 * 5 + 3, "{rounds} rounds");
        }
    }
}

/// An event loop that reads several requests before it goes on with the first, each asking a backend twice.
fn event_loop(requests: u32) -> Vec<Span> {
    let mut spans = Vec::new();
    let read_us = |number: u32| u64::from(number) * 300 + u64::from(number * number * 7 % 100);
    let context = |time_us: u64| (1_000_000 + time_us) * 256_000;
    for number in 0..requests {
        let (own, from) = (u64::from(number + 1) * 10, read_us(number));
        // What was read last when something was sent: some other request, if it came meanwhile.
        let last_read = |time_us: u64| (0..requests).map(read_us).filter(|read| *read <= time_us).max().unwrap_or(from);
        let (first, second, to) = (from + 150, from + 900, from + 1_700 + own % 70);
        let server = ObservationPoint::ServerProcess;
        spans.push(end(own, server, 100, own as u32, (from, to), [context(from), context(second + 600)]));
        for (place, sent) in [(1, first), (2, second)] {
            let answered = sent + 600 + u64::from(number % 3) * 40;
            let before = if place == 1 { last_read(sent) } else { last_read(sent).max(first + 600) };
            let contexts = [context(before), context(answered)];
            let times = (sent, answered);
            let call = (own + place) as u32;
            spans.push(end(own + place, ObservationPoint::ClientProcess, 100, call, times, contexts));
        }
    }
    spans
}

#[test]
fn a_trace_is_the_same_from_each_of_its_rows() {
    for store in [event_loop(40), chain(4, 3, 0), (0..12).flat_map(|request| chain(3, 2, request)).collect()] {
        let links = |seed: &Span| {
            let trace = trace_of(&store, seed.clone(), &mut 0);
            let own = |(node, _): &(Node, Span)| (node.id, node.link.map(|link| (link.parent, link.evidence.as_str())));
            trace.spans.iter().map(own).collect::<Vec<_>>()
        };
        let mut linked = 0;
        for seed in &store {
            let own = links(seed);
            linked += usize::from(own.len() > 1);
            for (id, _) in own.iter().filter(|(id, _)| *id != seed.id) {
                let other = store.iter().find(|span| span.id == *id).unwrap();
                assert_eq!(links(other), own, "from {id} as from {}", seed.id);
            }
        }
        assert!(linked > 0);
    }
}

#[test]
fn a_trace_that_is_too_large_is_cut_and_says_so() {
    let mut store = chain(1, 1, 0);
    let own = store[0].clone();
    store.extend((0..6000).map(|number| {
        let times = (200, 300);
        end(
            1_000_000 + number,
            ObservationPoint::ClientProcess,
            own.own_pid(),
            1000 + number as u32,
            times,
            [own.contexts[0], 0],
        )
    }));
    let (ids, rounds, truncated) = run(&store, own.id);
    assert!(truncated && ids.len() <= 5000 && rounds < 16, "{} in {rounds} rounds", ids.len());
}

#[test]
fn calls_meanwhile_without_a_sure_parent_are_told_of() {
    let mut store = chain(1, 2, 0);
    // In the same process and time, with a context that leads nowhere; the second one is of another time.
    store.push(end(900, ObservationPoint::ClientProcess, 100, 900, (500, 600), [77, 78]));
    store.push(end(901, ObservationPoint::ClientProcess, 100, 901, (500_000, 500_100), [77, 78]));
    let trace = trace_of(&store, store[0].clone(), &mut 0);
    assert_eq!(trace.spans.len(), 3);
    assert_eq!(trace.orphans.iter().map(|(node, _)| node.id).collect::<Vec<_>>(), [900]);
}
