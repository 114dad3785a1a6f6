//! `/v1/traces/compare`: what the slow or failed requests have in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Query, State};
use hadal_store::Engine;
use hadal_trace::{EvidenceSet, critical_path};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::answer::{ApiError, ErrorBody};
use super::params::RangeParams;
use super::trace::{names, rows_of};
use super::traces::entries;
use crate::compare::{self, Chosen, Count, Difference, Population};
use crate::map::MapError;
use crate::map::fetch;
use crate::trace;
use crate::trace::summary::{self, Part, PartKind};

/// Most rows that are looked at; of more a sample is taken.
const MOST_ROWS: u64 = 200_000;
/// How long attributes are counted.
const BUDGET: Duration = Duration::from_secs(4);
/// Traces that are looked at of each side, and how long altogether.
const TRACES: usize = 12;
const TRACES_BUDGET: Duration = Duration::from_millis(2500);
/// One that takes longer to find is left out.
const TRACE_BUDGET: Duration = Duration::from_millis(300);

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct CompareParams {
    /// Which requests are set against the others: `slow` or `failed`; `slow` if absent.
    #[param(required = false)]
    of: String,
    /// From where on a request is slow, in microseconds; the slowest twentieth if absent.
    slow_us: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CompareAnswer {
    /// From where on a request is slow, in microseconds.
    slow_us: u64,
    /// Requests that are slow (or failed), and the others, among those that were looked at.
    chosen: u64,
    rest: u64,
    /// One in how many requests was looked at.
    one_in: u64,
    /// Values that more of the chosen requests have, the most telling first.
    differences: Vec<Difference>,
}

#[derive(Deserialize)]
struct Size {
    total: u64,
    p95_us: u64,
}

#[derive(Deserialize)]
struct Sample {
    id: String,
    start_us: u64,
}

/// What the slow, or the failed, of the requests from outside have in common and the others have not.
#[utoipa::path(get, path = "/v1/traces/compare", params(RangeParams, CompareParams),
    responses((status = 200, body = CompareAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn compare(
    State(app): State<Arc<App>>,
    Query(range): Query<RangeParams>,
    Query(params): Query<CompareParams>,
) -> Result<Json<CompareAnswer>, ApiError> {
    let is_slow = match params.of.as_str() {
        "" | "slow" => true,
        "failed" => false,
        other => return Err(ApiError::invalid(format!("of is slow or failed, not {other}"))),
    };
    let condition = entries(range.range()?, &range.filter)?;
    let without = app.trace_without;
    app.blocking(move |engine| answer(engine, condition, is_slow, params.slow_us, without)).await.map(Json)
}

fn answer(
    engine: &dyn Engine,
    condition: String,
    is_slow: bool,
    slow_us: Option<u64>,
    without: EvidenceSet,
) -> Result<CompareAnswer, MapError> {
    let size: Vec<Size> = fetch::rows(engine, &compare::size_sql(&condition))?;
    let size = size.into_iter().next().unwrap_or(Size { total: 0, p95_us: 0 });
    let slow_us = slow_us.unwrap_or(size.p95_us);
    let chosen = if is_slow { Chosen::SlowerThan(slow_us) } else { Chosen::Failed };
    let population = Population { condition, one_in: size.total.div_ceil(MOST_ROWS).max(1) };
    let counts: Vec<Count> = fetch::rows_within(engine, &compare::values_sql(&population, chosen), BUDGET)?;
    let one_in = population.one_in;
    let Some((total, counts)) = compare::totals(counts) else {
        return Ok(CompareAnswer { slow_us, chosen: 0, rest: 0, one_in, differences: Vec::new() });
    };
    let mut differences = if total.chosen > 0 { by_trace(engine, &population, chosen, without)? } else { Vec::new() };
    differences.extend(compare::differences(&counts, total.chosen, total.rest));
    Ok(CompareAnswer { slow_us, chosen: total.chosen, rest: total.rest, one_in, differences })
}

/// Where the time goes in some of the chosen and of the other requests.
fn by_trace(
    engine: &dyn Engine,
    population: &Population,
    chosen: Chosen,
    without: EvidenceSet,
) -> Result<Vec<Difference>, MapError> {
    let deadline = Instant::now() + TRACES_BUDGET;
    let samples = |is_chosen: bool| -> Result<Vec<Sample>, MapError> {
        fetch::rows_within(engine, &compare::samples_sql(population, chosen, is_chosen, TRACES), TRACE_BUDGET)
    };
    let mut samples = [samples(true)?, samples(false)?].map(Vec::into_iter);
    let mut counts: HashMap<String, [u64; 2]> = HashMap::new();
    let mut totals = [0; 2];
    // By turns, so that both sides are told of when time runs out.
    for side in (0..2 * TRACES).map(|number| number % 2) {
        let Some(sample) = samples[side].next() else { continue };
        if Instant::now() >= deadline {
            break;
        }
        if let Some(place) = where_time_goes(engine, &sample, without)? {
            counts.entry(place).or_default()[side] += 1;
            totals[side] += 1;
        }
    }
    let counts = counts.into_iter().map(|(value, [chosen, rest])| Count {
        name: compare::TAKES_TIME.to_owned(),
        value,
        chosen,
        rest,
    });
    Ok(compare::differences(&counts.collect::<Vec<_>>(), totals[0], totals[1]))
}

fn where_time_goes(engine: &dyn Engine, sample: &Sample, without: EvidenceSet) -> Result<Option<String>, MapError> {
    let id = sample.id.parse().unwrap_or_default();
    let Some(seed) = trace::fetch::seed(engine, id, Some(sample.start_us))? else { return Ok(None) };
    let trace = trace::trace_of(engine, seed, TRACE_BUDGET, without)?;
    let names = names(&rows_of(engine, &trace)?);
    let tree = trace.tree();
    let summary = summary::summarize(&tree, &critical_path(&tree), &names);
    Ok(summary.parts.first().filter(|_| !trace.truncated).map(words))
}

fn words(part: &Part) -> String {
    let Part { service, what, .. } = part;
    match part.kind {
        PartKind::Own if part.is_entry => format!("{service} itself"),
        PartKind::Own | PartKind::Waiting => format!("{service} {what}"),
        PartKind::Network => format!("the way to {service} and back"),
        PartKind::NoAnswer => format!("no answer from {service} {what}"),
    }
}
