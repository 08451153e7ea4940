//! What the gate is compared with: a test of the last tests at 5 %, looked at again and again.

use std::collections::VecDeque;

use model::Tested;
use serde::Serialize;

/// Tests against the anchor that are held against each other.
const TESTS: usize = 500;
/// Tests of the learner between two looks: a second of a busy shop.
const LOOK_EVERY: u64 = 500;
/// Beyond so many standard deviations a test at 5 % on one side finds a loss.
const FIVE_PERCENT: f64 = 1.645;

/// What the window found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Windowed {
    /// Tests in the window, each of learner and anchor.
    pub(crate) tests: usize,
    /// Tests of the learner between two looks.
    pub(crate) look_every: u64,
    pub(crate) looks: u64,
    pub(crate) alarms: u64,
}

/// Hits of learner and anchor within the last tests that both took: two proportions.
#[derive(Debug)]
pub(super) struct Window {
    hits: VecDeque<(bool, bool)>,
    looked: u64,
    found: Windowed,
}

impl Window {
    pub(super) fn new() -> Self {
        let found = Windowed { tests: TESTS, look_every: LOOK_EVERY, looks: 0, alarms: 0 };
        Self { hits: VecDeque::with_capacity(TESTS + 1), looked: 0, found }
    }

    pub(super) fn test(&mut self, tested: &Tested<'_>) {
        let Some(anchor) = tested.anchor else { return };
        let hit = |rank: Option<usize>| rank.is_some_and(|rank| rank < 20);
        self.hits.push_back((hit(tested.rank), hit(anchor)));
        if self.hits.len() > TESTS {
            self.hits.pop_front();
        }
    }

    /// Looks, where that is due after so many tests of the learner: whether the learner seems worse.
    pub(super) fn look(&mut self, tests: u64) -> bool {
        if tests / LOOK_EVERY == self.looked {
            return false;
        }
        self.looked = tests / LOOK_EVERY;
        if self.hits.len() < TESTS {
            return false;
        }
        self.found.looks += 1;
        let worse = z(&self.hits) < -FIVE_PERCENT;
        self.found.alarms += u64::from(worse);
        worse
    }

    /// Another anchor: what was found beside the one before says nothing of it.
    pub(super) fn begin_anew(&mut self) {
        self.hits.clear();
    }

    pub(super) fn found(&self) -> Windowed {
        self.found
    }
}

/// The z of two proportions, with their shares pooled; 0 where both always or never hit.
#[allow(clippy::cast_precision_loss)] // at most 500
fn z(hits: &VecDeque<(bool, bool)>) -> f64 {
    let n = hits.len() as f64;
    let share = |of: fn(&(bool, bool)) -> bool| hits.iter().filter(|hit| of(hit)).count() as f64 / n;
    let (learner, anchor) = (share(|hit| hit.0), share(|hit| hit.1));
    let pooled = f64::midpoint(learner, anchor);
    let deviation = (2.0 * pooled * (1.0 - pooled) / n).sqrt();
    if deviation > 0.0 { (learner - anchor) / deviation } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_proportions_are_held_against_each_other_as_in_a_textbook() {
        let hits = |learner: usize, anchor: usize| (0..TESTS).map(|n| (n < learner, n < anchor)).collect();
        assert_eq!(z(&hits(0, 0)).abs() + z(&hits(TESTS, TESTS)).abs(), 0.0);
        // 40 % beside 50 %: pooled 45 %, deviation √(2 · 0.45 · 0.55 / 500).
        assert!((z(&hits(200, 250)) + 0.1 / (0.495_f64 / 500.0).sqrt()).abs() < 1e-9);
        assert!(z(&hits(250, 200)) > FIVE_PERCENT);
    }

    #[test]
    fn a_window_is_looked_at_every_500_tests_once_it_is_full() {
        let mut window = Window::new();
        window.hits.extend((0..TESTS).map(|_| (false, true)));
        assert!(!window.look(499) && window.look(500) && !window.look(501) && window.look(1_100));
        window.begin_anew();
        assert!(!window.look(2_000));
        assert_eq!((window.found().looks, window.found().alarms), (2, 2));
    }
}
