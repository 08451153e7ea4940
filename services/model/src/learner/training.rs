//! Training: one step of encoder and ranker on a micro-batch and on some of what came before.

use super::example::Example;
use super::{Changed, Learner};
use crate::keymap::Plain;
use crate::knowledge::Knowledge;
use crate::learner::replay::Past;
use crate::memory::catalog::Catalog;
use crate::memory::history::Seen;
use crate::network::encoder::Arranged;
use crate::network::trainable::{Choices, Examples, NOBODY};
use crate::ranking::features::FEATURES;
use crate::ranking::order;
use crate::ranking::query::Candidate;
use crate::table::items::Items;
use crate::table::rows::touch;

/// Baselines of the chosen candidate that the ranker is trained against: the best, and some of the others.
const HARD_NEGATIVES: usize = 24;
const EASY_NEGATIVES: usize = 16;

impl Learner {
    /// Trains the encoder, not the ranker, on the buffer alone: one step on at most `examples` of its examples.
    pub fn replay(&mut self, examples: usize) {
        let drawn = self.draw_past(examples);
        self.train_encoder_on(&drawn);
        self.step_done();
    }

    /// How many examples the buffer of recent ones holds.
    #[must_use]
    pub fn replayable(&self) -> usize {
        self.replay.len()
    }

    pub(super) fn train_ranker(
        &mut self,
        examples: &[Example],
        ranked: &[(Vec<Candidate>, Vec<f32>)],
        trained: &[bool],
    ) {
        // The chosen one first, then its hardest baselines and some of the others: all of them would teach little more.
        let choices: Vec<(&Example, Vec<(&Candidate, f32)>)> = examples
            .iter()
            .zip(ranked)
            .zip(trained)
            .filter(|(_, trained)| **trained)
            .filter_map(|((example, (list, scores)), _)| {
                let chosen = list.iter().position(|c| c.key == example.key)?;
                let order = order::best(list, scores, list.len());
                let (hard, easy) = order.split_at(order.len().min(HARD_NEGATIVES));
                let stride = easy.len().div_ceil(EASY_NEGATIVES).max(1);
                #[allow(clippy::cast_precision_loss)] // a few hundred candidates
                let many = (stride as f32).ln(); // each stands for those left out
                let hard = hard.iter().map(|n| (*n, 0.0));
                let easy = easy.iter().step_by(stride).map(|n| (*n, many));
                let baselines = hard.chain(easy).filter(|(n, _)| *n != chosen);
                let row = std::iter::once((chosen, 0.0)).chain(baselines).map(|(n, many)| (&list[n], many)).collect();
                Some((example, row))
            })
            .collect();
        let width = choices.iter().map(|(_, list)| list.len()).max().unwrap_or(0);
        if width < 2 {
            return;
        }
        let cells = choices.len() * width;
        let mut features = vec![0.0; cells * FEATURES];
        let mut stands_for = vec![NOBODY; cells];
        let weights = choices.iter().map(|(example, _)| example.weight).collect();
        let influence = choices.iter().map(|(example, _)| example.influence.example).collect();
        for (row, (_, list)) in choices.iter().enumerate() {
            for (n, (candidate, many)) in list.iter().enumerate() {
                let cell = row * width + n;
                features[cell * FEATURES..(cell + 1) * FEATURES].copy_from_slice(&candidate.features);
                stands_for[cell] = *many;
            }
        }
        self.trainable
            .step_ranker(self.knowledge.settings(), Choices { features, stands_for, weights, influence, width });
    }

    /// Trains on new examples and on some of the buffer, which then takes them in.
    pub(super) fn train_encoder(&mut self, new: Vec<Past>) -> f32 {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded
        let again = (new.len() as f64 * self.knowledge.settings().replay).round() as usize;
        let mut examples = self.draw_past(again);
        examples.extend(new.iter().cloned());
        let loss = self.train_encoder_on(&examples);
        new.into_iter().for_each(|past| self.replay.push(past));
        loss
    }

    fn draw_past(&self, count: usize) -> Vec<Past> {
        let mut rng = self.rng(1);
        let chosen = |key| self.recent.count(key);
        (0..count).filter_map(|_| self.replay.draw(&mut rng, chosen).cloned()).collect()
    }

    fn train_encoder_on(&mut self, examples: &[Past]) -> f32 {
        let known = |seen: &Seen| self.knowledge.knows(seen);
        let examples: Vec<(Vec<Seen>, &Past)> = examples
            .iter()
            .map(|e| (e.history.iter().copied().filter(known).collect::<Vec<_>>(), e))
            .filter(|(history, e)| !history.is_empty() && self.knowledge.table().slot(e.key).is_some())
            .collect();
        if examples.is_empty() {
            return 0.0;
        }
        let views: Vec<(&[Seen], i64)> = examples.iter().map(|(h, e)| (h.as_slice(), e.asked_at)).collect();
        let arranged = Arranged::new(&views, self.knowledge.settings().history);

        let mut unique = Unique::default();
        let cells = arranged.keys.iter().map(|key| key.map_or(0, |key| unique.index(key))).collect();
        let targets: Vec<i32> = examples.iter().map(|(_, e)| unique.index(e.key)).collect();
        let count = self.knowledge.settings().negatives;
        let mut pool = std::mem::take(&mut self.pool);
        let (learned, drawn_from) = (self.knowledge.interactions(), (&self.recent, self.knowledge.table()));
        let drawn = pool.serve(examples.len(), learned, count, drawn_from, || self.rng(0));
        let negatives: Vec<i32> = drawn.iter().map(|negative| unique.index(negative.key)).collect();
        let touched = Touched::of(&unique.keys, self.knowledge.table(), &self.catalog);
        let log_q = |key: u64| self.recent.log_probability(self.knowledge.table(), key);
        let batch = Examples {
            rows: gather_rows(&self.knowledge, &touched),
            histories: &arranged,
            cells,
            target_log_q: examples.iter().map(|(_, e)| log_q(e.key)).collect(),
            targets,
            negative_log_q: drawn.iter().map(|negative| negative.log_probability).collect(),
            negatives,
            weights: examples.iter().map(|(_, e)| e.weight).collect(),
            influence: examples.iter().map(|(_, e)| e.influence).collect(),
        };
        self.pool = pool;
        let (loss, gradient) = self.trainable.step_encoder(self.knowledge.settings(), batch);
        if loss.is_finite() {
            apply_gradient(&mut self.knowledge, &mut self.changed, &touched, &gradient);
        }
        loss
    }
}

/// An item of a batch, looked up: where its row stands, and the content rows that it shares.
struct Touched<'a> {
    key: u64,
    slot: u32,
    features: &'a [u64],
}

impl<'a> Touched<'a> {
    /// Looks up what a batch needs, first where it is and then what it is, so that waits for memory overlap.
    fn of(keys: &[u64], items: &Items, catalog: &'a Catalog) -> Vec<Self> {
        let look = |key: &u64| {
            let slot = items.slot(*key).expect("keys were looked up when they were gathered");
            Touched { key: *key, slot, features: catalog.features(*key) }
        };
        let touched: Vec<Self> = keys.iter().map(look).collect();
        touched.iter().for_each(|item| touch(item.features));
        items.touch_rows(touched.iter().map(|item| item.slot));
        touched
    }
}

/// What the network sees of each item.
///
/// # Shapes
/// - output: `[touched, dim]` in row order
fn gather_rows(knowledge: &Knowledge, touched: &[Touched<'_>]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(touched.len() * knowledge.table().dim());
    for Touched { slot, features, .. } in touched {
        let own = knowledge.table().row(*slot).row;
        match knowledge.content_sum(features) {
            Some(content) => rows.extend(own.iter().zip(&content).map(|(a, b)| a + b)),
            None => rows.extend_from_slice(own),
        }
    }
    rows
}

/// Row-wise Adagrad on the items' own rows and on the content rows that they share.
///
/// # Shapes
/// - `gradient`: `[touched, dim]` in row order
fn apply_gradient(knowledge: &mut Knowledge, changed: &mut Changed, touched: &[Touched<'_>], gradient: &[f32]) {
    let dim = knowledge.table().dim();
    let rate = knowledge.settings().row_learning_rate;
    let admit_after = knowledge.settings().admit_after;
    knowledge.table().touch_rows(touched.iter().map(|item| item.slot));
    for (Touched { key, slot, features }, gradient) in touched.iter().zip(gradient.chunks_exact(dim)) {
        #[allow(clippy::cast_precision_loss)] // at most 24
        let share = (features.len().max(1) as f32).sqrt().recip();
        for feature in *features {
            changed.content(*feature, knowledge.content());
            knowledge.train_content(*feature, |row, accumulator| adagrad(row, accumulator, gradient, rate, share));
        }
        let content = knowledge.content_sum(features);
        let sightings = knowledge.table().entry(*slot).map_or(0, |entry| entry.sightings);
        changed.row(*key, *slot, knowledge.table(), content.is_some());
        knowledge.set_row(*slot, content.as_deref(), |row, accumulator| {
            if sightings >= admit_after {
                adagrad(row, accumulator, gradient, rate, 1.0);
            }
        });
    }
}

/// Numbers the keys of a batch from 0.
#[derive(Default)]
pub(crate) struct Unique {
    pub(crate) keys: Vec<u64>,
    index: Plain<u64, i32>,
}

impl Unique {
    pub(crate) fn index(&mut self, key: u64) -> i32 {
        *self.index.entry(key).or_insert_with(|| {
            self.keys.push(key);
            i32::try_from(self.keys.len() - 1).expect("a micro-batch is small")
        })
    }
}

/// What a row's sum of squares keeps from one step to the next: without it the rows of popular items would stand still
/// in the end, on a stream that has none.
const FORGETTING: f32 = 0.9995;

/// One step of row-wise Adagrad (one accumulator for a row) with the gradient scaled by `share`.
fn adagrad(row: &mut [f32], accumulator: &mut f32, gradient: &[f32], rate: f32, share: f32) {
    #[allow(clippy::cast_precision_loss)] // a vector's length
    let mean_square = gradient.iter().map(|g| g * g).sum::<f32>() * share * share / gradient.len() as f32;
    *accumulator = *accumulator * FORGETTING + mean_square;
    let step = rate * share / (accumulator.sqrt() + 1e-8);
    if *accumulator > 0.0 {
        row.iter_mut().zip(gradient).for_each(|(x, g)| *x -= step * g);
    }
}
