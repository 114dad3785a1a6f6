//! Errors as the API gives them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hadal_sql::QueryError;
use hadal_store::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::map::MapError;

/// Why a call failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: u16,
    /// `invalid_filter`, `invalid_argument`, `not_found`, `unavailable` or `internal`.
    code: &'static str,
    message: String,
    /// Where in the filter, in characters.
    position: Option<usize>,
    length: Option<usize>,
    suggestion: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ApiError,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status: status.as_u16(), code, message, position: None, length: None, suggestion: None }
    }

    pub(crate) fn internal(message: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_argument", message.into())
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message.into())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self {
            position: Some(error.position),
            length: Some(error.length),
            suggestion: error.suggestion.clone(),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_filter", error.to_string())
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid_argument"),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "invalid_argument"),
            ErrorKind::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_argument"),
            ErrorKind::Unavailable | ErrorKind::Setup => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<MapError> for ApiError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Filter(error) => error.into(),
            MapError::Store(error) => error.into(),
            MapError::Decode(_) | MapError::CutOff => Self::internal(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status >= 500 {
            tracing::error!("{}", self.message);
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: self })).into_response()
    }
}
