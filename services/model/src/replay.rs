//! The buffer of recent examples that the encoder is trained on again: one pass over a stream teaches it too little.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::history::Seen;

/// A choice and what came before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Past {
    pub(crate) history: Box<[Seen]>,
    pub(crate) key: u64,
    pub(crate) asked_at: i64,
    /// How much it counts.
    pub(crate) weight: f32,
}

impl Past {
    /// What the encoder sees of it: the last `length` choices.
    pub(crate) fn new(history: &[Seen], length: usize, key: u64, asked_at: i64, weight: f32) -> Self {
        let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive()).take(length);
        let mut history: Box<[Seen]> = newest_first.copied().collect();
        history.reverse();
        Self { history, key, asked_at, weight }
    }
}

/// The last examples, bounded: a ring.
#[derive(Debug)]
pub(crate) struct Replay {
    ring: Vec<Past>,
    bound: usize,
    /// Examples ever put in.
    count: usize,
}

impl Replay {
    pub(crate) fn new(bound: usize) -> Self {
        Self { ring: Vec::new(), bound, count: 0 }
    }

    /// Puts an example in; the oldest gives way. From one without a choice before it the encoder learns nothing.
    pub(crate) fn push(&mut self, past: Past) {
        if self.bound == 0 || past.history.is_empty() {
            return;
        }
        if self.ring.len() < self.bound {
            self.ring.push(past);
        } else {
            let at = self.count % self.bound;
            self.ring[at] = past;
        }
        self.count += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Draws an example, a newer one more likely: half of the draws fall on the newest quarter.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the ring
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> Option<&Past> {
        let u: f64 = rng.random();
        let age = (u * u * self.ring.len() as f64) as usize;
        let newest = self.count.checked_sub(1)?;
        self.ring.get((newest - age.min(newest)) % self.bound.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn past(key: u64) -> Past {
        let history = Box::new([Seen { key: 0, kind: schemas::Kind::View, ts: 0 }]);
        Past { history, key, asked_at: 0, weight: 1.0 }
    }

    #[test]
    fn the_oldest_gives_way_and_the_newest_is_drawn_most() {
        let mut replay = Replay::new(100);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(replay.draw(&mut rng), None);
        (0..250).for_each(|key| replay.push(past(key)));
        let drawn: Vec<u64> = (0..4_000).filter_map(|_| replay.draw(&mut rng).map(|past| past.key)).collect();
        assert_eq!(drawn.len(), 4_000);
        assert!(drawn.iter().all(|key| (150..250).contains(key)));
        let newest = drawn.iter().filter(|key| **key >= 225).count();
        assert!((1_800..2_200).contains(&newest), "{newest}");
    }

    #[test]
    fn a_choice_without_one_before_it_is_no_example() {
        let mut replay = Replay::new(100);
        replay.push(Past { history: Box::default(), ..past(1) });
        assert_eq!((replay.len(), replay.count), (0, 0));
    }
}
