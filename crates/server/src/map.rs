//! The service map: rows of metrics become nodes and edges. `assemble` is pure; `fetch` asks the store.

pub(crate) mod assemble;
pub(crate) mod detail;
pub(crate) mod fetch;
pub(crate) mod stats;

use hadal_sql::QueryError;
use hadal_store::Error;

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    #[error(transparent)]
    Filter(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] Error),
    #[error("the store's answer does not decode: {0}")]
    Decode(#[from] serde_json::Error),
    #[error("the store's answer ends in the middle of a row")]
    CutOff,
}
