//! Measuring: how much of it, medians of repetitions, and latencies.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::error::Error;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// A smoke test instead of a measurement.
    pub quick: bool,
}

impl Size {
    /// One of two amounts.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// What repetitions of one measurement gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle one; of an even number the lower.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or_default()
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }
}

/// Latencies of single calls, one after the other with no schedule to be late for.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        // Nanoseconds up to 10 minutes, right to 0.1 %.
        Self(Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("the bounds are within hdrhistogram's"))
    }

    /// Times one call.
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = call();
        self.record(started.elapsed());
        result
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    /// Calls until `budget` is spent, at least `least` times; the first call warms up and is not counted.
    pub(crate) fn of(budget: Duration, least: u64, mut call: impl FnMut()) -> Self {
        call();
        let mut latencies = Self::new();
        let started = Instant::now();
        while latencies.0.len() < least || started.elapsed() < budget {
            latencies.time(&mut call);
        }
        latencies
    }

    /// A quantile in milliseconds.
    #[allow(clippy::cast_precision_loss)] // nanoseconds of minutes
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }
}

/// A count per second.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
pub(crate) fn per_second(count: usize, duration: Duration) -> f64 {
    count as f64 / duration.as_secs_f64().max(1e-9)
}

/// Runs an asynchronous benchmark on threads of its own, as many as there are cores, as the services do.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| {
        Error::Other(format!("the runtime does not start: {e}; raise the limit on processes (`ulimit -u`)"))
    })?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_mind_an_outlier() {
        let mut samples = Samples::default();
        [3.0, 1_000.0, 1.0].into_iter().for_each(|value| samples.push(value));
        assert!((samples.median() - 3.0).abs() < f64::EPSILON);
        assert!((samples.least() - 1.0).abs() < f64::EPSILON);
    }
}
