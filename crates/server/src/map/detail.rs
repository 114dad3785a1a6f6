//! What is shown beside a selected node or edge. Pure.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use super::assemble::one_point_per_edge;
use super::fetch::{Range, Row};
use super::stats::Stats;

/// Rates and latencies of one time bucket.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Point {
    pub(crate) time: u32,
    pub(crate) request_rate: f64,
    pub(crate) error_rate: f64,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
}

/// Figures of one endpoint, caller or callee.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) protocol: String,
    pub(crate) requests: u64,
    pub(crate) request_rate: f64,
    pub(crate) error_ratio: f64,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
}

/// One member of a node.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Instance {
    pub(crate) entity: String,
    pub(crate) auto_instance: String,
    pub(crate) host: String,
    pub(crate) process_name: String,
    pub(crate) container_id: String,
}

/// Points of the whole range; buckets without requests are zero.
pub(crate) fn series(rows: Vec<Row>, range: Range, step: u32) -> Vec<Point> {
    let mut buckets: BTreeMap<u32, Stats> = BTreeMap::new();
    for row in one_point_per_edge(rows) {
        buckets.entry(row.bucket).or_default().add(&row.stats());
    }
    let starts = (0..range.seconds().div_ceil(step.max(1))).map(|bucket| range.from + bucket * step);
    starts
        .map(|time| {
            let stats = buckets.remove(&time).unwrap_or_default();
            Point {
                time,
                request_rate: stats.requests as f64 / f64::from(step),
                error_rate: stats.errors() as f64 / f64::from(step),
                p50_us: stats.quantile(0.5),
                p99_us: stats.quantile(0.99),
            }
        })
        .collect()
}

/// Lines by what `key` names, most requested first: (name, endpoint, protocol).
pub(crate) fn lines(rows: Vec<Row>, watched: u32, key: impl Fn(&Row) -> (String, String, String)) -> Vec<Line> {
    let mut sums: BTreeMap<(String, String, String), Stats> = BTreeMap::new();
    for row in one_point_per_edge(rows) {
        sums.entry(key(&row)).or_default().add(&row.stats());
    }
    let seconds = f64::from(watched);
    let mut lines: Vec<_> = sums
        .into_iter()
        .map(|((name, endpoint, protocol), stats)| Line {
            name,
            endpoint,
            protocol,
            requests: stats.requests,
            request_rate: stats.requests as f64 / seconds,
            error_ratio: stats.error_ratio(),
            p50_us: stats.quantile(0.5),
            p99_us: stats.quantile(0.99),
        })
        .collect();
    // Rows of metrics that a filter left nothing of.
    lines.retain(|line| line.requests > 0);
    lines.sort_by_key(|line| std::cmp::Reverse(line.requests));
    lines
}

/// Members of a node by their tags.
pub(crate) fn instances(ids: &[u32], tags: &HashMap<u32, HashMap<String, String>>) -> Vec<Instance> {
    let instance = |id: &u32| {
        let tag = |name: &str| tags.get(id).and_then(|tags| tags.get(name)).cloned().unwrap_or_default();
        Instance {
            entity: id.to_string(),
            auto_instance: tag("auto_instance"),
            host: tag("host"),
            process_name: tag("process_name"),
            container_id: tag("container_id"),
        }
    };
    ids.iter().map(instance).collect()
}
