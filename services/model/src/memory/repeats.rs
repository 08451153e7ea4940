//! Repeats: whether lists show again what their user chose before, and when a bought item is due again.
//!
//! How many repeats a list shows is a rule behind the ranker, in trainer and scorer alike. The ranker must not learn
//! it: it would learn that people choose again what they are shown again.
//!
//! The usual time between two purchases of a category is the geometric mean of those seen, `exp(Σ ln gap / n)`, and an
//! item is due after an eighth of it. For how differently categories are bought again see Bhagat et al., *Buy It Again:
//! Modeling Repeat Purchase Recommendations* (2018).

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// What a list shows again of what its user chose before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeats {
    /// All of it.
    Allow,
    /// Nothing that was bought, until it is due again; of what was only looked at no more than a share of the list.
    #[default]
    Mix,
    /// None of it.
    Never,
}

/// One place in so many of a list may go to what the user has only looked at: a fifth holds most of the choices that
/// repeat one (benches/README.md), and leaves the rest to what the user has not seen.
const SEEN_SHARE: usize = 5;

/// How many of `k` places may go to what the user has seen, where `others` candidates are to be had.
pub(crate) fn room(k: usize, others: usize) -> usize {
    k.div_ceil(SEEN_SHARE).max(k.saturating_sub(others))
}

/// So many purchases tell how often what was bought is bought again; fewer say nothing.
const ENOUGH: u32 = 50;
/// Where fewer than one purchase in so many is of something bought before, nothing comes back.
const HARDLY_EVER: u32 = 50;
/// What is bought again is due after this share of the usual time between two purchases of it: early, for usual is a
/// mean.
const EARLY: f64 = 0.125;
/// Nothing is kept away for longer, in milliseconds: a quarter of a year.
const LONGEST: i64 = 90 * 86_400_000;
/// Categories counted; purchases in others go by those of all.
const CATEGORIES: usize = 1_000;
/// Stands for all purchases among the keys of categories.
const ALL: u64 = 0;

/// How often what was bought is bought again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Repurchase {
    pub(crate) bought: u32,
    /// How many of these were of something that the same user had bought before, in another visit.
    pub(crate) again: u32,
    /// Sum of the natural logarithms of the times between, in milliseconds.
    pub(crate) log_gaps: f64,
}

impl Repurchase {
    /// How long what was bought is kept out of lists; `None` where too little is known.
    #[allow(clippy::cast_possible_truncation)] // it saturates
    fn hold(&self) -> Option<i64> {
        if self.bought < ENOUGH {
            return None;
        }
        if self.again.saturating_mul(HARDLY_EVER) < self.bought {
            return Some(LONGEST);
        }
        let usual = (self.log_gaps / f64::from(self.again)).exp();
        Some(((usual * EARLY) as i64).clamp(0, LONGEST))
    }
}

/// The same by category, and of all together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Repurchases {
    of: OrdMap<u64, Repurchase>,
}

impl Repurchases {
    /// Counts a purchase of an item in these categories, so many milliseconds after the same user had bought it last,
    /// if ever. Gives the keys of what changed.
    #[allow(clippy::cast_precision_loss)] // a logarithm
    pub(crate) fn note(&mut self, categories: &[u64], gap_ms: Option<i64>) -> Vec<u64> {
        let mut changed = Vec::with_capacity(1 + categories.len());
        for key in std::iter::once(&ALL).chain(categories) {
            if !self.of.contains_key(key) && self.of.len() > CATEGORIES {
                continue;
            }
            let known = self.of.entry(*key).or_default();
            known.bought = known.bought.saturating_add(1);
            if let Some(gap) = gap_ms {
                known.again = known.again.saturating_add(1);
                known.log_gaps += (gap.max(1) as f64).ln();
            }
            changed.push(*key);
        }
        changed
    }

    /// How long an item of these categories is kept out of the lists of who bought it: by the smallest of them of which
    /// enough is known.
    pub(crate) fn hold(&self, categories: impl Iterator<Item = u64>) -> i64 {
        let known = |key: u64| self.of.get(&key).and_then(|of| Some((of.bought, of.hold()?)));
        let smallest = categories.filter_map(known).min();
        smallest.or_else(|| known(ALL)).map_or(LONGEST, |(_, hold)| hold)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Repurchase> {
        self.of.get(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Repurchase)> {
        self.of.iter().map(|(key, of)| (*key, of))
    }

    pub(crate) fn set(&mut self, key: u64, of: Repurchase) {
        self.of.insert(key, of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn consumables_come_back_sooner_than_what_is_hardly_ever_bought_again() {
        let mut repurchases = Repurchases::default();
        let (coffee, drills) = ([1], [2]);
        for n in 0..100 {
            repurchases.note(&coffee, (n % 2 == 0).then_some(8 * DAY));
            repurchases.note(&drills, (n == 0).then_some(DAY));
        }
        let hold = |categories: &[u64]| repurchases.hold(categories.iter().copied());
        assert!((hold(&coffee) - DAY).abs() < 1_000, "an eighth of the usual time");
        assert_eq!(hold(&drills), LONGEST);
        // The smallest category of which enough is known decides; of none, all purchases do.
        assert_eq!(hold(&[2, 3]), LONGEST);
        assert!((DAY - DAY / 20..DAY).contains(&hold(&[3])), "{}", hold(&[3]));
        assert_eq!(Repurchases::default().hold(std::iter::empty()), LONGEST, "before enough is known");
    }

    #[test]
    fn categories_beyond_the_bound_go_by_all_purchases() {
        let mut repurchases = Repurchases::default();
        (1..=2_000).for_each(|key| drop(repurchases.note(&[key], None)));
        assert_eq!(repurchases.iter().count(), 1 + CATEGORIES);
        assert_eq!(repurchases.note(&[1_999], Some(DAY)), [ALL]);
    }

    #[test]
    fn what_was_seen_has_a_fifth_of_a_list_and_what_nothing_else_fills() {
        assert_eq!([room(20, 100), room(20, 18), room(20, 10), room(5, 100), room(0, 0)], [4, 4, 10, 1, 0]);
    }
}
