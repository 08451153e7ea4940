//! Likeness by content: which listed items share the rare words, the brand, the categories of what a user chose.
//!
//! It knows an item from its record, so it can name one that nobody has chosen yet. A feature counts by its rarity
//! (Spärck Jones, *A Statistical Interpretation of Term Specificity*, 1972), and a shelf keeps the newest of many.

use std::collections::VecDeque;

use crate::keymap::Plain;

/// Items that a feature's shelf holds: of a feature that more have, it holds those listed last.
const SHELF: usize = 256;
/// Items looked at for one item's likes; its rarest features first.
const LOOKED_AT: usize = 768;

/// Items with one feature.
#[derive(Debug, Clone, Default)]
struct Shelf {
    /// Oldest first.
    newest: VecDeque<u64>,
    /// How many have it, those no more on the shelf among them.
    count: usize,
}

/// Listed items by their content features.
#[derive(Debug, Clone, Default)]
pub(crate) struct Likeness {
    shelves: Plain<Shelf>,
    items: usize,
}

impl Likeness {
    pub(crate) fn list(&mut self, key: u64, features: &[u64]) {
        self.items += 1;
        for feature in features {
            let shelf = self.shelves.entry(*feature).or_default();
            shelf.count += 1;
            shelf.newest.push_back(key);
            if shelf.newest.len() > SHELF {
                shelf.newest.pop_front();
            }
        }
    }

    pub(crate) fn delist(&mut self, key: u64, features: &[u64]) {
        self.items -= 1;
        for feature in features {
            let Some(shelf) = self.shelves.get_mut(feature) else { continue };
            shelf.count -= 1;
            shelf.newest.retain(|other| *other != key);
            if shelf.count == 0 {
                self.shelves.remove(feature);
            }
        }
    }

    /// What a feature counts.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn rarity(&self, feature: u64) -> f32 {
        self.shelves.get(&feature).map_or(0.0, |shelf| (1.0 + self.items as f32 / shelf.count as f32).ln().powi(2))
    }

    /// Shows `found` every item like one with these features, and how much of its content they share: a part of 1 for
    /// each shared feature.
    pub(crate) fn like(&self, features: &[u64], mut found: impl FnMut(u64, f32)) {
        let mut shelves: Vec<(f32, &Shelf)> = Vec::with_capacity(features.len());
        for feature in features {
            shelves.extend(self.shelves.get(feature).map(|shelf| (self.rarity(*feature), shelf)));
        }
        let whole: f32 = shelves.iter().map(|(weight, _)| weight).sum();
        shelves.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut left = LOOKED_AT;
        for (weight, shelf) in shelves {
            for key in shelf.newest.iter().rev().take(left) {
                found(*key, weight / whole);
            }
            left = left.saturating_sub(shelf.newest.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(likeness: &Likeness, features: &[u64]) -> Plain<f32> {
        let mut shares: Plain<f32> = Plain::default();
        likeness.like(features, |key, share| *shares.entry(key).or_default() += share);
        shares
    }

    #[test]
    fn who_shares_the_rarer_feature_is_more_alike() {
        let mut likeness = Likeness::default();
        (0..50).for_each(|key| likeness.list(key, &[7]));
        likeness.list(100, &[7, 8]);
        likeness.list(101, &[8]);
        let shares = like(&likeness, &[7, 8]);
        assert!((shares[&100] - 1.0).abs() < 1e-6);
        assert!(shares[&101] > shares[&3] && shares[&3] > 0.0);
        likeness.delist(101, &[8]);
        assert!(!like(&likeness, &[7, 8]).contains_key(&101));
    }

    #[test]
    fn a_shelf_holds_the_newest_and_forgets_what_went() {
        let mut likeness = Likeness::default();
        (0..1_000).for_each(|key| likeness.list(key, &[7]));
        let shares = like(&likeness, &[7]);
        assert_eq!(shares.len(), SHELF);
        assert!(shares.contains_key(&999) && !shares.contains_key(&0));
        (0..1_000).for_each(|key| likeness.delist(key, &[7]));
        assert!(like(&likeness, &[7]).is_empty() && likeness.shelves.is_empty());
    }
}
