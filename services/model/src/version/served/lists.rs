//! Lists that are of no user: what goes with an item, what is popular, what is new.

use std::cmp::Reverse;
use std::sync::Arc;

use schemas::{Entry as SlateEntry, UserKey, key_of};

use super::Model;
use crate::memory::catalog::Catalog;
use crate::memory::covisitation::{AHEAD, BEHIND};
use crate::memory::popularity::{HALF_LIVES, log_shares};
use crate::ranking::newest::newest;
use crate::ranking::origin::Origin;
use crate::ranking::query::UserView;
use crate::table::retrieval::retrieve;

/// Lists of one kind, overall (under `None`) and by category, and how many categories have none for want of room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tops {
    /// The list for everybody first.
    pub lists: Vec<(Option<Arc<str>>, Vec<SlateEntry>)>,
    /// Categories beyond the bound, the smaller ones.
    pub left_out: usize,
}

impl Model {
    /// What goes with an item, best first; empty for an unknown item.
    #[must_use]
    pub fn similar(&self, item_ids: &[&str], catalog: &Catalog, k: usize) -> Vec<Vec<SlateEntry>> {
        let knowledge = &self.knowledge;
        let dim = knowledge.table().dim();
        let keys: Vec<u64> = item_ids.iter().map(|id| key_of(id)).collect();
        let queries: Vec<f32> = keys
            .iter()
            .flat_map(|key| match knowledge.table().slot(*key) {
                Some(slot) => knowledge.table().vector(slot).to_vec(),
                None => vec![0.0; dim],
            })
            .collect();
        let retrieved = retrieve(knowledge.table(), &queries, k + 1);
        keys.iter().zip(retrieved).map(|(key, near)| self.similar_to(*key, &near, catalog, k)).collect()
    }

    fn similar_to(&self, key: u64, near: &[(f32, u64)], catalog: &Catalog, k: usize) -> Vec<SlateEntry> {
        let knowledge = &self.knowledge;
        // A pair seen together outweighs likeness of vectors, which fills the list up.
        let mut scores: Vec<(f32, u64, Origin)> = knowledge
            .covisitation()
            .get(key)
            .into_iter()
            .flat_map(|neighbours| neighbours.shares())
            .map(|(other, shares)| (1.0 + shares[AHEAD] + shares[BEHIND], other, Origin::Covisitation))
            .collect();
        for (cosine, other) in near {
            if scores.iter().all(|(_, known, _)| known != other) {
                scores.push((*cosine, *other, Origin::Sequence));
            }
        }
        scores.retain(|(_, other, _)| *other != key && self.shows(catalog, *other));
        scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let entry = |(score, other, origin): &(f32, u64, Origin)| self.entry(*other, *score, *origin);
        scores.iter().filter_map(entry).take(k).collect()
    }

    fn entry(&self, key: u64, score: f32, origin: Origin) -> Option<SlateEntry> {
        let id = self.knowledge.table().get(key)?.id.to_string();
        Some(SlateEntry { id, score, from: origin.as_str().to_owned(), because: Vec::new() })
    }

    /// What is popular now, overall and by category, the `categories` largest: the list under `None` is what an unknown
    /// user gets.
    #[must_use]
    pub fn hot(&self, catalog: &Catalog, k: usize, categories: usize, ts: i64) -> Tops {
        let stranger = UserView { user: UserKey::NOBODY, history: &[], ts };
        let overall = self.slates(&[stranger], catalog, k).pop().unwrap_or_default();
        let leaders = (0..HALF_LIVES).flat_map(|h| self.knowledge.popular().leaders(h)).map(|(.., key)| key);
        let score = |key: u64| {
            let entry = self.knowledge.table().get(key)?;
            let shares = log_shares(&entry.counters, &self.knowledge.popular().totals);
            Some(shares[HALF_LIVES / 2].exp())
        };
        let leaders = leaders.filter_map(|key| Some((score(key)?, key)));
        let mut tops = self.by_category(leaders, catalog, k, categories, Origin::Popularity);
        tops.lists.insert(0, (None, overall));
        tops
    }

    /// When the newest item came that may be shown, of those that came by `now`; milliseconds since 1970.
    #[must_use]
    pub fn newest_came_at(&self, catalog: &Catalog, now: i64) -> Option<i64> {
        newest(&self.knowledge, catalog, now).next().map(|(at, _)| at)
    }

    /// What came last by `now`, milliseconds since 1970, overall and by category, the `categories` largest.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a score for people
    pub fn new_items(&self, catalog: &Catalog, k: usize, categories: usize, now: i64) -> Tops {
        let scored = |(at, key): (i64, u64)| {
            let age_days = now.saturating_sub(at).max(0) as f32 / 86_400_000.0;
            (1.0 / (1.0 + age_days), key)
        };
        let newest: Vec<(f32, u64)> = newest(&self.knowledge, catalog, now).map(scored).collect();
        let overall = newest.iter().filter_map(|(score, key)| self.entry(*key, *score, Origin::New)).take(k).collect();
        let mut tops = self.by_category(newest.into_iter(), catalog, k, categories, Origin::New);
        tops.lists.insert(0, (None, overall));
        tops
    }

    /// Sorts scored items into their categories; equal scores stay in their order.
    fn by_category(
        &self,
        scored: impl Iterator<Item = (f32, u64)>,
        catalog: &Catalog,
        k: usize,
        most: usize,
        origin: Origin,
    ) -> Tops {
        let mut seen = crate::keymap::KeySet::default();
        let mut lists: std::collections::BTreeMap<Arc<str>, Vec<(f32, u64)>> = Default::default();
        for (score, key) in scored.filter(|(_, key)| self.shows(catalog, *key)) {
            if seen.insert(key) {
                for category in catalog.categories(key) {
                    lists.entry(Arc::clone(category)).or_default().push((score, key));
                }
            }
        }
        let left_out = lists.len().saturating_sub(most);
        let mut lists: Vec<_> = lists.into_iter().collect();
        if left_out > 0 {
            lists.sort_by_cached_key(|(category, _)| (Reverse(catalog.items_of(category)), Arc::clone(category)));
            lists.truncate(most);
        }
        let lists = lists.into_iter().map(|(category, mut list)| {
            list.sort_by(|a, b| b.0.total_cmp(&a.0));
            let entry = |(score, key): &(f32, u64)| self.entry(*key, *score, origin);
            (Some(category), list.iter().filter_map(entry).take(k).collect())
        });
        Tops { lists: lists.collect(), left_out }
    }
}
