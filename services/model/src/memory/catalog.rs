//! The catalog as learner and scorer see it: what is delisted, which categories, which content features.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use schemas::{Item, key_of};

use crate::keymap::{KeySet, Plain};
use crate::memory::history::{Seen, last_chosen};
use crate::memory::likeness::Likeness;
use crate::memory::only_listed::OnlyListed;
use crate::memory::words::words;

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
    /// Its own date, milliseconds since 1970.
    published: Option<i64>,
}

/// What the topic `items` says, newest record of each item. Its size is the catalog's.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    items: Plain<u64, Listed>,
    delisted: KeySet<u64>,
    likeness: Likeness,
    /// Each category's name once, and how many items are of it.
    names: HashMap<Arc<str>, u32>,
    /// How many items have a feature.
    uses: Plain<u64, u32>,
    /// What is to be had by its date.
    dated: BTreeSet<(i64, u64)>,
    /// Everything that was written was taken in once.
    settled: bool,
}

impl Catalog {
    /// Takes a record in; `None` delists. Gives the features that no item has any more.
    pub fn apply(&mut self, item_id: &str, item: Option<&Item>) -> Vec<u64> {
        let key = key_of(item_id);
        let before = self.items.remove(&key);
        if let Some(listed) = &before {
            self.forget(key, listed);
        }
        match item {
            Some(item) => {
                if item.available {
                    self.delisted.remove(&key);
                } else {
                    self.delisted.insert(key);
                }
                let categories = item.categories.iter().map(|name| self.name(name)).collect();
                let features = features(item);
                features.iter().for_each(|feature| *self.uses.entry(*feature).or_default() += 1);
                // What is sold out must not take the places of what can be shown.
                let listing = item.available.then(|| self.likeness.list(key, &features));
                let published = item.published_at.map(|at| at.0);
                self.dated.extend(published.filter(|_| item.available).map(|at| (at, key)));
                self.items.insert(key, Listed { categories, features, listing, published });
            }
            None => {
                self.delisted.insert(key);
            }
        }
        let features = before.map(|listed| listed.features).unwrap_or_default();
        features.iter().copied().filter(|feature| !self.uses(*feature)).collect()
    }

    /// Takes out what [`apply`](Self::apply) took in for an item.
    fn forget(&mut self, key: u64, listed: &Listed) {
        if let Some(listing) = listed.listing {
            self.likeness.delist(listing, &listed.features);
        }
        listed.published.map(|at| self.dated.remove(&(at, key)));
        for name in &listed.categories {
            if let Some(items) = self.names.get_mut(name) {
                *items -= 1;
                if *items == 0 {
                    self.names.remove(name);
                }
            }
        }
        for feature in &listed.features {
            if let Some(items) = self.uses.get_mut(feature) {
                *items -= 1;
                if *items == 0 {
                    self.uses.remove(feature);
                }
            }
        }
    }

    /// A category's name, held once for all its items, with one item more.
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some((known, items)) = self.names.get_key_value(name) {
            let (known, items) = (Arc::clone(known), items + 1);
            self.names.insert(Arc::clone(&known), items);
            return known;
        }
        let known: Arc<str> = name.into();
        self.names.insert(Arc::clone(&known), 1);
        known
    }

    /// Everything that the topic held was taken in: from now on what is not here is not listed.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// Whether it decides by itself what is shown: once it is whole and lists something that is to be had.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.settled && !self.likeness.is_empty()
    }

    /// Whether lists may show the item.
    #[must_use]
    pub fn shows(&self, key: u64, only_listed: OnlyListed) -> bool {
        let must_be_listed = match only_listed {
            OnlyListed::Auto => self.decides(),
            OnlyListed::Yes => true,
            OnlyListed::No => false,
        };
        !self.is_delisted(key) && (!must_be_listed || self.items.contains_key(&key))
    }

    /// When the item came, by its record; `None` where that does not say.
    pub(crate) fn published(&self, key: u64) -> Option<i64> {
        self.items.get(&key)?.published
    }

    /// What is to be had and has come by `now`, each with its date, newest first.
    pub(crate) fn come(&self, now: i64) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.dated.range(..=(now, u64::MAX)).rev().copied()
    }

    /// How many items are of a category.
    pub(crate) fn items_of(&self, category: &str) -> u32 {
        self.names.get(category).copied().unwrap_or(0)
    }

    /// Whether an item has the feature.
    pub(crate) fn uses(&self, feature: u64) -> bool {
        self.uses.contains_key(&feature)
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

    /// Keys of the item's categories.
    pub(crate) fn category_keys(&self, key: u64) -> impl Iterator<Item = u64> + '_ {
        self.categories(key).iter().map(|name| key_of(name))
    }

    pub(crate) fn features(&self, key: u64) -> &[u64] {
        self.items.get(&key).map_or(&[], |listed| &listed.features)
    }

    /// What is like the items that a history ended with, and how much: to the last one, and to all of them, each step
    /// back counting less. Empty when the catalog knows none of them.
    pub(crate) fn alike(&self, history: &[Seen]) -> Plain<u64, Alike> {
        if self.items.is_empty() {
            return Plain::default();
        }
        let mut alike: Plain<u64, Alike> = Plain::with_capacity_and_hasher(2 * LOOKED_AT, Default::default());
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
    words(&item.title, |word| keys.push(key_of(&format!("word={word}"))));
    keys.truncate(MAX_FEATURES);
    keys.sort_unstable();
    keys.dedup();
    keys.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        serde_json::from_str(text).expect("parses")
    }

    #[test]
    fn what_no_item_has_any_more_is_told_once_and_names_are_held_once() {
        let mut catalog = Catalog::default();
        let red = item(r#"{"item_id":"a","title":"red shoe","categories":["shoes"]}"#);
        assert!(catalog.apply("a", Some(&red)).is_empty());
        assert!(
            catalog
                .apply("b", Some(&Item { item_id: "b".into(), title: "blue shoe".into(), ..red.clone() }))
                .is_empty()
        );
        assert!(Arc::ptr_eq(&catalog.categories(key_of("a"))[0], &catalog.categories(key_of("b"))[0]));
        assert_eq!(catalog.items_of("shoes"), 2);
        assert_eq!(catalog.apply("a", None), [key_of("word=red")], "the shoe and its category are still b's");
        assert_eq!((catalog.apply("b", None).len(), catalog.items_of("shoes")), (3, 0));
        assert!(catalog.uses.is_empty() && catalog.names.is_empty() && catalog.apply("b", None).is_empty());
        // The same record again frees nothing.
        catalog.apply("a", Some(&red));
        assert!(catalog.apply("a", Some(&red)).is_empty());
    }

    #[test]
    fn only_what_is_listed_is_shown_as_soon_as_a_whole_catalog_lists_something() {
        use OnlyListed::{Auto, No, Yes};
        let shows = |catalog: &Catalog, id: &str| [Auto, Yes, No].map(|only| catalog.shows(key_of(id), only));
        let mut catalog = Catalog::default();
        catalog.settle();
        assert_eq!(shows(&catalog, "stranger"), [true, false, true]);
        let gone = item(r#"{"item_id":"gone","available":false}"#);
        catalog.apply("gone", Some(&gone));
        assert_eq!(shows(&catalog, "stranger"), [true, false, true], "one item hidden is no catalog");
        catalog.apply("a", Some(&item(r#"{"item_id":"a"}"#)));
        assert_eq!(shows(&catalog, "stranger"), [false, false, true]);
        assert_eq!((shows(&catalog, "a"), shows(&catalog, "gone")), ([true; 3], [false; 3]));
        let mut unread = Catalog::default();
        unread.apply("a", Some(&item(r#"{"item_id":"a"}"#)));
        assert_eq!(shows(&unread, "stranger"), [true, false, true], "the rest may be on its way");
    }

    #[test]
    fn what_has_come_is_told_by_its_date_and_what_comes_later_is_not() {
        let mut catalog = Catalog::default();
        let dated = |at: i64| item(&format!(r#"{{"item_id":"i","published_at":{at}}}"#));
        for (id, at) in [("old", 1), ("new", 9), ("coming", 30), ("all-time", i64::MIN)] {
            catalog.apply(id, Some(&dated(at)));
        }
        let come = |catalog: &Catalog, now| catalog.come(now).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!((come(&catalog, 20), come(&catalog, 30).len()), (vec![9, 1, i64::MIN], 4));
        catalog.apply("new", Some(&dated(-5)));
        catalog.apply("old", Some(&Item { available: false, ..dated(1) }));
        assert_eq!(come(&catalog, 20), [-5, i64::MIN], "the later record counts");
        catalog.apply("new", None);
        assert_eq!(come(&catalog, 20), [i64::MIN]);
    }

    #[test]
    fn of_a_title_beyond_the_bound_of_features_the_last_words_are_left_out() {
        let title: Vec<String> = (0..40).map(|n| format!("word{n}")).collect();
        let long =
            item(&format!(r#"{{"item_id":"i","title":"{}","categories":["shoes"],"price":79}}"#, title.join(" ")));
        let features = features(&long);
        let has = |name: &str| features.contains(&key_of(name));
        assert_eq!(features.len(), MAX_FEATURES);
        assert!(has("category=shoes") && has("word=word0") && has("word=word21") && !has("word=word22"));
    }

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
