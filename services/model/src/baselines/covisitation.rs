//! The baseline that knows pairs only: decayed co-visitation of a user's last items.
//!
//! It stands apart from the product's memory of pairs on purpose: a baseline that moves with what it measures is none.
//! A pair fades with every choice that follows its first item, so an item remembers about its last 140 successors,
//! whether they came within an hour or a year. Of what was tried (half-lives of an hour to two weeks, shares, both
//! directions) this comes nearest to the figures that the project began with, and no file suffers from it.

use super::best::Best;
use super::{Ask, Baseline, Choice, ITEMS, NAMED, Ranked, Recent, chosen, recent};
use crate::keymap::Plain;
use crate::memory::popularity::log2_add;

/// Items of a history that pair and that are asked.
const WINDOW: usize = 5;
/// Neighbours kept for each item; the weakest gives way.
const NEIGHBOURS: usize = 100;
/// What is left of a pair after one more choice behind its first item.
const KEPT: f64 = 0.995;
/// Each step back in a history counts so much less.
const FADE: f32 = 0.5;

/// What was chosen after an item: log2 weights on the item's own clock, so that nothing has to be decayed.
#[derive(Debug, Default)]
struct Neighbours {
    clock: f64,
    list: Vec<(u64, f64)>,
}

/// Co-visitation of the last five items.
#[derive(Debug)]
pub struct Covisitation {
    pairs: Recent<u64, Neighbours>,
}

impl Default for Covisitation {
    fn default() -> Self {
        Self { pairs: recent(ITEMS) }
    }
}

impl Neighbours {
    fn add(&mut self, to: u64, weight: f64) {
        self.clock -= KEPT.log2();
        let weight = weight + self.clock;
        if let Some((_, known)) = self.list.iter_mut().find(|(key, _)| *key == to) {
            *known = log2_add(*known, weight);
        } else if self.list.len() < NEIGHBOURS {
            self.list.push((to, weight));
        } else if let Some(weakest) = self.list.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
            *weakest = (to, weight);
        }
    }
}

impl Baseline for Covisitation {
    fn name(&self) -> &'static str {
        "covisitation"
    }

    #[allow(clippy::cast_possible_truncation)] // at most the number of choices that KEPT lets count
    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let of = |ask: &Ask<'_>| {
            let mut scores = Plain::<u64, f32>::default();
            let mut fade = 1.0;
            for key in chosen(ask.history).take(WINDOW) {
                if let Some(neighbours) = self.pairs.peek(&key) {
                    for (other, weight) in &neighbours.list {
                        *scores.entry(*other).or_default() += fade * (weight - neighbours.clock).exp2() as f32;
                    }
                }
                fade *= FADE;
            }
            Best::of(NAMED, scores)
        };
        asks.iter().map(of).collect()
    }

    #[allow(clippy::cast_precision_loss)] // a distance of at most five
    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            let earlier = chosen(choice.history).filter(|key| *key != choice.key);
            for (distance, key) in earlier.take(WINDOW).enumerate() {
                let neighbours = self.pairs.get_or_insert_mut(key, Neighbours::default);
                neighbours.add(choice.key, -(distance as f64 + 1.0).log2());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::history::Seen;
    use schemas::{Kind, UserKey};

    #[test]
    fn a_pair_counts_by_its_distance_and_fades_with_each_successor() {
        let seen = |key| Seen { key, kind: Kind::View, ts: 0 };
        let mut pairs = Covisitation::default();
        let history = [seen(1), seen(2)];
        // 3 follows 2 directly and 1 at a distance of two; then 4 follows 2.
        pairs.learn(&[Choice { user: UserKey(0), history: &history, key: 3, ts: 0 }]);
        pairs.learn(&[Choice { user: UserKey(1), history: &history[1..], key: 4, ts: 0 }]);
        let ranked = pairs.rank(&[Ask { user: UserKey(2), history: &history, ts: 0 }]).remove(0);
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} is not {b}");
        assert_eq!([ranked[0].0, ranked[1].0], [3, 4]);
        close(ranked[0].1, 0.995 + 0.5 * 0.5);
        close(ranked[1].1, 1.0);
    }
}
