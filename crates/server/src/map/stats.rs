//! Sums of metrics that can be merged, and what is shown of them.

use std::collections::BTreeMap;

use hadal_model::sketch::quantile;

/// Counters and latencies of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) requests: u64,
    pub(crate) client_errors: u64,
    pub(crate) server_errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) sketch: BTreeMap<i16, u64>,
}

impl Stats {
    pub(crate) fn errors(&self) -> u64 {
        self.client_errors + self.server_errors + self.timeouts
    }

    /// Errors by requests, 0 without requests.
    pub(crate) fn error_ratio(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors() as f64 / self.requests as f64 }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.timeouts += other.timeouts;
        for (bucket, count) in &other.sketch {
            *self.sketch.entry(*bucket).or_default() += count;
        }
    }

    /// Latency in microseconds below which the share `q` of the timed requests lies.
    pub(crate) fn quantile(&self, q: f64) -> Option<u64> {
        quantile(&self.sketch, q).map(|micros| micros.round() as u64)
    }
}
