//! `/v1/trace`: everything that one request caused, and what caused it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use hadal_model::catalog::L7_FLOW_LOG;
use hadal_store::Engine;
use hadal_trace::{EvidenceSet, Node, Span, Step, critical_path};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::requests::{ROW, ids_as_text};
use crate::map::MapError;
use crate::map::fetch;
use crate::trace::search::Seconds;
use crate::trace::summary::{self, Name, Part};
use crate::trace::{self, Trace};

/// Columns of a span's row beyond those of a row in the list.
const MORE: &str = "log.agent, process_id_0, process_id_1, req_tcp_seq, resp_tcp_seq, x_request_id_0, x_request_id_1, trace_id, \
    span_id, parent_span_id, response_result, attribute";

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct TraceParams {
    /// Start of the request in microseconds, which makes the look-up quick.
    time: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TraceAnswer {
    /// What took the time, and what failed.
    sentence: String,
    /// Time from the first byte to the last, in microseconds.
    total_us: u64,
    /// What took it, the largest share first; together they are the total.
    parts: Vec<Part>,
    /// Parents come before their children; else by start.
    spans: Vec<TraceSpan>,
    /// Calls that the same processes made meanwhile and that have no sure parent, at most 100 of them.
    orphans: Vec<TraceSpan>,
    /// How many of those there are.
    orphans_found: usize,
    /// Something may be missing: too many spans, or no time to look for more.
    truncated: bool,
}

/// Most calls without a sure parent that an answer holds.
const MOST_ORPHANS: usize = 100;

/// One row of the log in its place.
#[derive(Serialize, ToSchema)]
pub(crate) struct TraceSpan {
    id: String,
    /// `id` of the parent, `null` of a root.
    parent_id: Option<String>,
    /// Why it is the parent: `same_call`, `span_id`, `trace_id`, `x_request_id`, `same_task`, `task_context`,
    /// `answer_context`, `response_context`, `joined_context` or `pattern`.
    evidence: Option<&'static str>,
    /// How surely, from 0 to 1.
    confidence: Option<f64>,
    /// Rows of one call, seen at several points of its path, have the same number.
    call: u32,
    /// Start in microseconds, by a clock that is the same for all spans of the trace.
    start_us: i64,
    /// Time in which no child was open.
    self_us: u64,
    /// Time in which a child was open.
    waiting_us: u64,
    /// Of the client's end of a call: how much longer it took there than at the server's end.
    network_us: Option<u64>,
    /// Stretches of the critical path, on which nothing else was waited for: pairs of start and end, in microseconds of the
    /// same clock.
    critical: Vec<[i64; 2]>,
    /// Columns of the row.
    #[schema(value_type = Object)]
    row: Map<String, Value>,
}

/// The trace that a row of the request log belongs to.
#[utoipa::path(get, path = "/v1/trace/{id}", params(("id" = String, Path, description = "`_id` of any row of the trace"), TraceParams),
    responses((status = 200, body = TraceAnswer), (status = 404, body = ErrorBody)))]
pub(crate) async fn trace(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<TraceParams>,
) -> Result<Json<TraceAnswer>, ApiError> {
    let id: u64 = id.parse().map_err(|_| ApiError::invalid("the id of a request is a number"))?;
    let without = app.trace_without;
    app.blocking(move |engine| find(engine, id, params.time, without)).await.map(Json)
}

fn find(engine: &dyn Engine, id: u64, start_us: Option<u64>, without: EvidenceSet) -> Result<TraceAnswer, ApiError> {
    let seed = trace::fetch::seed(engine, id, start_us)?;
    let seed = seed.ok_or_else(|| ApiError::not_found("there is no such request; it may have expired"))?;
    let mut trace = trace::trace_of(engine, seed, trace::BUDGET, without)?;
    let orphans_found = trace.orphans.len();
    trace.orphans.truncate(MOST_ORPHANS);
    let mut rows = rows_of(engine, &trace)?;
    let tree = trace.tree();
    let steps = critical_path(&tree);
    let summary = summary::summarize(&tree, &steps, &names(&rows));
    let mut critical = stretches(&tree, &steps);
    let mut line = |(node, _): &(Node, Span)| {
        line(node, critical.remove(&node.id).unwrap_or_default(), rows.remove(&node.id).unwrap_or_default())
    };
    Ok(TraceAnswer {
        sentence: summary.sentence,
        total_us: summary.total_us,
        parts: summary.parts,
        spans: trace.spans.iter().map(&mut line).collect(),
        orphans: trace.orphans.iter().map(&mut line).collect(),
        orphans_found,
        truncated: trace.truncated,
    })
}

pub(super) fn names(rows: &HashMap<u64, Map<String, Value>>) -> HashMap<u64, Name> {
    let name = |row: &Map<String, Value>| {
        let text = |column: &str| row.get(column).and_then(Value::as_str).unwrap_or_default();
        let code = row.get("response_code").filter(|code| !code.is_null()).map(Value::to_string).unwrap_or_default();
        let name = Name::new(text("server"), text("l7_protocol_str"), text("request_type"), text("endpoint"));
        Name { status: text("response_status").to_owned(), code, ..name }
    };
    rows.iter().map(|(id, row)| (*id, name(row))).collect()
}

fn stretches(tree: &[(&Node, &Span)], steps: &[Step]) -> HashMap<u64, Vec<[i64; 2]>> {
    let mut stretches: HashMap<u64, Vec<[i64; 2]>> = HashMap::new();
    for step in steps {
        stretches.entry(tree[step.place].0.id).or_default().push([step.from_us, step.to_us]);
    }
    stretches
}

/// The rows as the page wants them, by id.
pub(super) fn rows_of(engine: &dyn Engine, trace: &Trace) -> Result<HashMap<u64, Map<String, Value>>, MapError> {
    let second = |span: &Span| span.end_us / 1_000_000;
    let second_of = |second: u64| u32::try_from(second).unwrap_or(u32::MAX);
    let all = || trace.spans.iter().chain(&trace.orphans);
    let seconds = all().map(|(_, span)| second(span));
    let (from, to) = (seconds.clone().min().unwrap_or_default(), seconds.max().unwrap_or_default());
    let ids: Vec<_> = all().map(|(node, _)| node.id.to_string()).collect();
    let of_entities = |side: usize| {
        let entities: BTreeSet<u32> = all().map(|(_, span)| span.entities[side]).collect();
        entities.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    };
    // All of the table's order is known.
    let sql = format!(
        "SELECT {ROW}, {MORE}, {} FROM {} AS log WHERE {} AND server_entity IN ({}) AND client_entity IN ({}) AND log._id IN ({})",
        ids_as_text(&["flow_id", "syscall_trace_id_request", "syscall_trace_id_response"]),
        L7_FLOW_LOG.sql_name(""),
        trace::fetch::condition(Seconds { from: second_of(from), to: second_of(to) }),
        of_entities(1),
        of_entities(0),
        ids.join(", "),
    );
    let rows: Vec<Map<String, Value>> = fetch::rows_with(engine, &sql, trace::fetch::SETTINGS)?;
    let id_of = |row: &Map<String, Value>| row.get("_id")?.as_str()?.parse().ok();
    Ok(rows.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect())
}

fn line(node: &Node, critical: Vec<[i64; 2]>, row: Map<String, Value>) -> TraceSpan {
    TraceSpan {
        id: node.id.to_string(),
        parent_id: node.link.map(|link| link.parent.to_string()),
        evidence: node.link.map(|link| link.evidence.as_str()),
        confidence: node.link.map(|link| (link.confidence * 1000.0).round() / 1000.0),
        call: node.call,
        start_us: node.start_us,
        self_us: node.self_us,
        waiting_us: node.waiting_us,
        network_us: node.network_us,
        critical,
        row,
    }
}
