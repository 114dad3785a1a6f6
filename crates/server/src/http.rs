//! Page and API.

mod agents;
mod answer;
mod compare;
mod map;
mod page;
mod params;
mod query;
mod requests;
mod tags;
mod trace;
mod traces;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use hadal_store::Engine;
use hadal_trace::EvidenceSet;
use utoipa::OpenApi;

use crate::agents::Agents;
use crate::coalesce::Totals;
use crate::entities::EntityRegistry;

/// What handlers share.
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) agents: Arc<Agents>,
    pub(crate) entities: Arc<EntityRegistry>,
    pub(crate) totals: Arc<Totals>,
    pub(crate) started_s: f64,
    pub(crate) store_version: String,
    /// Evidence that traces do without.
    pub(crate) trace_without: EvidenceSet,
}

impl App {
    /// Runs blocking work on the store off the runtime's threads.
    pub(crate) async fn blocking<T: Send + 'static, E: Into<answer::ApiError> + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Engine) -> Result<T, E> + Send + 'static,
    ) -> Result<T, answer::ApiError> {
        let app = Arc::clone(self);
        let outcome = tokio::task::spawn_blocking(move || work(&*app.engine)).await;
        outcome
            .map_err(|error| answer::ApiError::internal(format!("the query ended early: {error}")))?
            .map_err(Into::into)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Hadal", description = "Services, requests and agents of the hosts that Hadal observes."),
    paths(
        map::map,
        map::detail,
        requests::list,
        requests::histogram,
        requests::one,
        trace::trace,
        traces::list,
        traces::endpoints,
        compare::compare,
        tags::list,
        tags::values,
        agents::list,
        query::query,
    )
)]
struct Api;

/// The OpenAPI document.
pub fn openapi_json() -> String {
    Api::openapi().to_pretty_json().unwrap_or_default()
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/map", get(map::map))
        .route("/v1/map/detail", get(map::detail))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/histogram", get(requests::histogram))
        .route("/v1/requests/{id}", get(requests::one))
        .route("/v1/trace/{id}", get(trace::trace))
        .route("/v1/traces", get(traces::list))
        .route("/v1/traces/endpoints", get(traces::endpoints))
        .route("/v1/traces/compare", get(compare::compare))
        .route("/v1/tags", get(tags::list))
        .route("/v1/tags/{name}/values", get(tags::values))
        .route("/v1/agents", get(agents::list))
        .route("/v1/query", post(query::query))
        .route("/openapi.json", get(|| async { ([("content-type", "application/json")], openapi_json()) }))
        .route("/healthz", get(|| async { ([("x-hadal-pid", std::process::id().to_string())], "ok") }))
        .fallback(page::page)
        .with_state(app)
}
