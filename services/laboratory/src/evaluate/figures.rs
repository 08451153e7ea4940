//! What the tests of one method add up to.
//!
//! One item is relevant in each test, the one that was chosen, so recall is the hit rate, precision is a twentieth of
//! it, F1 of a hit is 2·(1/20)·1 / (1/20 + 1) = 2/21, and the ideal discounted gain is 1.

use model::Rank;
use serde::{Serialize, Serializer};

use super::items::Items;
use super::percent;
use super::sum::{CUT, Sum, hit};

/// What one method's tests came to, in per cent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) hr_10: f64,
    pub(crate) hr_20: f64,
    /// Of choices of what the user had not chosen before.
    pub(crate) first_time_hr_20: f64,
    pub(crate) mrr_10: f64,
    pub(crate) mrr_20: f64,
    pub(crate) ndcg_20: f64,
    pub(crate) recall_20: f64,
    pub(crate) precision_20: f64,
    pub(crate) f1_20: f64,
    pub(crate) coverage_20: f64,
    pub(crate) new_share_20: f64,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// In JSON, and for `--floor`.
    pub(crate) name: &'static str,
    /// Above a column.
    pub(crate) head: &'static str,
    pub(crate) of: fn(&Figures) -> f64,
    /// A multiple of the hit rate, which a terminal has no room for.
    pub(crate) is_multiple: bool,
}

/// Every figure, in the order of tables.
pub(crate) const FIGURES: [Figure; 11] = {
    const fn figure(name: &'static str, head: &'static str, of: fn(&Figures) -> f64) -> Figure {
        Figure { name, head, of, is_multiple: false }
    }
    const fn multiple(name: &'static str, head: &'static str, of: fn(&Figures) -> f64) -> Figure {
        Figure { name, head, of, is_multiple: true }
    }
    [
        figure("hr_10", "HR@10", |f| f.hr_10),
        figure("hr_20", "HR@20", |f| f.hr_20),
        figure("first_time_hr_20", "first-time HR@20", |f| f.first_time_hr_20),
        figure("mrr_10", "MRR@10", |f| f.mrr_10),
        figure("mrr_20", "MRR@20", |f| f.mrr_20),
        figure("ndcg_20", "NDCG@20", |f| f.ndcg_20),
        multiple("recall_20", "recall@20", |f| f.recall_20),
        multiple("precision_20", "precision@20", |f| f.precision_20),
        multiple("f1_20", "F1@20", |f| f.f1_20),
        figure("coverage_20", "coverage@20", |f| f.coverage_20),
        figure("new_share_20", "new@20", |f| f.new_share_20),
    ]
};

impl Figures {
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        FIGURES.iter().find(|figure| figure.name == name).map(|figure| (figure.of)(self))
    }
}

/// An object by name.
impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(FIGURES.iter().map(|figure| (figure.name, (figure.of)(self))))
    }
}

/// The figures and how many tests they are of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) tests: u64,
    pub(crate) first_time_tests: u64,
}

/// Sums over the tests of one method.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    at_10: Sum,
    at_20: Sum,
    /// At 20, of choices that repeat none.
    first_time: Sum,
    gain_20: f64,
    recommended: u64,
    new: u64,
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

impl Tally {
    pub(crate) fn record(&mut self, outcome: Outcome<'_>, items: &Items) {
        let Outcome { rank, list, ts, repeat } = outcome;
        self.at_10.add(rank, 10);
        if self.at_20.add(rank, CUT) {
            self.gain_20 += (1.0 + 1.0 / hit(rank, CUT).1).log2().recip();
        }
        if !repeat {
            self.first_time.add(rank, CUT);
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

    pub(crate) const fn tests(&self) -> u64 {
        self.at_20.tests
    }

    /// What it came to; `known` is how many items there are at the end.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn figures(&self, known: usize) -> Figures {
        let hr_20 = self.at_20.hit_rate();
        Figures {
            hr_10: percent(self.at_10.hit_rate()),
            hr_20: percent(hr_20),
            first_time_hr_20: percent(self.first_time.hit_rate()),
            mrr_10: percent(self.at_10.mean_reciprocal()),
            mrr_20: percent(self.at_20.mean_reciprocal()),
            ndcg_20: percent(self.gain_20 / self.tests().max(1) as f64),
            recall_20: percent(hr_20),
            precision_20: percent(hr_20 / CUT as f64),
            f1_20: percent(hr_20 * 2.0 / (CUT as f64 + 1.0)),
            coverage_20: percent(self.distinct as f64 / known.max(1) as f64),
            new_share_20: percent(self.new as f64 / self.recommended.max(1) as f64),
        }
    }

    /// The same with the number of tests.
    pub(crate) fn measured(&self, known: usize) -> Measured {
        Measured { figures: self.figures(known), tests: self.tests(), first_time_tests: self.first_time.tests }
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
            let figure = figures.get(name).expect(name);
            assert!(close(figure, expected * 100.0), "{name}: {figure} is not {}", expected * 100.0);
        }
        assert_eq!(serde_json::to_value(tally.measured(4)).expect("serialises")["tests"], 5);
    }

    #[test]
    fn only_the_first_twenty_of_a_list_count() {
        let mut items = Items::default();
        (0..30).for_each(|key| items.meet(key, 0, key));
        let list: Vec<u64> = (0..30).collect();
        let mut tally = Tally::default();
        tally.record(Outcome { rank: None, list: &list, ts: 0, repeat: false }, &items);
        assert!(close(tally.figures(30).coverage_20, 100.0 * 20.0 / 30.0));
    }

    #[test]
    fn no_test_gives_zeros_and_not_nonsense() {
        assert_eq!(Tally::default().figures(0), Figures::default());
    }
}
