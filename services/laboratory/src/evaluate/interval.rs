//! How sure a difference is: a confidence interval from paired tests whose errors hang together.
//!
//! Events of one session and of one hour are alike, so tests are not independent. The stream is cut into consecutive
//! batches, each batch's mean difference is one observation, and these are nearly independent: the method of batch
//! means (Law and Kelton, *Simulation Modeling and Analysis*), with batches weighted by their tests.

use serde::Serialize;

use super::percent;

/// Batches that the stream is cut into.
pub(crate) const BATCHES: usize = 100;
/// Said with every interval.
pub(crate) const METHOD: &str = "paired difference thalweg - baseline on the same tests; 95 % interval by batch means over \
                                 100 consecutive parts of the stream after its first 20 %";

/// Which of the batches between the places `from` and `to` of a stream a place lies in.
pub(crate) fn place(offset: u64, from: u64, to: u64) -> usize {
    let behind = u128::from(offset.saturating_sub(from)) * BATCHES as u128;
    let place = behind / u128::from(to.saturating_sub(from).max(1));
    usize::try_from(place).unwrap_or(BATCHES - 1)
}

/// A difference and the ends of its interval, as shares or in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) difference: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Sums of paired differences by batch.
#[derive(Debug, Clone)]
pub(crate) struct Paired {
    /// `(tests, sum of differences)`
    batches: Vec<(u64, f64)>,
}

impl Default for Paired {
    fn default() -> Self {
        Self { batches: vec![(0, 0.0); BATCHES] }
    }
}

impl Paired {
    /// A test of the part `place` of 0 to [`BATCHES`].
    pub(crate) fn record(&mut self, place: usize, difference: f64) {
        let (tests, sum) = &mut self.batches[place.min(BATCHES - 1)];
        *tests += 1;
        *sum += difference;
    }

    /// `None` when fewer than two batches have a test.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn interval(&self) -> Option<Interval> {
        let used: Vec<(f64, f64)> =
            self.batches.iter().filter(|(tests, _)| *tests > 0).map(|(tests, sum)| (*tests as f64, *sum)).collect();
        if used.len() < 2 {
            return None;
        }
        let (tests, sum) = used.iter().fold((0.0, 0.0), |(n, s), (tests, sum)| (n + tests, s + sum));
        let difference = sum / tests;
        // The variance of a ratio, by its residuals: batches do not all have the same number of tests.
        let residuals: f64 = used.iter().map(|(tests, sum)| (sum - tests * difference).powi(2)).sum();
        let degrees = used.len() as f64 - 1.0;
        let error = (used.len() as f64 / degrees * residuals).sqrt() / tests;
        let reach = error * student_t(degrees);
        Some(Interval { difference, low: difference - reach, high: difference + reach })
    }

    /// The same in per cent.
    pub(crate) fn percent(&self) -> Option<Interval> {
        let Interval { difference, low, high } = self.interval()?;
        Some(Interval { difference: percent(difference), low: percent(low), high: percent(high) })
    }
}

/// A difference in per cent and its interval, as cells.
pub(crate) fn cells(interval: Option<Interval>) -> [String; 2] {
    match interval {
        Some(Interval { difference, low, high }) => [format!("{difference:+.2}"), format!("{low:+.2} to {high:+.2}")],
        None => ["-".to_owned(), "- to -".to_owned()],
    }
}

/// The 97.5 % point of Student's t: from the table where degrees are few, else by Cornish and Fisher's expansion around
/// the normal's, which is within 0.002 there.
fn student_t(degrees: f64) -> f64 {
    const FEW: [f64; 4] = [12.706, 4.303, 3.182, 2.776];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small count
    if let Some(point) = FEW.get((degrees as usize).saturating_sub(1)) {
        return *point;
    }
    let z: f64 = 1.959_964;
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * degrees)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * degrees.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * degrees.powi(3))
        + (79.0 * z.powi(9) + 776.0 * z7 + 1_482.0 * z5 - 1_920.0 * z3 - 945.0 * z) / (92_160.0 * degrees.powi(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_equal_batches_is_students() {
        // Four batches of two tests with means 0.1, 0.2, 0.3, 0.4: mean 0.25, standard error 0.1291 / 2.
        let mut paired = Paired::default();
        for (place, mean) in [0.1, 0.2, 0.3, 0.4].into_iter().enumerate() {
            paired.record(place, mean + 0.5);
            paired.record(place, mean - 0.5);
        }
        let interval = paired.interval().expect("four batches");
        let reach = 3.1824 * 0.129_099 / 2.0;
        assert!((interval.difference - 0.25).abs() < 1e-9);
        assert!((interval.high - 0.25 - reach).abs() < 2e-4, "{interval:?}");
        assert!((interval.low - 0.25 + reach).abs() < 2e-4, "{interval:?}");
    }

    #[test]
    fn one_batch_is_no_ground_for_an_interval() {
        let mut paired = Paired::default();
        paired.record(3, 1.0);
        assert_eq!(paired.interval(), None);
        assert_eq!(paired.percent(), None);
    }

    #[test]
    fn the_points_of_students_t_are_the_tables() {
        for (degrees, point) in [(1.0, 12.706), (2.0, 4.303), (3.0, 3.182), (5.0, 2.571), (9.0, 2.262), (99.0, 1.984)] {
            assert!((student_t(degrees) - point).abs() < 2e-3, "{degrees}: {}", student_t(degrees));
        }
    }
}
