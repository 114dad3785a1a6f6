//! Every table, column and tag, declared once. DDL, Arrow schemas, query names and the reference docs derive from it.
//!
//! A signal table is written by agents. On the wire a side is an entity *key* (64 bits, see `hadal-tag`); the server
//! replaces it by the dense entity *id* of the stored table.

mod columns;
mod ddl;
mod tables;
mod tags;

pub use ddl::{
    DATABASES, added_columns_ddl, database_ddl, entity_dictionary_ddl, rollup_ddl, table_ddl, user_function_ddl,
};
pub use tables::{APPLICATION_MAP, ENTITY, L7_FLOW_LOG, LOSS, NETWORK_MAP, SELF_METRIC, TABLES, table};
pub use tags::{TAGS, Tag, tag};

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

/// How values of a column are stored, sent and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 8-bit flag.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 32 bits, may be absent.
    NullableI32,
    /// Unsigned, 64 bits, may be absent.
    NullableU64,
    /// 64-bit float.
    F64,
    /// One side of a record: key on the wire, id in the store.
    Entity,
    /// Seconds since the epoch, UTC.
    Seconds,
    /// Microseconds since the epoch, UTC.
    Micros,
    /// Text that repeats.
    Word,
    /// Text that does not.
    Text,
    /// IPv6 or mapped IPv4 address, 16 bytes.
    Address,
    /// Text to text.
    TextMap,
    /// Latency sketch: bucket to count (`hadal_model::sketch`).
    Sketch,
}

/// How a metric column merges in a roll-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Part of the key.
    Key,
    /// Sum.
    Sum,
    /// Maximum.
    Max,
    /// Bucket-wise sum.
    SumMap,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name, in the store and in queries.
    pub name: &'static str,
    /// Kind of values.
    pub kind: Kind,
    /// How roll-ups merge it.
    pub merge: Merge,
    /// Unit of numbers, empty if none.
    pub unit: &'static str,
    /// What it holds; a sentence.
    pub doc: &'static str,
    /// Whether the server fills it, so that it is not on the wire.
    pub server_side: bool,
}

impl Column {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, merge: Merge::Key, unit: "", doc, server_side: false }
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn by_server(mut self) -> Self {
        self.server_side = true;
        self
    }

    const fn sum(mut self) -> Self {
        self.merge = Merge::Sum;
        self
    }

    const fn max(mut self) -> Self {
        self.merge = Merge::Max;
        self
    }
}

/// Where a table's tags come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// `client_entity` and `server_entity`: tags end in `_0` and `_1`.
    Two,
    /// `entity`: tags have no suffix.
    One,
    /// Not a signal table.
    None,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Database.
    pub database: &'static str,
    /// Name, without the precision.
    pub name: &'static str,
    /// Precision suffix of the raw table (`1s`), empty if it has no roll-ups.
    pub precision: &'static str,
    /// Roll-ups: suffix, expression of the time, days kept.
    pub rollups: &'static [Rollup],
    /// Columns.
    pub columns: &'static [Column],
    /// Where tags come from.
    pub sides: Sides,
    /// `ORDER BY` expression.
    pub order_by: &'static str,
    /// `PARTITION BY` expression, empty if none.
    pub partition_by: &'static str,
    /// Days kept, 0 for ever.
    pub ttl_days: u32,
    /// What a row is; a sentence.
    pub doc: &'static str,
}

/// A coarser copy of a metrics table, filled by a materialized view.
#[derive(Clone, Copy, Debug)]
pub struct Rollup {
    /// Name suffix.
    pub suffix: &'static str,
    /// Name of the function that truncates the time.
    pub truncate: &'static str,
    /// `PARTITION BY` expression.
    pub partition_by: &'static str,
    /// Days kept.
    pub ttl_days: u32,
}

impl Table {
    /// Name with the raw precision: `application_map.1s`.
    pub fn full_name(&self) -> String {
        self.name_at(self.precision)
    }

    /// Name at a precision.
    pub fn name_at(&self, precision: &str) -> String {
        if precision.is_empty() { self.name.to_owned() } else { format!("{}.{precision}", self.name) }
    }

    /// Quoted name with its database, as in SQL.
    pub fn sql_name(&self, precision: &str) -> String {
        format!("{}.`{}`", self.database, self.name_at(precision))
    }

    /// Columns that agents send.
    pub fn wire_columns(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| !column.server_side)
    }

    /// Schema of batches between agent and server.
    pub fn wire_schema(&self) -> Schema {
        Schema::new(self.wire_columns().map(|column| field(column, true)).collect::<Vec<_>>())
    }

    /// Schema of batches between server and store.
    pub fn store_schema(&self) -> Schema {
        Schema::new(self.columns.iter().map(|column| field(column, false)).collect::<Vec<_>>())
    }
}

fn field(column: &Column, wire: bool) -> Field {
    let nullable = matches!(column.kind, Kind::NullableI32 | Kind::NullableU64);
    Field::new(column.name, arrow_type(column.kind, wire), nullable)
}

/// Arrow type of a kind; entities are keys on the wire and ids in the store.
pub fn arrow_type(kind: Kind, wire: bool) -> DataType {
    match kind {
        Kind::Bool | Kind::U8 => DataType::UInt8,
        Kind::U16 => DataType::UInt16,
        Kind::U32 | Kind::Seconds => DataType::UInt32,
        Kind::U64 | Kind::NullableU64 => DataType::UInt64,
        Kind::NullableI32 => DataType::Int32,
        Kind::F64 => DataType::Float64,
        Kind::Entity if wire => DataType::UInt64,
        Kind::Entity => DataType::UInt32,
        Kind::Micros => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Word => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Kind::Text => DataType::Utf8,
        Kind::Address => DataType::FixedSizeBinary(16),
        Kind::TextMap => map_type(DataType::Utf8, DataType::Utf8),
        Kind::Sketch => map_type(DataType::Int16, DataType::UInt64),
    }
}

fn map_type(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("keys", key, false), Field::new("values", value, false)]);
    DataType::Map(Field::new("entries", DataType::Struct(entries), false).into(), false)
}

#[cfg(test)]
mod tests;
