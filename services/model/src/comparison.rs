//! How much better the learner is than a version that serves, with an interval that is valid at every look. Pure.
//!
//! Both are tested on the same interactions, so the differences are paired: in \[−1, 1\] for hits and for reciprocal
//! ranks. The interval is a confidence sequence: Howard, Ramdas, McAuliffe and Sekhon, *Time-uniform, nonparametric,
//! nonasymptotic confidence sequences* (2021), theorem 4 (empirical Bernstein) with their stitched boundary. With S the
//! sum of n differences d, and V the sum of (d − the mean before)², the mean of E\[d | past\] lies within u(V)/n of S/n
//! at all n at once, but for the chance of error, whatever the traffic does:
//!
//! u(V) = k₁ √(V ℓ) + 2 k₂ ℓ, ℓ = s log log(η V/m) + log(ζ(s) / (α logˢ η)), V at least m,
//!
//! with η = 2, s = 1.4, k₁ = (η^¼ + η^−¼)/√2, k₂ = (√η + 1)/2. α is a quarter of the chance of error: two figures have
//! two bounds each.
//!
//! A mean over all tests would for days show what the learner was as a beginner. So a stretch ends after a number of
//! tests and the next begins anew; of the chance of error, stretch k (from 1) takes 1/(k (k + 1)), which adds up to all
//! of it.

use schemas::VersionId;
use schemas::checkpoint::{Contest, Interval};

use crate::gate::figures;
use crate::learner::Tested;

/// Where the boundary is tightest: 100 differing tests are about 1,000 tests.
const M: f64 = 100.0;
/// The exponent of the boundary, and the zeta function there.
const S: f64 = 1.4;
const ZETA: f64 = 3.105_5;
/// (η^¼ + η^−¼)/√2 and (√η + 1)/2 for η = 2.
const K1: f64 = 1.435_5;
const K2: f64 = 1.207_2;
/// The width of what a difference may be.
const C: f64 = 2.0;

/// Adds up one figure's differences.
#[derive(Debug, Clone, Copy, Default)]
struct Sequence {
    tests: u64,
    sum: f64,
    variance: f64,
}

impl Sequence {
    /// Takes a difference between -1 and 1 in.
    fn test(&mut self, difference: f64) {
        let off = difference - self.mean();
        self.variance += off * off;
        self.sum += difference;
        self.tests += 1;
    }

    fn mean(&self) -> f64 {
        if self.tests == 0 { 0.0 } else { self.sum / self.tests as f64 }
    }

    /// The mean, within bounds each of which is ever wrong with chance `alpha`.
    fn interval(&self, alpha: f64) -> Interval {
        let (mean, v) = (self.mean(), self.variance.max(M));
        let l = S * (2.0 * v / M).ln().ln() + (ZETA / (alpha * 2.0_f64.ln().powf(S))).ln();
        let width = (K1 * (v * l).sqrt() + C * K2 * l) / self.tests.max(1) as f64;
        Interval { mean, lower: (mean - width).max(-1.0), upper: (mean + width).min(1.0) }
    }
}

/// Compares the learner with the version that it is held against.
#[derive(Debug, Clone)]
pub struct Comparison {
    error: f64,
    window: u64,
    stretch: u32,
    /// The version that is live, and whether somebody keeps it so.
    live: Option<(VersionId, bool)>,
    hits: Sequence,
    ranks: Sequence,
}

impl Comparison {
    /// An interval of it is ever wrong with chance `error`; a stretch has `window` tests.
    #[must_use]
    pub fn new(error: f64, window: u64) -> Self {
        let (hits, ranks) = Default::default();
        Self { error, window: window.max(1), stretch: 1, live: None, hits, ranks }
    }

    /// From now on the learner is held against this version; `kept`: by somebody's word, and not as the newest. A
    /// version that is kept grows old, which says nothing of the trainer: what was found beside it is not mixed with
    /// the rest.
    pub fn against(&mut self, live: VersionId, kept: bool) {
        if self.live.is_some_and(|(_, before)| before != kept) && self.hits.tests > 0 {
            self.begin_stretch();
        }
        self.live = Some((live, kept));
    }

    fn begin_stretch(&mut self) {
        (self.hits, self.ranks) = Default::default();
        self.stretch = self.stretch.saturating_add(1);
    }

    /// Takes a test in, if both took it.
    pub fn test(&mut self, tested: &Tested<'_>) {
        let Some(anchor) = tested.anchor else { return };
        if self.hits.tests >= self.window {
            self.begin_stretch();
        }
        let (learner, live) = (figures(tested.rank), figures(anchor));
        self.hits.test(learner.0 - live.0);
        self.ranks.test(learner.1 - live.1);
    }

    /// Where it stands; `None` while nothing was compared.
    #[must_use]
    pub fn standing(&self) -> Option<Contest> {
        let ((live, _), tests) = (self.live?, self.hits.tests);
        let stretch = f64::from(self.stretch);
        let alpha = self.error / (4.0 * stretch * (stretch + 1.0));
        let contest = || Contest { live, tests, hr20: self.hits.interval(alpha), mrr20: self.ranks.interval(alpha) };
        (tests > 0).then(contest)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::testing::tested;

    /// Where it stands after so many tests of a learner that hits by `better` more often than 30 %; and whether the
    /// interval held the true difference at every look.
    fn contest(better: f64, tests: u64, window: u64, seed: u64) -> (Contest, bool) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut comparison = Comparison::new(0.05, window);
        comparison.against(VersionId { epoch: 1, sequence: 1 }, false);
        let mut held = true;
        for _ in 0..tests {
            let (learner, live) = (rng.random_bool(0.3 + better), rng.random_bool(0.3));
            comparison.test(&tested([learner.then_some(0), None, None], Some(live.then_some(0))));
            let hr20 = comparison.standing().expect("something was compared").hr20;
            held &= (hr20.lower..=hr20.upper).contains(&better);
        }
        (comparison.standing().expect("something was compared"), held)
    }

    #[test]
    fn the_interval_holds_the_difference_at_every_look_and_in_every_stretch() {
        for seed in 0..40 {
            assert!(contest(0.01, 20_000, 5_000, seed).1, "seed {seed}");
        }
    }

    #[test]
    fn five_points_show_within_ten_thousand_tests_and_no_difference_never_does() {
        for seed in 0..3 {
            let (better, _) = contest(0.05, 10_000, 1 << 40, seed);
            assert!(better.hr20.lower > 0.0 && better.hr20.upper - better.hr20.lower < 0.1, "{better:?}");
            let (same, _) = contest(0.0, 100_000, 1 << 40, seed);
            assert!(same.hr20.lower < 0.0 && same.hr20.upper > 0.0, "{same:?}");
            assert!(same.hr20.upper - same.hr20.lower < 0.02, "it becomes narrow: {same:?}");
        }
    }

    #[test]
    fn what_only_one_of_them_took_is_not_compared() {
        let mut comparison = Comparison::new(0.05, 100);
        comparison.test(&tested([Some(0), None, None], None));
        comparison.against(VersionId { epoch: 1, sequence: 1 }, false);
        assert_eq!(comparison.standing(), None);
        comparison.test(&tested([Some(1), None, None], Some(None)));
        let contest = comparison.standing().expect("one was compared");
        assert_eq!((contest.tests, contest.hr20.mean, contest.mrr20.mean), (1, 1.0, 0.5));
        assert_eq!((contest.hr20.lower, contest.hr20.upper), (-1.0, 1.0), "one test says nothing");
        comparison.against(VersionId { epoch: 1, sequence: 2 }, false);
        assert_eq!(comparison.standing().map(|contest| contest.tests), Some(1), "versions come each second");
        comparison.against(VersionId { epoch: 1, sequence: 2 }, true);
        assert_eq!(comparison.standing(), None, "what is kept grows old");
    }
}
