//! Messages and service of the control channel.

use std::collections::HashMap;

/// An agent introduces itself; once per start and after each lost connection.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterRequest {
    /// Name of the agent, unique in the fleet.
    #[prost(string, tag = "1")]
    pub agent: String,
    /// Name of its host.
    #[prost(string, tag = "2")]
    pub host: String,
    /// Version of the agent.
    #[prost(string, tag = "3")]
    pub version: String,
    /// Random number of this start of the agent.
    #[prost(fixed64, tag = "4")]
    pub boot: u64,
    /// Kernel release.
    #[prost(string, tag = "5")]
    pub kernel: String,
    /// Capture level in use, empty if none.
    #[prost(string, tag = "6")]
    pub capture_level: String,
    /// What it can do here.
    #[prost(message, repeated, tag = "7")]
    pub capabilities: Vec<Capability>,
}

/// One thing an agent can do, or why not.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Capability {
    /// What it is.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `ok`, `degraded` or `missing`.
    #[prost(string, tag = "2")]
    pub state: String,
    /// Why.
    #[prost(string, tag = "3")]
    pub why: String,
    /// What to do; empty if all is well.
    #[prost(string, tag = "4")]
    pub what_to_do: String,
}

/// The server's answer to an introduction.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterResponse {
    /// Configuration to apply.
    #[prost(message, optional, tag = "1")]
    pub settings: Option<Settings>,
}

/// Configuration that the server pushes. Zero means: keep what the agent was started with.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Settings {
    /// Grows with each change.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// Seconds after which an unanswered request counts as timed out.
    #[prost(uint32, tag = "2")]
    pub request_timeout_seconds: u32,
    /// Most rows of the request log per second; metrics are never sampled.
    #[prost(uint32, tag = "3")]
    pub log_rows_per_second: u32,
    /// Whether values are hidden; absent keeps the agent's own setting.
    #[prost(bool, optional, tag = "4")]
    pub obfuscate: Option<bool>,
}

/// Facts about entities, sent before the first batch that refers to them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FactsRequest {
    /// The agent.
    #[prost(string, tag = "1")]
    pub agent: String,
    /// Entities with all tags known now.
    #[prost(message, repeated, tag = "2")]
    pub entities: Vec<EntityFacts>,
}

/// Facts about one entity.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EntityFacts {
    /// Its key.
    #[prost(fixed64, tag = "1")]
    pub key: u64,
    /// Tag name to value.
    #[prost(map = "string, string", tag = "2")]
    pub tags: HashMap<String, String>,
}

/// All facts are durable.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct FactsResponse {}

/// How an agent does; every few seconds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusRequest {
    /// The agent.
    #[prost(string, tag = "1")]
    pub agent: String,
    /// Share of one core used since the last status.
    #[prost(double, tag = "2")]
    pub cpu_ratio: f64,
    /// Resident memory in bytes.
    #[prost(uint64, tag = "3")]
    pub rss_bytes: u64,
    /// Kernel events per second.
    #[prost(double, tag = "4")]
    pub events_rate: f64,
    /// Requests seen per second, at all observation points.
    #[prost(double, tag = "5")]
    pub requests_rate: f64,
    /// Version of the settings in use.
    #[prost(uint64, tag = "6")]
    pub settings_version: u64,
    /// Share of one core that the kernel programs use, estimated.
    #[prost(double, tag = "7")]
    pub kernel_cpu_ratio: f64,
    /// What is left out to stay inside the CPU budget, in words; empty if nothing is.
    #[prost(string, tag = "8")]
    pub shedding: String,
}

/// The server's answer to a status.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct StatusResponse {
    /// New configuration, if there is any.
    #[prost(message, optional, tag = "1")]
    pub settings: Option<Settings>,
    /// The server does not know the agent (it was restarted): register again and send all facts.
    #[prost(bool, tag = "2")]
    pub unknown_agent: bool,
}

#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::clone_on_ref_ptr, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/hadal.v1.Control.rs"));
}

pub use generated::control_client::ControlClient;
pub use generated::control_server::{Control, ControlServer};
