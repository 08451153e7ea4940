//! The time given: how many trials it pays for, and when the search must end so that the comparison still fits in.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::ladder::Ladder;

/// Fewest and most trials, the start among them.
pub(crate) const FEWEST: usize = 3;
pub(crate) const MOST: usize = 81;
/// How much more two threads do than one, and how much longer an interaction takes than in the first trial: catalog and
/// histories grow, and draws may cost more. Only their quotient was measured: on two busy cores, 27 trials on Online
/// Retail went 1.48 times as fast as the first one. At 1.36 the estimate is on the safe side.
const TWO_AT_ONCE: f64 = 1.7;
const SLOWER: f64 = 1.25;

/// See the file's first line.
#[derive(Debug)]
pub(crate) struct Budget {
    started: Instant,
    given: Option<Duration>,
    workers: usize,
    /// Interactions gone through and the seconds that took, added up over threads.
    pace: Mutex<(f64, f64)>,
}

impl Budget {
    /// Starts the clock; without a time there is no end to it.
    pub(crate) fn start(given: Option<Duration>, workers: usize) -> Self {
        Self { started: Instant::now(), given, workers, pace: Mutex::new((0.0, 0.0)) }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn given(&self) -> Option<Duration> {
        self.given
    }

    /// Takes in how long one run took.
    #[allow(clippy::cast_precision_loss)] // a count
    pub(crate) fn ran(&self, interactions: u64, took: Duration) {
        let mut pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *pace = (pace.0 + interactions as f64, pace.1 + took.as_secs_f64());
    }

    /// Interactions a second of one run.
    pub(crate) fn rate(&self) -> f64 {
        let pace = self.pace.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        pace.0 / pace.1.max(1e-9)
    }

    /// How many trials the rest of the time pays for, by the pace of the first one; the fewest when not even these.
    pub(crate) fn trials(&self, ladder: &Ladder) -> usize {
        let fits = |trials: &usize| self.fits(self.expected(ladder, *trials));
        (FEWEST..=MOST).rev().find(fits).unwrap_or(FEWEST)
    }

    /// How long search and comparison will still take after the first trial, by its pace.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn expected(&self, ladder: &Ladder, trials: usize) -> Duration {
        let together = if self.workers > 1 { TWO_AT_ONCE } else { 1.0 };
        let interactions = ladder.cost(trials) - ladder.rungs[0] + 2 * ladder.length;
        Duration::from_secs_f64(interactions as f64 * SLOWER / (self.rate() * together))
    }

    /// Whether so much more is within the time given.
    pub(crate) fn fits(&self, more: Duration) -> bool {
        self.given.is_none_or(|given| self.elapsed() + more <= given)
    }

    /// Whether a run of so many interactions and the comparison after it would end too late.
    pub(crate) fn is_spent(&self, ladder: &Ladder, next: u64) -> bool {
        !self.fits(Duration::from_secs_f64(needed(ladder, next, self.workers) / self.rate()))
    }
}

/// Interactions that one thread has still to go through: the next run, then its share of the two of the comparison.
#[allow(clippy::cast_precision_loss)] // counts
fn needed(ladder: &Ladder, next: u64, workers: usize) -> f64 {
    next as f64 + ladder.length as f64 * if workers > 1 { 1.0 } else { 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        Ladder::of(27_000).expect("long enough")
    }

    /// At 1,000 interactions a second, on one thread.
    fn budget(given: Option<Duration>) -> Budget {
        let budget = Budget::start(given, 1);
        budget.ran(1_000, Duration::from_secs(1));
        budget
    }

    #[test]
    fn the_number_of_trials_follows_from_the_time_and_the_pace() {
        let (ladder, second) = (ladder(), Duration::from_secs(1));
        // Two thousand on the first rung, six on the second, eighteen on the third, twice all of it at last.
        let interactions = f64::from(19 * 2 + 8 * 6 + 4 * 18 + 2 * 27) * 1_000.0;
        let expected = budget(None).expected(&ladder, 20);
        assert!((expected.as_secs_f64() - interactions * SLOWER / 1_000.0).abs() < 1e-6, "{expected:?}");
        assert_eq!(budget(Some(expected + second)).trials(&ladder), 20);
        assert!(budget(Some(expected - second)).trials(&ladder) < 20);
        assert_eq!((budget(Some(second)).trials(&ladder), budget(None).trials(&ladder)), (FEWEST, MOST));
    }

    #[test]
    fn the_search_ends_while_the_comparison_still_fits_in() {
        let (ladder, second) = (ladder(), Duration::from_secs(1));
        // At 1,000 a second a run of 2,000 and two of 27,000 take 56 s.
        assert!(budget(Some(55 * second)).is_spent(&ladder, 2_000));
        assert!(!budget(Some(57 * second)).is_spent(&ladder, 2_000));
        assert!(!budget(None).is_spent(&ladder, 2_000), "no time was given");
    }
}
