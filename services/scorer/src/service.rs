//! How this scorer serves: evidence about the live version for whoever looks at `model`. Nothing is done by it.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;
use runtime::Latency;
use schemas::Entry;

use crate::metrics::SLATES_EMPTY;

/// Counts lists.
#[derive(Debug, Default)]
pub(crate) struct Service {
    empty: AtomicU64,
}

/// As it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// From an event's arrival to its slate in Redis: the 99th percentile since the start in milliseconds. `None`: no
    /// slate was written yet.
    pub(crate) p99_ms: Option<u64>,
    /// Lists without an item since the start.
    pub(crate) empty: u64,
}

impl Service {
    /// Takes note of lists that a version made for users.
    pub(crate) fn gave(&self, lists: &[Vec<Entry>]) {
        let empty = lists.iter().filter(|list| list.is_empty()).count() as u64;
        if empty > 0 {
            self.empty.fetch_add(empty, Ordering::Relaxed);
            counter!(SLATES_EMPTY).increment(empty);
        }
    }

    /// As it stands; `freshness` is what slates took.
    pub(crate) fn standing(&self, freshness: &Latency) -> Standing {
        let taken = freshness.snapshot();
        let p99_ms = (!taken.is_empty()).then(|| taken.value_at_quantile(0.99).div_ceil(1_000));
        Standing { p99_ms, empty: self.empty.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_nobody_has_measured_is_not_told_as_nothing() {
        let (service, freshness) = (Service::default(), Latency::default());
        assert_eq!(service.standing(&freshness), Standing { p99_ms: None, empty: 0 });
        let entry = Entry { id: "a".into(), score: 1.0, from: "popularity".into(), because: Vec::new() };
        service.gave(&[vec![entry], Vec::new(), Vec::new()]);
        freshness.record_n(Duration::from_millis(5), 98);
        freshness.record_n(Duration::from_millis(80), 2);
        let Standing { p99_ms, empty } = service.standing(&freshness);
        assert!(p99_ms.is_some_and(|ms| (80..=81).contains(&ms)), "{p99_ms:?}");
        assert_eq!(empty, 2);
    }
}
