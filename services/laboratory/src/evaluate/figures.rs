//! What the tests of one method add up to.
//!
//! One item is relevant in each test, the one that was chosen, so recall is the hit rate, precision is a twentieth of
//! it, F1 of a hit is 2·(1/20)·1 / (1/20 + 1) = 2/21, and the ideal discounted gain is 1.

use std::collections::BTreeMap;

use model::Rank;
use serde_json::{Map, Value, json};

use super::items::Items;
use super::percent;

/// How many items of a list count.
pub(crate) const CUT: usize = 20;

/// Sums over the tests of one method.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) tests: u64,
    hits_10: u64,
    hits_20: u64,
    reciprocal_10: f64,
    reciprocal_20: f64,
    gain_20: f64,
    recommended: u64,
    new: u64,
    /// Tests of choices that repeat none, and how many of these were hit.
    first_tests: u64,
    first_hits_20: u64,
    /// By item number: whether it was in a list.
    shown: Vec<bool>,
    distinct: u64,
}

/// One test: where what was chosen stood, and the list that was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome<'a> {
    pub(crate) rank: Rank,
    /// At most the first 20.
    pub(crate) list: &'a [u64],
    /// Event time when the list was made.
    pub(crate) ts: i64,
    /// Whether the user had chosen it before.
    pub(crate) repeat: bool,
}

/// 1 for a hit within the first `cut`, and the reciprocal of its place from 1; zeros for a miss.
#[allow(clippy::cast_precision_loss)] // a rank below 20
pub(crate) fn hit(rank: Rank, cut: usize) -> (u64, f64) {
    rank.filter(|rank| *rank < cut).map_or((0, 0.0), |rank| (1, 1.0 / (rank as f64 + 1.0)))
}

impl Tally {
    pub(crate) fn record(&mut self, outcome: Outcome<'_>, items: &Items) {
        let Outcome { rank, list, ts, repeat } = outcome;
        let ((hit_10, reciprocal_10), (hit_20, reciprocal_20)) = (hit(rank, 10), hit(rank, CUT));
        self.tests += 1;
        self.hits_10 += hit_10;
        self.hits_20 += hit_20;
        if !repeat {
            self.first_tests += 1;
            self.first_hits_20 += hit_20;
        }
        self.reciprocal_10 += reciprocal_10;
        self.reciprocal_20 += reciprocal_20;
        if hit_20 == 1 {
            self.gain_20 += (1.0 + 1.0 / reciprocal_20).log2().recip();
        }
        for key in &list[..list.len().min(CUT)] {
            self.recommended += 1;
            self.new += u64::from(items.is_new(*key, ts));
            if let Some(first) = items.get(*key) {
                let number = first.number as usize;
                if number >= self.shown.len() {
                    self.shown.resize(number + 1, false);
                }
                self.distinct += u64::from(!std::mem::replace(&mut self.shown[number], true));
            }
        }
    }

    /// The names of the figures.
    pub(crate) fn names() -> Vec<&'static str> {
        Self::default().figures(0).into_keys().collect()
    }

    /// Every figure by its name, in per cent; `known` is how many items there are at the end.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn figures(&self, known: usize) -> BTreeMap<&'static str, f64> {
        let n = self.tests.max(1) as f64;
        let hr_20 = self.hits_20 as f64 / n;
        [
            ("hr_10", self.hits_10 as f64 / n),
            ("hr_20", hr_20),
            ("first_time_hr_20", self.first_hits_20 as f64 / self.first_tests.max(1) as f64),
            ("mrr_10", self.reciprocal_10 / n),
            ("mrr_20", self.reciprocal_20 / n),
            ("ndcg_20", self.gain_20 / n),
            ("recall_20", hr_20),
            ("precision_20", hr_20 / CUT as f64),
            ("f1_20", hr_20 * 2.0 / (CUT as f64 + 1.0)),
            ("coverage_20", self.distinct as f64 / known.max(1) as f64),
            ("new_share_20", self.new as f64 / self.recommended.max(1) as f64),
        ]
        .map(|(name, share)| (name, percent(share)))
        .into()
    }

    /// The figures and how many tests they are of.
    pub(crate) fn json(&self, known: usize) -> Value {
        let mut map: Map<String, Value> =
            self.figures(known).into_iter().map(|(name, figure)| (name.to_owned(), json!(figure))).collect();
        map.insert("tests".to_owned(), json!(self.tests));
        map.insert("first_time_tests".to_owned(), json!(self.first_tests));
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-4
    }

    #[test]
    fn a_toy_stream_gives_the_figures_computed_by_hand() {
        let mut items = Items::default();
        // Item 1 is old, item 2 came a minute before the tests, items 3 and 4 were never shown.
        [(1, 0), (2, 2 * super::super::items::DAY_MS - 60_000), (3, 0), (4, 0)]
            .into_iter()
            .zip(0..)
            .for_each(|((key, ts), offset)| items.meet(key, ts, offset));
        let ts = 2 * super::super::items::DAY_MS;
        let mut tally = Tally::default();
        for (rank, repeat) in [(Some(0), true), (Some(3), false), (Some(12), true), (Some(20), false), (None, false)] {
            tally.record(Outcome { rank, list: &[1, 2], ts, repeat }, &items);
        }
        let figures = tally.figures(items.len());
        for (name, expected) in [
            ("hr_10", 2.0 / 5.0),
            ("hr_20", 3.0 / 5.0),
            ("first_time_hr_20", 1.0 / 3.0),
            ("mrr_10", (1.0 + 0.25) / 5.0),
            ("mrr_20", (1.0 + 0.25 + 1.0 / 13.0) / 5.0),
            ("ndcg_20", (1.0 + 1.0 / 5.0_f64.log2() + 1.0 / 14.0_f64.log2()) / 5.0),
            ("recall_20", 3.0 / 5.0),
            ("precision_20", 3.0 / 100.0),
            ("f1_20", 3.0 / 5.0 * 2.0 / 21.0),
            ("coverage_20", 0.5),
            ("new_share_20", 0.5),
        ] {
            assert!(close(figures[name], expected * 100.0), "{name}: {} is not {}", figures[name], expected * 100.0);
        }
        assert_eq!(tally.json(4)["tests"], 5);
    }

    #[test]
    fn only_the_first_twenty_of_a_list_count() {
        let mut items = Items::default();
        (0..30).for_each(|key| items.meet(key, 0, key));
        let list: Vec<u64> = (0..30).collect();
        let mut tally = Tally::default();
        tally.record(Outcome { rank: None, list: &list, ts: 0, repeat: false }, &items);
        assert!(close(tally.figures(30)["coverage_20"], 100.0 * 20.0 / 30.0));
    }

    #[test]
    fn no_test_gives_zeros_and_not_nonsense() {
        assert!(Tally::default().figures(0).values().all(|figure| *figure == 0.0));
    }
}
