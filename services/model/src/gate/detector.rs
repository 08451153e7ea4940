//! Finds out, at every look, whether the learner has become worse than a reference. Pure.
//!
//! A Shiryaev–Roberts e-detector by betting: Shin, Ramdas and Rinaldo, *E-detectors: a nonparametric framework for
//! sequential change detection* (2022). Each test gives a difference d in \[−1, 1\] between learner and reference.
//! While the learner is not worse by more than a tolerance ε, E\[d | past\] ≥ −ε, whatever the traffic does. Then for
//! each stake λ the sum S ← (1 + S)(1 + λ(−d − ε)/(1 + ε)) is after n tests at most n on average. So a threshold A is
//! passed by mistake no sooner than after A tests on average, however often one looks; a test of a window, read each
//! second, would be wrong within minutes.

/// How much is bet. Small stakes find small losses, large stakes find large ones soon.
const STAKES: [f64; 7] = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7];

/// Beyond any threshold, and far from overflow.
const MOST: f64 = 1e300;

/// Adds up evidence that the learner is worse than a reference.
#[derive(Debug, Clone)]
pub(crate) struct Detector {
    tolerance: f64,
    sums: [f64; STAKES.len()],
    tests: u64,
}

impl Detector {
    /// Lets the learner be worse by `tolerance` on average.
    pub(crate) fn new(tolerance: f64) -> Self {
        Self { tolerance, sums: [0.0; STAKES.len()], tests: 0 }
    }

    /// Takes a test in: the learner's figure less the reference's, between -1 and 1.
    pub(crate) fn test(&mut self, difference: f64) {
        if !difference.is_finite() {
            return; // missing data is no evidence
        }
        let loss = (-difference.clamp(-1.0, 1.0) - self.tolerance) / (1.0 + self.tolerance);
        for (sum, stake) in self.sums.iter_mut().zip(STAKES) {
            *sum = ((1.0 + *sum) * (1.0 + stake * loss)).min(MOST);
        }
        self.tests += 1;
    }

    /// The evidence so far: no larger than the number of tests on average, while the learner is not worse.
    pub(crate) fn evidence(&self) -> f64 {
        self.sums.iter().sum::<f64>() / STAKES.len() as f64
    }

    /// How much worse the learner may be.
    pub(crate) fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// Tests taken in.
    pub(crate) fn tests(&self) -> u64 {
        self.tests
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const THRESHOLD: f64 = 1e9;

    /// Tests until the alarm where a reference hits 30 % and a learner so much less; `None`: none within `most`.
    fn delay(worse: f64, most: u64, seed: u64) -> Option<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut detector = Detector::new(0.002);
        for n in 1..=most {
            // Independent of each other: the worst case, for a learner and its anchor mostly hit and miss together.
            let (learner, reference) = (rng.random_bool(0.3 - worse), rng.random_bool(0.3));
            detector.test(f64::from(u8::from(learner)) - f64::from(u8::from(reference)));
            if detector.evidence() >= THRESHOLD {
                return Some(n);
            }
        }
        None
    }

    #[test]
    fn a_loss_of_20_points_shows_within_1_000_tests_and_of_5_points_within_20_000() {
        for seed in 0..5 {
            assert!(delay(0.2, 1_000, seed).is_some(), "20 points, seed {seed}");
            assert!(delay(0.05, 20_000, seed).is_some(), "5 points, seed {seed}");
        }
    }

    #[test]
    fn a_learner_that_is_as_good_raises_no_alarm_in_a_million_tests() {
        for seed in 0..3 {
            assert_eq!(delay(0.0, 1_000_000, seed), None, "seed {seed}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_evidence_and_a_long_loss_does_not_overflow() {
        let mut detector = Detector::new(0.002);
        detector.test(f64::NAN);
        assert_eq!((detector.evidence(), detector.tests()), (0.0, 0));
        (0..100_000).for_each(|_| detector.test(-1.0));
        assert!(detector.evidence() >= THRESHOLD && detector.evidence().is_finite());
    }
}
