//! Configuration of the agent. Every limit is here.

use hadal_flow::{Limits, Options, Settings};
use serde::Deserialize;

/// Configuration of the agent; the section `[agent]` of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// Name of the agent; the host's name if empty.
    pub name: String,
    /// `http://host:port` of the server.
    pub server: String,
    /// Ring buffer between kernel and agent in bytes, a power of two.
    pub ring_bytes: u32,
    /// Longest payload prefix per socket call in bytes, at most 8192.
    pub payload_bytes: u32,
    /// How often events are read, in milliseconds, at most 10 for timely data.
    pub read_interval_ms: u64,
    /// Replace Redis values, literals of SQL and query strings by `?`.
    pub obfuscate: bool,
    /// Seconds after which an unanswered request counts as timed out.
    pub request_timeout_seconds: u32,
    /// Most sockets followed at once.
    pub max_sockets: usize,
    /// Most processes remembered.
    pub max_processes: usize,
    /// Most entities before `~other`.
    pub max_entities: usize,
    /// Most endpoints per service before `~other`.
    pub max_endpoints: usize,
    /// Most rows of the request log per second; metrics are never sampled.
    pub log_rows_per_second: u32,
    /// Most rows kept while the server is away.
    pub max_unacknowledged_rows: usize,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            server: format!("http://127.0.0.1:{}", hadal_link::DEFAULT_PORT),
            ring_bytes: 8 << 20,
            payload_bytes: 1024,
            read_interval_ms: 10,
            obfuscate: true,
            request_timeout_seconds: 30,
            max_sockets: 65_536,
            max_processes: 65_536,
            max_entities: 4096,
            max_endpoints: 500,
            log_rows_per_second: 50_000,
            max_unacknowledged_rows: 500_000,
        }
    }
}

impl AgentConfig {
    /// The part that connections need.
    pub fn flow_settings(&self) -> Settings {
        Settings {
            limits: Limits {
                request_timeout_us: u64::from(self.request_timeout_seconds) * 1_000_000,
                ..Limits::default()
            },
            options: Options { obfuscate: self.obfuscate, ..Options::default() },
        }
    }
}
