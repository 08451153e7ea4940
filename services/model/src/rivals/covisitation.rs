//! The rival that knows pairs only: decayed co-visitation of a user's last items.
//!
//! It stands apart from the product's memory of pairs on purpose: a baseline that moves with what it measures is none.

use super::best::Best;
use super::{Ask, Choice, ITEMS, NAMED, Ranked, Recent, Rival, chosen, recent};
use crate::keymap::Plain;
use crate::popularity::log2_add;

/// Items of a history that pair and that are asked.
const WINDOW: usize = 5;
/// Neighbours kept for each item; the weakest gives way.
const NEIGHBOURS: usize = 48;
/// A pair weighs half after so long.
const HALF_LIFE_MS: f64 = 14.0 * 86_400_000.0;
/// The way back is half as telling, as log2.
const BACK: f64 = -1.0;
/// Each step back in a history counts so much less.
const FADE: f32 = 0.7;

/// log2 weights, in time from the first event: what is kept needs no decay.
#[derive(Debug)]
struct Neighbours {
    total: f64,
    list: Vec<(u64, f64)>,
}

/// Co-visitation of the last five items.
#[derive(Debug)]
pub struct Covisitation {
    pairs: Recent<Neighbours>,
    origin: Option<i64>,
}

impl Default for Covisitation {
    fn default() -> Self {
        Self { pairs: recent(ITEMS), origin: None }
    }
}

impl Covisitation {
    fn add(&mut self, from: u64, to: u64, weight: f64) {
        let empty = || Neighbours { total: f64::NEG_INFINITY, list: Vec::with_capacity(4) };
        let neighbours = self.pairs.get_or_insert_mut(from, empty);
        neighbours.total = log2_add(neighbours.total, weight);
        if let Some((_, known)) = neighbours.list.iter_mut().find(|(key, _)| *key == to) {
            *known = log2_add(*known, weight);
        } else if neighbours.list.len() < NEIGHBOURS {
            neighbours.list.push((to, weight));
        } else if let Some(weakest) = neighbours.list.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
            *weakest = (to, weight);
        }
    }
}

impl Rival for Covisitation {
    fn name(&self) -> &'static str {
        "covisitation"
    }

    #[allow(clippy::cast_possible_truncation)] // shares of 0 to 1
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let mut scores = Plain::<f32>::default();
            let mut fade = 1.0;
            for key in chosen(ask.history).take(WINDOW) {
                if let Some(neighbours) = self.pairs.peek(&key) {
                    for (other, weight) in &neighbours.list {
                        *scores.entry(*other).or_default() += fade * (weight - neighbours.total).exp2() as f32;
                    }
                }
                fade *= FADE;
            }
            Best::of(NAMED, scores)
        };
        asks.iter().map(of).collect()
    }

    #[allow(clippy::cast_precision_loss)] // milliseconds of decades, and a distance of at most five
    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            let time = (choice.ts - *self.origin.get_or_insert(choice.ts)) as f64 / HALF_LIFE_MS;
            let earlier = chosen(choice.history).filter(|key| *key != choice.key);
            for (distance, key) in earlier.take(WINDOW).enumerate() {
                let weight = time - (distance as f64 + 1.0).log2();
                self.add(key, choice.key, weight);
                self.add(choice.key, key, weight + BACK);
            }
        }
    }
}
