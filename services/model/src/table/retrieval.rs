//! Retrieval by vector: the items nearest to a query, exactly, among those in the hot set of the table.
//!
//! It is a matrix product over the vectors. There is no index to build, to swap or to explain, and nothing changes
//! between restarts. An approximate index would be stale or cost more than the step, because rows move at every step.

use std::cmp::Ordering;

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{ArrayView2, ArrayViewMut1, ArrayViewMut2};

use crate::table::items::{BLOCK, Items};
use crate::table::rows::Rows;

/// Finds the `k` items whose vectors are nearest to each query, best first, among those in the
/// hot set.
///
/// # Shapes
/// - `queries`: `[queries, dim]` in row order
pub(crate) fn retrieve(items: &Items, queries: &[f32], k: usize) -> Vec<Vec<(f32, u64)>> {
    let dim = items.dim();
    let count = queries.len() / dim;
    if k == 0 {
        return vec![Vec::new(); count];
    }
    let mut best: Vec<Nearest> = (0..count).map(|_| Nearest::new(k)).collect();
    let queries = ArrayView2::from_shape((count, dim), queries).expect("whole rows");
    let blocks: Vec<&Rows> = items.front_blocks().map(|block| block.vectors()).collect();
    if count <= FEW {
        let (mut scores, mut scratch) = ([0.0_f32; BLOCK], Vec::new());
        for (vectors, first) in blocks.iter().zip((0..).step_by(BLOCK)) {
            let vectors = ArrayView2::from_shape((BLOCK, dim), vectors.decode(&mut scratch)).expect("whole rows");
            for (best, query) in best.iter_mut().zip(queries.rows()) {
                general_mat_vec_mul(1.0, &vectors, &query, 0.0, &mut ArrayViewMut1::from(&mut scores));
                best.offer(first, &scores);
            }
        }
        return best.into_iter().map(|best| best.into_sorted(items)).collect();
    }
    let mut panel = Vec::with_capacity(PANEL * BLOCK * dim);
    let mut scores = vec![0.0_f32; count * PANEL * BLOCK];
    for (blocks, first) in blocks.chunks(PANEL).zip((0..).step_by(PANEL * BLOCK)) {
        panel.clear();
        blocks.iter().for_each(|vectors| vectors.append_to(&mut panel));
        let width = blocks.len() * BLOCK;
        let vectors = ArrayView2::from_shape((width, dim), &panel).expect("whole rows");
        let scores = &mut scores[..count * width];
        let mut product = ArrayViewMut2::from_shape((count, width), &mut *scores).expect("whole rows");
        general_mat_mul(1.0, &queries, &vectors.t(), 0.0, &mut product);
        for (best, row) in best.iter_mut().zip(scores.chunks_exact(width)) {
            best.offer(first, row);
        }
    }
    best.into_iter().map(|best| best.into_sorted(items)).collect()
}

/// So few queries are multiplied vector by vector: packing the table for a matrix product would cost more than it.
const FEW: usize = 4;

/// Blocks multiplied at once: the product packs its operands each time, so not too few; scores stay in the cache, so
/// not too many. Of 1 to 64 the fastest at 32,768 items and 128 queries.
const PANEL: usize = 8;

/// Scores looked at together.
const LANES: usize = 16;

/// The best scores of one query so far, and up to as many others: sorting out many at once is cheaper than keeping an
/// order.
struct Nearest {
    k: usize,
    kept: Vec<(f32, u32)>,
    /// What the next one must exceed.
    least: f32,
}

/// Higher scores first; of equal ones the lower slot, so that a replay repeats itself.
fn higher_first(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

impl Nearest {
    fn new(k: usize) -> Self {
        Self { k, kept: Vec::with_capacity(2 * k), least: f32::NEG_INFINITY }
    }

    /// Looks at the scores of consecutive slots, higher ones than before.
    fn offer(&mut self, first: u32, scores: &[f32]) {
        for (lanes, slot) in scores.chunks(LANES).zip((first..).step_by(LANES)) {
            // Nearly always none is good enough, and to see that costs a few vector instructions.
            if lanes.iter().fold(false, |any, score| any | (*score > self.least)) {
                for (score, slot) in lanes.iter().zip(slot..) {
                    self.push(*score, slot);
                }
            }
        }
    }

    fn push(&mut self, score: f32, slot: u32) {
        // A free slot's vector is zero, so its score is: an exact zero is never a match worth having.
        if score > self.least && score != 0.0 {
            self.kept.push((score, slot));
            if self.kept.len() == 2 * self.k {
                self.choose();
            }
        }
    }

    /// Lets go of all but the best.
    fn choose(&mut self) {
        if self.kept.len() > self.k {
            let (_, least, _) = self.kept.select_nth_unstable_by(self.k - 1, higher_first);
            self.least = least.0;
            self.kept.truncate(self.k);
        }
    }

    /// By key: slots change hands from one interaction to the next.
    fn into_sorted(mut self, items: &Items) -> Vec<(f32, u64)> {
        self.choose();
        self.kept.sort_unstable_by(higher_first);
        self.kept.iter().filter_map(|(score, slot)| Some((*score, items.entry(*slot)?.key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::block::RowRef;
    use crate::table::items::Entry;
    use crate::table::rows::RowEncoding;

    /// Directions that differ from each other by more than int8 rounds off.
    fn vector(n: u64, dim: usize) -> Vec<f32> {
        (0..dim as u64).map(|d| ((n * 31 + d * 17 + n * d) % 101) as f32 - 50.0).collect()
    }

    #[test]
    fn few_and_many_queries_find_what_a_plain_search_finds() {
        let (dim, k) = (8, 10);
        for table in [RowEncoding::F32, RowEncoding::F16, RowEncoding::Int8] {
            // Nine blocks and a part of one, so that a panel is full and another is not; some slots are free.
            let mut items = Items::serving(dim, 10 * BLOCK, table);
            for key in 0..(9 * BLOCK + 5) as u64 {
                let slot = items.insert(Entry::new(key, "i".into(), 0));
                items.restore_row(slot, RowRef { row: &vector(key, dim), accumulator: 0.0, content: None });
            }
            (0..40).for_each(|n| drop(items.remove(n * 13)));
            let queries: Vec<f32> = (0..9).flat_map(|n| vector(1_000 + n, dim)).collect();
            let score = |slot, query: &[f32]| items.vector(slot).iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
            let plain = |query: &[f32]| {
                let mut all: Vec<(f32, u64)> = (0..(9 * BLOCK + 5) as u32)
                    .filter_map(|slot| items.entry(slot).map(|entry| (score(slot, query), entry.key)))
                    .collect();
                all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
                all.truncate(k);
                all
            };
            // Scores that are nearly equal may change places, but each must be that of its own item.
            let close = |query: &[f32], found: &[(f32, u64)], wanted: &[(f32, u64)]| {
                let near = |a: f32, b: f32| (a - b).abs() < 1e-3 * b.abs();
                let own = |key| score(items.slot(key).expect("in the table"), query);
                found.len() == k && found.iter().zip(wanted).all(|(a, b)| near(a.0, b.0) && near(a.0, own(a.1)))
            };
            let many = retrieve(&items, &queries, k);
            for (n, query) in queries.chunks_exact(dim).enumerate() {
                let wanted = plain(query);
                assert!(close(query, &many[n], &wanted), "{table:?}: {:?} instead of {wanted:?}", many[n]);
                let one = retrieve(&items, query, k).remove(0);
                assert!(close(query, &one, &wanted), "{table:?}: {one:?} instead of {wanted:?}");
            }
        }
    }

    #[test]
    fn of_equal_scores_the_lower_slots_are_kept_wherever_the_choice_falls() {
        let mut items = Items::new(8, BLOCK);
        for key in 0..40 {
            items.insert(Entry::new(key, "i".into(), 0));
        }
        let scores: Vec<f32> = (0..40).map(|n| [1.0, 2.0, 1.0, 3.0][n % 4]).collect();
        for k in 1..=45 {
            let mut nearest = Nearest::new(k);
            nearest.offer(0, &scores);
            let mut wanted: Vec<(f32, u64)> = scores.iter().copied().zip(0..).collect();
            wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
            wanted.truncate(k);
            assert_eq!(nearest.into_sorted(&items), wanted, "{k}");
        }
    }
}
