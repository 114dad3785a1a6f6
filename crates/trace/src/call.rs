//! Rows of one call: the same bytes on the same connection, seen at several points of its path.

use std::hash::Hash;

use foldhash::{HashMap, HashMapExt};
use hadal_model::{L7Protocol, ObservationPoint};

use crate::Span;

/// More rows than points of a path and a few agents at each: then the key says nothing.
const MAX_ROWS: usize = 64;

/// How surely rows with equal addresses, ports and sequence number are of one call.
const SAME_CONNECTION: f64 = 1.0;
/// Equal sequence numbers of both directions, while an address was translated on the way.
const SAME_NUMBERS: f64 = 0.95;
/// Equal addresses, ports and the protocol's own id, as datagrams have no sequence numbers. Not of FastCGI, where all requests
/// of a connection may have the same id.
const SAME_REQUEST_ID: f64 = 0.9;

/// All calls; each row is in one.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Rows of each call in path order.
    pub(crate) rows: Vec<Vec<usize>>,
    /// How surely they are of one call.
    pub(crate) confidence: Vec<f64>,
}

/// Groups rows into calls.
pub(crate) fn group(spans: &[&Span]) -> Calls {
    let mut parts: Vec<(Vec<usize>, f64)> = (0..spans.len()).map(|row| (vec![row], 1.0)).collect();
    parts = join(spans, parts, SAME_CONNECTION, by_connection);
    parts = join(spans, parts, SAME_REQUEST_ID, by_request_id);
    parts = join(spans, parts, SAME_NUMBERS, by_numbers);
    parts.sort_by_key(|(rows, _)| rows.iter().map(|row| spans[*row].id).min());
    let (rows, confidence) = parts.into_iter().unzip();
    Calls { rows, confidence }
}

/// Numbers below may be counters of datagrams' bytes; TCP's begin anywhere.
const LEAST_NUMBER: u32 = 1 << 20;

type ConnectionKey = ([[u8; 16]; 2], [u16; 2], Option<u64>, bool, u32);

fn by_connection(span: &Span) -> Option<ConnectionKey> {
    let [request, response] = span.seqs;
    let has_ports = span.ports[0] != 0 && span.ports[1] != 0;
    (has_ports && !span.is_reported() && (request, response) != (0, 0)).then_some((
        span.addresses,
        span.ports,
        span.request_id,
        request == 0,
        if request == 0 { response } else { request },
    ))
}

fn by_numbers(span: &Span) -> Option<(&str, Option<u64>, [u32; 2])> {
    let is_usable = !span.is_reported() && span.ports[0] != 0 && span.seqs.iter().all(|seq| *seq >= LEAST_NUMBER);
    is_usable.then_some((&span.protocol, span.request_id, span.seqs))
}

type RequestKey<'a> = (&'a str, [[u8; 16]; 2], [u16; 2], u64);

fn by_request_id(span: &Span) -> Option<RequestKey<'_>> {
    let is_unique = span.protocol != L7Protocol::FastCgi.as_str();
    span.request_id.filter(|_| is_unique).map(|id| (span.protocol.as_str(), span.addresses, span.ports, id))
}

/// Joins parts with equal keys whose rows complement each other.
fn join<'a, Key: Hash + Eq>(
    spans: &[&'a Span],
    parts: Vec<(Vec<usize>, f64)>,
    confidence: f64,
    key_of: impl Fn(&'a Span) -> Option<Key>,
) -> Vec<(Vec<usize>, f64)> {
    let mut by_key: HashMap<Key, Vec<usize>> = HashMap::new();
    for (number, (rows, _)) in parts.iter().enumerate() {
        if let Some(key) = key_of(spans[rows[0]]) {
            by_key.entry(key).or_default().push(number);
        }
    }
    let mut parts: Vec<Option<(Vec<usize>, f64)>> = parts.into_iter().map(Some).collect();
    let mut joined = Vec::new();
    for numbers in by_key.into_values().filter(|numbers| (2..=MAX_ROWS).contains(&numbers.len())) {
        let rows: Vec<usize> =
            numbers.iter().flat_map(|number| parts[*number].iter().flat_map(|part| part.0.clone())).collect();
        if !complement(spans, &rows) {
            continue;
        }
        let least =
            numbers.iter().filter_map(|number| parts[*number].take()).map(|part| part.1).fold(confidence, f64::min);
        joined.push((in_path_order(spans, rows), least));
    }
    parts.into_iter().flatten().chain(joined).collect()
}

/// No point of an agent saw the call twice, and there is more than one point: else these are different calls.
fn complement(spans: &[&Span], rows: &[usize]) -> bool {
    let mut seen: Vec<(ObservationPoint, &str)> =
        rows.iter().map(|row| (spans[*row].point, spans[*row].agent.as_str())).collect();
    seen.sort_unstable();
    rows.len() <= MAX_ROWS && seen.windows(2).all(|pair| pair[0] != pair[1])
}

fn in_path_order(spans: &[&Span], mut rows: Vec<usize>) -> Vec<usize> {
    rows.sort_by_key(|row| (spans[*row].point, spans[*row].id));
    rows
}
