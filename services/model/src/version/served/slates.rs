//! Lists for users.

use schemas::Entry as SlateEntry;

use super::Model;
use crate::memory::catalog::Catalog;
use crate::ranking::because::because;
use crate::ranking::evidence::Evidence;
use crate::ranking::query::{Candidate, UserView};
use crate::ranking::since::Since;
use crate::ranking::{self, Batch, order};

/// A candidate as it was ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Key of the item's id.
    pub key: u64,
    /// The higher, the better.
    pub score: f32,
    /// The source that names it highest, as it would stand in a slate.
    pub source: &'static str,
}

impl Model {
    /// Ranks for a batch of users: the best `k` for each, best first.
    #[must_use]
    pub fn slates(&self, users: &[UserView<'_>], catalog: &Catalog, k: usize) -> Vec<Vec<SlateEntry>> {
        let ranked = users.iter().zip(self.rank(users, catalog));
        ranked.map(|(user, (list, scores))| self.best(user, catalog, (&list, &scores), k)).collect()
    }

    /// Every candidate of each user, in no order, however often the user has seen it: for evaluation, where ranks are
    /// told from scores.
    #[must_use]
    pub fn scored(&self, users: &[UserView<'_>], catalog: &Catalog) -> Vec<Vec<Scored>> {
        let scored = |(candidate, score): (&Candidate, f32)| {
            let source = candidate.source();
            Scored { key: candidate.key, score, source }
        };
        let ranked = self.rank(users, catalog).into_iter();
        ranked.map(|(list, scores)| list.iter().zip(scores).map(scored).collect()).collect()
    }

    /// The best `k` of each user as a list would show them, best first, by key and score.
    #[must_use]
    pub fn listed(&self, users: &[UserView<'_>], catalog: &Catalog, k: usize) -> Vec<Vec<(u64, f32)>> {
        let listed = |(list, scores): (Vec<Candidate>, Vec<f32>)| {
            order::compose(&list, &scores, k).into_iter().map(|n| (list[n].key, scores[n])).collect()
        };
        self.rank(users, catalog).into_iter().map(listed).collect()
    }

    /// The candidates of each user with their scores.
    pub(crate) fn rank(&self, users: &[UserView<'_>], catalog: &Catalog) -> Vec<(Vec<Candidate>, Vec<f32>)> {
        let knowledge = &self.knowledge;
        let batch = Batch::new(knowledge, users);
        let mut lists = Vec::with_capacity(users.len());
        for (n, user) in users.iter().enumerate() {
            let query = batch.query(n, *user, catalog);
            let since = Since::new(knowledge, user.user, user.history);
            lists.push(ranking::candidates(knowledge, &query, &Evidence::new(knowledge, &query, since)));
        }
        let scores = knowledge.score(&lists);
        lists.into_iter().zip(scores).collect()
    }

    /// The best `k` of a ranked list, best first.
    fn best(
        &self,
        user: &UserView<'_>,
        catalog: &Catalog,
        (list, scores): (&[Candidate], &[f32]),
        k: usize,
    ) -> Vec<SlateEntry> {
        let best = order::compose(list, scores, k).into_iter();
        best.filter_map(|n| self.entry_of(user, catalog, &list[n], scores[n])).collect()
    }

    /// A candidate as it stands in a list.
    pub(super) fn entry_of(
        &self,
        user: &UserView<'_>,
        catalog: &Catalog,
        candidate: &Candidate,
        score: f32,
    ) -> Option<SlateEntry> {
        Some(SlateEntry {
            id: self.knowledge.table().entry(candidate.slot)?.id.to_string(),
            score,
            from: candidate.source().to_owned(),
            because: because(&self.knowledge, user.history, catalog, candidate),
        })
    }
}
