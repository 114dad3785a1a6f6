//! `/v1/map`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use hadal_sql::quote;
use hadal_store::Engine;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::params::RangeParams;
use crate::agents::now_s;
use crate::map::MapError;
use crate::map::assemble::{Edge, Node, Scale, assemble};
use crate::map::detail::{Instance, Line, Point, instances, lines, series};
use crate::map::fetch::{self, Question, Range, Row};

/// Points of a sparkline.
const SPARKS: u32 = 30;
/// Points of a chart.
const POINTS: u32 = 120;

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct MapParams {
    /// Tag by which entities become nodes; `auto_service` if absent.
    #[param(required = false)]
    group_by: String,
    /// Name of the client node, for details of an edge or of what a node calls.
    client: Option<String>,
    /// Name of the server node.
    server: Option<String>,
}

impl MapParams {
    fn group_by(&self) -> Result<String, ApiError> {
        let tag = if self.group_by.is_empty() { "auto_service" } else { &self.group_by };
        match hadal_sql::tag_expression(tag, "client_entity") {
            Some(_) => Ok(tag.to_owned()),
            None => Err(ApiError::invalid(format!("there is no tag {tag} to group by: see /v1/tags"))),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MapAnswer {
    from: u32,
    to: u32,
    step_s: u32,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    health: Health,
}

/// How complete the data is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    agents: usize,
    lost: u64,
    loss: Vec<LossLine>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LossLine {
    agent: String,
    cause: String,
    count: u64,
}

/// Services and the calls between them; each call counts once.
#[utoipa::path(get, path = "/v1/map", params(RangeParams, MapParams),
    responses((status = 200, body = MapAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn map(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
    Query(params): Query<MapParams>,
) -> Result<Json<MapAnswer>, ApiError> {
    let (filter, range, group_by) = (range.filter.clone(), range.range()?, params.group_by()?);
    let agents = app.agents.all().len();
    app.blocking(move |engine| build(engine, range, &filter, &group_by, agents)).await.map(Json)
}

fn build(
    engine: &dyn Engine,
    range: Range,
    filter: &str,
    group_by: &str,
    agents: usize,
) -> Result<MapAnswer, MapError> {
    let question = Question { range, filter, group_by, step: range.step(SPARKS), and: String::new() };
    let requests = fetch::edges(engine, &question)?;
    // A filter on requests says nothing about connections: then edges without requests are left out.
    let connections = match fetch::connections(engine, &question) {
        Err(MapError::Filter(_)) => Vec::new(),
        other => other?,
    };
    let ids: BTreeSet<u32> =
        requests.iter().chain(&connections).flat_map(|row| [row.client_entity, row.server_entity]).collect();
    let tags = fetch::tags(engine, &ids.into_iter().collect::<Vec<_>>())?;
    let watched = range.watched(fetch::first_data(engine)?, now_s() as u32);
    let scale = Scale { seconds: range.seconds(), watched, step: question.step };
    let (nodes, edges) = assemble(requests, connections, &tags, scale);
    let loss = fetch::losses(engine, range)?;
    let loss = loss.into_iter().map(|loss| LossLine { agent: loss.agent, cause: loss.cause, count: loss.count });
    let loss: Vec<_> = loss.collect();
    let lost = loss.iter().map(|line| line.count).sum();
    let health = Health { agents, lost, loss };
    Ok(MapAnswer { from: range.from, to: range.to, step_s: question.step, nodes, edges, health })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DetailAnswer {
    series: Vec<Point>,
    endpoints: Vec<Line>,
    callers: Vec<Line>,
    callees: Vec<Line>,
    instances: Vec<Instance>,
}

/// Charts and tables of a node (`server`, or `client` for what it calls) or of an edge (both).
#[utoipa::path(get, path = "/v1/map/detail", params(RangeParams, MapParams),
    responses((status = 200, body = DetailAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn detail(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
    Query(params): Query<MapParams>,
) -> Result<Json<DetailAnswer>, ApiError> {
    if params.client.is_none() && params.server.is_none() {
        return Err(ApiError::invalid("give client, server or both"));
    }
    let (filter, span, group_by) = (range.filter.clone(), range.range()?, params.group_by()?);
    app.blocking(move |engine| build_detail(engine, span, &filter, &group_by, &params)).await.map(Json)
}

fn side(group_by: &str, entity: &str, name: &str) -> String {
    let expression = hadal_sql::tag_expression(group_by, entity).unwrap_or_else(|| "''".to_owned());
    format!("{expression} = {}", quote(name))
}

fn build_detail(
    engine: &dyn Engine,
    range: Range,
    filter: &str,
    group_by: &str,
    params: &MapParams,
) -> Result<DetailAnswer, MapError> {
    let client = params.client.as_deref().map(|name| side(group_by, "client_entity", name));
    let server = params.server.as_deref().map(|name| side(group_by, "server_entity", name));
    let selected = [client, server].into_iter().flatten().collect::<Vec<_>>().join(" AND ");
    let step = range.step(POINTS);
    let watched = range.watched(fetch::first_data(engine)?, now_s() as u32);
    let ask = |and: String| Question { range, filter, group_by, step, and };
    let points = series(fetch::series(engine, &ask(selected.clone()))?, range, step);
    let by_endpoint = |row: &Row| (row.endpoint.clone(), row.endpoint.clone(), row.protocol.clone());
    let mut endpoints = lines(fetch::endpoints(engine, &ask(selected))?, watched, by_endpoint);
    endpoints.truncate(200);
    let node = params.server.as_deref().or(params.client.as_deref()).unwrap_or_default();
    let served = fetch::edges(engine, &ask(side(group_by, "server_entity", node)))?;
    let called = fetch::edges(engine, &ask(side(group_by, "client_entity", node)))?;
    let members: BTreeSet<u32> =
        served.iter().map(|row| row.server_entity).chain(called.iter().map(|row| row.client_entity)).collect();
    let members: Vec<u32> = members.into_iter().collect();
    let tags = fetch::tags(engine, &members)?;
    Ok(DetailAnswer {
        series: points,
        endpoints,
        callers: lines(served, watched, |row| (row.client.clone(), String::new(), String::new())),
        callees: lines(called, watched, |row| (row.server.clone(), String::new(), String::new())),
        instances: instances(&members, &tags),
    })
}
