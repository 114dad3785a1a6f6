//! `/v1/tags`: what the filter line may name.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use hadal_model::catalog::{APPLICATION_MAP, L7_FLOW_LOG};
use hadal_sql::{Key, KeyKind, keys, quote};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::params::RangeParams;
use crate::map::fetch::{self, Range};

#[derive(Serialize, ToSchema)]
pub(crate) struct TagsAnswer {
    tags: Vec<TagLine>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TagLine {
    name: &'static str,
    /// `string`, `number`, `duration` or `enum`.
    kind: &'static str,
    /// Whether it may end in `_0` (client) or `_1` (server).
    two_sided: bool,
    description: &'static str,
    /// All values, of an enum.
    values: Option<Vec<&'static str>>,
}

/// Keys of the filter line.
#[utoipa::path(get, path = "/v1/tags", responses((status = 200, body = TagsAnswer)))]
pub(crate) async fn list() -> Json<TagsAnswer> {
    Json(TagsAnswer { tags: keys().into_iter().map(line).collect() })
}

fn line(key: Key) -> TagLine {
    let (kind, values) = match key.kind {
        KeyKind::Text => ("string", None),
        KeyKind::Number => ("number", None),
        KeyKind::Duration => ("duration", None),
        KeyKind::Enum(words) => ("enum", Some(words.to_vec())),
    };
    TagLine { name: key.name, kind, two_sided: key.two_sided, description: key.doc, values }
}

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct ValuesParams {
    /// Beginning of the values, in any case.
    #[param(required = false)]
    prefix: String,
    /// Most values, up to 200.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ValuesAnswer {
    values: Vec<ValueLine>,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ValueLine {
    value: String,
    /// Requests that have it.
    count: u64,
}

/// Values of a key that occur in the range, most frequent first.
#[utoipa::path(get, path = "/v1/tags/{name}/values",
    params(("name" = String, Path, description = "key, with or without side"), RangeParams, ValuesParams),
    responses((status = 200, body = ValuesAnswer), (status = 404, body = ErrorBody)))]
pub(crate) async fn values(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(range): Query<RangeParams>,
    Query(params): Query<ValuesParams>,
) -> Result<Json<ValuesAnswer>, ApiError> {
    let span = range.range()?;
    let (base, sides) = match (name.strip_suffix("_0"), name.strip_suffix("_1")) {
        (Some(base), _) => (base, "0"),
        (_, Some(base)) => (base, "1"),
        _ => (name.as_str(), "01"),
    };
    let key = keys().into_iter().find(|key| key.name == name || (key.two_sided && key.name == base));
    let key = key.ok_or_else(|| ApiError::not_found(format!("there is no key {name}: see /v1/tags")))?;
    if let KeyKind::Enum(words) = key.kind {
        let values = words.iter().map(|word| ValueLine { value: (*word).to_owned(), count: 0 }).collect();
        return Ok(Json(ValuesAnswer { values }));
    }
    let sql = values_sql(&key, sides, span, &params);
    let answer = app.blocking(move |engine| fetch::rows(engine, &sql));
    Ok(Json(ValuesAnswer { values: answer.await? }))
}

fn values_sql(key: &Key, sides: &str, range: Range, params: &ValuesParams) -> String {
    let on_metrics = APPLICATION_MAP.columns.iter().any(|column| column.name == key.column);
    let (table, count) = if key.two_sided || on_metrics {
        (APPLICATION_MAP.sql_name(range.precision()), "sum(request)")
    } else {
        (L7_FLOW_LOG.sql_name(""), "count()")
    };
    let value = match (key.two_sided, sides) {
        (true, "01") => format!("arrayJoin(arrayDistinct([`{0}_0`, `{0}_1`]))", key.column),
        (true, side) => format!("`{}_{side}`", key.column),
        (false, _) => format!("toString(`{}`)", key.column),
    };
    format!(
        "SELECT {value} AS value, {count} AS count FROM {table} WHERE {} AND value != '' AND startsWith(lower(value), lower({})) \
         GROUP BY value ORDER BY count DESC, value LIMIT {}",
        range.condition("time"),
        quote(&params.prefix),
        params.limit.unwrap_or(20).clamp(1, 200),
    )
}
