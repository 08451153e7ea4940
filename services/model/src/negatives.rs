//! Negatives of the sampled softmax: half follow what was chosen lately, half are uniform over what retrieval searches.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::items::Items;
use crate::keymap::Plain;

/// Choices remembered; drawing from them follows what is popular now.
const RECENT: usize = 8_192;

/// The last choices, and how often each item is among them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ring: VecDeque<u64>,
    counts: Plain<u32>,
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

    /// Draws `count` keys that `items` knows; there must be one among the last choices.
    pub(crate) fn draw(&self, items: &Items, count: usize, rng: &mut ChaCha8Rng) -> Vec<u64> {
        let mut drawn = Vec::with_capacity(count + 1);
        let front = items.front_slots();
        while drawn.len() < count {
            let recent = self.ring[rng.random_range(0..self.ring.len())];
            if items.slot(recent).is_some() {
                drawn.push(recent);
            }
            let slot = rng.random_range(0..front);
            let uniform = u32::try_from(slot).ok().and_then(|slot| items.entry(slot));
            drawn.extend(uniform.map(|entry| entry.key));
        }
        drawn.truncate(count);
        drawn
    }

    /// Natural logarithm of the probability of drawing `key`, which the softmax is corrected by. Free slots of the front
    /// are left out of account: they are no draws, so where many are free the last choices have more than their half.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(crate) fn log_probability(&self, items: &Items, key: u64) -> f32 {
        let uniform = (items.front_len().max(1) as f32).recip();
        let share = self.count(key) as f32 / self.ring.len().max(1) as f32;
        (0.5 * share + 0.5 * uniform).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::{BLOCK, Entry};
    use rand::SeedableRng;

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
}
