//! What a filter may name: tags of both sides and columns of the request log.

use hadal_model::catalog::{self, Kind, TAGS};

/// How values of a key are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Text.
    Text,
    /// Number.
    Number,
    /// Time span with a unit.
    Duration,
    /// One of a few words.
    Enum(&'static [&'static str]),
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Name in filters.
    pub name: &'static str,
    /// Column, or base of the two columns of a two-sided key.
    pub column: &'static str,
    /// Whether it has a client side (`_0`) and a server side (`_1`).
    pub two_sided: bool,
    /// Kind of values.
    pub kind: KeyKind,
    /// What it is; a sentence.
    pub doc: &'static str,
    /// Condition on metrics tables, which have no single requests; `None` if it has none there.
    pub on_metrics: OnMetrics,
}

/// What a key means on a table of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMetrics {
    /// The same column.
    Same,
    /// Counters by value: `status = server_error` is `server_error > 0`.
    StatusCounters,
    /// The longest response time.
    Longest,
    /// Nothing: only requests have it.
    No,
}

const STATUS: &[&str] = &["ok", "client_error", "server_error", "timeout", "unknown"];
const TYPES: &[&str] = &["request", "response", "session"];

/// Short names of columns; every other column of the log goes by its own name.
const COLUMNS: &[(&str, &str, OnMetrics)] = &[
    ("protocol", "l7_protocol_str", OnMetrics::Same),
    ("endpoint", "endpoint", OnMetrics::Same),
    ("status", "response_status", OnMetrics::StatusCounters),
    ("latency", "response_duration", OnMetrics::Longest),
    ("code", "response_code", OnMetrics::No),
    ("method", "request_type", OnMetrics::No),
    ("domain", "request_domain", OnMetrics::No),
    ("resource", "request_resource", OnMetrics::No),
    ("exception", "response_exception", OnMetrics::No),
    ("type", "type", OnMetrics::No),
    ("server_port", "server_port", OnMetrics::Same),
    ("client_port", "client_port", OnMetrics::No),
    ("observation_point", "observation_point", OnMetrics::Same),
    ("trace_id", "trace_id", OnMetrics::No),
    ("agent", "agent", OnMetrics::Same),
];

/// All keys, tags first, in the order they are offered.
pub fn keys() -> Vec<Key> {
    let service = Key {
        name: "service",
        column: "auto_service",
        two_sided: true,
        kind: KeyKind::Text,
        doc: "Name of the service, on either side.",
        on_metrics: OnMetrics::Same,
    };
    let tags = TAGS.iter().filter(|tag| tag.name != "agent").map(|tag| Key {
        name: tag.name,
        column: tag.name,
        two_sided: true,
        kind: KeyKind::Text,
        doc: tag.doc,
        on_metrics: OnMetrics::Same,
    });
    let columns = COLUMNS.iter().map(|(name, column, on_metrics)| column_key(name, column, *on_metrics));
    std::iter::once(service).chain(tags).chain(columns).collect()
}

fn column_key(name: &'static str, column: &'static str, on_metrics: OnMetrics) -> Key {
    let found = catalog::L7_FLOW_LOG.columns.iter().find(|candidate| candidate.name == column);
    let kind = match (name, found.map(|found| (found.kind, found.unit))) {
        ("status", _) => KeyKind::Enum(STATUS),
        ("type", _) => KeyKind::Enum(TYPES),
        (_, Some((_, "us"))) => KeyKind::Duration,
        (_, Some((Kind::U16 | Kind::U32 | Kind::U64 | Kind::NullableI32, _))) => KeyKind::Number,
        _ => KeyKind::Text,
    };
    Key { name, column, two_sided: false, kind, doc: found.map_or("", |found| found.doc), on_metrics }
}

/// The key of this name with the side its suffix names: `auto_service_1` is (`auto_service`, server).
pub(crate) fn find(name: &str) -> Option<(Key, Option<u8>)> {
    let all = keys();
    if let Some(key) = all.iter().find(|key| key.name == name) {
        return Some((key.clone(), None));
    }
    if let Some(key) = all.iter().find(|key| !key.two_sided && key.column == name) {
        return Some((key.clone(), None));
    }
    let (base, side) = match name.strip_suffix("_0") {
        Some(base) => (base, 0),
        None => (name.strip_suffix("_1")?, 1),
    };
    all.into_iter().find(|key| key.two_sided && key.name == base).map(|key| (key, Some(side)))
}

/// Names a filter may begin with.
pub(crate) fn names() -> impl Iterator<Item = String> {
    keys().into_iter().flat_map(|key| {
        let sides = if key.two_sided { &["", "_0", "_1"][..] } else { &[""][..] };
        sides.iter().map(|suffix| format!("{}{suffix}", key.name)).collect::<Vec<_>>()
    })
}

/// SQL of a tag over an entity id, for groups of many rows with few entities; `None` if there is no such tag.
pub fn tag_expression(tag: &str, entity: &str) -> Option<String> {
    let tag = catalog::tag(if tag == "service" { "auto_service" } else { tag })?.name;
    let missing = if tag == "auto_service" || tag == "auto_instance" {
        format!("concat('entity ', toString({entity}))")
    } else {
        "''".to_owned()
    };
    Some(format!("dictGetOrDefault('meta.entity_tags', '{tag}', toUInt64({entity}), {missing})"))
}
