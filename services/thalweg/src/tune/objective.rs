//! What a search maximises, and what a run on part of a log came to.

use model::Rank;
use serde_json::{Value, json};

use crate::evaluate::figures::{CUT, Tally, hit};

/// The objective's name; the same words stand in `--help`.
pub(crate) const NAME: &str = "HR@20 + MRR@20";

/// What one run came to, in per cent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Score {
    pub(crate) hr: f64,
    pub(crate) mrr: f64,
    pub(crate) tests: u64,
}

impl Score {
    pub(crate) fn of(tally: &Tally) -> Self {
        let figures = tally.figures(0);
        Self { hr: figures["hr_20"], mrr: figures["mrr_20"], tests: tally.tests }
    }

    /// Finding the item and putting it near the top both matter: the sum of the two.
    pub(crate) fn objective(&self) -> f64 {
        self.hr + self.mrr
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "objective": self.objective(), "hr_20": self.hr, "mrr_20": self.mrr, "tests": self.tests })
    }
}

/// Hit, reciprocal rank and objective of one test, as shares.
#[allow(clippy::cast_precision_loss)] // 0 or 1
pub(crate) fn of(rank: Rank) -> [f64; 3] {
    let (hit, reciprocal) = hit(rank, CUT);
    [hit as f64, reciprocal, hit as f64 + reciprocal]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_at_the_top_is_worth_two_and_a_miss_nothing() {
        assert_eq!(of(Some(0)), [1.0, 1.0, 2.0]);
        assert_eq!(of(Some(3)), [1.0, 0.25, 1.25]);
        assert_eq!((of(Some(20)), of(None)), ([0.0; 3], [0.0; 3]));
    }
}
