//! Latencies: a high-dynamic-range histogram in microseconds, shown as a Prometheus summary.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::context::lock;

/// The longest latency told apart, in microseconds: an hour. Longer ones count as an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Significant digits: quantiles are right to 0.1 %, at about 200 kB a histogram.
const DIGITS: u8 = 3;
/// The quantiles of `/metrics` look back over one to two of these.
const WINDOW: Duration = Duration::from_secs(60);

/// Records durations; clones share the same histogram.
#[derive(Debug, Clone)]
pub struct Latency {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    total: Histogram<u64>,
    recent: Histogram<u64>,
    previous: Histogram<u64>,
    turned: Instant,
}

impl Default for Latency {
    fn default() -> Self {
        let state = State { total: empty(), recent: empty(), previous: empty(), turned: Instant::now() };
        Self { state: Arc::new(Mutex::new(state)) }
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
        let mut state = lock(&self.state);
        state.total.saturating_record_n(us, n);
        state.recent.saturating_record_n(us, n);
    }

    /// Everything recorded since the start, in microseconds.
    #[must_use]
    pub fn snapshot(&self) -> Histogram<u64> {
        lock(&self.state).total.clone()
    }

    /// Appends a Prometheus summary `name_seconds`: quantiles of the last minute or two, sum and count of all.
    pub fn render(&self, name: &str, page: &mut String) {
        let mut state = lock(&self.state);
        if state.turned.elapsed() > WINDOW {
            let recent = std::mem::replace(&mut state.recent, empty());
            state.previous = recent;
            state.turned = Instant::now();
        }
        let mut window = state.previous.clone();
        let _ = window.add(&state.recent); // same bounds: cannot fail
        let _ = writeln!(page, "# TYPE {name}_seconds summary");
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            let seconds = window.value_at_quantile(quantile) as f64 / 1e6;
            let _ = writeln!(page, "{name}_seconds{{quantile=\"{quantile}\"}} {seconds}");
        }
        let count = state.total.len();
        let sum = state.total.mean() * count as f64 / 1e6;
        let _ = writeln!(page, "{name}_seconds_sum {sum}\n{name}_seconds_count {count}");
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the constants are within hdrhistogram's bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_shown_as_a_summary_in_seconds() {
        let latency = Latency::default();
        latency.record_n(Duration::from_millis(10), 99);
        latency.record(Duration::from_secs(2));
        let mut page = String::new();
        latency.render("scorer_write", &mut page);
        assert!(page.contains("scorer_write_seconds{quantile=\"0.5\"} 0.01"), "{page}");
        assert!(page.contains("scorer_write_seconds_count 100"), "{page}");
        assert!(page.contains("quantile=\"0.999\"} 2.0"), "{page}");
    }

    #[test]
    fn a_latency_beyond_an_hour_counts_as_an_hour() {
        let latency = Latency::default();
        latency.record(Duration::from_secs(86_400));
        assert_eq!(latency.snapshot().len(), 1);
    }
}
