//! Rows of the request log by what ties them together.

use std::time::Instant;

use hadal_model::CONTEXT_KEY;
use hadal_model::catalog::L7_FLOW_LOG;
use hadal_sql::quote;
use hadal_store::{Engine, Format};
use hadal_trace::Span;

use super::rows::{self, COLUMNS};
use super::search::{CallKey, EntityWindow, Found, Round, Seconds, Window};
use crate::map::MapError;
use crate::map::fetch::at_most;

/// Most rows that a process is asked for; one that does more is asked for the tree's contexts only.
const MAX_WINDOW_ROWS: usize = 2000;

/// The planner of old is twice as quick with statements like these; one thread is enough for the few rows that they read.
pub(crate) const SETTINGS: &str = "enable_analyzer = 0, max_threads = 1";

/// The row with this id; `start_us` makes the look-up quick.
pub(crate) fn seed(engine: &dyn Engine, id: u64, start_us: Option<u64>) -> Result<Option<Span>, MapError> {
    let from = start_us.map(|time| u32::try_from(time / 1_000_000).unwrap_or(u32::MAX));
    // A row is stamped with its end.
    let within =
        |from: u32, after: u32| condition(Seconds { from: from.saturating_sub(5), to: from.saturating_add(after) });
    let places = from.map_or(vec!["1".to_owned()], |from| vec![within(from, 5), within(from, 900)]);
    for place in places {
        let sql = format!("{} WHERE {place} AND log._id = {id} LIMIT 1", select());
        if let Some(row) = spans(engine, &sql, SETTINGS)?.pop() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn spans(engine: &dyn Engine, sql: &str, settings: &str) -> Result<Vec<Span>, MapError> {
    let output = engine.query(&format!("{sql} SETTINGS {settings}"), Format::RowBinary)?;
    rows::spans(&output.bytes).ok_or(MapError::CutOff)
}

fn select() -> String {
    format!("SELECT {COLUMNS} FROM {} AS log", L7_FLOW_LOG.sql_name(""))
}

/// The table is in the order of time, ten seconds at a time.
pub(crate) fn condition(within: Seconds) -> String {
    format!("log.time >= toDateTime({}) AND log.time <= toDateTime({})", within.from, within.to)
}

/// A question, and when what it asks for ended.
type Question = (String, Seconds);

/// Everything a round asks for.
pub(crate) fn look_up(engine: &dyn Engine, round: &Round, deadline: Instant) -> Result<Found, MapError> {
    let mut found = Found { is_whole: true, has_everything: true, ..Found::default() };
    let question = |what: Option<String>, within: Option<Seconds>| what.zip(within);
    let ids = [ids("trace_id", &round.trace_ids), x_request_ids(&round.x_request_ids)];
    let far = list_of(ids).map(|ids| ids.join(" OR "));
    let everything = round.everything.map(|(from_us, to_us)| overlaps(from_us, to_us));
    let windows = untold(round, &round.windows, round.windows_within);
    let parents_asked = untold(round, &round.parents, round.parents_within);
    let near = [
        question(calls(&round.calls), round.calls_within),
        question(list_or(&parents_asked, |one| parents(one)), round.parents_within),
        question(list_or(&windows, |one| window(one, false)), round.windows_within),
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

/// Windows that are not part of everything that is asked for anyway: what a statement says twice only makes it slow to plan.
fn untold<'a>(round: &Round, windows: &'a [Window], within: Option<Seconds>) -> Vec<&'a Window> {
    let holds = |outer: Seconds, inner: Seconds| outer.from <= inner.from && outer.to >= inner.to;
    let has_seconds = round.everything_within.zip(within).is_some_and(|(outer, inner)| holds(outer, inner));
    let is_told = |one: &&Window| {
        has_seconds && round.everything.is_some_and(|(from_us, to_us)| from_us <= one.from_us && to_us >= one.to_us)
    };
    windows.iter().filter(|one| !is_told(one)).collect()
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
            let own = if *own == within { String::new() } else { format!("{} AND ", condition(*own)) };
            format!("({own}({what}))")
        })
        .collect();
    let sql = format!("{} WHERE {} AND ({}) LIMIT {}", select(), condition(within), any.join(" OR "), room + 1);
    let mut rows = spans(engine, &sql, &format!("{SETTINGS}, {}", at_most(left)))?;
    found.more |= rows.len() > room;
    rows.truncate(room);
    found.spans.append(&mut rows);
    Ok(())
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

/// Rows of a process that overlap a time.
fn window(window: &Window, by_context: bool) -> String {
    let contexts = list(window.contexts.iter().map(|context| (context & CONTEXT_KEY).to_string()))
        .unwrap_or_else(|| "0".to_owned());
    let contexts = match by_context {
        true => format!(
            " AND (bitAnd(syscall_trace_id_request, {CONTEXT_KEY}) IN ({contexts}) OR bitAnd(syscall_trace_id_response, {CONTEXT_KEY}) IN ({contexts}))"
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
