//! Arguments.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Zero-code observability: every service and request of this host, without touching the applications.
#[derive(Debug, Parser)]
#[command(name = "hadal", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run server and agent on this host and open the page
    Up(UpOptions),
    /// Run the server: store, queries, page
    Server(ServerOptions),
    /// Run the agent: watch this host
    Agent(AgentOptions),
    /// Ask a question in SQL
    Query(QueryOptions),
    /// Show everything that one request caused, and what caused it
    Trace(TraceOptions),
    /// Check what this host allows, and say what to do
    Doctor(DoctorOptions),
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CommonOptions {
    /// Configuration file (TOML with sections [server] and [agent])
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// End when the process that started this one ends
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    /// Directory of all data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address of page and API
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// Address for agents
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) agents: Option<SocketAddr>,
    /// User to become when started as root
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    pub(crate) user: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AgentOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    /// Server that takes the data
    #[arg(long, value_name = "http://HOST:PORT")]
    pub(crate) server: Option<String>,
    /// Name of this agent; the host's name if absent
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Kernel hooks that see socket calls: A, B, C or D (none); the best that works if absent
    #[arg(long, value_name = "LEVEL")]
    pub(crate) capture_level: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// Name of the agent; the host's name if absent
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Kernel hooks that see socket calls: A, B, C or D (none); the best that works if absent
    #[arg(long, value_name = "LEVEL")]
    pub(crate) capture_level: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns
    #[default]
    Table,
    /// One object per row
    Json,
    /// Comma separated, with a header
    Csv,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct QueryOptions {
    /// Statement: SELECT, SHOW, DESCRIBE or EXPLAIN
    pub(crate) sql: String,
    /// Database in which names without one are looked up
    #[arg(long, default_value = "flow_log")]
    pub(crate) db: String,
    /// How the answer is printed
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
    /// Address of the server's API
    #[arg(long, default_value = "http://127.0.0.1:20416", env = "HADAL_URL")]
    pub(crate) url: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TraceOptions {
    /// `_id` of any row of the trace, as `hadal query "SELECT _id FROM l7_flow_log …"` or the page gives it
    pub(crate) id: String,
    /// Print the server's JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Address of the server's API
    #[arg(long, default_value = "http://127.0.0.1:20416", env = "HADAL_URL")]
    pub(crate) url: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Check this capture level: A, B or C; the best that works if absent
    #[arg(long, value_name = "LEVEL")]
    pub(crate) capture_level: Option<hadal_bpf::Level>,
    /// Address of the server's API, which is asked for losses of the last hour
    #[arg(long, default_value = "http://127.0.0.1:20416", env = "HADAL_URL")]
    pub(crate) url: String,
}
