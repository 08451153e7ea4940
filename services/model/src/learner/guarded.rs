//! Users from whom nothing is learned, because they are faster than people: the last ones, for operators to see.

use std::collections::BTreeMap;

use schemas::UserKey;
use schemas::checkpoint::{Guarded as Told, GuardedUser, MAX_GUARDED};

use crate::keymap::KeySet;

/// Users remembered at once; beyond it the one not guarded for longest goes.
const USERS: usize = 1_000;

/// An hour of event time after the last of its interactions, a user is guarded no more.
const LATELY_MS: i64 = 3_600_000;

/// By the user's key.
#[derive(Debug, Default)]
pub(crate) struct Guarded(BTreeMap<UserKey, GuardedUser>);

impl Guarded {
    /// An interaction of this user was learned with weight 0.
    pub(crate) fn note(&mut self, user: UserKey, ts: i64) {
        let known = self.0.entry(user).or_insert(GuardedUser { user, since: ts, last: ts, interactions: 0 });
        if ts.saturating_sub(known.last) > LATELY_MS {
            (known.since, known.interactions) = (ts, 0);
        }
        (known.last, known.interactions) = (known.last.max(ts), known.interactions.saturating_add(1));
        if self.0.len() > USERS
            && let Some(oldest) = self.0.values().min_by_key(|known| (known.last, known.user)).map(|known| known.user)
        {
            self.0.remove(&oldest);
        }
    }

    /// Forgets users, by their keys.
    pub(crate) fn forget(&mut self, gone: &KeySet<UserKey>) {
        self.0.retain(|user, _| !gone.contains(user));
    }

    /// How many are guarded at this time, and those of most interactions.
    pub(crate) fn lately(&self, now: i64) -> Told {
        let lately = self.0.values().filter(|known| now.saturating_sub(known.last) <= LATELY_MS);
        let mut most: Vec<GuardedUser> = lately.copied().collect();
        let users = u32::try_from(most.len()).unwrap_or(u32::MAX);
        most.sort_unstable_by_key(|known| (std::cmp::Reverse(known.interactions), known.user));
        most.truncate(MAX_GUARDED);
        Told { users, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_guarded_in_the_last_hour_are_told_the_busiest_first() {
        let mut guarded = Guarded::default();
        for user in 0..40 {
            (0..=user).for_each(|n| guarded.note(UserKey(user), 1_000 + i64::try_from(n).expect("small")));
        }
        let told = guarded.lately(2_000);
        assert_eq!((told.users, told.most.len()), (40, MAX_GUARDED));
        assert_eq!(told.most[0], GuardedUser { user: UserKey(39), since: 1_000, last: 1_039, interactions: 40 });
        assert_eq!(guarded.lately(1_039 + LATELY_MS).users, 1);
        assert_eq!(guarded.lately(1_040 + LATELY_MS), Told::default());
        guarded.note(UserKey(39), 1_040 + LATELY_MS);
        assert_eq!(guarded.lately(1_040 + LATELY_MS).most[0].interactions, 1, "it had ended");
    }

    #[test]
    fn at_the_bound_the_one_not_guarded_for_longest_goes() {
        let mut guarded = Guarded::default();
        (0..2 * USERS as u64).for_each(|user| guarded.note(UserKey(user), 5));
        (0..5).for_each(|user| guarded.note(UserKey(user), 6));
        assert_eq!(guarded.0.len(), USERS);
        assert!((0..5).all(|user| guarded.0.contains_key(&UserKey(user))));
    }
}
