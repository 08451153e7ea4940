//! How a challenger does beside the version that is live, as its manifests say it.

use serde::{Deserialize, Serialize};

use super::VersionId;

/// A difference, with an interval that holds the true one at every look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Interval {
    /// The mean of what was seen.
    pub mean: f64,
    /// The true mean is no less,
    pub lower: f64,
    /// and no more.
    pub upper: f64,
}

impl Interval {
    /// Whether it is an interval of differences between two shares.
    fn can_be(&self) -> bool {
        let Self { mean, lower, upper } = *self;
        let within = [mean, lower, upper].iter().all(|bound| (-1.0 - 1e-9..=1.0 + 1e-9).contains(bound));
        within && lower <= mean + 1e-9 && mean <= upper + 1e-9
    }
}

/// The challenger less the live version, over the tests that both took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// The version that was live at the last of them.
    pub live: VersionId,
    /// How many tests both took.
    pub tests: u64,
    /// The difference in hits among the first 20.
    pub hr20: Interval,
    /// The difference in reciprocal rank among the first 20.
    pub mrr20: Interval,
}

impl Contest {
    /// Whether it may be what a challenger found.
    pub(super) fn can_be(&self) -> bool {
        self.live.sequence > 0 && self.hr20.can_be() && self.mrr20.can_be()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contest_that_cannot_be_is_refused() {
        let interval = Interval { mean: 0.01, lower: -0.02, upper: 0.04 };
        let live = VersionId { epoch: 1, sequence: 1 };
        let contest = Contest { live, tests: 9, hr20: interval, mrr20: Interval::default() };
        assert!(contest.can_be());
        for hr20 in [
            Interval { upper: f64::INFINITY, ..interval },
            Interval { mean: f64::NAN, ..interval },
            Interval { lower: 0.02, ..interval },
        ] {
            assert!(!Contest { hr20, ..contest }.can_be(), "{hr20:?}");
        }
        assert!(!Contest { live: VersionId::default(), ..contest }.can_be());
    }
}
