//! DDL of ClickHouse, derived from the catalog.

use std::fmt::Write as _;

use super::{Column, Kind, Merge, Rollup, Sides, TAGS, Table};

/// Databases that hold Hadal's tables.
pub const DATABASES: &[&str] = &["flow_log", "flow_metrics", "hadal", "meta"];

/// `CREATE DATABASE`.
pub fn database_ddl(name: &str) -> String {
    format!("CREATE DATABASE IF NOT EXISTS {name}")
}

/// `CREATE TABLE` of the raw table.
pub fn table_ddl(table: &Table) -> String {
    let versioned = table.columns.iter().any(|column| column.name == "version" && column.kind == Kind::U64);
    let engine = if versioned { "ReplacingMergeTree(version)" } else { "MergeTree" };
    create(table, table.precision, engine, table.partition_by, table.ttl_days, false)
}

/// `CREATE TABLE` of a roll-up and `CREATE MATERIALIZED VIEW` that fills it.
pub fn rollup_ddl(table: &Table, rollup: &Rollup) -> [String; 2] {
    let target = create(table, rollup.suffix, "AggregatingMergeTree", rollup.partition_by, rollup.ttl_days, true);
    let columns: Vec<_> = table.columns.iter().map(rollup_expression).collect();
    let keys: Vec<_> = table.columns.iter().filter(|column| column.merge == Merge::Key).map(group_key).collect();
    // The inner query renames the time, so that the outer alias `time` cannot capture the truncation's argument.
    let view = format!(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS {} TO {} AS SELECT {} FROM (SELECT * EXCEPT time, {}(time) AS bucket FROM {}) GROUP BY {}",
        table.sql_name(&format!("{}_mv", rollup.suffix)),
        table.sql_name(rollup.suffix),
        columns.join(", "),
        rollup.truncate,
        table.sql_name(table.precision),
        keys.join(", "),
    );
    [target, view]
}

/// `CREATE DICTIONARY` over the entity table.
pub fn entity_dictionary_ddl() -> String {
    let columns: Vec<_> = TAGS.iter().map(|tag| format!("`{}` String DEFAULT ''", tag.name)).collect();
    let select: Vec<_> = TAGS.iter().map(|tag| format!("tags[\\'{0}\\'] AS `{0}`", tag.name)).collect();
    format!(
        "CREATE OR REPLACE DICTIONARY meta.entity_tags (id UInt64, {}) PRIMARY KEY id \
         SOURCE(CLICKHOUSE(QUERY 'SELECT toUInt64(id) AS id, {} FROM meta.entity FINAL')) \
         LAYOUT(HASHED_ARRAY()) LIFETIME(0)",
        columns.join(", "),
        select.join(", "),
    )
}

/// Functions for queries: `rrt_quantile(rrt_sketch_sum, q)` in microseconds, NULL for an empty sketch.
pub fn user_function_ddl() -> Vec<String> {
    // The first bucket whose running count exceeds the rank; the estimate of DDSketch, section 2.1.
    let quantile = "CREATE OR REPLACE FUNCTION sketch_quantile AS (sketch, q) -> \
        if(empty(mapKeys(sketch)), NULL, \
        2 * pow(1.02, arrayElement(arraySort(mapKeys(sketch)), greatest(1, arrayFirstIndex(running -> \
        running > q * (arraySum(mapValues(sketch)) - 1), \
        arrayCumSum(arraySort((count, bucket) -> bucket, mapValues(sketch), mapKeys(sketch))))))) / 2.02)";
    vec![quantile.to_owned()]
}

/// Statement that adds columns to a table that an earlier version made.
pub fn added_columns_ddl(table: &Table) -> String {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("ADD COLUMN IF NOT EXISTS {}", column_ddl(column, false))).collect();
    format!("ALTER TABLE {} {}", table.sql_name(table.precision), columns.join(", "))
}

fn create(table: &Table, precision: &str, engine: &str, partition_by: &str, ttl_days: u32, rollup: bool) -> String {
    let mut lines: Vec<String> = table.columns.iter().map(|column| column_ddl(column, rollup)).collect();
    lines.extend(tag_columns(table));
    let mut ddl = format!(
        "CREATE TABLE IF NOT EXISTS {} ({}) ENGINE = {engine} ORDER BY {}",
        table.sql_name(precision),
        lines.join(", "),
        table.order_by
    );
    if !partition_by.is_empty() {
        let _ = write!(ddl, " PARTITION BY {partition_by}");
    }
    if ttl_days > 0 {
        let _ = write!(ddl, " TTL toDateTime(time) + INTERVAL {ttl_days} DAY");
    }
    // The window makes a repeated insert with the same token count once, here and in the roll-ups behind it.
    ddl.push_str(" SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1");
    ddl
}

fn column_ddl(column: &Column, rollup: bool) -> String {
    let kind = store_type(column.kind);
    let kind = match (rollup, column.merge) {
        (true, Merge::Sum) => format!("SimpleAggregateFunction(sum, {kind})"),
        (true, Merge::Max) => format!("SimpleAggregateFunction(max, {kind})"),
        (true, Merge::SumMap) => format!("SimpleAggregateFunction(sumMap, {kind})"),
        _ => kind.to_owned(),
    };
    format!("`{}` {kind} COMMENT '{}'{}", column.name, column.doc.replace('\'', "\\'"), codec(column.kind))
}

/// Times and counters of one entity grow slowly, so their differences pack well.
fn codec(kind: Kind) -> &'static str {
    match kind {
        Kind::Seconds | Kind::Micros => " CODEC(DoubleDelta, ZSTD(1))",
        Kind::Text | Kind::TextMap | Kind::Sketch => " CODEC(ZSTD(1))",
        _ => "",
    }
}

/// ClickHouse type of a kind.
pub(super) fn store_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool | Kind::U8 => "UInt8",
        Kind::U16 => "UInt16",
        Kind::U32 | Kind::Entity => "UInt32",
        Kind::U64 => "UInt64",
        Kind::NullableI32 => "Nullable(Int32)",
        Kind::NullableU64 => "Nullable(UInt64)",
        Kind::F64 => "Float64",
        Kind::Seconds => "DateTime('UTC')",
        Kind::Micros => "DateTime64(6, 'UTC')",
        Kind::Word => "LowCardinality(String)",
        Kind::Text => "String",
        Kind::Address => "IPv6",
        Kind::TextMap => "Map(LowCardinality(String), String)",
        Kind::Sketch => "Map(Int16, UInt64)",
    }
}

/// `auto_service_1 ALIAS dictGet(…)`: tags are columns, so plain SQL sees them.
fn tag_columns(table: &Table) -> Vec<String> {
    let sides: &[(&str, &str)] = match table.sides {
        Sides::Two => &[("_0", "client_entity"), ("_1", "server_entity")],
        Sides::One => &[("", "entity")],
        Sides::None => &[],
    };
    let alias = |tag: &super::Tag, (suffix, entity): &(&str, &str)| {
        // A miss shows the id and never an empty name.
        let missing = if tag.name.starts_with("auto_") && tag.name != "auto_service_type" {
            format!("concat('entity ', toString({entity}))")
        } else {
            "''".to_owned()
        };
        format!(
            "`{0}{suffix}` String ALIAS dictGetOrDefault('meta.entity_tags', '{0}', toUInt64({entity}), {missing}) COMMENT '{1}'",
            tag.name, tag.doc
        )
    };
    TAGS.iter().flat_map(|tag| sides.iter().map(move |side| alias(tag, side))).collect()
}

fn rollup_expression(column: &Column) -> String {
    let name = column.name;
    match column.merge {
        Merge::Key if column.kind == Kind::Seconds => "bucket AS time".to_owned(),
        Merge::Key => format!("`{name}`"),
        Merge::Sum => format!("sum(`{name}`) AS `{name}`"),
        Merge::Max => format!("max(`{name}`) AS `{name}`"),
        Merge::SumMap => format!("sumMap(`{name}`) AS `{name}`"),
    }
}

fn group_key(column: &Column) -> String {
    if column.kind == Kind::Seconds { "bucket".to_owned() } else { format!("`{}`", column.name) }
}
