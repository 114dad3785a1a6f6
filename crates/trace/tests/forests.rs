//! Whatever the spans are, the result is a forest, and it takes n log n.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use hadal_model::{MessageType, ObservationPoint};
use hadal_trace::{Forest, Limits, Span, assemble};
use proptest::prelude::*;

const POINTS: [ObservationPoint; 6] = [
    ObservationPoint::ClientProcess,
    ObservationPoint::ServerProcess,
    ObservationPoint::ClientProcess,
    ObservationPoint::ServerProcess,
    ObservationPoint::Client,
    ObservationPoint::ServerApp,
];
const KINDS: [MessageType; 4] =
    [MessageType::Session, MessageType::Session, MessageType::Request, MessageType::Response];

fn text(number: u8) -> String {
    if number == 0 { String::new() } else { format!("{number}") }
}

/// Few values, so that many spans share them.
fn any_span() -> impl Strategy<Value = Span> {
    let path = (0..60u64, 0..6usize, 0..4usize, 0..3u8, 0..3u16, 0..3u32);
    let times = (0..200u64, 0..100u64, any::<bool>());
    let evidence = (0..6u32, 0..6u32, 0..8u64, 0..8u64, 0..3u8, 0..3u8, 0..3u8, 0..3u8);
    (path, times, evidence).prop_map(|(path, times, evidence)| {
        let (id, point, kind, agent, port, pid) = path;
        let (start, length, huge) = times;
        let (seq, response_seq, context, response_context, x_request, trace, own, parent) = evidence;
        let start_us = if huge && id == 7 { u64::MAX - start } else { start };
        Span {
            id,
            start_us,
            end_us: start_us.saturating_add(length),
            point: POINTS[point],
            agent: format!("agent-{agent}"),
            entities: [0; 2],
            addresses: [[0; 16]; 2],
            ports: [port, port],
            pids: [pid, pid],
            protocol: "HTTP1".to_owned(),
            request_id: (seq == 5).then_some(u64::from(response_seq)),
            seqs: [seq << 20, response_seq << 20],
            contexts: [context << 8, response_context << 8],
            joined: 0,
            x_request_ids: [text(x_request), text(trace)],
            trace_id: text(trace),
            span_id: text(own),
            parent_span_id: text(parent),
            kind: KINDS[kind],
        }
    })
}

fn check(spans: &[Span], forest: &Forest) {
    let ids: HashSet<u64> = spans.iter().map(|span| span.id).collect();
    assert_eq!(forest.nodes.len(), ids.len(), "every span once");
    let mut seen = HashSet::new();
    for node in &forest.nodes {
        assert_eq!(spans[node.index].id, node.id);
        if let Some(link) = node.link {
            assert!(seen.contains(&link.parent), "{} comes before its parent {}", node.id, link.parent);
            assert!((0.5..=1.0).contains(&link.confidence), "{link:?}");
        }
        assert!(seen.insert(node.id), "{} is there twice", node.id);
        let span = &spans[node.index];
        assert_eq!(
            node.self_us + node.waiting_us,
            span.end_us.min(i64::MAX as u64) - span.start_us.min(i64::MAX as u64)
        );
    }
    let in_trees: usize =
        forest.nodes.iter().filter(|node| node.link.is_none()).map(|root| forest.tree_of(root.id).len()).sum();
    assert_eq!(in_trees, ids.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_forest_always(spans in prop::collection::vec(any_span(), 0..40), known in prop::option::of(any::<i64>())) {
        let offsets: HashMap<String, i64> = known.map(|offset| ("agent-1".to_owned(), offset)).into_iter().collect();
        let forest = assemble(&spans, &offsets, Limits { patterns: true, ..Limits::default() });
        if known.is_none() && spans.iter().all(|span| span.start_us < 1 << 40) {
            check(&spans, &forest);
        } else {
            // Times at the end of what numbers hold: still a forest.
            let mut seen = HashSet::new();
            for node in &forest.nodes {
                prop_assert!(node.link.is_none_or(|link| seen.contains(&link.parent)));
                prop_assert!(seen.insert(node.id));
            }
        }
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(spans in prop::collection::vec(any_span(), 0..30)) {
        let mut seen = HashSet::new();
        let spans: Vec<Span> = spans.into_iter().filter(|span| seen.insert(span.id)).collect();
        let reversed: Vec<Span> = spans.iter().rev().cloned().collect();
        let parents = |spans: &[Span]| -> Vec<_> {
            let one_clock: Vec<Span> = spans.iter().map(|span| Span { agent: "a".into(), ..span.clone() }).collect();
            assemble(&one_clock, &HashMap::new(), Limits::default()).nodes.iter().map(|node| (node.id, node.link)).collect()
        };
        prop_assert_eq!(parents(&spans), parents(&reversed));
    }
}

/// A server end and the calls it makes, again and again; `poison` gives all of them the same ids.
fn many(count: u64, poison: bool) -> Vec<Span> {
    let of = |id: u64| {
        let request = id - id % 5;
        let is_server = id == request;
        let key = if poison { 1 } else { request + 1 };
        Span {
            id,
            start_us: if poison { id } else { id * 10 },
            end_us: if poison { 1 << 40 } else { id * 10 + if is_server { 45 } else { 5 } },
            point: if is_server { ObservationPoint::ServerProcess } else { ObservationPoint::ClientProcess },
            agent: "a".to_owned(),
            entities: [0; 2],
            addresses: [[1; 16]; 2],
            ports: [1, 2],
            pids: [7, 7],
            protocol: "HTTP1".to_owned(),
            request_id: None,
            seqs: if poison { [1 << 30; 2] } else { [id as u32 + 1, id as u32 + 1] },
            contexts: [key << 8, if poison { 1 } else { request + 2 } << 8],
            joined: 0,
            x_request_ids: [key.to_string(), String::new()],
            trace_id: key.to_string(),
            span_id: key.to_string(),
            parent_span_id: String::new(),
            kind: MessageType::Session,
        }
    };
    (0..count).map(of).collect()
}

fn time(count: u64, poison: bool) -> Duration {
    let spans = many(count, poison);
    let run = || {
        let start = Instant::now();
        let forest = assemble(&spans, &HashMap::new(), Limits { spans: usize::MAX, ..Limits::default() });
        assert_eq!(forest.nodes.len() as u64, count);
        start.elapsed()
    };
    (0..3).map(|_| run()).min().unwrap_or_default()
}

#[test]
fn ten_times_the_spans_take_about_ten_times_as_long() {
    for poison in [false, true] {
        let (few, lots) = (time(5_000, poison), time(50_000, poison));
        println!("poison {poison}: 5000 spans {few:?}, 50000 spans {lots:?}");
        assert!(lots < few * 40, "poison {poison}: {few:?} and then {lots:?}: that is quadratic");
    }
}

#[test]
fn too_many_spans_are_cut_and_it_says_so() {
    let spans = many(20_000, true);
    let start = Instant::now();
    let forest = assemble(&spans, &HashMap::new(), Limits::default());
    assert!(forest.truncated);
    assert_eq!(forest.nodes.len(), Limits::default().spans);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(!assemble(&many(100, false), &HashMap::new(), Limits::default()).truncated);
}

#[test]
fn calls_of_a_thousand_requests_find_their_own() {
    let spans = many(5_000, false);
    let forest = assemble(&spans, &HashMap::new(), Limits::default());
    for node in forest.nodes.iter().filter(|node| node.id % 5 != 0) {
        assert_eq!(node.link.map(|link| link.parent), Some(node.id - node.id % 5));
    }
}
