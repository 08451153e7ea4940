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

/// What is remembered of a user.
#[derive(Debug, Default)]
struct User {
    history: History,
    pace: Pace,
}

impl User {
    /// Gives how many interactions the last minute saw.
    fn remember(&mut self, seen: Seen, length: usize) -> u32 {
        remember(&mut self.history, seen, length);
        self.pace.note(seen.ts)
    }
}

/// How many interactions a user has in a minute of event time: those of the minute under way, and of the one before it
/// as many as would lie within the last sixty seconds if they had come evenly.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// Minutes since 1970.
    minute: i64,
    here: u32,
    before: u32,
}

const MINUTE_MS: i64 = 60_000;

impl Pace {
    /// One more; gives how many the last minute saw, with it. What comes late counts as of now: neither who sends the
    /// newest first nor who sends old times is slower for it.
    fn note(&mut self, ts: i64) -> u32 {
        let minute = ts.div_euclid(MINUTE_MS);
        if minute > self.minute {
            self.before = if minute - 1 == self.minute { self.here } else { 0 };
            (self.minute, self.here) = (minute, 0);
        }
        self.here = self.here.saturating_add(1);
        let into = if minute == self.minute { ts.rem_euclid(MINUTE_MS) } else { 0 };
        let before = i64::from(self.before) * (MINUTE_MS - into) / MINUTE_MS;
        self.here.saturating_add(u32::try_from(before).unwrap_or(u32::MAX))
    }
}

/// The trainer's histories.
///
/// At the bound somebody makes room. Of those seen once, a quarter of the bound is kept, the latest: beyond it a
/// newcomer takes the place of one like it, and of the others the one not seen for longest goes. So a flood of users
/// whom nobody sees again washes out the flood, and not the shop's customers.
#[derive(Debug)]
pub struct Histories {
    once: LruCache<Arc<str>, User>,
    users: LruCache<Arc<str>, User>,
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
        as_of(self.of(user), ts)
    }

    /// The user's whole history; empty for an unknown user.
    pub(crate) fn of(&mut self, user: &str) -> &[Seen] {
        let user = self.users.get(user).or_else(|| self.once.get(user));
        user.map_or(&[][..], |user| user.history.as_slice())
    }

    /// Puts an interaction into its place; gives how many of its user the last minute of event time saw, with it.
    pub fn push(&mut self, user: &str, seen: Seen) -> u32 {
        if let Some(user) = self.users.get_mut(user) {
            return user.remember(seen, self.length);
        }
        let known = self.once.pop(user);
        let again = known.is_some();
        let mut known = known.unwrap_or_default();
        let pace = known.remember(seen, self.length);
        let place = if again { &mut self.users } else { &mut self.once };
        place.put(user.into(), known);
        if self.len() > self.bound {
            let flooded = self.once.len() > self.bound / PROBATION || self.users.is_empty();
            if flooded {
                self.once.pop_lru()
            } else {
                self.users.pop_lru()
            };
        }
        pace
    }

    /// Forgets users.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        for users in [&mut self.once, &mut self.users] {
            users.retain(|user, _| !is_gone(user));
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

/// What of a history had happened by a moment.
pub(crate) fn as_of(history: &[Seen], ts: i64) -> &[Seen] {
    &history[..place(history, ts)]
}

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
    fn the_pace_of_a_user_is_told_in_event_time_whatever_the_order() {
        let mut histories = Histories::new(9, 8);
        let mut paces = |user: &str, times: &mut dyn Iterator<Item = i64>| {
            let push = |ts| histories.push(user, Seen { key: 1, kind: Kind::View, ts });
            times.map(push).collect::<Vec<u32>>()
        };
        let steady = paces("steady", &mut (0..1_000).map(|n| n * 500));
        assert!(steady[200..].iter().all(|pace| (119..=121).contains(pace)), "two a second: {:?}", &steady[200..]);
        assert_eq!(paces("at once", &mut (0..300).map(|_| 7))[299], 300);
        assert_eq!(paces("backwards", &mut (0..300).map(|n| 1_000_000_000 - n * 3_600_000))[299], 300);
        assert_eq!(paces("slow", &mut (0..300).map(|n| n * 61_000 * 2))[299], 1);
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
        for user in 0..200_000 {
            histories.push(&format!("invented{user}"), view);
        }
        assert_eq!(histories.len(), 1_000);
        assert!((0..700).all(|user| histories.as_of(&format!("customer{user}"), 0).len() == 2));
        // Who is new and comes back soon has a place in the flood, too.
        histories.push("new", view);
        for user in 0..200 {
            histories.push(&format!("more{user}"), view);
        }
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
