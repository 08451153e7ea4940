//! What the network says: users as vectors, candidates as scores.

use super::Knowledge;
use crate::memory::history::Seen;
use crate::network::encoder::Arranged;
use crate::ranking::features::FEATURES;
use crate::ranking::query::Candidate;

impl Knowledge {
    /// Encodes users by their histories; a history without a known item gives zeros.
    ///
    /// # Shapes
    /// - output: `[histories, dim]` in row order, unit vectors
    pub(crate) fn encode(&self, histories: &[(&[Seen], i64)]) -> Vec<f32> {
        let dim = self.items.dim();
        // As in training: what is not in the table is not in the history.
        let histories: Vec<(Vec<Seen>, i64)> = histories
            .iter()
            .map(|(history, now)| {
                let newest_first = history.iter().rev().filter(|seen| self.knows(seen));
                let mut newest: Vec<Seen> = newest_first.take(self.settings.history).copied().collect();
                newest.reverse();
                (newest, *now)
            })
            .collect();
        let views: Vec<(&[Seen], i64)> = histories.iter().map(|(history, now)| (history.as_slice(), *now)).collect();
        let arranged = Arranged::new(&views, self.settings.history);
        if arranged.length == 0 {
            return vec![0.0; histories.len() * dim];
        }
        let mut vectors = vec![0.0_f32; arranged.keys.len() * dim];
        for (vector, key) in vectors.chunks_exact_mut(dim).zip(&arranged.keys) {
            if let Some(slot) = key.and_then(|key| self.items.slot(key)) {
                vector.copy_from_slice(&self.items.vector(slot));
            }
        }
        self.encoder.encode(vectors, &arranged, &self.device)
    }

    /// Scores the candidates of a batch in one pass of the ranker.
    pub(crate) fn score(&self, lists: &[Vec<Candidate>]) -> Vec<Vec<f32>> {
        self.ranker.score(lists, &self.device)
    }

    /// What each feature adds to the score of each candidate, in the order of
    /// [`Feature::ALL`](crate::ranking::features::Feature::ALL).
    pub(crate) fn contributions(&self, candidates: &[&Candidate]) -> Vec<[f32; FEATURES]> {
        let features: Vec<f32> = candidates.iter().flat_map(|candidate| candidate.features).collect();
        let slopes = self.ranker.slopes(features, &self.device);
        let mut contributions = Vec::with_capacity(candidates.len());
        for (candidate, slopes) in candidates.iter().zip(slopes.chunks_exact(FEATURES)) {
            let mut adds = candidate.features;
            adds.iter_mut().zip(slopes).for_each(|(feature, slope)| *feature *= slope);
            contributions.push(adds);
        }
        contributions
    }
}
