//! The trait that embedded engine and server implement.

use arrow_array::RecordBatch;

use crate::Error;

/// Output formats of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `JSONCompact` with 64-bit integers as strings.
    JsonCompact,
    /// One JSON object per line.
    JsonEachRow,
    /// Values one after the other, as bytes.
    RowBinary,
    /// Tab separated, no header.
    Tsv,
}

impl Format {
    /// ClickHouse's name of the format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonCompact => "JSONCompact",
            Self::JsonEachRow => "JSONEachRow",
            Self::RowBinary => "RowBinary",
            Self::Tsv => "TabSeparated",
        }
    }
}

/// Limits of one query by a user.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest run in seconds.
    pub seconds: u32,
    /// Most memory in bytes.
    pub memory_bytes: u64,
    /// Most rows of the result; more is an error.
    pub result_rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { seconds: 30, memory_bytes: 2 << 30, result_rows: 1_000_000 }
    }
}

/// A query's answer.
#[derive(Clone, Debug, Default)]
pub struct QueryOutput {
    /// The formatted result.
    pub bytes: Vec<u8>,
    /// Rows read from tables.
    pub rows_read: u64,
}

/// A ClickHouse. All calls block; they may be made from many threads.
pub trait Engine: Send + Sync {
    /// Version of the engine.
    fn version(&self) -> String;

    /// Runs a statement of our own, such as DDL.
    fn execute(&self, sql: &str) -> Result<(), Error>;

    /// Runs a query of our own.
    fn query(&self, sql: &str, format: Format) -> Result<QueryOutput, Error>;

    /// Runs a query of a user: read only, no access to files or the network, within the engine's limits.
    ///
    /// Names without a database are looked up in `database`, which must exist.
    fn query_as_user(&self, database: &str, sql: &str, format: Format) -> Result<QueryOutput, Error>;

    /// Inserts a batch whose columns are named as the table's; returns when it is committed.
    ///
    /// `table` is quoted as in SQL. A second insert with the same `token` does nothing.
    fn insert(&self, table: &str, batch: &RecordBatch, token: &str) -> Result<(), Error>;

    /// Closes the engine; further calls fail. Must be called before the process ends.
    fn shutdown(&self);
}
