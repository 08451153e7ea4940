//! The catalog as learner and scorer see it: what is delisted, which categories, which content features.

use std::sync::Arc;

use schemas::{Item, key_of};

use crate::history::{Seen, last_chosen};
use crate::keymap::{KeySet, Plain};
use crate::likeness::Likeness;

/// At most so many content features of one item are learned from; titles are the longest list.
const MAX_FEATURES: usize = 24;

/// Items of a history whose content is compared, from the last one back.
const LIKED: usize = 3;
/// Each step back counts so much less.
const LIKING_FADE: f32 = 0.6;
/// Items looked at for what is like the last one; half as many for each step back.
const LOOKED_AT: usize = 768;

/// How much of a history's content an item shares.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alike {
    /// Of the last item's, 0 to 1.
    pub(crate) last: f32,
    /// Of the last items', each step back fading.
    pub(crate) sum: f32,
}

/// Content is known about an item.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Names of its categories, general to special.
    pub(crate) categories: Box<[Arc<str>]>,
    /// Keys of its content rows.
    pub(crate) features: Box<[u64]>,
    /// The number of its listing; `None` while it is not to be had.
    listing: Option<u64>,
}

/// What the topic `items` says, newest record of each item. Its size is the catalog's.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    items: Plain<Listed>,
    delisted: KeySet,
    likeness: Likeness,
}

impl Catalog {
    /// Takes a record in; `None` delists.
    pub fn apply(&mut self, item_id: &str, item: Option<&Item>) {
        let key = key_of(item_id);
        if let Some(Listed { features, listing: Some(listing), .. }) = self.items.remove(&key) {
            self.likeness.delist(listing, &features);
        }
        match item {
            Some(item) => {
                if item.available {
                    self.delisted.remove(&key);
                } else {
                    self.delisted.insert(key);
                }
                let categories = item.categories.iter().map(|name| Arc::from(name.as_str())).collect();
                let features = features(item);
                // What is sold out must not take the places of what can be shown.
                let listing = item.available.then(|| self.likeness.list(key, &features));
                self.items.insert(key, Listed { categories, features, listing });
            }
            None => {
                self.delisted.insert(key);
            }
        }
    }

    /// Whether the item must not be shown.
    #[must_use]
    pub fn is_delisted(&self, key: u64) -> bool {
        self.delisted.contains(&key)
    }

    /// Whether the catalog has the item, and it may be shown.
    #[must_use]
    pub fn is_listed(&self, key: u64) -> bool {
        self.items.contains_key(&key) && !self.is_delisted(key)
    }

    /// The item's categories; empty when the catalog does not know it.
    #[must_use]
    pub fn categories(&self, key: u64) -> &[Arc<str>] {
        self.items.get(&key).map_or(&[], |listed| &listed.categories)
    }

    pub(crate) fn features(&self, key: u64) -> &[u64] {
        self.items.get(&key).map_or(&[], |listed| &listed.features)
    }

    /// What is like the items that a history ended with, and how much: to the last one, and to all of them, each step
    /// back counting less. Empty when the catalog knows none of them.
    pub(crate) fn alike(&self, history: &[Seen]) -> Plain<Alike> {
        if self.items.is_empty() {
            return Plain::default();
        }
        let mut alike: Plain<Alike> = Plain::with_capacity_and_hasher(2 * LOOKED_AT, Default::default());
        let mut fade = 1.0;
        for (back, chosen) in last_chosen(history, LIKED).into_iter().enumerate() {
            self.likeness.like(self.features(chosen), LOOKED_AT >> back, |key, share| {
                let alike = alike.entry(key).or_default();
                alike.sum += fade * share;
                if back == 0 {
                    alike.last += share;
                }
            });
            fade *= LIKING_FADE;
        }
        alike
    }

    /// How much of one item's content another shares, rare features counting more.
    pub(crate) fn shared(&self, of: u64, with: u64) -> f32 {
        let with = self.features(with);
        let shared = self.features(of).iter().filter(|feature| with.binary_search(feature).is_ok());
        shared.map(|feature| self.likeness.rarity(*feature)).sum()
    }

    /// How many items have a record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no item has a record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Hashes an item's content to row keys: categories, brand, a logarithmic price bucket, words of the title.
fn features(item: &Item) -> Box<[u64]> {
    let mut keys: Vec<u64> = item.categories.iter().map(|name| key_of(&format!("category={name}"))).collect();
    keys.extend(item.brand.iter().map(|brand| key_of(&format!("brand={brand}"))));
    if let Some(price) = item.price.filter(|price| *price > 0.0) {
        // Buckets of a factor of about 1.4.
        keys.push(key_of(&format!("price={}", (price.log2() * 2.0).round())));
    }
    let words = item.title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2);
    keys.extend(words.map(|word| key_of(&format!("word={}", word.to_lowercase()))));
    keys.truncate(MAX_FEATURES);
    keys.sort_unstable();
    keys.dedup();
    keys.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_comes_back_after_a_delisting() {
        let mut catalog = Catalog::default();
        let item: Item = serde_json::from_str(r#"{"item_id":"i","categories":["shoes"]}"#).expect("parses");
        catalog.apply("i", Some(&item));
        catalog.apply("i", None);
        assert!(catalog.is_delisted(key_of("i")));
        catalog.apply("i", Some(&item));
        assert!(!catalog.is_delisted(key_of("i")));
        assert_eq!(catalog.categories(key_of("i")).len(), 1);
        catalog.apply("i", Some(&Item { available: false, ..item }));
        assert!(catalog.is_delisted(key_of("i")));
    }
}
