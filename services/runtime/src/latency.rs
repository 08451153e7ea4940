//! Latencies: a high-dynamic-range histogram in microseconds, shown as a Prometheus histogram.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::lock::lock;

/// The longest latency told apart, in microseconds: an hour. Longer ones count as an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Significant digits: buckets are right to 0.1 %, at about 200 kB a histogram.
const DIGITS: u8 = 3;
/// Upper bounds of the buckets on `/metrics`, in microseconds: 1, 2.5 and 5 in each factor of ten from a millisecond to
/// five minutes. The same in every instance and for every latency, so they can be added.
const BOUNDS_US: [u64; 17] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    300_000_000,
];

/// Records durations; clones share the same histogram.
#[derive(Debug, Clone)]
pub struct Latency {
    total: Arc<Mutex<Histogram<u64>>>,
}

impl Default for Latency {
    fn default() -> Self {
        let empty = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        let total = empty.expect("the constants are within hdrhistogram's bounds");
        Self { total: Arc::new(Mutex::new(total)) }
    }
}

impl Latency {
    /// Records one duration.
    pub fn record(&self, duration: Duration) {
        self.record_n(duration, 1);
    }

    /// Records the same duration `n` times, for instance for each record of a batch.
    pub fn record_n(&self, duration: Duration, n: u64) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(LONGEST_US).max(1);
        lock(&self.total).saturating_record_n(us, n);
    }

    /// Everything recorded since the start, in microseconds.
    #[must_use]
    pub fn snapshot(&self) -> Histogram<u64> {
        lock(&self.total).clone()
    }

    /// Appends a Prometheus histogram `name_seconds`. Instances can be added, unlike the quantiles of a summary.
    pub fn render(&self, name: &str, page: &mut String) {
        let total = self.snapshot();
        let _ = writeln!(page, "# TYPE {name}_seconds histogram");
        for (seconds, count) in cumulated(&total) {
            let _ = writeln!(page, "{name}_seconds_bucket{{le=\"{seconds}\"}} {count}");
        }
        let count = total.len();
        let sum = total.mean() * count as f64 / 1e6;
        let _ = writeln!(page, "{name}_seconds_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(page, "{name}_seconds_sum {sum}\n{name}_seconds_count {count}");
    }
}

/// How many latencies were at most as long as each bound.
fn cumulated(total: &Histogram<u64>) -> Vec<(f64, u64)> {
    let mut counts = [0; BOUNDS_US.len()];
    for value in total.iter_recorded() {
        if let Some(first) = BOUNDS_US.iter().position(|bound| value.value_iterated_to() <= *bound) {
            counts[first] += value.count_at_value();
        }
    }
    let mut below = 0;
    let cumulate = |(bound, count): (u64, u64)| {
        below += count;
        (bound as f64 / 1e6, below)
    };
    BOUNDS_US.into_iter().zip(counts).map(cumulate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(durations: &[(Duration, u64)]) -> String {
        let latency = Latency::default();
        durations.iter().for_each(|(duration, n)| latency.record_n(*duration, *n));
        let mut page = String::new();
        latency.render("scorer_write", &mut page);
        page
    }

    #[test]
    fn a_latency_is_shown_as_a_histogram_in_seconds() {
        let page = page(&[(Duration::from_millis(9), 99), (Duration::from_secs(2), 1)]);
        for line in [
            "# TYPE scorer_write_seconds histogram",
            "scorer_write_seconds_bucket{le=\"0.005\"} 0",
            "scorer_write_seconds_bucket{le=\"0.01\"} 99",
            "scorer_write_seconds_bucket{le=\"1\"} 99",
            "scorer_write_seconds_bucket{le=\"2.5\"} 100",
            "scorer_write_seconds_bucket{le=\"+Inf\"} 100",
            "scorer_write_seconds_count 100",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    #[test]
    fn histograms_of_instances_can_be_added() {
        let le = |page: &str| -> Vec<u64> {
            let buckets = page.lines().filter(|line| line.contains("_bucket{"));
            buckets.map(|line| line.rsplit_once(' ').expect("a value").1.parse().expect("a count")).collect()
        };
        let (fast, slow) = ((Duration::from_millis(3), 7), (Duration::from_secs(40), 5));
        let added: Vec<u64> = le(&page(&[fast])).iter().zip(le(&page(&[slow]))).map(|(a, b)| a + b).collect();
        assert_eq!(added, le(&page(&[fast, slow])), "one instance's buckets are the sum of two");
    }

    #[test]
    fn a_latency_beyond_an_hour_counts_as_an_hour() {
        let latency = Latency::default();
        latency.record(Duration::from_secs(86_400));
        assert_eq!(latency.snapshot().len(), 1);
    }
}
