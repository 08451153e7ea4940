//! Successive halving: the parts of a log that trials are run on, who goes on, and what that costs.
//!
//! After Jamieson and Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter Optimization* (2016), by
//! thirds.

use crate::error::Error;

/// A rung is so many times as long as the one before it, and so many times fewer go on to it.
const ETA: usize = 3;
/// Rungs of a ladder; the last one is everything that the search may see.
pub(crate) const RUNGS: usize = 3;
/// Fewer interactions tell settings apart by luck alone.
const LEAST: u64 = 1_000;

/// How a log is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// Interactions of the log.
    pub(crate) length: u64,
    /// The prefixes that trials are run on, shortest first. What lies behind the last one is held back.
    pub(crate) rungs: [u64; RUNGS],
}

impl Ladder {
    /// Holds the last third back and sets the rungs in the rest.
    ///
    /// # Errors
    /// When the log is too short for that.
    pub(crate) fn of(length: u64) -> Result<Self, Error> {
        if length < LEAST {
            return Err(Error::Other(format!(
                "{length} interactions are too few to tell settings apart: give a log of {LEAST} or more, or a larger --limit"
            )));
        }
        let seen = length - length / 3;
        let eta = ETA as u64;
        Ok(Self { length, rungs: [seen / (eta * eta), seen / eta, seen] })
    }

    /// Where the part begins that no trial sees.
    pub(crate) fn held_back(&self) -> u64 {
        self.rungs[RUNGS - 1]
    }

    /// Interactions that a search with so many trials, one of them the start, goes through.
    pub(crate) fn cost(&self, trials: usize) -> u64 {
        let mut draws = trials.saturating_sub(1);
        let mut cost = 0;
        for rung in self.rungs {
            cost += rung * (draws as u64 + 1);
            draws = go_on(draws);
        }
        cost
    }
}

/// How many of so many draws go on to the next rung.
fn go_on(draws: usize) -> usize {
    draws.div_ceil(ETA)
}

/// Who goes on, by trial number: the start, which is trial 0 and goes on whatever it scores, then the best third of the
/// draws, best first. Of equals the earlier goes first.
pub(crate) fn survivors(scores: &[(usize, f64)]) -> Vec<usize> {
    let mut draws: Vec<_> = scores.iter().filter(|(number, _)| *number != 0).collect();
    draws.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let best = draws.iter().take(go_on(draws.len())).map(|(number, _)| *number);
    [0].into_iter().chain(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_keeps_the_best_third_and_the_default() {
        // Trial 0 is the default and the worst of all; of nine draws three go on, best first.
        let scores: Vec<_> = [0.0, 5.0, 9.0, 1.0, 2.0, 8.0, 3.0, 9.0, 4.0, 6.0].into_iter().enumerate().collect();
        assert_eq!(survivors(&scores), [0, 2, 7, 5]);
        assert_eq!(survivors(&scores[..3]), [0, 2]);
        assert_eq!(survivors(&scores[..1]), [0]);
    }

    #[test]
    fn the_rungs_grow_by_thirds_and_the_last_third_is_held_back() {
        let ladder = Ladder::of(60_000).expect("long enough");
        assert_eq!(ladder.rungs, [4_444, 13_333, 40_000]);
        assert_eq!((ladder.held_back(), ladder.length), (40_000, 60_000));
        let error = Ladder::of(999).expect_err("too short").to_string();
        assert!(error.contains("--limit"), "{error}");
    }

    #[test]
    fn the_cost_counts_the_default_on_every_rung() {
        let ladder = Ladder { length: 27, rungs: [2, 6, 18] };
        assert_eq!(ladder.cost(3), 3 * 2 + 2 * 6 + 2 * 18);
        assert_eq!(ladder.cost(10), 10 * 2 + 4 * 6 + 2 * 18);
        assert_eq!(ladder.cost(81), 81 * 2 + 28 * 6 + 10 * 18);
    }
}
