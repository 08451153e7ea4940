//! Likeness by content: which listed items share the rare words, the brand and the categories of what a user chose.
//!
//! It knows an item from its record, so it can name one that nobody has chosen yet. A feature that `n` of `N` items
//! have counts `ln(1 + N/n)^2`: the square of its inverse document frequency, as in the cosine of two texts (Spärck
//! Jones, *A Statistical Interpretation of Term Specificity and Its Application in Retrieval*, 1972).
//!
//! For a feature that many items have, only the newest items are looked at, and the last items of a history have a
//! bound for all their features together. So a slate costs no more in a larger catalog. The index comes from the topic
//! `items` alone, which trainer and scorer both read, so no version carries it. Its size is the catalog's.

use std::collections::BTreeMap;

use crate::keymap::Plain;

/// Items with one feature that are looked at: those listed last.
const OF_A_SHELF: usize = 256;

/// Items with one feature, by the number of their listing.
type Shelf = BTreeMap<u64, u64>;

/// Listed items by their content features.
#[derive(Debug, Clone, Default)]
pub(crate) struct Likeness {
    shelves: Plain<u64, Shelf>,
    items: usize,
    /// Listings so far.
    listings: u64,
}

impl Likeness {
    /// Whether nothing is listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Takes an item in and gives the number of its listing.
    pub(crate) fn list(&mut self, key: u64, features: &[u64]) -> u64 {
        self.items += 1;
        self.listings += 1;
        for feature in features {
            self.shelves.entry(*feature).or_default().insert(self.listings, key);
        }
        self.listings
    }

    /// Takes out what [`list`](Self::list) took in under this number with these features.
    pub(crate) fn delist(&mut self, listing: u64, features: &[u64]) {
        self.items -= 1;
        for feature in features {
            if let Some(shelf) = self.shelves.get_mut(feature) {
                shelf.remove(&listing);
                if shelf.is_empty() {
                    self.shelves.remove(feature);
                }
            }
        }
    }

    /// What a feature counts.
    pub(crate) fn rarity(&self, feature: u64) -> f32 {
        self.shelves.get(&feature).map_or(0.0, |shelf| self.weight(shelf))
    }

    #[allow(clippy::cast_precision_loss)] // counts
    fn weight(&self, shelf: &Shelf) -> f32 {
        (1.0 + self.items as f32 / shelf.len() as f32).ln().powi(2)
    }

    /// Shows `found` items like one with these features: for each shared feature that is looked at, what part of 1 it
    /// is worth. It looks at no more than `most`, the rarest feature first: an item beyond the bounds shares more than
    /// it shows.
    pub(crate) fn like(&self, features: &[u64], most: usize, mut found: impl FnMut(u64, f32)) {
        let shelves = features.iter().filter_map(|feature| self.shelves.get(feature));
        let mut shelves: Vec<(f32, &Shelf)> = shelves.map(|shelf| (self.weight(shelf), shelf)).collect();
        let whole: f32 = shelves.iter().map(|(weight, _)| weight).sum();
        shelves.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut left = most;
        for (weight, shelf) in shelves {
            let looked_at = shelf.len().min(OF_A_SHELF).min(left);
            for key in shelf.values().rev().take(looked_at) {
                found(*key, weight / whole);
            }
            left -= looked_at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(likeness: &Likeness, features: &[u64]) -> Plain<u64, f32> {
        let mut shares: Plain<u64, f32> = Plain::default();
        likeness.like(features, 768, |key, share| *shares.entry(key).or_default() += share);
        shares
    }

    #[test]
    fn who_shares_the_rarer_feature_is_more_alike() {
        let mut likeness = Likeness::default();
        for key in 0..50 {
            likeness.list(key, &[7]);
        }
        likeness.list(100, &[7, 8]);
        let listing = likeness.list(101, &[8]);
        let shares = like(&likeness, &[7, 8]);
        assert!((shares[&100] - 1.0).abs() < 1e-6);
        assert!(shares[&101] > shares[&3] && shares[&3] > 0.0);
        likeness.delist(listing, &[8]);
        assert!(!like(&likeness, &[7, 8]).contains_key(&101));
    }

    #[test]
    fn of_all_features_no_more_items_are_looked_at_than_the_bound_says_and_the_rarest_first() {
        let mut likeness = Likeness::default();
        // Feature 1 is the rarest, 4 the commonest; each has more items than are looked at.
        for feature in 1..=4 {
            for n in 0..300 + feature {
                likeness.list(feature * 1_000 + n, &[feature]);
            }
        }
        let shares = like(&likeness, &[4, 3, 2, 1]);
        let of = |feature: u64| shares.keys().filter(|key| **key / 1_000 == feature).count();
        assert_eq!([of(1), of(2), of(3), of(4)], [OF_A_SHELF, OF_A_SHELF, OF_A_SHELF, 0]);
    }

    #[test]
    fn the_newest_are_looked_at_and_when_they_go_those_before_them() {
        let mut likeness = Likeness::default();
        let listings: Vec<u64> = (0..1_000).map(|key| likeness.list(key, &[7])).collect();
        let shares = like(&likeness, &[7]);
        assert_eq!(shares.len(), OF_A_SHELF);
        assert!(shares.contains_key(&999) && !shares.contains_key(&0));
        listings[500..].iter().for_each(|listing| likeness.delist(*listing, &[7]));
        let shares = like(&likeness, &[7]);
        assert!(shares.len() == OF_A_SHELF && shares.contains_key(&499));
        listings[..500].iter().for_each(|listing| likeness.delist(*listing, &[7]));
        assert!(like(&likeness, &[7]).is_empty() && likeness.shelves.is_empty());
    }
}
