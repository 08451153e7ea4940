//! Negatives of the sampled softmax: half follow what was chosen lately, half are uniform over what retrieval searches.
//!
//! After Yang et al., *Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations* (2020). The
//! probability of drawing an item, `q = share/2 + 1/(2 n)`, corrects the softmax (`trainable`).
//!
//! Small micro-batches in a row share a pool of negatives. A version carries each row that moved, and with new
//! negatives for each of twenty steps a second most rows would move for their sake. A pool ends with the version and is
//! no part of it, so a restored learner draws what the other would have drawn.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::keymap::Plain;
use crate::table::items::Items;

/// Choices remembered; drawing from them follows what is popular now.
const RECENT: usize = 8_192;

/// The last choices, and how often each item is among them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ring: VecDeque<u64>,
    counts: Plain<u64, u32>,
}

impl Recent {
    pub(crate) fn remember(&mut self, key: u64) {
        if self.ring.len() >= RECENT
            && let Some(oldest) = self.ring.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.ring.push_back(key);
        *self.counts.entry(key).or_default() += 1;
    }

    /// How often `key` is among the last choices.
    pub(crate) fn count(&self, key: u64) -> u32 {
        self.counts.get(&key).copied().unwrap_or(0)
    }

    /// Draws `count` keys that `items` knows; it must know one.
    pub(crate) fn draw(&self, items: &Items, count: usize, rng: &mut ChaCha8Rng) -> Vec<u64> {
        let mut drawn = Vec::with_capacity(count + 1);
        let hot = items.hot_slots();
        while drawn.len() < count {
            if !self.ring.is_empty() {
                let recent = self.ring[rng.random_range(0..self.ring.len())];
                drawn.extend(items.slot(recent).map(|_| recent));
            }
            let slot = rng.random_range(0..hot);
            let uniform = u32::try_from(slot).ok().and_then(|slot| items.entry(slot));
            drawn.extend(uniform.map(|entry| entry.key));
        }
        drawn.truncate(count);
        drawn
    }

    /// Natural logarithm of the probability of drawing `key`, which the softmax is corrected by. Free slots of the hot
    /// set are left out of account: they are no draws, so where many are free the last choices have more than their
    /// half.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn log_probability(&self, items: &Items, key: u64) -> f32 {
        let uniform = (items.hot_len().max(1) as f32).recip();
        let share = self.count(key) as f32 / self.ring.len().max(1) as f32;
        (0.5 * share + 0.5 * uniform).ln()
    }
}

/// Examples that a pool serves at most, replayed ones among them: a second of 256 choices, or one full micro-batch.
const SERVES: usize = 512;

/// Interactions learned for each example that a pool serves. The rows of a young model move far with each step, and it
/// needs to see many others: with pools from the start a shop's cold start in its first 720 choices is worse by 3
/// points of HR@20.
const YOUNG: u64 = 64;

/// Negatives that steps in a row share. It ends with each version, so that who goes on from one draws what the other
/// would have, and a version carries the rows of few pools.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    drawn: Vec<Negative>,
    left: usize,
}

/// An item drawn, and the logarithm of the probability that it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Negative {
    pub(crate) key: u64,
    pub(crate) log_probability: f32,
}

impl Pool {
    /// The negatives of a step on so many examples, by a model that learned `learned` interactions: `count` of them,
    /// drawn anew where the pool is spent or an item of it went.
    pub(crate) fn serve(
        &mut self,
        examples: usize,
        learned: u64,
        count: usize,
        (recent, items): (&Recent, &Items),
        rng: impl FnOnce() -> ChaCha8Rng,
    ) -> &[Negative] {
        if self.left < examples || self.drawn.iter().any(|negative| items.slot(negative.key).is_none()) {
            let drawn = recent.draw(items, count, &mut rng()).into_iter();
            let told = |key| Negative { key, log_probability: recent.log_probability(items, key) };
            let serves = usize::try_from(learned / YOUNG).unwrap_or(SERVES).min(SERVES);
            (self.drawn, self.left) = (drawn.map(told).collect(), serves.max(examples));
        }
        self.left -= examples;
        &self.drawn
    }

    /// Examples that it still serves.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::items::{BLOCK, Entry};
    use rand::SeedableRng;

    const OLD: u64 = SERVES as u64 * YOUNG;

    #[test]
    fn what_is_drawn_follows_the_probability_that_is_told() {
        let mut items = Items::new(8, BLOCK);
        (0..BLOCK as u64).for_each(|key| {
            items.insert(Entry::new(key, "i".into(), 0));
        });
        let mut recent = Recent::default();
        // Twice round the ring: what has left it is not drawn as if it were still there.
        (0..RECENT).for_each(|_| recent.remember(39));
        (0..RECENT).for_each(|n| recent.remember(if n % 4 == 0 { 1 } else { 2 }));
        let drawn = recent.draw(&items, 100_000, &mut ChaCha8Rng::seed_from_u64(1));
        for key in [1, 2, 3, 39] {
            let share = drawn.iter().filter(|drawn| **drawn == key).count() as f32 / drawn.len() as f32;
            let told = recent.log_probability(&items, key).exp();
            assert!((share / told - 1.0).abs() < 0.1, "{key}: {share} drawn, {told} told");
        }
    }

    #[test]
    fn small_batches_share_a_pool_until_it_is_spent_or_an_item_of_it_goes() {
        let mut items = Items::new(8, BLOCK);
        (0..BLOCK as u64).for_each(|key| {
            items.insert(Entry::new(key, "i".into(), 0));
        });
        let mut recent = Recent::default();
        recent.remember(1);
        let (mut pool, mut seed) = (Pool::default(), 0);
        let mut serve = |items: &Items, examples, learned| -> Vec<u64> {
            seed += 1;
            let rng = || ChaCha8Rng::seed_from_u64(seed);
            pool.serve(examples, learned, 32, (&recent, items), rng).iter().map(|negative| negative.key).collect()
        };
        let first = serve(&items, 20, OLD);
        assert_eq!(first.len(), 32);
        for _ in 1..SERVES / 20 {
            assert_eq!(serve(&items, 20, OLD), first);
        }
        let second = serve(&items, 20, OLD);
        assert_ne!(second, first, "it was spent");
        let gone = *second.iter().find(|key| **key != 1).expect("half are uniform");
        items.remove(gone);
        let third = serve(&items, 20, OLD);
        assert!(!third.contains(&gone) && third.len() == 32, "{third:?}");
        assert_ne!(serve(&items, 2 * SERVES, OLD), third, "a batch larger than a pool has one of its own");
        let young = serve(&items, 20, 720);
        assert_ne!(serve(&items, 20, 720), young, "a young model draws with each step");
    }
}
