//! Prequential quality: every interaction is predicted before it is learned from.
//!
//! Hit rate and mean reciprocal rank within the first 20, since the start and over a sliding window, as in Gama,
//! Sebastião and Rodrigues, *On Evaluating Stream Learning Algorithms* (2013).

use std::collections::{BTreeMap, VecDeque};

use schemas::checkpoint::Quality;

use crate::ranking::order::Rank;

/// One test, as far as it counts.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    hit: bool,
    reciprocal: f64,
    /// The user had chosen the item before.
    repeat: bool,
}

/// Sums of tests.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    tested: u64,
    hits: u64,
    reciprocal: f64,
    first_time_tested: u64,
    first_time_hits: u64,
}

impl Sums {
    fn add(&mut self, outcome: Outcome) {
        self.tested += 1;
        self.hits += u64::from(outcome.hit);
        self.reciprocal += outcome.reciprocal;
        self.first_time_tested += u64::from(!outcome.repeat);
        self.first_time_hits += u64::from(outcome.hit && !outcome.repeat);
    }

    fn take_away(&mut self, outcome: Outcome) {
        self.tested -= 1;
        self.hits -= u64::from(outcome.hit);
        self.reciprocal -= outcome.reciprocal;
        self.first_time_tested -= u64::from(!outcome.repeat);
        self.first_time_hits -= u64::from(outcome.hit && !outcome.repeat);
    }
}

/// Hit rate and mean reciprocal rank within the first 20, over all and over a sliding window.
#[derive(Debug, Clone)]
pub struct Figures {
    window: VecDeque<Outcome>,
    length: usize,
    all: Sums,
    of_window: Sums,
}

impl Figures {
    fn new(length: usize) -> Self {
        let window = VecDeque::with_capacity(length.min(1 << 16));
        Self { window, length, all: Sums::default(), of_window: Sums::default() }
    }

    #[allow(clippy::cast_precision_loss)] // ranks
    fn record(&mut self, rank: Rank, repeat: bool) {
        let rank = rank.filter(|rank| *rank < 20);
        let reciprocal = rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0));
        let outcome = Outcome { hit: rank.is_some(), reciprocal, repeat };
        self.all.add(outcome);
        self.of_window.add(outcome);
        self.window.push_back(outcome);
        if self.window.len() > self.length
            && let Some(outcome) = self.window.pop_front()
        {
            self.of_window.take_away(outcome);
        }
    }

    /// Over everything tested.
    #[must_use]
    pub fn overall(&self) -> Quality {
        self.quality(&self.all)
    }

    /// Over the sliding window.
    #[must_use]
    pub fn recent(&self) -> Quality {
        self.quality(&self.of_window)
    }

    /// The shares of some sums; how many were tested is told of all.
    #[allow(clippy::cast_precision_loss)] // counts
    fn quality(&self, sums: &Sums) -> Quality {
        let of = |sum: f64, tested: u64| sum / tested.max(1) as f64;
        Quality {
            hr20: of(sums.hits as f64, sums.tested),
            mrr20: of(sums.reciprocal.max(0.0), sums.tested),
            tested: self.all.tested,
            first_time_hr20: of(sums.first_time_hits as f64, sums.first_time_tested),
            first_time_tested: self.all.first_time_tested,
        }
    }
}

/// The model beside its two simple baselines, on the same interactions.
#[derive(Debug, Clone)]
pub struct Prequential {
    /// What the slate would have been.
    pub model: Figures,
    /// The most chosen of a sliding window.
    pub popularity: Figures,
    /// Decayed co-visitation of the last items.
    pub covisitation: Figures,
}

impl Prequential {
    /// Looks back on `window` interactions.
    #[must_use]
    pub fn new(window: usize) -> Self {
        let figures = || Figures::new(window);
        Self { model: figures(), popularity: figures(), covisitation: figures() }
    }

    /// `repeat`: the user had chosen the item before.
    pub(crate) fn record(&mut self, model: Rank, popularity: Rank, covisitation: Rank, repeat: bool) {
        self.model.record(model, repeat);
        self.popularity.record(popularity, repeat);
        self.covisitation.record(covisitation, repeat);
    }

    fn each(&self, of: impl Fn(&Figures) -> Quality) -> BTreeMap<String, Quality> {
        [("model", &self.model), ("popularity", &self.popularity), ("covisitation", &self.covisitation)]
            .into_iter()
            .map(|(name, figures)| (name.to_owned(), of(figures)))
            .collect()
    }

    /// By method, over the sliding window.
    #[must_use]
    pub fn recent(&self) -> BTreeMap<String, Quality> {
        self.each(Figures::recent)
    }

    /// By method, over everything.
    #[must_use]
    pub fn overall(&self) -> BTreeMap<String, Quality> {
        self.each(Figures::overall)
    }
}

/// Counts of the last interactions: the plain baseline that every report names.
#[derive(Debug, Clone)]
pub struct SlidingPopularity {
    window: VecDeque<u64>,
    length: usize,
    counts: crate::keymap::Plain<u64, u32>,
    /// `(count, key)` of everything in the window, so that the first 20 are at hand.
    order: std::collections::BTreeSet<(u32, u64)>,
}

impl SlidingPopularity {
    /// Looks back on `length` interactions.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self {
            window: VecDeque::new(),
            length,
            counts: crate::keymap::Plain::default(),
            order: std::collections::BTreeSet::new(),
        }
    }

    /// Counts a chosen item.
    pub fn record(&mut self, key: u64) {
        self.window.push_back(key);
        self.change(key, 1);
        if self.window.len() > self.length
            && let Some(old) = self.window.pop_front()
        {
            self.change(old, -1);
        }
    }

    fn change(&mut self, key: u64, by: i32) {
        let old = self.counts.get(&key).copied().unwrap_or(0);
        let new = old.saturating_add_signed(by);
        self.order.remove(&(old, key));
        if new == 0 {
            self.counts.remove(&key);
        } else {
            self.counts.insert(key, new);
            self.order.insert((new, key));
        }
    }

    /// The `k` items counted most, with their counts, best first.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a window's length
    pub fn best(&self, k: usize) -> Vec<(u64, f32)> {
        self.order.iter().rev().take(k).map(|(count, key)| (*key, *count as f32)).collect()
    }

    /// The rank of `key`; equal counts count against it. Exact up to 20.
    #[must_use]
    pub fn rank(&self, key: u64) -> Rank {
        let own = *self.counts.get(&key)?;
        let before = self.order.iter().rev().take_while(|(count, _)| *count >= own).take(21);
        Some(before.filter(|(_, k)| *k != key).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::order::rank_of;

    #[test]
    fn a_toy_stream_gives_the_figures_computed_by_hand() {
        let mut figures = Figures::new(2);
        for (rank, repeat) in [(Some(0), true), (Some(3), false), (None, false), (Some(20), true)] {
            figures.record(rank, repeat);
        }
        let overall = figures.overall();
        assert_eq!((overall.first_time_hr20, overall.first_time_tested), (0.5, 2));
        assert!((overall.hr20 - 0.5).abs() < 1e-12);
        assert!((overall.mrr20 - (1.0 + 0.25) / 4.0).abs() < 1e-12);
        assert_eq!((figures.recent().hr20, figures.recent().first_time_hr20), (0.0, 0.0)); // the last two missed
    }

    #[test]
    fn a_tie_never_counts_in_the_labels_favour() {
        let scored = [(1, 0.0), (2, 0.0), (3, 0.0)];
        assert_eq!(rank_of(2, scored.into_iter()), Some(2));
        assert_eq!(rank_of(9, scored.into_iter()), None);
        let broken = [(1, f32::NAN), (2, f32::NAN), (3, 1.0)];
        assert_eq!(broken.map(|(key, _)| rank_of(key, broken.into_iter())), [Some(2), Some(2), Some(2)]);
        let mut popularity = SlidingPopularity::new(10);
        [1, 2, 3].into_iter().for_each(|key| popularity.record(key));
        assert_eq!(popularity.rank(3), Some(2));
    }

    #[test]
    fn the_window_of_popularity_slides() {
        let mut popularity = SlidingPopularity::new(2);
        [1, 1, 2, 2].into_iter().for_each(|key| popularity.record(key));
        assert_eq!(popularity.rank(2), Some(0));
        assert_eq!(popularity.rank(1), None);
    }
}
