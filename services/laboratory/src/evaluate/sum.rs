//! What tests add up to: how often what was chosen stood among the first places of a list, and how high.

use model::Rank;

/// How many items of a list count.
pub(crate) const CUT: usize = 20;

/// Sums over tests, at one cut.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sum {
    pub(crate) tests: u64,
    pub(crate) hits: u64,
    pub(crate) reciprocal: f64,
}

/// 1 for a hit within the first `cut`, and the reciprocal of its place from 1; zeros for a miss.
#[allow(clippy::cast_precision_loss)] // a rank below 20
pub(crate) fn hit(rank: Rank, cut: usize) -> (u64, f64) {
    rank.filter(|rank| *rank < cut).map_or((0, 0.0), |rank| (1, 1.0 / (rank as f64 + 1.0)))
}

impl Sum {
    /// The sums over tests of which these are the ranks.
    pub(crate) fn of(ranks: impl IntoIterator<Item = Rank>, cut: usize) -> Self {
        let mut sum = Self::default();
        for rank in ranks {
            sum.add(rank, cut);
        }
        sum
    }

    /// Adds a test, and says whether it was a hit.
    pub(crate) fn add(&mut self, rank: Rank, cut: usize) -> bool {
        let (hits, reciprocal) = hit(rank, cut);
        self.tests += 1;
        self.hits += hits;
        self.reciprocal += reciprocal;
        hits == 1
    }

    /// The share of tests that were hits; 0 without a test.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.tests.max(1) as f64
    }

    /// The mean of the reciprocal places; 0 without a test.
    #[allow(clippy::cast_precision_loss)] // a count
    pub(crate) fn mean_reciprocal(&self) -> f64 {
        self.reciprocal / self.tests.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_counts_up_to_the_cut_and_by_its_place() {
        let ranks = [Some(0), Some(3), Some(10), Some(20), None];
        assert_eq!(Sum::of(ranks, 10), Sum { tests: 5, hits: 2, reciprocal: 1.25 });
        assert_eq!(Sum::of(ranks, CUT), Sum { tests: 5, hits: 3, reciprocal: 1.25 + 1.0 / 11.0 });
        assert_eq!((Sum::of(ranks, 10).hit_rate(), Sum::of(ranks, 10).mean_reciprocal()), (0.4, 0.25));
        assert_eq!((Sum::default().hit_rate(), Sum::default().mean_reciprocal()), (0.0, 0.0));
    }
}
