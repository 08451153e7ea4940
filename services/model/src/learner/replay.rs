//! Experience replay: a buffer of recent examples that the encoder is trained on again, because one pass over a stream
//! teaches it too little.
//!
//! After Lin, *Self-Improving Reactive Agents Based on Reinforcement Learning, Planning and Teaching* (1992). Each new
//! example brings at most one of the buffer along. The age of the pick is `u^2 * length` for a uniform `u`, so half of
//! the picks fall on the newest quarter. The ranker replays nothing: the features of a past choice would know what was
//! chosen.
//!
//! How far back is worth replaying depends on the stream. A shop's choices of a month ago may come again; a news site's
//! of this morning do not. So a pick is taken with the probability `(now + 30) / (then + 30)`, at most 1, by how often
//! its item is among the last choices now, and was when the example was made. Items that are chosen a few times in
//! thousands, as most of a shop's are, hardly notice.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemas::UserKey;

use crate::keymap::KeySet;
use crate::memory::history::Seen;

/// Draws that may be passed over for one example; where so many were, nothing is replayed in its place.
const TRIES: usize = 8;
/// Choices that both counts of an item are thought to have besides, so that chance says little. With 3, the long tail
/// of a shop is replayed too little (ADER loses 0.2 of its recall), and news gains no more than with 30. Counts are of
/// the last 8,192 choices: an example from before so many were made is hardly ever passed over.
const BENEFIT_OF_DOUBT: u32 = 30;

/// A choice and what came before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Past {
    /// Key of the user.
    pub(crate) user: UserKey,
    pub(crate) history: Box<[Seen]>,
    pub(crate) key: u64,
    pub(crate) asked_at: i64,
    /// How much it counts, by its kind.
    pub(crate) weight: f32,
    /// What is left of that, 0 to 1, where its user repeated the choice.
    pub(crate) influence: f32,
    /// How often the item was among the last choices when this one was made.
    pub(crate) chosen_then: u32,
}

impl Past {
    /// What the encoder sees of a history: the last `length` choices.
    pub(crate) fn seen_of(history: &[Seen], length: usize) -> Box<[Seen]> {
        let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive()).take(length);
        let mut history: Box<[Seen]> = newest_first.copied().collect();
        history.reverse();
        history
    }
}

/// The last examples, bounded: a ring.
#[derive(Debug, PartialEq)]
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

    /// Forgets the examples of these users, by their keys; the order of the others stays.
    pub(crate) fn forget(&mut self, users: &KeySet<UserKey>) {
        if !self.ring.iter().any(|past| users.contains(&past.user)) {
            return;
        }
        let oldest = if self.ring.len() < self.bound { 0 } else { self.count % self.bound };
        self.ring.rotate_left(oldest);
        self.ring.retain(|past| !users.contains(&past.user));
        self.count = self.ring.len(); // the next one comes behind them
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Draws an example. One whose item is chosen less often now, by `chosen`, than it was then is passed over
    /// accordingly.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng, chosen: impl Fn(u64) -> u32) -> Option<&Past> {
        for _ in 0..TRIES {
            let past = self.pick(rng)?;
            let still = f64::from(chosen(past.key) + BENEFIT_OF_DOUBT) / f64::from(past.chosen_then + BENEFIT_OF_DOUBT);
            if rng.random::<f64>() < still {
                return Some(past);
            }
        }
        None
    }

    /// Any example, a newer one more likely: half of the picks fall on the newest quarter.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the ring
    fn pick(&self, rng: &mut ChaCha8Rng) -> Option<&Past> {
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

    fn past(key: u64, chosen_then: u32) -> Past {
        let history = Box::new([Seen { key: 0, kind: schemas::Kind::View, ts: 0 }]);
        Past { user: UserKey(key % 7), history, key, asked_at: 0, weight: 1.0, influence: 1.0, chosen_then }
    }

    #[test]
    fn the_oldest_gives_way_and_the_newest_is_drawn_most() {
        let mut replay = Replay::new(100);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(replay.draw(&mut rng, |_| 1), None);
        (0..250).for_each(|key| replay.push(past(key, 1)));
        let drawn: Vec<u64> = (0..4_000).filter_map(|_| replay.draw(&mut rng, |_| 1).map(|past| past.key)).collect();
        assert_eq!(drawn.len(), 4_000);
        assert!(drawn.iter().all(|key| (150..250).contains(key)));
        let newest = drawn.iter().filter(|key| **key >= 225).count();
        assert!((1_800..2_200).contains(&newest), "{newest}");
    }

    #[test]
    fn what_was_chosen_much_and_is_chosen_no_more_is_seldom_replayed() {
        const THEN: u32 = 99 * BENEFIT_OF_DOUBT;
        let mut replay = Replay::new(100);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..100).for_each(|n| replay.push(past(n % 2, THEN)));
        // Item 0 is chosen as often as then, item 1 not at all: one of a hundred of its examples is taken.
        let mut of = |chosen: fn(u64) -> u32| {
            let drawn = (0..4_000).filter_map(|_| replay.draw(&mut rng, chosen)).map(|past| past.key);
            drawn.fold([0, 0], |mut of, key| {
                of[key as usize] += 1;
                of
            })
        };
        let [still, no_more] = of(|key| if key == 0 { THEN } else { 0 });
        assert!(still > 3_900 && (20..70).contains(&no_more), "{still} {no_more}");
        // More often than then is no reason to replay it more.
        let [same, more] = of(|key| if key == 0 { THEN } else { 10 * THEN });
        assert!((1_800..2_200).contains(&same) && same + more == 4_000, "{same} {more}");
        // Where nothing is chosen any more there is little to replay.
        assert!(of(|_| 0).iter().sum::<i32>() < 500);
    }

    #[test]
    fn a_users_examples_are_forgotten_and_the_others_keep_their_order_and_age() {
        for pushed in [60, 100, 250] {
            let (mut replay, mut without) = (Replay::new(100), Replay::new(100));
            (0..pushed).for_each(|key| replay.push(past(key, 1)));
            replay.forget(&KeySet::from_iter([3, 5].map(UserKey)));
            let first = u64::max(pushed, 100) - 100;
            (first..pushed).filter(|key| ![3, 5].contains(&(key % 7))).for_each(|key| without.push(past(key, 1)));
            assert_eq!(replay, without);
            for key in pushed..pushed + 90 {
                replay.push(past(key, 1));
                without.push(past(key, 1));
            }
            assert_eq!(replay, without);
        }
    }

    #[test]
    fn a_choice_without_one_before_it_is_no_example() {
        let mut replay = Replay::new(100);
        replay.push(Past { history: Box::default(), ..past(1, 1) });
        assert_eq!((replay.len(), replay.count), (0, 0));
    }
}
