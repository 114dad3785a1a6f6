//! What can go wrong with the store, in words that say what to do.

use std::path::PathBuf;

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libchdb was not found.
    #[error("libchdb.so is not in any of {searched:?}: run `make setup`, or set HADAL_LIBCHDB to its path")]
    LibraryMissing {
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// libchdb was found but is not what is needed.
    #[error("{path} is not a usable libchdb ({reason}): run `make setup`, or set HADAL_LIBCHDB to another one")]
    LibraryWrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another server uses the data directory.
    #[error("the data directory {path} is in use by process {pid}: stop it, or choose another one with --data")]
    DirectoryLocked {
        /// The directory.
        path: PathBuf,
        /// Who holds it, `?` if unknown.
        pid: String,
    },
    /// The data directory cannot be used.
    #[error(
        "cannot use the data directory {path}: {source}; check its owner and mode, or choose another one with --data"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The data was written by a newer version.
    #[error(
        "the data has schema version {found}, this program knows {known}: start the newer version, or another data directory"
    )]
    SchemaTooNew {
        /// Version found.
        found: u32,
        /// Version known.
        known: u32,
    },
    /// The engine could not start.
    #[error("the store in {path} does not open: {reason}")]
    Open {
        /// The directory.
        path: PathBuf,
        /// The engine's words.
        reason: String,
    },
    /// The disk has no room.
    #[error("the disk is full: {0}; free some space, writing goes on by itself")]
    DiskFull(String),
    /// A query exceeded a limit.
    #[error("the query was stopped by a limit: {0}")]
    Limit(String),
    /// The engine refused a query as not allowed.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The engine refused a statement.
    #[error("{0}")]
    Statement(String),
}

/// What kind of error it is, for callers that map it to HTTP or gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller's statement is wrong.
    Invalid,
    /// The caller may not do it.
    Forbidden,
    /// It took too much.
    Limit,
    /// It may work later.
    Unavailable,
    /// It cannot work as set up.
    Setup,
}

impl Error {
    /// The kind of this error.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Statement(_) => ErrorKind::Invalid,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Limit(_) => ErrorKind::Limit,
            Self::DiskFull(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Setup,
        }
    }

    /// Sorts the engine's message by its error code (`Code: 243. DB::Exception: …`; names in ClickHouse's ErrorCodes).
    pub(crate) fn from_engine(message: &str) -> Self {
        let code = message.strip_prefix("Code: ").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        let text = shorten(message);
        match code {
            // NOT_ENOUGH_SPACE, CANNOT_WRITE_TO_FILE_DESCRIPTOR, CANNOT_FSYNC, CANNOT_FTRUNCATE
            Some(243 | 75 | 88) => Self::DiskFull(text),
            _ if message.contains("No space left on device") => Self::DiskFull(text),
            // READONLY, ACCESS_DENIED, FUNCTION_NOT_ALLOWED
            Some(164 | 497 | 446) => Self::Forbidden(text),
            // TOO_MANY_ROWS, TIMEOUT_EXCEEDED, MEMORY_LIMIT_EXCEEDED, TOO_MANY_ROWS_OR_BYTES, QUERY_WAS_CANCELLED
            Some(158 | 159 | 241 | 396 | 394 | 307 | 160) => Self::Limit(text),
            _ => Self::Statement(text),
        }
    }
}

/// The engine repeats itself and ends with its version: keep what a reader needs.
fn shorten(message: &str) -> String {
    let text = message.rsplit("DB::Exception: ").next().unwrap_or(message);
    let text = text.split(" (version ").next().unwrap_or(text);
    let text = text.split(": While executing").next().unwrap_or(text);
    text.trim().trim_end_matches('.').chars().take(2000).collect()
}
