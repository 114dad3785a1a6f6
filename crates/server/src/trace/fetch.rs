//! Rows of the request log by what ties them together.

use std::net::Ipv6Addr;
use std::time::Instant;

use hadal_model::catalog::L7_FLOW_LOG;
use hadal_model::{CONTEXT_HANDED, CONTEXT_OWN, CONTEXT_SHARED, MessageType, ObservationPoint};
use hadal_sql::quote;
use hadal_store::Engine;
use hadal_trace::Span;
use serde::Deserialize;

use super::search::{CallKey, EntityWindow, Found, Round, Seconds, Window};
use crate::map::MapError;
use crate::map::fetch::{at_most, rows_with};

const COLUMNS: &str = "log._id AS id, toUnixTimestamp64Micro(start_time) AS start_us, \
    toUnixTimestamp64Micro(end_time) AS end_us, observation_point AS point, agent, client_entity, server_entity, toString(ip_0) AS client, \
    toString(ip_1) AS server, client_port, server_port, process_id_0, process_id_1, l7_protocol_str AS protocol, request_id, \
    req_tcp_seq, resp_tcp_seq, syscall_trace_id_request, syscall_trace_id_response, \
    syscall_trace_id_joined, x_request_id_0, x_request_id_1, trace_id, \
    span_id, parent_span_id, type";

/// Most rows that a process is asked for; one that does more is asked for the tree's contexts only.
const MAX_WINDOW_ROWS: usize = 2000;

#[derive(Deserialize)]
struct Row {
    id: u64,
    start_us: u64,
    end_us: u64,
    point: String,
    agent: String,
    client_entity: u32,
    server_entity: u32,
    client: Ipv6Addr,
    server: Ipv6Addr,
    client_port: u16,
    server_port: u16,
    process_id_0: u32,
    process_id_1: u32,
    protocol: String,
    request_id: Option<u64>,
    req_tcp_seq: u32,
    resp_tcp_seq: u32,
    syscall_trace_id_request: u64,
    syscall_trace_id_response: u64,
    syscall_trace_id_joined: u64,
    x_request_id_0: String,
    x_request_id_1: String,
    trace_id: String,
    span_id: String,
    parent_span_id: String,
    r#type: String,
}

impl From<Row> for Span {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            start_us: row.start_us,
            end_us: row.end_us,
            point: ObservationPoint::from_name(&row.point).unwrap_or(ObservationPoint::Rest),
            agent: row.agent,
            entities: [row.client_entity, row.server_entity],
            addresses: [row.client.octets(), row.server.octets()],
            ports: [row.client_port, row.server_port],
            pids: [row.process_id_0, row.process_id_1],
            protocol: row.protocol,
            request_id: row.request_id,
            seqs: [row.req_tcp_seq, row.resp_tcp_seq],
            contexts: [row.syscall_trace_id_request, row.syscall_trace_id_response],
            joined: row.syscall_trace_id_joined,
            x_request_ids: [row.x_request_id_0, row.x_request_id_1],
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_span_id: row.parent_span_id,
            kind: MessageType::from_name(&row.r#type).unwrap_or(MessageType::Session),
        }
    }
}

/// The planner of old is twice as quick with statements like these; one thread is enough for the few rows that they read.
const SETTINGS: &str = "enable_analyzer = 0, max_threads = 1";

/// The row with this id; `start_us` makes the look-up quick.
pub(crate) fn seed(engine: &dyn Engine, id: u64, start_us: Option<u64>) -> Result<Option<Span>, MapError> {
    let from = start_us.map(|time| u32::try_from(time / 1_000_000).unwrap_or(u32::MAX));
    // A row is stamped with its end.
    let within =
        |from: u32, after: u32| condition(Seconds { from: from.saturating_sub(5), to: from.saturating_add(after) });
    let places = from.map_or(vec!["1".to_owned()], |from| vec![within(from, 5), within(from, 900)]);
    for place in places {
        let sql = format!("{} WHERE {place} AND log._id = {id} LIMIT 1", select());
        if let Some(row) = rows_with::<Row>(engine, &sql, SETTINGS)?.pop() {
            return Ok(Some(row.into()));
        }
    }
    Ok(None)
}

fn select() -> String {
    format!("SELECT {COLUMNS} FROM {} AS log", L7_FLOW_LOG.sql_name(""))
}

/// The table is in the order of minutes.
pub(crate) fn condition(within: Seconds) -> String {
    let minute = |second: u32| second / 60 * 60;
    format!(
        "log.time >= toDateTime({}) AND log.time <= toDateTime({}) AND toStartOfMinute(log.time) >= toDateTime({}) \
         AND toStartOfMinute(log.time) <= toDateTime({})",
        within.from,
        within.to,
        minute(within.from),
        minute(within.to),
    )
}

/// A question, and when what it asks for ended.
type Question = (String, Seconds);

/// Everything a round asks for.
pub(crate) fn look_up(engine: &dyn Engine, round: &Round, deadline: Instant) -> Result<Found, MapError> {
    let mut found = Found { is_whole: true, has_everything: true, ..Found::default() };
    let question = |what: Option<String>, within: Option<Seconds>| what.zip(within);
    let ids = [ids("trace_id", &round.trace_ids), x_request_ids(&round.x_request_ids)];
    let far = list_of(ids).map(|ids| ids.join(" OR "));
    let windows = list_or(&round.windows, |one| window(one, false));
    let everything = round.everything.map(|(from_us, to_us)| overlaps(from_us, to_us));
    let near = [
        question(calls(&round.calls), round.calls_within),
        question(list_or(&round.parents, parents), round.parents_within),
        question(windows, round.windows_within),
        question(list_or(&round.entities, entity), round.entities_within),
        question(everything, round.everything_within),
    ];
    let near: Vec<Question> = near.into_iter().flatten().collect();
    let room = round.room.min(MAX_WINDOW_ROWS * (1 + round.windows.len()));
    let mut all = Found::default();
    ask(engine, &near, room, deadline, &mut all)?;
    let asks_much = !round.windows.is_empty() || !round.entities.is_empty() || round.everything.is_some();
    if all.more && asks_much {
        all = one_by_one(engine, round, deadline)?;
        (found.is_whole, found.has_everything) = (false, false);
    }
    found.spans.append(&mut all.spans);
    found.more |= all.more;
    ask(engine, question(far, round.reach).as_slice(), round.room, deadline, &mut found)?;
    Ok(found)
}

/// A round that finds too much when it asks for everything at once: without what is only likely asked for next, and of a
/// process that did too much only the tree's contexts.
fn one_by_one(engine: &dyn Engine, round: &Round, deadline: Instant) -> Result<Found, MapError> {
    let mut found = Found::default();
    let sure =
        [calls(&round.calls).zip(round.calls_within), list_or(&round.parents, parents).zip(round.parents_within)];
    let sure: Vec<Question> = sure.into_iter().flatten().collect();
    ask(engine, &sure, round.room, deadline, &mut found)?;
    for one in &round.windows {
        let Some(within) = round.windows_within else { break };
        let mut all = Found::default();
        ask(engine, &[(window(one, false), within)], round.room.min(MAX_WINDOW_ROWS), deadline, &mut all)?;
        if all.more {
            all = Found::default();
            ask(engine, &[(window(one, true), within)], round.room, deadline, &mut all)?;
            all.more = true;
        }
        found.spans.append(&mut all.spans);
        found.more |= all.more;
    }
    Ok(found)
}

/// Several questions in one statement: each costs more to plan than to answer.
fn ask(
    engine: &dyn Engine,
    questions: &[Question],
    room: usize,
    deadline: Instant,
    found: &mut Found,
) -> Result<(), MapError> {
    let times = questions.iter().map(|(_, within)| *within);
    let Some(within) = times.reduce(|one, other| Seconds { from: one.from.min(other.from), to: one.to.max(other.to) })
    else {
        return Ok(());
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        found.more = true;
        return Ok(());
    }
    let any: Vec<String> = questions
        .iter()
        .map(|(what, own)| {
            let own = if *own == within { String::new() } else { format!("{} AND ", seconds(*own)) };
            format!("({own}({what}))")
        })
        .collect();
    let sql = format!("{} WHERE {} AND ({}) LIMIT {}", select(), condition(within), any.join(" OR "), room + 1);
    let mut rows: Vec<Row> = rows_with(engine, &sql, &format!("{SETTINGS}, {}", at_most(left)))?;
    found.more |= rows.len() > room;
    rows.truncate(room);
    found.spans.extend(rows.into_iter().map(Span::from));
    Ok(())
}

fn seconds(within: Seconds) -> String {
    format!("log.time >= toDateTime({}) AND log.time <= toDateTime({})", within.from, within.to)
}

fn list_of<const N: usize>(all: [Option<String>; N]) -> Option<Vec<String>> {
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then_some(all)
}

fn list(values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// The same connection and sequence number, or where addresses are translated, both numbers; datagrams by the protocol's id.
fn calls(keys: &[CallKey]) -> Option<String> {
    let with_request = |key: &&CallKey| key.seqs[0] != 0;
    let requests = keys.iter().filter(with_request);
    let requests = list(requests.map(|key| format!("({}, {}, {})", key.ports[0], key.ports[1], key.seqs[0])));
    let responses = keys.iter().filter(|key| key.seqs[0] == 0 && key.seqs[1] != 0);
    let responses = list(responses.map(|key| format!("({}, {}, {})", key.ports[0], key.ports[1], key.seqs[1])));
    let both = keys.iter().filter(|key| key.seqs[0] != 0 && key.seqs[1] != 0);
    let both = list(both.map(|key| format!("({}, {})", key.seqs[0], key.seqs[1])));
    let own =
        keys.iter().filter_map(|key| key.request_id.map(|id| format!("({}, {}, {id})", key.ports[0], key.ports[1])));
    let conditions = [
        requests.map(|keys| format!("(client_port, server_port, req_tcp_seq) IN ({keys})")),
        responses.map(|keys| format!("(client_port, server_port, resp_tcp_seq) IN ({keys})")),
        both.map(|keys| format!("(req_tcp_seq, resp_tcp_seq) IN ({keys})")),
        list(own).map(|keys| format!("(client_port, server_port, ifNull(request_id, 0)) IN ({keys})")),
    ];
    let conditions: Vec<_> = conditions.into_iter().flatten().collect();
    (!conditions.is_empty()).then(|| conditions.join(" OR "))
}

fn list_or<T>(all: &[T], condition: impl Fn(&T) -> String) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(condition).collect::<Vec<_>>().join(" OR "))
}

fn ids(column: &str, ids: &[String]) -> Option<String> {
    list(ids.iter().map(|id| quote(id))).map(|ids| format!("{column} IN ({ids})"))
}

fn x_request_ids(all: &[String]) -> Option<String> {
    Some(format!("{} OR {}", ids("x_request_id_0", all)?, ids("x_request_id_1", all)?))
}

/// A context without what one thread knows of it and another does not.
const CONTEXT: u64 = !(CONTEXT_SHARED | CONTEXT_OWN | CONTEXT_HANDED);

/// Rows of a process that overlap a time.
fn window(window: &Window, by_context: bool) -> String {
    let contexts =
        list(window.contexts.iter().map(|context| (context & CONTEXT).to_string())).unwrap_or_else(|| "0".to_owned());
    let contexts = match by_context {
        true => format!(
            " AND (bitAnd(syscall_trace_id_request, {CONTEXT}) IN ({contexts}) OR bitAnd(syscall_trace_id_response, {CONTEXT}) IN ({contexts}))"
        ),
        false => String::new(),
    };
    format!(
        "(agent = {agent} AND ((observation_point = 'c-p' AND process_id_0 = {pid}) OR (observation_point = 's-p' AND \
         process_id_1 = {pid})) AND {}{contexts})",
        overlaps(window.from_us, window.to_us),
        agent = quote(&window.agent),
        pid = window.pid,
    )
}

/// What an entity did in a time, as server and as client.
fn entity(window: &EntityWindow) -> String {
    format!(
        "(((observation_point = 's-p' AND server_entity = {entity}) OR (observation_point = 'c-p' AND client_entity = {entity})) AND {})",
        overlaps(window.from_us, window.to_us),
        entity = window.entity,
    )
}

/// Requests that a process worked on in a time. Its entity comes first in the table's order.
fn parents(window: &Window) -> String {
    format!(
        "(server_entity = {} AND agent = {} AND observation_point = 's-p' AND process_id_1 = {} AND {})",
        window.entity,
        quote(&window.agent),
        window.pid,
        overlaps(window.from_us, window.to_us),
    )
}

fn overlaps(from_us: u64, to_us: u64) -> String {
    format!(
        "start_time <= fromUnixTimestamp64Micro({}, 'UTC') AND (end_time >= fromUnixTimestamp64Micro({}, 'UTC') OR type = 'request')",
        to_us, from_us,
    )
}
