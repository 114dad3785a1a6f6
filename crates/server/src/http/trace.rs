//! `/v1/trace`: everything that one request caused, and what caused it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use hadal_model::catalog::L7_FLOW_LOG;
use hadal_store::Engine;
use hadal_trace::{Node, Span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::requests::{ROW, ids_as_text};
use crate::map::MapError;
use crate::map::fetch;
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
    /// Parents come before their children; else by start.
    spans: Vec<TraceSpan>,
    /// Something may be missing: too many spans, or no time to look for more.
    truncated: bool,
}

/// One row of the log in its place.
#[derive(Serialize, ToSchema)]
pub(crate) struct TraceSpan {
    id: String,
    /// `id` of the parent, `null` of a root.
    parent_id: Option<String>,
    /// Why it is the parent: `same_call`, `span_id`, `trace_id`, `x_request_id`, `task_context`, `answer_context` or
    /// `response_context`.
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
    app.blocking(move |engine| find(engine, id, params.time)).await.map(Json)
}

fn find(engine: &dyn Engine, id: u64, start_us: Option<u64>) -> Result<TraceAnswer, ApiError> {
    let seed = trace::fetch::seed(engine, id, start_us)?;
    let seed = seed.ok_or_else(|| ApiError::not_found("there is no such request; it may have expired"))?;
    let trace = trace::trace_of(engine, seed)?;
    let mut rows = rows_of(engine, &trace)?;
    let spans = trace.spans.iter().map(|(node, _)| line(node, rows.remove(&node.id).unwrap_or_default()));
    Ok(TraceAnswer { spans: spans.collect(), truncated: trace.truncated })
}

/// The rows as the page wants them, by id.
fn rows_of(engine: &dyn Engine, trace: &Trace) -> Result<HashMap<u64, Map<String, Value>>, MapError> {
    let second = |span: &Span| span.end_us / 1_000_000;
    let seconds = trace.spans.iter().map(|(_, span)| second(span));
    let (from, to) = (seconds.clone().min().unwrap_or_default(), seconds.max().unwrap_or_default());
    let ids: Vec<_> = trace.spans.iter().map(|(node, _)| node.id.to_string()).collect();
    let sql = format!(
        "SELECT {ROW}, {MORE}, {} FROM {} AS log WHERE log.time >= toDateTime({from}) AND log.time <= toDateTime({to}) \
         AND log._id IN ({})",
        ids_as_text(&["flow_id", "syscall_trace_id_request", "syscall_trace_id_response"]),
        L7_FLOW_LOG.sql_name(""),
        ids.join(", "),
    );
    let rows: Vec<Map<String, Value>> = fetch::rows(engine, &sql)?;
    let id_of = |row: &Map<String, Value>| row.get("_id")?.as_str()?.parse().ok();
    Ok(rows.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect())
}

fn line(node: &Node, row: Map<String, Value>) -> TraceSpan {
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
        row,
    }
}
