//! A given list in a user's order, and why what is not in it was left out: for search, and for whoever asks "why not?".

use schemas::{Entry as SlateEntry, key_of};

use super::Model;
use crate::keymap::KeySet;
use crate::memory::catalog::Catalog;
use crate::ranking::evidence::Evidence;
use crate::ranking::filters::Why;
use crate::ranking::query::UserView;
use crate::ranking::since::Since;
use crate::ranking::{self, Batch, order};

/// A given list, ranked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// What may be shown, best first; `from` is `given` where no source names an item for this user.
    pub list: Vec<SlateEntry>,
    /// The rest, in the order in which it was given.
    pub dropped: Vec<Dropped>,
}

/// An item that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its id, as it was given.
    pub item: String,
    /// What keeps it out.
    pub why: Why,
}

impl Model {
    /// Orders a given list of item ids for a user, as a slate would: by the same filters, features and ranker. Nothing
    /// is cut, and what the user has only looked at has all its places.
    #[must_use]
    pub fn order(&self, user: &UserView<'_>, items: &[&str], catalog: &Catalog) -> Order {
        let knowledge = &self.knowledge;
        let keys: Vec<u64> = items.iter().map(|id| key_of(id)).collect();
        let mut met = KeySet::default();
        let once: Vec<u64> = keys.iter().copied().filter(|key| met.insert(*key)).collect();
        let batch = Batch::new(knowledge, std::slice::from_ref(user));
        let query = batch.query(0, *user, catalog);
        let evidence = Evidence::new(knowledge, &query, Since::new(knowledge, user.user, user.history));
        let (candidates, mut left_out) = ranking::given(knowledge, &query, &evidence, &once);
        let lists = [candidates];
        let scores = knowledge.score(&lists).remove(0);
        let [candidates] = lists;

        let best = order::best(&candidates, &scores, candidates.len()).into_iter();
        let list = best.filter_map(|n| self.entry_of(user, catalog, &candidates[n], scores[n])).collect();
        for (candidate, score) in candidates.iter().zip(&scores) {
            if !score.is_finite() {
                left_out.insert(candidate.key, Why::NoScore);
            }
        }
        let mut dropped = Vec::new();
        let mut met = KeySet::default();
        for (key, id) in keys.iter().zip(items) {
            let why = if met.insert(*key) { left_out.get(key).copied() } else { Some(Why::Twice) };
            dropped.extend(why.map(|why| Dropped { item: (*id).to_owned(), why }));
        }
        Order { list, dropped }
    }
}
