//! A bounded table of trained rows by key, and the search for the best of all of them.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::best::{Best, Ranked};
use super::{Recent, recent};

/// Rows multiplied at once: scores stay in the cache.
const PANEL: usize = 512;
/// Scores looked at together: nearly always none is good enough.
const LANES: usize = 16;

/// Rows of `dim` numbers; at the bound the one not met for longest makes room.
#[derive(Debug)]
pub(super) struct Rows {
    dim: usize,
    bound: usize,
    spread: f32,
    seed: u64,
    slots: Recent<u64, usize>,
    keys: Vec<u64>,
    values: Vec<f32>,
    /// Adagrad's accumulated squared gradient, one for a row.
    accumulators: Vec<f32>,
}

impl Rows {
    /// New rows are uniform within `spread` of 0, by seed and key alone.
    pub(super) fn new(dim: usize, bound: usize, spread: f32, seed: u64) -> Self {
        Self {
            dim,
            bound,
            spread,
            seed,
            slots: recent(bound),
            keys: Vec::new(),
            values: Vec::new(),
            accumulators: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Where a row is, if it is known.
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        self.slots.peek(&key).copied()
    }

    /// Where a row is; it is met now, and made if need be.
    pub(super) fn meet(&mut self, key: u64) -> usize {
        if let Some(slot) = self.slots.get(&key) {
            return *slot;
        }
        let oldest = if self.slots.len() >= self.bound { self.slots.pop_lru() } else { None };
        let slot = match oldest {
            Some((_, slot)) => slot,
            None => {
                self.keys.push(key);
                self.accumulators.push(0.0);
                self.values.resize(self.values.len() + self.dim, 0.0);
                self.keys.len() - 1
            }
        };
        self.slots.put(key, slot);
        self.keys[slot] = key;
        self.accumulators[slot] = 0.0;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ key);
        let spread = self.spread;
        self.row_mut(slot).iter_mut().for_each(|x| *x = rng.random_range(-spread..spread));
        slot
    }

    pub(super) fn row(&self, slot: usize) -> &[f32] {
        &self.values[slot * self.dim..(slot + 1) * self.dim]
    }

    pub(super) fn row_mut(&mut self, slot: usize) -> &mut [f32] {
        &mut self.values[slot * self.dim..(slot + 1) * self.dim]
    }

    /// One step of row-wise Adagrad.
    #[allow(clippy::cast_precision_loss)] // a row's length
    pub(super) fn adagrad(&mut self, slot: usize, gradient: &[f32], rate: f32) {
        let mean_square = gradient.iter().map(|g| g * g).sum::<f32>() / gradient.len() as f32;
        self.accumulators[slot] += mean_square;
        let step = rate / (self.accumulators[slot].sqrt() + 1e-8);
        if mean_square > 0.0 {
            self.row_mut(slot).iter_mut().zip(gradient).for_each(|(x, g)| *x -= step * g);
        }
    }

    /// The `k` rows with the largest inner product with each query.
    ///
    /// # Shapes
    /// - `queries`: `[queries, dim]` in row order
    pub(super) fn nearest(&self, queries: &[f32], k: usize) -> Vec<Ranked> {
        let count = queries.len() / self.dim;
        let queries = ArrayView2::from_shape((count, self.dim), queries).expect("whole rows");
        let mut best: Vec<Best> = (0..count).map(|_| Best::new(k)).collect();
        let mut scores = vec![0.0_f32; count * PANEL];
        for (panel, keys) in self.values.chunks(PANEL * self.dim).zip(self.keys.chunks(PANEL)) {
            let width = keys.len();
            let rows = ArrayView2::from_shape((width, self.dim), panel).expect("whole rows");
            let scores = &mut scores[..count * width];
            let mut product = ArrayViewMut2::from_shape((count, width), &mut *scores).expect("whole rows");
            general_mat_mul(1.0, &queries, &rows.t(), 0.0, &mut product);
            for (best, scores) in best.iter_mut().zip(scores.chunks_exact(width)) {
                for (scores, keys) in scores.chunks(LANES).zip(keys.chunks(LANES)) {
                    let least = best.least();
                    if scores.iter().fold(false, |any, score| any | (*score >= least)) {
                        scores.iter().zip(keys).for_each(|(score, key)| best.offer(*key, *score));
                    }
                }
            }
        }
        best.into_iter().map(Best::into_sorted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_those_of_a_plain_search() {
        let mut rows = Rows::new(8, 2_000, 1.0, 3);
        (0..1_500).for_each(|key| {
            rows.meet(key);
        });
        let query: Vec<f32> = (0..16).map(|n| (n as f32 * 0.7).sin()).collect();
        let dot = |slot: usize, query: &[f32]| rows.row(slot).iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        for (found, query) in rows.nearest(&query, 21).iter().zip(query.chunks(8)) {
            let plain = Best::of(21, (0..1_500).map(|slot| (rows.keys()[slot], dot(slot, query))));
            let keys = |ranked: &Ranked| ranked.iter().map(|(key, _)| *key).collect::<Vec<_>>();
            assert_eq!(keys(found), keys(&plain));
        }
    }

    #[test]
    fn at_the_bound_the_row_not_met_for_longest_makes_room() {
        let mut rows = Rows::new(2, 2, 1.0, 3);
        let first = rows.meet(1);
        rows.adagrad(first, &[1.0, 1.0], 0.1);
        rows.meet(2);
        rows.meet(1);
        rows.meet(3);
        assert_eq!((rows.len(), rows.find(2), rows.find(1)), (2, None, Some(first)));
        let again = Rows::new(2, 2, 1.0, 3).meet(3);
        assert_eq!(again, 0, "a new table starts with slot 0");
    }
}
