//! What a user did last, bounded in items and in users.

use std::num::NonZeroUsize;
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

/// The trainer's histories; at the bound the user not seen for longest goes.
#[derive(Debug)]
pub struct Histories {
    users: LruCache<Arc<str>, History>,
    length: usize,
}

impl Histories {
    /// Holds at most `users` users of at most `length` interactions.
    #[must_use]
    pub fn new(users: usize, length: usize) -> Self {
        let users = NonZeroUsize::new(users).unwrap_or(NonZeroUsize::MIN);
        Self { users: LruCache::new(users), length }
    }

    /// The user's history before what comes next; empty for an unknown user.
    pub fn of(&mut self, user: &str) -> &[Seen] {
        self.users.get(user).map_or(&[], Vec::as_slice)
    }

    /// Appends an interaction.
    pub fn push(&mut self, user: &str, seen: Seen) {
        let length = self.length;
        if let Some(history) = self.users.get_mut(user) {
            remember(history, seen, length);
        } else {
            self.users.put(user.into(), vec![seen]);
        }
    }

    /// How many users are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// Appends to a history of at most `length`: the oldest goes.
pub fn remember(history: &mut History, seen: Seen, length: usize) {
    if history.len() >= length {
        history.drain(..=history.len() - length);
    }
    history.push(seen);
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
        let keys: Vec<_> = histories.of("u").iter().map(|seen| seen.key).collect();
        assert_eq!(keys, [2, 3, 4]);
    }

    #[test]
    fn at_the_bound_the_user_not_seen_for_longest_goes() {
        let mut histories = Histories::new(2, 3);
        for user in ["a", "b", "a", "c"] {
            histories.push(user, Seen { key: 1, kind: Kind::View, ts: 0 });
        }
        assert!(histories.of("b").is_empty());
        assert_eq!(histories.of("a").len(), 2);
    }
}
