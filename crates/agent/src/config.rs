//! Configuration of the agent. Every limit is here.

use hadal_bpf::Level;
use hadal_flow::{Limits, Options, Settings};
use serde::Deserialize;

use crate::governor::Budget;

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
    /// Longest payload prefix per socket call in bytes, at most 16384.
    pub payload_bytes: u32,
    /// Which kernel hooks see socket calls: `auto` for the best that works, or `A`, `B`, `C`, `D`.
    pub capture_level: String,
    /// Exact order of sends that several threads make on one socket (kernel 6.16 and newer, capture level A).
    pub ordered_sends: bool,
    /// Follow requests from one goroutine of a Go program to another, by probes in the program.
    pub go_hand_over: bool,
    /// Follow requests from one task of a program with tokio to another, by its memory and by probes in it.
    pub tokio_hand_over: bool,
    /// Follow requests from one thread of a process to another, by who wakes whom.
    pub thread_hand_over: bool,
    /// Tell tasks of asyncio and greenlets apart, by reading the memory of Python programs.
    pub python_coroutines: bool,
    /// Tell calls that the callback of a read makes from others, in programs on libuv (Node.js), by reading their stacks.
    pub event_loops: bool,
    /// What agent and kernel programs may use of all CPUs, in percent; beyond it payload, then unimportant sockets, then the
    /// request log are shed.
    pub cpu_percent: f64,
    /// Beyond this, new connections are left out as well.
    pub cpu_hard_percent: f64,
    /// Payload that is left under pressure, in bytes per call.
    pub shed_payload_bytes: u32,
    /// How often events are read, in milliseconds, at most 10 for timely data.
    pub read_interval_ms: u64,
    /// Replace Redis values, literals of SQL and query strings by `?`.
    pub obfuscate: bool,
    /// Seconds after which an unanswered request counts as timed out.
    pub request_timeout_seconds: u32,
    /// Record only sockets of the agent's own network namespace, where each has an agent of its own.
    pub own_network_only: bool,
    /// Most sockets followed at once.
    pub max_sockets: usize,
    /// Most bytes of payload and of messages that wait in all connections together.
    pub max_buffered_bytes: usize,
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
    /// Most bytes of memory of these rows.
    pub max_unacknowledged_bytes: usize,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            server: format!("http://127.0.0.1:{}", hadal_link::DEFAULT_PORT),
            ring_bytes: 4 << 20,
            payload_bytes: 1024,
            capture_level: "auto".to_owned(),
            ordered_sends: false,
            go_hand_over: true,
            tokio_hand_over: true,
            thread_hand_over: true,
            python_coroutines: true,
            event_loops: true,
            cpu_percent: 5.0,
            cpu_hard_percent: 20.0,
            shed_payload_bytes: 256,
            read_interval_ms: 10,
            obfuscate: true,
            request_timeout_seconds: 30,
            own_network_only: false,
            max_sockets: 65_536,
            max_buffered_bytes: 64 << 20,
            max_processes: 65_536,
            max_entities: 4096,
            max_endpoints: 500,
            log_rows_per_second: 50_000,
            max_unacknowledged_rows: 500_000,
            max_unacknowledged_bytes: 128 << 20,
        }
    }
}

impl AgentConfig {
    /// The capture level asked for; `None` for the best that works.
    pub fn level(&self) -> Result<Option<Level>, String> {
        match self.capture_level.as_str() {
            "" | "auto" => Ok(None),
            level => level.parse().map(Some),
        }
    }

    /// What the kernel programs are loaded with.
    pub fn bpf(&self) -> Result<hadal_bpf::Config, String> {
        Ok(hadal_bpf::Config {
            ring_bytes: self.ring_bytes,
            payload_bytes: self.payload_bytes,
            level: self.level()?,
            ordered_sends: self.ordered_sends,
            go_hand_over: self.go_hand_over,
            tokio_hand_over: self.tokio_hand_over,
            thread_hand_over: self.thread_hand_over,
        })
    }

    /// What Hadal may cost this host.
    pub fn budget(&self) -> Budget {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        Budget { share: self.cpu_percent / 100.0, hard_share: self.cpu_hard_percent / 100.0, cpus }
    }

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
