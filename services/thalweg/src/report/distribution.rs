//! A latency histogram cut into a few buckets, for a plot.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Buckets in a factor of ten of latency.
const PER_DECADE: i32 = 8;

/// How many values lay between two latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// From, milliseconds.
    pub from_ms: f64,
    /// Up to, milliseconds.
    pub to_ms: f64,
    /// How many.
    pub count: u64,
}

/// Cuts a histogram of microseconds into buckets of equal width on a logarithmic axis, empty ends left out.
#[must_use]
pub fn buckets(histogram: &Histogram<u64>) -> Vec<Bucket> {
    let index = |us: u64| ((us.max(1) as f64).log10() * f64::from(PER_DECADE)).floor() as i32;
    let edge = |index: i32| 10f64.powf(f64::from(index) / f64::from(PER_DECADE)) / 1_000.0;
    if histogram.is_empty() {
        return Vec::new();
    }
    let (first, last) = (index(histogram.min()), index(histogram.max()));
    let bucket = |index| Bucket { from_ms: edge(index), to_ms: edge(index + 1), count: 0 };
    let mut buckets: Vec<_> = (first..=last).map(bucket).collect();
    for value in histogram.iter_recorded() {
        let at = (index(value.value_iterated_to()) - first).clamp(0, last - first);
        buckets[at as usize].count += value.count_at_value();
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_every_value_once() {
        let mut histogram = Histogram::new(3).expect("histogram");
        for us in [900, 1_000, 5_000, 5_100, 80_000] {
            histogram.record(us).expect("records");
        }
        let buckets = buckets(&histogram);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 5);
        assert!(buckets[0].from_ms <= 0.9 && buckets[buckets.len() - 1].to_ms >= 80.0);
        assert!(buckets.windows(2).all(|pair| pair[0].to_ms == pair[1].from_ms));
        assert!(super::buckets(&Histogram::new(3).expect("histogram")).is_empty());
    }
}
