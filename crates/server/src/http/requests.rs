//! `/v1/requests`: the request log.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use hadal_model::catalog::{L7_FLOW_LOG, TAGS};
use hadal_sql::{Target, filter_to_sql};
use hadal_store::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::params::RangeParams;
use crate::map::MapError;
use crate::map::fetch::{self, Range};

/// A successful request above this is shown as slow, in microseconds.
pub(super) const SLOW_US: u64 = 100_000;
const MAX_ROWS: u32 = 1000;

/// Columns of a row in the list; times and ids as the page wants them.
pub(super) const ROW: &str = "toString(log._id) AS _id, toUnixTimestamp64Micro(start_time) AS start_time_us, \
    toUnixTimestamp64Micro(end_time) AS end_time_us, \
    if(type = 'session', response_duration, NULL) AS response_duration_us, observation_point, l7_protocol_str, version, type, \
    auto_service_0 AS client, auto_service_1 AS server, toString(client_entity) AS client_entity_id, \
    toString(server_entity) AS server_entity_id, request_type, request_domain, request_resource, endpoint, response_status, \
    response_code, response_exception, toBool(is_tls) AS is_tls, request_length, response_length, \
    replaceOne(toString(ip_0), '::ffff:', '') AS client_ip, client_port, replaceOne(toString(ip_1), '::ffff:', '') AS server_ip, \
    server_port";

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct ListParams {
    /// Most rows, up to 1000.
    limit: Option<u32>,
    /// `time` (newest first) or `latency` (slowest first).
    #[param(required = false)]
    order: String,
    /// Goes on after the last row of the page before.
    cursor: Option<String>,
    /// Rows newer than this cursor, for the live tail.
    after: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ListAnswer {
    /// Rows of the log.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Map<String, Value>>,
    /// Cursor of the next page.
    next: Option<String>,
    /// Cursor of the newest row, for the live tail.
    newest: Option<String>,
}

/// `<microseconds or latency>.<row id>`
pub(super) fn cursor_of(row: &Map<String, Value>, by_latency: bool) -> Option<String> {
    let number = row.get(if by_latency { "response_duration_us" } else { "end_time_us" })?.as_u64().unwrap_or(0);
    Some(format!("{number}.{}", row.get("_id")?.as_str()?))
}

/// How far the live tail has read: the last row id of each start of each agent. Ids grow in the order of commits, which
/// times do not, so a row that comes late is not missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tail(BTreeMap<u64, u64>);

/// Bits of a row's id below the numbers of its agent and the agent's start.
const ROW_BITS: u32 = 40;

impl Tail {
    /// `<id>-<id>-…`, the newest id of each start.
    fn parse(text: &str) -> Result<Self, ApiError> {
        let mut tail = Self::default();
        for part in text.split('-').filter(|part| !part.is_empty()) {
            let id = part.parse().map_err(|_| ApiError::invalid("the cursor is not one that a list gave"))?;
            tail.see(id);
        }
        Ok(tail)
    }

    fn see(&mut self, id: u64) {
        let newest = self.0.entry(id >> ROW_BITS).or_default();
        *newest = (*newest).max(id);
    }

    fn condition(&self) -> String {
        let starts: Vec<_> = self.0.keys().map(u64::to_string).collect();
        let newer: Vec<_> = self
            .0
            .iter()
            .map(|(start, id)| format!("(bitShiftRight(log._id, {ROW_BITS}) = {start} AND log._id > {id})"))
            .chain([format!("bitShiftRight(log._id, {ROW_BITS}) NOT IN ({})", starts.join(", "))])
            .collect();
        if starts.is_empty() { "1".to_owned() } else { format!("({})", newer.join(" OR ")) }
    }
}

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.0.values().map(u64::to_string).collect();
        f.write_str(&ids.join("-"))
    }
}

/// The end of the log now, where a live tail begins.
fn end_of_log(engine: &dyn Engine, range: Range) -> Result<Tail, MapError> {
    let sql = format!(
        "SELECT toString(max(log._id)) AS newest FROM {} AS log WHERE {} GROUP BY bitShiftRight(log._id, {ROW_BITS})",
        L7_FLOW_LOG.sql_name(""),
        range.condition("time")
    );
    let mut tail = Tail::default();
    let ids = rows(engine, &sql)?;
    ids.iter().filter_map(|row| row.get("newest")?.as_str()?.parse().ok()).for_each(|id| tail.see(id));
    Ok(tail)
}

pub(super) fn parse_cursor(text: &str) -> Result<(u64, u64), ApiError> {
    let parts = text.split_once('.').and_then(|(number, id)| Some((number.parse().ok()?, id.parse().ok()?)));
    parts.ok_or_else(|| ApiError::invalid("the cursor is not one that a list gave"))
}

/// Rows of one observation point per edge, unless the filter asks for points.
pub(super) fn one_point(range: Range, filter: &str) -> String {
    if filter.contains("observation_point") {
        return "1".to_owned();
    }
    format!(
        "(observation_point = 's-p' OR (client_entity, server_entity) NOT IN (SELECT client_entity, server_entity \
         FROM flow_metrics.`application_map.{}` WHERE {} AND observation_point = 's-p'))",
        range.precision(),
        range.condition("time")
    )
}

fn rows(engine: &dyn Engine, sql: &str) -> Result<Vec<Map<String, Value>>, MapError> {
    fetch::rows(engine, sql)
}

/// The request log, newest or slowest first.
#[utoipa::path(get, path = "/v1/requests", params(RangeParams, ListParams),
    responses((status = 200, body = ListAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
    Query(params): Query<ListParams>,
) -> Result<Json<ListAnswer>, ApiError> {
    let (filter, span) = (range.filter.clone(), range.range()?);
    let by_latency = match params.order.as_str() {
        "" | "time" => false,
        "latency" => true,
        other => return Err(ApiError::invalid(format!("order is time or latency, not {other}"))),
    };
    let condition = filter_to_sql(&filter, Target::Log)?;
    let mut conditions = vec![span.condition("time"), format!("({condition})"), one_point(span, &filter)];
    let key = if by_latency { "(response_duration, log._id)" } else { "(toUnixTimestamp64Micro(end_time), log._id)" };
    if let Some(cursor) = &params.cursor {
        let (number, id) = parse_cursor(cursor)?;
        conditions.push(format!("{key} < ({number}, {id})"));
    }
    let tail = params.after.as_deref().map(Tail::parse).transpose()?;
    conditions.extend(tail.as_ref().map(Tail::condition));
    let limit = params.limit.unwrap_or(200).clamp(1, MAX_ROWS);
    let table = format!("{} AS log", L7_FLOW_LOG.sql_name(""));
    let sql = format!("SELECT {ROW} FROM {table} WHERE {} ORDER BY {key} DESC LIMIT {limit}", conditions.join(" AND "));
    let (rows, tail) = app
        .blocking(move |engine| {
            // The end first: what is committed in between comes again with the tail and is not missed.
            let end = if tail.is_none() { Some(end_of_log(engine, span)?) } else { None };
            let rows = rows(engine, &sql)?;
            Ok::<_, MapError>((rows, end.or(tail).unwrap_or_default()))
        })
        .await?;
    let next = (rows.len() == limit as usize).then(|| rows.last().and_then(|row| cursor_of(row, by_latency))).flatten();
    let newest = Some(newest(tail, &rows).to_string()).filter(|newest| !newest.is_empty());
    Ok(Json(ListAnswer { rows, next, newest }))
}

fn newest(mut tail: Tail, rows: &[Map<String, Value>]) -> Tail {
    rows.iter().filter_map(|row| row.get("_id")?.as_str()?.parse().ok()).for_each(|id| tail.see(id));
    tail
}

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct HistogramParams {
    /// Number of buckets, up to 300.
    buckets: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HistogramAnswer {
    step_s: u32,
    slow_us: u64,
    #[schema(value_type = Vec<Object>)]
    buckets: Vec<Map<String, Value>>,
}

/// Requests over time by outcome.
#[utoipa::path(get, path = "/v1/requests/histogram", params(RangeParams, HistogramParams),
    responses((status = 200, body = HistogramAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn histogram(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
    Query(params): Query<HistogramParams>,
) -> Result<Json<HistogramAnswer>, ApiError> {
    let (filter, span) = (range.filter.clone(), range.range()?);
    let condition = filter_to_sql(&filter, Target::Log)?;
    let step = span.seconds().div_ceil(params.buckets.unwrap_or(60).clamp(1, 300)).max(1);
    let (from, to) = (span.from, span.from + span.seconds().div_ceil(step) * step);
    let sql = format!(
        "SELECT toUInt32({from} + intDiv(toUInt32(log.time) - {from}, {step}) * {step}) AS time, \
         countIf(response_status IN ('ok', 'unknown') AND response_duration <= {SLOW_US}) AS ok, \
         countIf(response_status IN ('ok', 'unknown') AND response_duration > {SLOW_US}) AS slow, \
         countIf(response_status = 'client_error') AS client_error, countIf(response_status = 'server_error') AS server_error, \
         countIf(response_status = 'timeout') AS timeout \
         FROM {table} AS log WHERE {range} AND ({condition}) AND {point} \
         GROUP BY time ORDER BY time WITH FILL FROM toUInt32({from}) TO toUInt32({to}) STEP {step}",
        table = L7_FLOW_LOG.sql_name(""),
        range = span.condition("log.time"),
        point = one_point(span, &filter),
    );
    let buckets = app.blocking(move |engine| rows(engine, &sql)).await?;
    Ok(Json(HistogramAnswer { step_s: step, slow_us: SLOW_US, buckets }))
}

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct OneParams {
    /// Start of the request in microseconds, which makes the look-up quick.
    time: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OneAnswer {
    /// Every column.
    #[schema(value_type = Object)]
    row: Map<String, Value>,
    client_tags: BTreeMap<String, String>,
    server_tags: BTreeMap<String, String>,
    /// The same call seen at all points, in path order.
    observations: Vec<Observation>,
    flow: Flow,
}

/// The call as one observation point saw it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Observation {
    _id: String,
    observation_point: String,
    start_time_us: u64,
    response_duration_us: Option<u64>,
}

/// The connection during the request.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Flow {
    rtt_us: Option<u64>,
    retransmissions: u64,
}

/// One request with everything known of it.
#[utoipa::path(get, path = "/v1/requests/{id}", params(("id" = String, Path, description = "`_id` of the row"), OneParams),
    responses((status = 200, body = OneAnswer), (status = 404, body = ErrorBody)))]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<OneParams>,
) -> Result<Json<OneAnswer>, ApiError> {
    let id: u64 = id.parse().map_err(|_| ApiError::invalid("the id of a request is a number"))?;
    app.blocking(move |engine| find(engine, id, params.time)).await.map(Json)
}

fn find(engine: &dyn Engine, id: u64, time_us: Option<u64>) -> Result<OneAnswer, ApiError> {
    // Rows are stamped with their end, which is at most some minutes after the start.
    let near = time_us.map_or("1".to_owned(), |time| {
        let second = time / 1_000_000;
        format!("time >= toDateTime({}) AND time <= toDateTime({})", second.saturating_sub(5), second + 900)
    });
    let tags = |suffix: &str| TAGS.iter().map(|tag| format!("`{}{suffix}`", tag.name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT * REPLACE ({}), toUnixTimestamp64Micro(start_time) AS start_time_us, {}, {} FROM {} AS log \
         WHERE log._id = {id} AND {near} LIMIT 1",
        ids_as_text(&["_id", "request_id", "flow_id", "syscall_trace_id_request", "syscall_trace_id_response"]),
        tags("_0"),
        tags("_1"),
        L7_FLOW_LOG.sql_name("")
    );
    let found = rows(engine, &sql)?.pop();
    let mut row = found.ok_or_else(|| ApiError::not_found("there is no such request; it may have expired"))?;
    let client_tags = take_tags(&mut row, "_0");
    let server_tags = take_tags(&mut row, "_1");
    let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    let flow = Flow { rtt_us: Some(number("rtt")).filter(|rtt| *rtt > 0), retransmissions: number("retransmissions") };
    let observations = observations(engine, &row)?;
    Ok(OneAnswer { row, client_tags, server_tags, observations, flow })
}

/// Columns of 64 bits that are names and not amounts.
pub(super) fn ids_as_text(ids: &[&str]) -> String {
    ids.iter().map(|name| format!("toString(log.`{name}`) AS `{name}`")).collect::<Vec<_>>().join(", ")
}

fn take_tags(row: &mut Map<String, Value>, suffix: &str) -> BTreeMap<String, String> {
    let tag = |name: &'static str| {
        let value = row.remove(&format!("{name}{suffix}"))?.as_str()?.to_owned();
        (!value.is_empty()).then_some((name.to_owned(), value))
    };
    TAGS.iter().map(|found| found.name).filter_map(tag).collect()
}

/// The same bytes on the same connection: equal ports and sequence numbers, within a few seconds.
fn observations(engine: &dyn Engine, row: &Map<String, Value>) -> Result<Vec<Observation>, MapError> {
    let number = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    let second = number("start_time_us") / 1_000_000;
    let order: Vec<_> =
        hadal_model::ObservationPoint::ALL.iter().map(|point| format!("'{}'", point.as_str())).collect();
    let sql = format!(
        "SELECT toString(log._id) AS _id, observation_point, toUnixTimestamp64Micro(start_time) AS start_time_us, \
         if(type = 'session', response_duration, NULL) AS response_duration_us FROM {} AS log \
         WHERE time >= toDateTime({}) AND time <= toDateTime({}) AND client_port = {} AND server_port = {} \
         AND req_tcp_seq = {} AND resp_tcp_seq = {} ORDER BY indexOf([{}], observation_point) LIMIT 20",
        L7_FLOW_LOG.sql_name(""),
        second.saturating_sub(5),
        second + 900,
        number("client_port"),
        number("server_port"),
        number("req_tcp_seq"),
        number("resp_tcp_seq"),
        order.join(", "),
    );
    rows(engine, &sql)?
        .into_iter()
        .map(|row| serde_json::from_value(Value::Object(row)).map_err(MapError::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_remembers_each_start_of_each_agent() {
        let mut tail = Tail::parse("5-1099511627777").unwrap();
        tail.see(4);
        tail.see((1 << ROW_BITS) + 9);
        assert_eq!(tail.to_string(), "5-1099511627785");
        assert_eq!(Tail::parse(&tail.to_string()).unwrap(), tail);
        assert!(tail.condition().contains("NOT IN (0, 1)"), "{}", tail.condition());
        assert_eq!(Tail::default().condition(), "1");
        assert!(Tail::parse("x").is_err());
    }
}
