//! What a user did last, bounded in items and in users.

use std::sync::Arc;

use lru::LruCache;
use schemas::Kind;

/// One remembered interaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The item's key.
    pub key: u64,
    /// What was done.
    pub kind: Kind,
    /// Event time, milliseconds since 1970.
    pub ts: i64,
}

/// A user's last interactions, oldest first.
pub type History = Vec<Seen>;

/// The items that a user chose last, each once, newest first; at most `most`.
pub(crate) fn last_chosen(history: &[Seen], most: usize) -> Vec<u64> {
    let mut keys = Vec::with_capacity(most);
    for seen in history.iter().rev().filter(|seen| seen.kind.is_positive()) {
        if keys.len() == most {
            break;
        }
        if !keys.contains(&seen.key) {
            keys.push(seen.key);
        }
    }
    keys
}

/// The trainer's histories.
///
/// At the bound somebody makes room. Of those seen once, a quarter of the bound is kept, the latest: beyond it a
/// newcomer takes the place of one like it, and of the others the one not seen for longest goes. So a flood of users
/// whom nobody sees again washes out the flood, and not the shop's customers.
#[derive(Debug)]
pub struct Histories {
    once: LruCache<Arc<str>, History>,
    users: LruCache<Arc<str>, History>,
    bound: usize,
    length: usize,
}

impl Histories {
    /// Holds at most `users` users of at most `length` interactions.
    #[must_use]
    pub fn new(users: usize, length: usize) -> Self {
        let bound = users.max(1);
        Self { once: LruCache::unbounded(), users: LruCache::unbounded(), bound, length }
    }

    /// The user's history up to a moment: what had happened by then, whenever it arrived; empty for an unknown user.
    pub fn as_of(&mut self, user: &str, ts: i64) -> &[Seen] {
        let history = self.users.get(user).or_else(|| self.once.get(user)).map_or(&[][..], Vec::as_slice);
        &history[..place(history, ts)]
    }

    /// Puts an interaction into its place.
    pub fn push(&mut self, user: &str, seen: Seen) {
        if let Some(history) = self.users.get_mut(user) {
            remember(history, seen, self.length);
            return;
        }
        match self.once.pop(user) {
            Some(mut history) => {
                remember(&mut history, seen, self.length);
                self.users.put(user.into(), history);
            }
            None => {
                self.once.put(user.into(), vec![seen]);
            }
        }
        if self.len() > self.bound {
            let flooded = self.once.len() > self.bound / PROBATION || self.users.is_empty();
            if flooded {
                self.once.pop_lru()
            } else {
                self.users.pop_lru()
            };
        }
    }

    /// How many users are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.once.len() + self.users.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One part in so many of a bound is kept for what was seen once.
pub(crate) const PROBATION: usize = 4;

/// Where in a history something of this time belongs: behind all that is as old or older.
fn place(history: &[Seen], ts: i64) -> usize {
    history.partition_point(|seen| seen.ts <= ts)
}

/// Puts an interaction into a history of at most `length`, by event time; of equal times, the later to arrive comes
/// later. At the bound the oldest goes, which is the interaction itself where it is older than all that a full history
/// holds.
pub fn remember(history: &mut History, seen: Seen, length: usize) {
    history.insert(place(history, seen.ts), seen);
    if history.len() > length {
        history.drain(..history.len() - length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_keeps_the_newest() {
        let mut histories = Histories::new(2, 3);
        for key in 0..5 {
            histories.push("u", Seen { key, kind: Kind::View, ts: 0 });
        }
        let keys: Vec<_> = histories.as_of("u", 0).iter().map(|seen| seen.key).collect();
        assert_eq!(keys, [2, 3, 4]);
    }

    fn keys(history: &[Seen]) -> Vec<u64> {
        history.iter().map(|seen| seen.key).collect()
    }

    #[test]
    fn clicks_of_three_days_ago_that_arrive_after_todays_do_not_take_over_the_history() {
        let day = 86_400_000;
        let mut history = Vec::new();
        for (key, ts) in [(1, 10 * day), (2, 10 * day + 1), (20, 7 * day), (21, 7 * day + 1), (3, 10 * day + 1)] {
            remember(&mut history, Seen { key, kind: Kind::View, ts }, 4);
        }
        assert_eq!(keys(&history), [21, 1, 2, 3], "by event time; of equal times in the order of arrival");
        remember(&mut history, Seen { key: 22, kind: Kind::View, ts: 6 * day }, 4);
        assert_eq!(keys(&history), [21, 1, 2, 3], "what is older than a whole full history is not remembered");
    }

    #[test]
    fn a_history_as_of_a_moment_holds_what_had_happened_by_then() {
        let mut histories = Histories::new(2, 8);
        for (key, ts) in [(1, 10), (2, 20), (3, 30)] {
            histories.push("u", Seen { key, kind: Kind::View, ts });
        }
        assert_eq!(keys(histories.as_of("u", 20)), [1, 2]);
        assert!(histories.as_of("u", 9).is_empty() && histories.as_of("nobody", 9).is_empty());
    }

    #[test]
    fn a_flood_of_invented_users_washes_out_the_flood_and_no_customer() {
        let mut histories = Histories::new(1_000, 8);
        let view = Seen { key: 1, kind: Kind::View, ts: 0 };
        for user in 0..700 {
            for _ in 0..2 {
                histories.push(&format!("customer{user}"), view);
            }
        }
        (0..200_000).for_each(|user| histories.push(&format!("invented{user}"), view));
        assert_eq!(histories.len(), 1_000);
        assert!((0..700).all(|user| histories.as_of(&format!("customer{user}"), 0).len() == 2));
        // Who is new and comes back soon has a place in the flood, too.
        histories.push("new", view);
        (0..200).for_each(|user| histories.push(&format!("more{user}"), view));
        assert_eq!(histories.as_of("new", 0).len(), 1);
    }

    #[test]
    fn at_the_bound_the_user_not_seen_for_longest_goes() {
        let mut histories = Histories::new(2, 3);
        for user in ["a", "b", "a", "c"] {
            histories.push(user, Seen { key: 1, kind: Kind::View, ts: 0 });
        }
        assert!(histories.as_of("b", 0).is_empty());
        assert_eq!(histories.as_of("a", 0).len(), 2);
    }
}
