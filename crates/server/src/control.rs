//! The control channel.

use std::sync::Arc;

use hadal_link::control::{
    Control, FactsRequest, FactsResponse, RegisterRequest, RegisterResponse, Settings, StatusRequest, StatusResponse,
};
use tonic::{Request, Response, Status};

use crate::agents::Agents;
use crate::catalog_db::CatalogDb;
use crate::entities::EntityRegistry;

/// The service.
pub(crate) struct ControlService {
    pub(crate) agents: Arc<Agents>,
    pub(crate) catalog: CatalogDb,
    pub(crate) entities: Arc<EntityRegistry>,
    pub(crate) settings: Settings,
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let introduction = request.into_inner();
        if introduction.agent.is_empty() || introduction.agent.len() > 253 {
            return Err(Status::invalid_argument("an agent's name has 1 to 253 bytes"));
        }
        let numbers = self
            .catalog
            .agent_numbers(&introduction.agent, introduction.boot)
            .await
            .map_err(|error| Status::unavailable(format!("the catalog does not answer: {error}")))?;
        tracing::info!(agent = introduction.agent, host = introduction.host, "an agent registers");
        self.agents.register(introduction, numbers);
        Ok(Response::new(RegisterResponse { settings: Some(self.settings) }))
    }

    async fn facts(&self, request: Request<FactsRequest>) -> Result<Response<FactsResponse>, Status> {
        let facts = request.into_inner().entities;
        let facts = facts.into_iter().map(|facts| (facts.key, facts.tags.into_iter().collect())).collect();
        self.entities.learn(facts).await?;
        Ok(Response::new(FactsResponse {}))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let status = request.into_inner();
        let stale = status.settings_version < self.settings.version;
        let unknown_agent = !self.agents.report(status);
        Ok(Response::new(StatusResponse { settings: stale.then_some(self.settings), unknown_agent }))
    }
}
