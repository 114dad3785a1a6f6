//! The latency sketch: counts per logarithmic bucket of ratio γ = 1.02, so a quantile is off by at most 1 %.
//!
//! The bucket of a latency of `v` µs is `ceil(ln(max(v, 1)) / ln γ)` and its estimate `2γ^i / (γ + 1)`: DDSketch
//! (Masson, Rim, Lee, 2019), section 2.1. Stored as `Map(Int16, UInt64)`, merged by adding counts.

use std::collections::BTreeMap;

/// Ratio between neighbouring bucket bounds.
pub const GAMMA: f64 = 1.02;

/// Most buckets one sketch keeps; beyond it the lowest ones are merged.
pub const MAX_BUCKETS: usize = 400;

/// Bucket of a latency in microseconds.
pub fn bucket(micros: u64) -> i16 {
    let index = (micros.max(1) as f64).ln() / GAMMA.ln();
    // 2^64 µs lies in bucket 2241, so the cast cannot overflow. The epsilon keeps exact powers of γ in their own bucket.
    (index - 1e-9).ceil() as i16
}

/// The latency in microseconds that stands for a bucket.
pub fn estimate(bucket: i16) -> f64 {
    2.0 * GAMMA.powi(i32::from(bucket)) / (GAMMA + 1.0)
}

/// The latency in microseconds below which the share `q` (0..=1) of `counts` by bucket lies; `None` if there are none.
pub fn quantile(counts: &BTreeMap<i16, u64>, q: f64) -> Option<f64> {
    let total: u64 = counts.values().sum();
    let rank = q.clamp(0.0, 1.0) * total.saturating_sub(1) as f64;
    let mut seen = 0;
    let bucket = counts.iter().find(|(_, count)| {
        seen += **count;
        seen as f64 > rank
    });
    bucket.map(|(bucket, _)| estimate(*bucket))
}

/// A sketch being filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    counts: BTreeMap<i16, u64>,
}

impl Sketch {
    /// Counts one latency in microseconds.
    pub fn add(&mut self, micros: u64) {
        *self.counts.entry(bucket(micros)).or_default() += 1;
        if self.counts.len() > MAX_BUCKETS {
            self.merge_lowest();
        }
    }

    /// Buckets in ascending order with their counts.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (i16, u64)> + '_ {
        self.counts.iter().map(|(&bucket, &count)| (bucket, count))
    }

    /// The latency in microseconds below which the share `q` (0..=1) of all counts lies; `None` if empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(&self.counts, q)
    }

    fn merge_lowest(&mut self) {
        if let Some((_, count)) = self.counts.pop_first()
            && let Some(mut next) = self.counts.first_entry()
        {
            *next.get_mut() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_within_one_percent() {
        for micros in [1, 2, 10, 99, 1000, 12_345, 1_000_000, 3_600_000_000] {
            let error = (estimate(bucket(micros)) - micros as f64).abs() / micros as f64;
            assert!(error <= 0.0101, "{micros} µs is off by {error}");
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut sketch = Sketch::default();
        (1..=10_000).for_each(|micros| sketch.add(micros));
        for (q, want) in [(0.5, 5000.0), (0.99, 9900.0), (1.0, 10_000.0)] {
            let got = sketch.quantile(q).unwrap();
            assert!((got - want).abs() / want < 0.011, "q{q}: {got}");
        }
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn buckets_are_bounded() {
        let mut sketch = Sketch::default();
        (0..64).for_each(|bit| (0..40).for_each(|step| sketch.add((1u64 << bit) + (step << bit) / 40)));
        assert!(sketch.buckets().len() <= MAX_BUCKETS);
        assert_eq!(sketch.buckets().map(|(_, count)| count).sum::<u64>(), 64 * 40);
    }
}
