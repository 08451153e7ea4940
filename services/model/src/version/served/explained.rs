//! A slate with what moved each entry most, by the names of the features.

use schemas::Entry as SlateEntry;

use super::Model;
use crate::memory::catalog::Catalog;
use crate::ranking::features::Feature;
use crate::ranking::order;
use crate::ranking::query::{Candidate, UserView};

/// An entry of a slate, explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// As it stands in the slate.
    pub entry: SlateEntry,
    /// What each feature adds to the score, the largest first, to either side.
    pub features: Vec<Contribution>,
    /// What the ranker adds whatever the features are. All together they are the score, but for rounding.
    pub rest: f32,
}

/// What a feature adds to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// The feature's name.
    pub name: &'static str,
    /// What it is for this entry: most lie between -3 and 3.
    pub value: f32,
    /// What that adds to the score.
    pub adds: f32,
}

impl Model {
    /// The best `k` for a user, as [`Model::slates`] has them, each with what its features add to its score.
    #[must_use]
    pub fn explained(&self, user: &UserView<'_>, catalog: &Catalog, k: usize) -> Vec<Explained> {
        let mut explained = Vec::with_capacity(k);
        for (list, scores) in self.rank(std::slice::from_ref(user), catalog) {
            let best = order::compose(&list, &scores, k);
            let candidates: Vec<&Candidate> = best.iter().map(|n| &list[*n]).collect();
            let contributions = self.knowledge.contributions(&candidates);
            for ((n, candidate), adds) in best.iter().zip(candidates).zip(contributions) {
                let Some(entry) = self.entry_of(user, catalog, candidate, scores[*n]) else { continue };
                let contribution = |feature: Feature| Contribution {
                    name: feature.name(),
                    value: candidate.features[feature as usize],
                    adds: adds[feature as usize],
                };
                let mut features = Feature::ALL.map(contribution).to_vec();
                features.sort_by(|a, b| b.adds.abs().total_cmp(&a.adds.abs()));
                explained.push(Explained { rest: entry.score - adds.iter().sum::<f32>(), entry, features });
            }
        }
        explained
    }
}
