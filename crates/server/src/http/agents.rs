//! `/v1/agents`: agents, their losses, and the server itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Query, State};
use hadal_model::LossCause;
use hadal_store::{Engine, Format};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::params::RangeParams;
use crate::agents::{AgentState, now_s};
use crate::map::MapError;
use crate::map::fetch::{self, Loss};

#[derive(Serialize, ToSchema)]
pub(crate) struct AgentsAnswer {
    agents: Vec<AgentLine>,
    server: ServerLine,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AgentLine {
    agent: String,
    host: String,
    version: String,
    kernel: String,
    capture_level: String,
    /// `running` or `lost`.
    state: &'static str,
    last_seen_s: f64,
    /// Share of one core.
    cpu_ratio: f64,
    kernel_cpu_ratio: f64,
    shedding: String,
    rss_bytes: u64,
    events_rate: f64,
    requests_rate: f64,
    capabilities: Vec<CapabilityLine>,
    loss: Vec<CauseLine>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CapabilityLine {
    name: String,
    /// `ok`, `degraded` or `missing`.
    state: String,
    why: String,
    what_to_do: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CauseLine {
    cause: String,
    count: u64,
    description: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServerLine {
    version: &'static str,
    store: &'static str,
    store_version: String,
    rows_rate: f64,
    rows: u64,
    inserts: u64,
    failed_inserts: u64,
    entities: usize,
    data_bytes: u64,
    started_s: f64,
}

/// What a cause of loss means, in words.
fn describe(cause: &str) -> &'static str {
    LossCause::from_name(cause).map_or("", LossCause::describe)
}

/// Agents and server.
#[utoipa::path(get, path = "/v1/agents", params(RangeParams),
    responses((status = 200, body = AgentsAnswer), (status = 503, body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
) -> Result<Json<AgentsAnswer>, ApiError> {
    let span = range.range()?;
    let (losses, data_bytes) =
        app.blocking(move |engine| Ok::<_, MapError>((fetch::losses(engine, span)?, data_bytes(engine)?))).await?;
    let agents = app.agents.all().into_iter().map(|agent| line(agent, &losses)).collect();
    let seconds = (now_s() - app.started_s).max(1.0);
    let rows = app.totals.rows.load(Ordering::Relaxed);
    let server = ServerLine {
        version: env!("CARGO_PKG_VERSION"),
        store: "embedded",
        store_version: app.store_version.clone(),
        rows_rate: rows as f64 / seconds,
        rows,
        inserts: app.totals.inserts.load(Ordering::Relaxed),
        failed_inserts: app.totals.failures.load(Ordering::Relaxed),
        entities: app.entities.len(),
        data_bytes,
        started_s: app.started_s,
    };
    Ok(Json(AgentsAnswer { agents, server }))
}

fn data_bytes(engine: &dyn Engine) -> Result<u64, MapError> {
    let output = engine.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active", Format::Tsv)?;
    Ok(String::from_utf8_lossy(&output.bytes).trim().parse().unwrap_or(0))
}

fn line(agent: AgentState, losses: &[Loss]) -> AgentLine {
    let state = agent.state();
    let (introduction, status) = (agent.introduction, agent.status);
    let own = losses.iter().filter(|loss| loss.agent == introduction.agent);
    let loss =
        own.map(|loss| CauseLine { cause: loss.cause.clone(), count: loss.count, description: describe(&loss.cause) });
    AgentLine {
        loss: loss.collect(),
        agent: introduction.agent,
        host: introduction.host,
        version: introduction.version,
        kernel: introduction.kernel,
        capture_level: introduction.capture_level,
        state,
        last_seen_s: agent.last_seen_s,
        cpu_ratio: status.cpu_ratio,
        kernel_cpu_ratio: status.kernel_cpu_ratio,
        shedding: status.shedding,
        rss_bytes: status.rss_bytes,
        events_rate: status.events_rate,
        requests_rate: status.requests_rate,
        capabilities: introduction
            .capabilities
            .into_iter()
            .map(|found| CapabilityLine {
                name: found.name,
                state: found.state,
                why: found.why,
                what_to_do: found.what_to_do,
            })
            .collect(),
    }
}
