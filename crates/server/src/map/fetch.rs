//! Metrics of a time range from the store.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hadal_model::catalog::{APPLICATION_MAP, ENTITY, NETWORK_MAP, Table};
use hadal_sql::{Target, filter_to_sql, outcomes, tag_expression};
use hadal_store::{Engine, Format};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::MapError;
use super::stats::Stats;

/// A time range in seconds, `from` included, `to` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Range {
    pub(crate) fn seconds(self) -> u32 {
        self.to.saturating_sub(self.from).max(1)
    }

    /// Seconds of the range in which something was watched: rates mean these, not the time before or after.
    pub(crate) fn watched(self, first_data: Option<u32>, now: u32) -> u32 {
        let from = self.from.max(first_data.unwrap_or(self.from));
        self.to.min(now).saturating_sub(from).clamp(1, self.seconds())
    }

    /// Precision that answers quickly and still gives enough points.
    pub(crate) fn precision(self) -> &'static str {
        match self.seconds() {
            0..=7200 => "1s",
            7201..=172_800 => "1m",
            _ => "1h",
        }
    }

    /// Width of buckets in seconds, so that there are about `count`, and no finer than the precision.
    pub(crate) fn step(self, count: u32) -> u32 {
        let finest = match self.precision() {
            "1s" => 1,
            "1m" => 60,
            _ => 3600,
        };
        self.seconds().div_ceil(count.max(1)).div_ceil(finest).max(1) * finest
    }

    pub(crate) fn condition(self, column: &str) -> String {
        format!("{column} >= toDateTime({}) AND {column} < toDateTime({})", self.from, self.to)
    }
}

/// When the first data that is still kept was taken, in seconds; `None` if there is none. Answered from the parts'
/// minimum of the partition key's column.
pub(crate) fn first_data(engine: &dyn Engine) -> Result<Option<u32>, MapError> {
    let sql = format!("SELECT toUInt32(min(time)) FROM {}", NETWORK_MAP.sql_name("1h"));
    let hour = engine.query(&sql, Format::Tsv)?;
    let hour: u32 = String::from_utf8_lossy(&hour.bytes).trim().parse().unwrap_or(0);
    if hour == 0 {
        return Ok(None);
    }
    // The hour holds the first row; the raw table says when in it, unless that has expired.
    let sql = format!(
        "SELECT toUInt32(min(time)) FROM {} WHERE time < toDateTime({})",
        NETWORK_MAP.sql_name("1s"),
        hour.saturating_add(3600)
    );
    let exact = engine.query(&sql, Format::Tsv)?;
    let exact: u32 = String::from_utf8_lossy(&exact.bytes).trim().parse().unwrap_or(0);
    Ok(Some(exact.max(hour)))
}

/// What metrics are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) range: Range,
    pub(crate) filter: &'a str,
    /// Tag by which entities are grouped.
    pub(crate) group_by: &'a str,
    /// Width of time buckets, for `spark` or `bucket`.
    pub(crate) step: u32,
    /// Further condition, our own.
    pub(crate) and: String,
}

/// Metrics of one pair of entities at one observation point.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Row {
    pub(crate) client_entity: u32,
    pub(crate) server_entity: u32,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) point: String,
    #[serde(default)]
    pub(crate) protocol: String,
    #[serde(default)]
    pub(crate) endpoint: String,
    /// Start of the time bucket in seconds.
    #[serde(default)]
    pub(crate) bucket: u32,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    client_errors: u64,
    #[serde(default)]
    server_errors: u64,
    #[serde(default)]
    timeouts: u64,
    #[serde(default)]
    sketch: BTreeMap<i16, u64>,
    /// Bucket number → requests.
    #[serde(default)]
    pub(crate) spark: BTreeMap<u32, u64>,
    #[serde(default)]
    pub(crate) connections: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
}

impl Row {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            requests: self.requests,
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            timeouts: self.timeouts,
            sketch: self.sketch.clone(),
        }
    }
}

/// Rows of a query of our own. Numbers are JSON numbers; ids of 64 bits, which JavaScript cannot hold, are selected as text.
pub(crate) fn rows<T: DeserializeOwned>(engine: &dyn Engine, sql: &str) -> Result<Vec<T>, MapError> {
    decoded(engine, &format!("{sql} SETTINGS output_format_json_quote_64bit_integers = 0"))
}

/// The same with settings of the engine.
pub(crate) fn rows_with<T: DeserializeOwned>(
    engine: &dyn Engine,
    sql: &str,
    settings: &str,
) -> Result<Vec<T>, MapError> {
    decoded(engine, &format!("{sql} SETTINGS output_format_json_quote_64bit_integers = 0, {settings}"))
}

/// The same, as far as time allows: what was read until then is the answer.
pub(crate) fn rows_within<T: DeserializeOwned>(
    engine: &dyn Engine,
    sql: &str,
    left: Duration,
) -> Result<Vec<T>, MapError> {
    rows_with(engine, sql, &at_most(left))
}

/// Settings that end a query after a time, with what was read until then.
pub(crate) fn at_most(left: Duration) -> String {
    let seconds = left.as_secs_f64().max(0.1);
    format!("max_execution_time = {seconds:.3}, timeout_overflow_mode = 'break'")
}

fn decoded<T: DeserializeOwned>(engine: &dyn Engine, sql: &str) -> Result<Vec<T>, MapError> {
    let output = engine.query(sql, Format::JsonEachRow)?;
    let lines = output.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(MapError::from)).collect()
}

fn name(tag: &str, entity: &str) -> String {
    tag_expression(tag, entity).unwrap_or_else(|| "''".to_owned())
}

/// `keys` are pairs of expression and name, beyond the two entities and the observation point.
fn select(
    table: &Table,
    question: &Question<'_>,
    target: Target,
    keys: &[(&str, &str)],
    values: &str,
) -> Result<String, MapError> {
    let condition = filter_to_sql(question.filter, target)?;
    let group: String = keys.iter().map(|(_, name)| format!(", {name}")).collect();
    let keys: String = keys.iter().map(|(expression, name)| format!("{expression} AS {name}, ")).collect();
    let and = if question.and.is_empty() { String::new() } else { format!(" AND {}", question.and) };
    Ok(format!(
        "SELECT client_entity, server_entity, observation_point AS point, {keys}{values}, {} AS client, {} AS server \
         FROM {} WHERE {} AND ({condition}){and} GROUP BY client_entity, server_entity, point{group}",
        name(question.group_by, "client_entity"),
        name(question.group_by, "server_entity"),
        table.sql_name(question.range.precision()),
        question.range.condition("time"),
    ))
}

/// Requests of a row of metrics that ended as the filter wants. Metrics count outcomes, so one of them can be taken out.
fn wanted_requests(outcomes: &[&str]) -> String {
    const COUNTERS: &[(&str, &str)] = &[
        ("ok", "(least(request, response) - least(least(request, response), client_error + server_error))"),
        ("client_error", "client_error"),
        ("server_error", "server_error"),
        ("timeout", "timeout"),
        ("unknown", "(greatest(request, response + timeout) - response - timeout)"),
    ];
    if COUNTERS.iter().all(|(outcome, _)| outcomes.contains(outcome)) {
        return "request".to_owned();
    }
    let wanted = COUNTERS.iter().filter(|(outcome, _)| outcomes.contains(outcome)).map(|(_, counter)| *counter);
    let sum = wanted.collect::<Vec<_>>().join(" + ");
    if sum.is_empty() { "0".to_owned() } else { sum }
}

/// Sums under names that no column has: a filter on that column would mean the sum. Latencies are not kept by outcome,
/// so there are none where only some outcomes are wanted.
fn counters(outcomes: &[&str]) -> String {
    let if_wanted = |outcome: &str, column: &str| {
        if outcomes.contains(&outcome) { format!("sum({column})") } else { "0".to_owned() }
    };
    let requests = wanted_requests(outcomes);
    let sketch = if requests == "request" { "sumMap(rrt_sketch)" } else { "map()::Map(Int16, UInt64)" };
    format!(
        "toUInt64(sum({requests})) AS requests, {} AS client_errors, {} AS server_errors, {} AS timeouts, {sketch} AS sketch",
        if_wanted("client_error", "client_error"),
        if_wanted("server_error", "server_error"),
        if_wanted("timeout", "timeout"),
    )
}

/// Requests by protocol, with a sparkline.
pub(crate) fn edges(engine: &dyn Engine, question: &Question<'_>) -> Result<Vec<Row>, MapError> {
    let outcomes = outcomes(question.filter)?;
    let spark = format!(
        "{}, sumMap(map(toUInt32(intDiv(toUInt32(time) - {}, {})), toUInt64({}))) AS spark",
        counters(&outcomes),
        question.range.from,
        question.step,
        wanted_requests(&outcomes),
    );
    rows(engine, &select(&APPLICATION_MAP, question, Target::Metrics, &[("l7_protocol_str", "protocol")], &spark)?)
}

/// Requests by endpoint.
pub(crate) fn endpoints(engine: &dyn Engine, question: &Question<'_>) -> Result<Vec<Row>, MapError> {
    let keys = [("l7_protocol_str", "protocol"), ("endpoint", "endpoint")];
    rows(engine, &select(&APPLICATION_MAP, question, Target::Metrics, &keys, &counters(&outcomes(question.filter)?))?)
}

/// Requests by time bucket.
pub(crate) fn series(engine: &dyn Engine, question: &Question<'_>) -> Result<Vec<Row>, MapError> {
    let (from, step) = (question.range.from, question.step);
    let bucket = format!("toUInt32({from} + intDiv(toUInt32(time) - {from}, {step}) * {step})");
    rows(
        engine,
        &select(
            &APPLICATION_MAP,
            question,
            Target::Metrics,
            &[(&bucket, "bucket")],
            &counters(&outcomes(question.filter)?),
        )?,
    )
}

/// Open connections and bytes; also of pairs without any request. Terms that connections do not have are refused, so
/// the caller asks only where the filter allows it.
pub(crate) fn connections(engine: &dyn Engine, question: &Question<'_>) -> Result<Vec<Row>, MapError> {
    let values = "toUInt64(max(active_flow)) AS connections, sum(byte_tx + byte_rx) AS bytes";
    rows(engine, &select(&NETWORK_MAP, question, Target::Connections, &[], values)?)
}

#[derive(Deserialize)]
struct TagsRow {
    id: u32,
    tags: HashMap<String, String>,
}

/// Tags of entities by id.
pub(crate) fn tags(engine: &dyn Engine, ids: &[u32]) -> Result<HashMap<u32, HashMap<String, String>>, MapError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
    let sql = format!("SELECT id, tags FROM {} FINAL WHERE id IN ({})", ENTITY.sql_name(""), ids.join(", "));
    Ok(rows::<TagsRow>(engine, &sql)?.into_iter().map(|row| (row.id, row.tags)).collect())
}

/// A row of the loss ledger.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Loss {
    pub(crate) agent: String,
    pub(crate) cause: String,
    pub(crate) count: u64,
}

/// Losses in a range, by agent and cause.
pub(crate) fn losses(engine: &dyn Engine, range: Range) -> Result<Vec<Loss>, MapError> {
    rows(
        engine,
        &format!(
            "SELECT agent, cause, sum(`count`) AS count FROM hadal.loss WHERE {} GROUP BY agent, cause ORDER BY count DESC",
            range.condition("time")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn rates_mean_the_time_that_was_watched() {
        let range = Range { from: 1000, to: 1900 };
        assert_eq!(range.watched(None, 5000), 900);
        assert_eq!(range.watched(Some(1840), 5000), 60);
        assert_eq!(range.watched(Some(500), 5000), 900);
        assert_eq!(range.watched(Some(1500), 1600), 100);
        assert_eq!(range.watched(Some(9999), 5000), 1);
    }

    #[test]
    fn buckets_are_no_finer_than_the_precision() {
        assert_eq!(Range { from: 0, to: 900 }.step(30), 30);
        assert_eq!(Range { from: 0, to: 86_400 }.step(30), 2880);
        assert_eq!(Range { from: 0, to: 30 * 86_400 }.step(1000), 3600);
    }
}
