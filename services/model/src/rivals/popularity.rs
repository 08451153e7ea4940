//! The rival that shows everybody what was chosen most lately.

use super::{Ask, Choice, NAMED, Ranked, Rival};
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

impl Rival for Popularity {
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
