//! Configuration of the server. Every limit is here.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// Configuration of the server; the section `[server]` of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Directory of all data; mode 0700.
    pub data: PathBuf,
    /// Address of page and API.
    pub http: SocketAddr,
    /// Address for agents.
    pub agents: SocketAddr,
    /// Longest wait before rows are inserted, in milliseconds.
    pub coalesce_ms: u64,
    /// Rows that are inserted at once without waiting.
    pub coalesce_rows: usize,
    /// Most rows that wait for an insert; agents are held back beyond it.
    pub max_waiting_rows: usize,
    /// Most entities.
    pub max_entities: usize,
    /// Longest run of a user's query in seconds.
    pub query_seconds: u32,
    /// Most memory of a user's query in bytes.
    pub query_memory_bytes: u64,
    /// Most rows of a user's query.
    pub query_rows: u64,
    /// Kinds of evidence that traces do without, by name.
    pub trace_without: Vec<String>,
    /// Configuration pushed to agents; 0 leaves their own.
    pub agent_request_timeout_seconds: u32,
    /// Configuration pushed to agents; 0 leaves their own.
    pub agent_log_rows_per_second: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("/var/lib/hadal"),
            http: SocketAddr::from(([127, 0, 0, 1], 20416)),
            agents: SocketAddr::from(([127, 0, 0, 1], hadal_link::DEFAULT_PORT)),
            coalesce_ms: 400,
            coalesce_rows: 65_536,
            max_waiting_rows: 1_000_000,
            max_entities: 262_144,
            query_seconds: 30,
            query_memory_bytes: 2 << 30,
            query_rows: 1_000_000,
            trace_without: Vec::new(),
            agent_request_timeout_seconds: 0,
            agent_log_rows_per_second: 0,
        }
    }
}
