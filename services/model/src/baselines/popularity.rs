//! The baseline that shows everybody what was chosen most lately.

use super::{Ask, Baseline, Choice, NAMED, Ranked};
use crate::learner::quality::SlidingPopularity;

/// Interactions that are counted.
const WINDOW: usize = 5_000;

/// Sliding-window popularity.
#[derive(Debug)]
pub struct Popularity {
    counts: SlidingPopularity,
}

impl Default for Popularity {
    fn default() -> Self {
        Self { counts: SlidingPopularity::new(WINDOW) }
    }
}

impl Baseline for Popularity {
    fn name(&self) -> &'static str {
        "popularity"
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        asks.iter().map(|_| self.counts.best(NAMED)).collect()
    }

    fn learn(&mut self, choices: &[Choice<'_>]) {
        choices.iter().for_each(|choice| self.counts.record(choice.key));
    }
}
