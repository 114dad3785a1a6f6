//! `/v1/query`: read-only SQL.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use hadal_model::catalog::DATABASES;
use hadal_sql::{check_read_only, statement_format};
use hadal_store::{Error, ErrorKind, Format};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;

/// The question; as JSON or as form fields.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct QueryBody {
    /// Database in which names without one are looked up.
    db: String,
    /// One statement: SELECT, SHOW, DESCRIBE or EXPLAIN.
    sql: String,
}

/// The answer, in DeepFlow's form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryAnswer {
    /// `SUCCESS`, `INVALID_POST_DATA`, `INVALID_SQL`, `FORBIDDEN`, `LIMIT_EXCEEDED` or `SERVER_ERROR`.
    #[serde(rename = "OPT_STATUS")]
    opt_status: &'static str,
    /// What went wrong.
    #[serde(rename = "DESCRIPTION")]
    description: String,
    result: Option<QueryResult>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryResult {
    columns: Vec<String>,
    #[schema(value_type = Vec<Vec<Object>>)]
    values: Vec<Vec<Value>>,
    schemas: Vec<ColumnSchema>,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ColumnSchema {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Compact {
    meta: Vec<ColumnSchema>,
    data: Vec<Vec<Value>>,
}

type Answer = (StatusCode, Json<QueryAnswer>);

fn failed(status: StatusCode, word: &'static str, description: impl Into<String>) -> Answer {
    (status, Json(QueryAnswer { opt_status: word, description: description.into(), result: None }))
}

fn store_failed(error: &Error) -> Answer {
    let (status, word) = match error.kind() {
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_SQL"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        ErrorKind::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "LIMIT_EXCEEDED"),
        ErrorKind::Unavailable | ErrorKind::Setup => (StatusCode::SERVICE_UNAVAILABLE, "SERVER_ERROR"),
    };
    failed(status, word, error.to_string())
}

/// Runs one read-only statement.
#[utoipa::path(post, path = "/v1/query", request_body = QueryBody,
    responses((status = 200, body = QueryAnswer), (status = 400, body = QueryAnswer)))]
pub(crate) async fn query(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    match answer(app, &headers, &body).await {
        Ok(result) => {
            let answer = QueryAnswer { opt_status: "SUCCESS", description: String::new(), result: Some(result) };
            (StatusCode::OK, Json(answer))
        }
        Err(failure) => *failure,
    }
}

async fn answer(app: Arc<App>, headers: &HeaderMap, body: &[u8]) -> Result<QueryResult, Box<Answer>> {
    let body = parse_body(headers, body)
        .map_err(|reason| Box::new(failed(StatusCode::BAD_REQUEST, "INVALID_POST_DATA", reason)))?;
    let database = if body.db.is_empty() { "default".to_owned() } else { body.db };
    if database != "default" && !DATABASES.contains(&database.as_str()) {
        let message = format!("there is no database {database}: there are {}", DATABASES.join(", "));
        return Err(Box::new(failed(StatusCode::BAD_REQUEST, "INVALID_POST_DATA", message)));
    }
    check_read_only(&body.sql).map_err(|error| {
        let message = format!("{error} (at character {})", error.position + 1);
        Box::new(failed(StatusCode::BAD_REQUEST, "INVALID_SQL", message))
    })?;
    let (sql, _) = statement_format(&body.sql);
    let run = move || app.engine.query_as_user(&database, &sql, Format::JsonCompact);
    let output = tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| Box::new(failed(StatusCode::INTERNAL_SERVER_ERROR, "SERVER_ERROR", error.to_string())))?;
    let output = output.map_err(|error| Box::new(store_failed(&error)))?;
    let compact: Compact = serde_json::from_slice(&output.bytes).map_err(|error| {
        Box::new(failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "SERVER_ERROR",
            format!("the answer does not decode: {error}"),
        ))
    })?;
    let columns = compact.meta.iter().map(|column| column.name.clone()).collect();
    Ok(QueryResult { columns, values: compact.data, schemas: compact.meta })
}

fn parse_body(headers: &HeaderMap, body: &[u8]) -> Result<QueryBody, String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        return serde_json::from_slice(body).map_err(|error| format!("the body is not JSON with db and sql: {error}"));
    }
    serde_urlencoded::from_bytes(body).map_err(|error| format!("the body is no form with db and sql: {error}"))
}
