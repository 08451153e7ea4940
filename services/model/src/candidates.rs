//! Candidates of every source and their features: what the ranker orders, in trainer and scorer alike.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use burn::tensor::{Tensor, TensorData};
use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{ArrayView2, ArrayViewMut1, ArrayViewMut2};

use crate::history::Seen;
use crate::items::{BLOCK, Items};
use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::popularity::HALF_LIVES;
use crate::ranker::FEATURES;

/// Where a candidate comes from; the first that names it highest stands in the slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Repeat,
    Covisitation,
    Sequence,
    Popularity,
    New,
}

impl Origin {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Covisitation => "covisitation",
            Self::Sequence => "sequence",
            Self::Popularity => "popularity",
            Self::New => "new",
        }
    }
}

/// An item that may enter a slate.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) key: u64,
    pub(crate) slot: u32,
    pub(crate) origin: Origin,
    pub(crate) features: [f32; FEATURES],
}

/// The share below which a pair says nothing; keeps the logarithm finite.
const LEAST_SHARE: f32 = 1e-4;

/// Each step back in a history counts so much less.
const PAIR_FADE: f32 = 0.7;

/// Finds the `k` items whose vectors are nearest to each query, best first, among those in the
/// front of the table.
///
/// # Shapes
/// - `queries`: `[queries, dim]` in row order
pub(crate) fn retrieve(items: &Items, queries: &[f32], k: usize) -> Vec<Vec<(f32, u64)>> {
    let dim = items.dim();
    let count = queries.len() / dim;
    let mut best: Vec<Nearest> = (0..count).map(|_| Nearest::new(k)).collect();
    let queries = ArrayView2::from_shape((count, dim), queries).expect("whole rows");
    let blocks: Vec<&[f32]> = items.front_blocks().map(|block| block.vectors()).collect();
    if count <= FEW {
        let mut scores = [0.0_f32; BLOCK];
        for (vectors, first) in blocks.iter().zip((0..).step_by(BLOCK)) {
            let vectors = ArrayView2::from_shape((BLOCK, dim), vectors).expect("whole rows");
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
        blocks.iter().for_each(|vectors| panel.extend_from_slice(vectors));
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

/// Blocks multiplied at once: the product packs its operands each time, so not too few; scores stay in the cache, so not
/// too many. Of 1 to 64 the fastest at 32,768 items and 128 queries.
const PANEL: usize = 8;

/// Scores looked at together.
const LANES: usize = 16;

/// The best scores of one query so far.
struct Nearest {
    k: usize,
    heap: BinaryHeap<Reverse<(Score, u32)>>,
    /// What the next one must exceed.
    least: f32,
}

impl Nearest {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k + 1), least: f32::NEG_INFINITY }
    }

    /// Looks at the scores of consecutive slots.
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
            self.heap.push(Reverse((Score(score), slot)));
            if self.heap.len() > self.k {
                self.heap.pop();
            }
            if self.heap.len() == self.k {
                self.least = self.heap.peek().map_or(self.least, |least| least.0.0.0);
            }
        }
    }

    /// By key: slots change hands from one interaction to the next.
    fn into_sorted(self, items: &Items) -> Vec<(f32, u64)> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted.filter_map(|Reverse((score, slot))| Some((score.0, items.entry(slot)?.key))).collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Score(f32);
impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Score {}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Sums the shares that a history's last items give to their neighbours: `(from the last, faded sum)`.
pub(crate) fn pair_scores(knowledge: &Knowledge, history: &[Seen]) -> Plain<(f32, f32)> {
    let mut scores = Plain::default();
    let mut fade = 1.0;
    let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive());
    for (distance, seen) in newest_first.take(knowledge.settings.covisitation_window).enumerate() {
        if let Some(neighbours) = knowledge.covisitation.get(seen.key) {
            for (key, share) in neighbours.shares() {
                let score: &mut (f32, f32) = scores.entry(key).or_default();
                score.1 += fade * share;
                if distance == 0 {
                    score.0 = share;
                }
            }
        }
        fade *= PAIR_FADE;
    }
    scores
}

/// The keys with the highest faded sums, best first; equal sums by key, so that a replay repeats itself.
pub(crate) fn best_pairs(scores: &Plain<(f32, f32)>, k: usize) -> Vec<u64> {
    let mut best: Vec<(f32, u64)> = scores.iter().map(|(key, (_, sum))| (*sum, *key)).collect();
    let order = |a: &(f32, u64), b: &(f32, u64)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if best.len() > k {
        best.select_nth_unstable_by(k, order);
        best.truncate(k);
    }
    best.sort_unstable_by(order);
    best.into_iter().map(|(_, key)| key).collect()
}

/// Gathers the candidates for one user.
///
/// `vector` is the user's vector (zeros when unknown), `retrieved` what [`retrieve`] found for it.
pub(crate) fn gather(
    knowledge: &Knowledge,
    history: &[Seen],
    vector: &[f32],
    retrieved: &[(f32, u64)],
    ts: i64,
    excluded: &dyn Fn(u64) -> bool,
) -> Vec<Candidate> {
    let settings = &knowledge.settings;
    let pairs = pair_scores(knowledge, history);
    let disliked =
        |key: u64| history.iter().rev().find(|s| s.key == key).is_some_and(|s| s.kind == schemas::Kind::Dislike);
    let mut found: Plain<()> = Plain::default();
    let mut candidates = Vec::with_capacity(settings.candidates * 3);
    let mut add = |key: u64, origin: Origin, rank: Option<usize>| {
        if found.insert(key, ()).is_some() || excluded(key) || disliked(key) {
            return;
        }
        if let Some(slot) = knowledge.items.slot(key) {
            let features = features(knowledge, history, vector, pairs.get(&key), slot, key, ts, rank);
            candidates.push(Candidate { key, slot, origin, features });
        }
    };
    let sequence_rank: Plain<usize> = retrieved.iter().enumerate().map(|(rank, (_, key))| (*key, rank)).collect();
    for seen in history.iter().rev().filter(|seen| seen.kind.is_positive()) {
        add(seen.key, Origin::Repeat, sequence_rank.get(&seen.key).copied());
    }
    // By turns, so that an item is credited to the source that names it highest.
    let by_pairs = best_pairs(&pairs, settings.candidates);
    for n in 0..settings.candidates {
        if let Some(key) = by_pairs.get(n) {
            add(*key, Origin::Covisitation, sequence_rank.get(key).copied());
        }
        if let Some((_, key)) = retrieved.get(n) {
            add(*key, Origin::Sequence, Some(n));
        }
    }
    for h in 0..HALF_LIVES {
        for key in knowledge.popular.leaders(h).take(settings.candidates / 2) {
            add(key, Origin::Popularity, sequence_rank.get(&key).copied());
        }
    }
    for (_, key) in knowledge.newest.iter().rev().take(settings.candidates / 4) {
        add(*key, Origin::New, sequence_rank.get(key).copied());
    }
    candidates
}

#[allow(clippy::too_many_arguments, clippy::cast_precision_loss)] // one call site; counts and seconds
fn features(
    knowledge: &Knowledge,
    history: &[Seen],
    vector: &[f32],
    pair: Option<&(f32, f32)>,
    slot: u32,
    key: u64,
    ts: i64,
    sequence_rank: Option<usize>,
) -> [f32; FEATURES] {
    let cosine: f32 = knowledge.items.vector(slot).iter().zip(vector).map(|(a, b)| a * b).sum();
    let (last, sum) = pair.copied().unwrap_or_default();
    let log_share = |share: f32| (share.max(LEAST_SHARE) / LEAST_SHARE).ln() / 3.0;
    let entry = knowledge.items.entry(slot);
    let shares = entry.map_or([crate::popularity::LEAST_LOG_SHARE; HALF_LIVES], |entry| {
        knowledge.popular.log_shares(&entry.counters)
    });
    let log_seconds = |since: i64| (1.0 + (ts - since).max(0) as f32 / 1_000.0).ln() / 5.0;
    let back = history.iter().rev().position(|seen| seen.key == key && seen.kind.is_positive());
    [
        cosine * 5.0,
        sequence_rank.map_or(0.0, |rank| 1.0 / (1.0 + rank as f32).sqrt()),
        log_share(last),
        log_share(sum),
        (shares[0] + 16.0) / 5.0,
        (shares[1] + 16.0) / 5.0,
        (shares[2] + 16.0) / 5.0,
        f32::from(u8::from(back.is_some())),
        back.map_or(0.0, |n| 1.0 / (1.0 + n as f32)),
        f32::from(u8::from(back == Some(0))),
        entry.map_or(0.0, |entry| log_seconds(entry.first_ts)),
        entry.map_or(0.0, |entry| log_seconds(entry.last_ts)),
        (1.0 + history.len() as f32).ln() / 2.0,
    ]
}

/// Scores the candidates of a batch in one pass of the ranker.
pub(crate) fn score(knowledge: &Knowledge, lists: &[Vec<Candidate>]) -> Vec<Vec<f32>> {
    let count: usize = lists.iter().map(Vec::len).sum();
    if count == 0 {
        return vec![Vec::new(); lists.len()];
    }
    let flat: Vec<f32> = lists.iter().flatten().flat_map(|c| c.features).collect();
    let features = Tensor::<2>::from_data(TensorData::new(flat, [count, FEATURES]), &knowledge.device);
    let scores = knowledge.ranker.forward(features).into_data();
    let scores = scores.try_into_vec::<f32>().expect("scores are f32 on every device we open");
    let mut rest = scores.as_slice();
    lists
        .iter()
        .map(|list| {
            let (mine, others) = rest.split_at(list.len());
            rest = others;
            mine.to_vec()
        })
        .collect()
}

/// Positions of the best `k` candidates of a list, best first; equal scores by key, so that a replay repeats itself.
pub(crate) fn best(list: &[Candidate], scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(list[*a].key.cmp(&list[*b].key)));
    order.truncate(k);
    order
}
