//! What a search maximises, and what a run on part of a log came to.

use serde_json::{Value, json};

use crate::evaluate::figures::{Figures, Tally};
use crate::evaluate::judge::Placed;
use crate::evaluate::sum::{CUT, hit};

/// The objective's name; the same words stand in `--help`.
pub(crate) const NAME: &str = "HR@20 + MRR@20";

/// What one run came to, in per cent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Score {
    pub(crate) hr: f64,
    /// Hits of what the user had not chosen before.
    pub(crate) first_time_hr: f64,
    pub(crate) mrr: f64,
    pub(crate) tests: u64,
}

impl Score {
    pub(crate) fn of(tally: &Tally) -> Self {
        let Figures { hr_20, first_time_hr_20, mrr_20, .. } = tally.figures(0);
        Self { hr: hr_20, first_time_hr: first_time_hr_20, mrr: mrr_20, tests: tally.tests() }
    }

    /// Finding the item and putting it near the top both matter: the sum of the two.
    pub(crate) fn objective(&self) -> f64 {
        self.hr + self.mrr
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "objective": self.objective(), "hr_20": self.hr, "first_time_hr_20": self.first_time_hr,
            "mrr_20": self.mrr, "tests": self.tests })
    }
}

/// What is compared, by the names in the JSON; the objective stands last.
pub(crate) const MEASURES: [&str; 4] = ["hr_20", "first_time_hr_20", "mrr_20", "objective"];

/// The measures of one test, as shares; of a repeat no first-time hit.
#[allow(clippy::cast_precision_loss)] // 0 or 1
pub(crate) fn of(placed: &Placed) -> [Option<f64>; 4] {
    let (hit, reciprocal) = hit(placed.rank, CUT);
    let hit = hit as f64;
    [Some(hit), Some(hit).filter(|_| !placed.repeat), Some(reciprocal), Some(hit + reciprocal)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_at_the_top_is_worth_two_and_a_miss_nothing() {
        let of = |rank, repeat| of(&Placed { offset: 0, rank, repeat });
        assert_eq!(of(Some(0), false), [1.0, 1.0, 1.0, 2.0].map(Some));
        assert_eq!(of(Some(3), true), [Some(1.0), None, Some(0.25), Some(1.25)]);
        assert_eq!((of(Some(20), false), of(None, false)), ([Some(0.0); 4], [Some(0.0); 4]));
    }
}
