//! `/v1/traces`: the requests that traces begin with.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use hadal_model::catalog::L7_FLOW_LOG;
use hadal_sql::{Target, filter_to_sql};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::params::RangeParams;
use super::requests::{ROW, SLOW_US, cursor_of, one_point, parse_cursor};
use crate::map::fetch::{self, Range};

const MAX_ROWS: u32 = 500;
/// Most entry endpoints of an answer.
const MAX_ENDPOINTS: u32 = 100;

/// How a row of the log says that its request failed.
pub(super) const FAILED: &str = "response_status IN ('client_error', 'server_error', 'timeout')";

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct TracesParams {
    /// `slowest`, `failed` (newest first) or `newest`; `slowest` if absent.
    #[param(required = false)]
    show: String,
    /// Most rows, up to 500.
    limit: Option<u32>,
    /// Goes on after the last row of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TracesAnswer {
    /// Rows of the log, as in `/v1/requests`.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Map<String, Value>>,
    /// Cursor of the next page.
    next: Option<String>,
    /// A successful request above this is shown as slow, in microseconds.
    slow_us: u64,
}

/// Rows of requests that came from outside: their client serves nobody itself, or nobody watches it. What a service does
/// of its own accord is not among them.
pub(super) fn entries(range: Range, filter: &str) -> Result<String, ApiError> {
    let condition = filter_to_sql(filter, Target::Log)?;
    Ok(format!(
        "{} AND ({condition}) AND {} AND type != 'response' AND client_entity NOT IN (SELECT server_entity \
         FROM flow_metrics.`application_map.{}` WHERE {} AND observation_point = 's-p')",
        range.condition("time"),
        one_point(range, filter),
        range.precision(),
        range.condition("time"),
    ))
}

/// The slowest, the failed or the newest requests from outside; `/v1/trace/{id}` of each is its trace.
#[utoipa::path(get, path = "/v1/traces", params(RangeParams, TracesParams),
    responses((status = 200, body = TracesAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
    Query(params): Query<TracesParams>,
) -> Result<Json<TracesAnswer>, ApiError> {
    let (by_latency, only) = match params.show.as_str() {
        "" | "slowest" => (true, "type = 'session'"),
        "failed" => (false, FAILED),
        "newest" => (false, "1"),
        other => return Err(ApiError::invalid(format!("show is slowest, failed or newest, not {other}"))),
    };
    let mut conditions = vec![entries(range.range()?, &range.filter)?, only.to_owned()];
    let key = if by_latency { "(response_duration, log._id)" } else { "(toUnixTimestamp64Micro(end_time), log._id)" };
    if let Some(cursor) = &params.cursor {
        let (number, id) = parse_cursor(cursor)?;
        conditions.push(format!("{key} < ({number}, {id})"));
    }
    let limit = params.limit.unwrap_or(100).clamp(1, MAX_ROWS);
    let sql = format!(
        "SELECT {ROW} FROM {} AS log WHERE {} ORDER BY {key} DESC LIMIT {limit}",
        L7_FLOW_LOG.sql_name(""),
        conditions.join(" AND ")
    );
    let rows: Vec<Map<String, Value>> = app.blocking(move |engine| fetch::rows(engine, &sql)).await?;
    let next = (rows.len() == limit as usize).then(|| rows.last().and_then(|row| cursor_of(row, by_latency))).flatten();
    Ok(Json(TracesAnswer { rows, next, slow_us: SLOW_US }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointsAnswer {
    /// Those with the most requests first.
    endpoints: Vec<EntryLine>,
}

/// Requests from outside to one endpoint.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct EntryLine {
    service: String,
    protocol: String,
    endpoint: String,
    requests: u64,
    failed: u64,
    /// Median of the response times, in microseconds.
    p50_us: Option<u64>,
    p99_us: Option<u64>,
}

/// Endpoints that are asked from outside.
#[utoipa::path(get, path = "/v1/traces/endpoints", params(RangeParams),
    responses((status = 200, body = EndpointsAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn endpoints(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
) -> Result<Json<EndpointsAnswer>, ApiError> {
    let quantile = |level: &str| {
        format!(
            "if(countIf(type = 'session') = 0, NULL, toUInt64(quantileTDigestIf({level})(response_duration, type = 'session')))"
        )
    };
    let sql = format!(
        "SELECT auto_service_1 AS service, l7_protocol_str AS protocol, endpoint, count() AS requests, countIf({FAILED}) AS failed, \
         {} AS p50_us, {} AS p99_us FROM {} AS log WHERE {} GROUP BY service, protocol, endpoint \
         ORDER BY requests DESC, service, endpoint LIMIT {MAX_ENDPOINTS}",
        quantile("0.5"),
        quantile("0.99"),
        L7_FLOW_LOG.sql_name(""),
        entries(range.range()?, &range.filter)?,
    );
    let endpoints = app.blocking(move |engine| fetch::rows(engine, &sql)).await?;
    Ok(Json(EndpointsAnswer { endpoints }))
}
