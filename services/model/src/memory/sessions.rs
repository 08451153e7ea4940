//! Memory of sessions: the last ones, whole, and for each item those that hold it. A user's session is compared with
//! them, and what its nearest neighbours held is a candidate.
//!
//! After Ludewig and Jannach, *Evaluation of session-based recommendation algorithms* (2018), V-SkNN, made incremental:
//! a session is a neighbour from its second item on. The likeness of a session is `Σ 0.8^i / sqrt(length)` over the
//! items it shares with the user's last ones, `i` steps back. Each of its items gets that likeness as a vote, times
//! `exp(-d/4)` at the distance `d` from the last common item, and times 0.6 if it stands before that item.
//!
//! The index by item follows from the sessions, so no version carries it. A session of a single item waits apart and is
//! compared with nobody. A user's own session is no neighbour.

use std::sync::Arc;

use imbl::OrdMap;
use schemas::UserKey;

use crate::keymap::{KeyMap, Plain};
use crate::memory::history::{PROBATION, Seen, last_chosen};

/// Items of a session that are kept, its first ones: a basket of a wholesaler has a hundred.
pub(crate) const SESSION_ITEMS: usize = 128;
/// The user's last items that are compared.
const QUERY_ITEMS: usize = 10;
/// Each step back in the user's session counts so much less.
const QUERY_FADE: f32 = 0.8;
/// An item so many places from the last common item counts a third.
const REACH: f32 = 4.0;

/// Farther away an item has no say: 4 % of what one beside it has.
const FARTHEST: usize = 12;
/// Spreads session numbers over a table that expects hashes for keys.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A session that shares items with the user's.
struct Alike {
    likeness: f32,
    number: u64,
    /// The newest of them in the user's.
    common: u64,
}

/// One remembered session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Session {
    /// Key of the user.
    pub(crate) user: UserKey,
    /// Event time of its last interaction.
    pub(crate) last_ts: i64,
    /// In the order of their first choice, each once.
    pub(crate) items: Vec<u64>,
}

impl Session {
    /// Whether an item was chosen in it; of one that outgrew its bound this can no longer be told, and counts as true.
    pub(crate) fn holds(&self, key: u64) -> bool {
        self.items.len() >= SESSION_ITEMS || self.items.contains(&key)
    }

    /// Whether a user's last choices still belong to it: no pause since its last one that it knows of.
    fn goes_on(&self, history: &[Seen], gap_ms: i64) -> bool {
        let mut last = self.last_ts;
        history.iter().filter(|seen| seen.kind.is_positive()).all(|seen| {
            let goes_on = seen.ts.saturating_sub(last) <= gap_ms;
            last = last.max(seen.ts);
            goes_on
        })
    }
}

/// How many sessions are remembered and compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// Sessions kept.
    pub(crate) sessions: usize,
    /// Sessions of one item that are looked at, the newest.
    pub(crate) per_item: usize,
    /// Nearest neighbours whose items count.
    pub(crate) neighbours: usize,
    /// A pause so long ends a session, in milliseconds.
    pub(crate) gap_ms: i64,
}

impl Bounds {
    /// Sessions of one item that are held where room is wanted.
    fn waiting(&self) -> usize {
        (self.sessions / PROBATION).max(1)
    }
}

/// The last sessions, by their numbers, which rise.
///
/// A session of one item says nothing of what goes together, so it waits apart and is compared with nobody; with its
/// second item it begins anew, under the next number. At the bound those of one item make room once they are more than
/// a quarter: a flood of visitors whom nobody sees again washes out itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    /// Of two items or more.
    kept: OrdMap<u64, Arc<Session>>,
    /// Of one item.
    waiting: OrdMap<u64, Arc<Session>>,
    /// Each user's last session, while it is held.
    of_user: KeyMap<UserKey, u64>,
    /// The newest of those kept that hold an item, rising. A function of these alone, so that no payload carries it.
    of_item: KeyMap<u64, Arc<Vec<u64>>>,
}

impl Sessions {
    /// Notes a choice in the user's session, or begins a new one; gives its number. A choice older than the session by
    /// more than a pause belongs to none that is held.
    pub(crate) fn note(&mut self, user: UserKey, key: u64, ts: i64, bounds: &Bounds) -> Option<u64> {
        let last = self.number_of(user);
        let before = last.and_then(|number| self.get(number));
        if before.is_some_and(|session| session.last_ts.saturating_sub(ts) > bounds.gap_ms) {
            return None;
        }
        let going_on = before.filter(|session| ts.saturating_sub(session.last_ts) <= bounds.gap_ms);
        let mut session = going_on.map_or_else(
            || Session { user, last_ts: ts, items: Vec::with_capacity(4) },
            |session| Session::clone(session),
        );
        let number = last.filter(|number| going_on.is_some() && self.kept.contains_key(number));
        session.last_ts = session.last_ts.max(ts);
        if session.items.len() < SESSION_ITEMS && !session.items.contains(&key) {
            session.items.push(key);
        }
        let number = match number {
            Some(number) => number,
            None if session.items.len() == 1 && going_on.is_some() => last?, // the same item again
            None => self.next(),
        };
        self.set(number, session, bounds);
        self.make_room(bounds);
        Some(number)
    }

    /// The highest number is held for as long as anything is, so that a restored table gives the same.
    fn next(&self) -> u64 {
        let highest = |sessions: &OrdMap<u64, Arc<Session>>| sessions.get_max().map(|(number, _)| *number);
        highest(&self.kept).max(highest(&self.waiting)).map_or(0, |highest| highest.saturating_add(1))
    }

    fn make_room(&mut self, bounds: &Bounds) {
        while self.len() > bounds.sessions.max(1) {
            if self.kept.is_empty() || self.waiting.len() > bounds.waiting() {
                self.forget_waiting();
            } else {
                self.forget_kept();
            }
        }
    }

    /// Forgets every session of users who are `gone`, by their keys.
    pub(crate) fn forget_users(&mut self, gone: impl Fn(UserKey) -> bool, bounds: &Bounds) {
        let numbers: Vec<u64> =
            self.iter().filter(|(_, session)| gone(session.user)).map(|(number, _)| number).collect();
        if numbers.is_empty() {
            return;
        }
        for number in numbers {
            if let Some(session) = self.kept.remove(&number).or_else(|| self.waiting.remove(&number)) {
                self.leave(session.user, number);
            }
        }
        self.reindex(bounds); // older ones of their items are among the newest again
    }

    fn forget_waiting(&mut self) {
        let Some((number, session)) = self.waiting.get_min().map(|(number, session)| (*number, Arc::clone(session)))
        else {
            return;
        };
        self.waiting.remove(&number);
        self.leave(session.user, number);
    }

    fn forget_kept(&mut self) {
        let Some((number, session)) = self.kept.get_min().map(|(number, session)| (*number, Arc::clone(session)))
        else {
            return;
        };
        self.kept.remove(&number);
        self.leave(session.user, number);
        for key in &session.items {
            let Some(numbers) = self.of_item.get_mut(key) else { continue };
            if numbers.first() == Some(&number) {
                if numbers.len() == 1 {
                    self.of_item.remove(key);
                } else {
                    Arc::make_mut(numbers).remove(0);
                }
            }
        }
    }

    fn leave(&mut self, user: UserKey, number: u64) {
        if self.of_user.get(&user) == Some(&number) {
            self.of_user.remove(&user);
        }
    }

    /// Keeps the newest `bound` of an item's sessions, whatever the order in which they took it up.
    fn index(&mut self, key: u64, number: u64, bound: usize) {
        let numbers = self.of_item.entry(key).or_default();
        let at = numbers.partition_point(|known| *known < number);
        if numbers.len() < bound {
            Arc::make_mut(numbers).insert(at, number);
        } else if at > 0 {
            let numbers = Arc::make_mut(numbers);
            numbers.insert(at, number);
            numbers.remove(0);
        }
    }

    /// Indexes every session anew, for another bound of an item's sessions.
    pub(crate) fn reindex(&mut self, bounds: &Bounds) {
        self.of_item = KeyMap::default();
        let kept = self.kept.clone();
        for (number, session) in &kept {
            session.items.iter().for_each(|key| self.index(*key, *number, bounds.per_item));
        }
    }

    /// The session that the user is in or was in last.
    pub(crate) fn number_of(&self, user: UserKey) -> Option<u64> {
        self.of_user.get(&user).copied()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Arc<Session>> {
        self.kept.get(&number).or_else(|| self.waiting.get(&number))
    }

    /// How many are held, those of one item among them.
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.waiting.len()
    }

    /// Numbers of the oldest session kept and of the oldest of one item: what is older is forgotten.
    pub(crate) fn first(&self) -> (u64, u64) {
        let first = |sessions: &OrdMap<u64, Arc<Session>>| sessions.get_min().map_or(0, |(number, _)| *number);
        (first(&self.kept), first(&self.waiting))
    }

    /// Event time up to which the session of a user of whom none is held may have been forgotten.
    pub(crate) fn forgotten_until(&self, bounds: &Bounds) -> i64 {
        if self.len() < bounds.sessions {
            return i64::MIN;
        }
        let oldest =
            |sessions: &OrdMap<u64, Arc<Session>>| sessions.get_min().map_or(i64::MIN, |(_, session)| session.last_ts);
        if self.waiting.len() < bounds.waiting() {
            oldest(&self.kept)
        } else {
            oldest(&self.kept).max(oldest(&self.waiting))
        }
    }

    /// Sessions with their numbers, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Session>)> {
        let mut all: Vec<_> =
            self.kept.iter().chain(self.waiting.iter()).map(|(number, session)| (*number, session)).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter()
    }

    /// The newest `count` sessions that are kept, newest first.
    pub(crate) fn newest(&self, count: usize) -> impl Iterator<Item = &Arc<Session>> {
        self.kept.iter().rev().take(count).map(|(_, session)| session)
    }

    /// Puts a session under its number, as `note` does and as a payload says, whose numbers rise. The user's last one
    /// goes if it is of one item: this one goes on with it, or it has ended and says nothing.
    pub(crate) fn set(&mut self, number: u64, session: Session, bounds: &Bounds) {
        if let Some(last) = self.of_user.insert(session.user, number)
            && last != number
        {
            self.waiting.remove(&last);
        }
        if session.items.len() < 2 {
            self.waiting.insert(number, Arc::new(session));
            return;
        }
        let known = self.kept.get(&number).map_or(0, |known| known.items.len());
        for key in session.items.iter().skip(known) {
            self.index(*key, number, bounds.per_item);
        }
        self.waiting.remove(&number);
        self.kept.insert(number, Arc::new(session));
    }

    /// Forgets the sessions before these numbers, as [`Sessions::first`] gives them.
    pub(crate) fn forget_before(&mut self, (kept, waiting): (u64, u64)) {
        while self.kept.get_min().is_some_and(|(number, _)| *number < kept) {
            self.forget_kept();
        }
        while self.waiting.get_min().is_some_and(|(number, _)| *number < waiting) {
            self.forget_waiting();
        }
    }

    /// What the nearest sessions held, each item with its share of all, 0 to 1. The user's own session is no neighbour;
    /// one that a pause has ended is, though it is not known yet that the next one began.
    pub(crate) fn neighbours(&self, user: UserKey, history: &[Seen], bounds: &Bounds) -> Plain<u64, f32> {
        let goes_on = |number: &u64| self.get(*number).is_some_and(|session| session.goes_on(history, bounds.gap_ms));
        let own = self.number_of(user).filter(goes_on);
        // The likeness of each session, and the place in the query of the last item they have in common.
        let mut alike: Plain<u64, Alike> = Plain::default();
        let mut weight = 1.0;
        for key in last_chosen(history, QUERY_ITEMS) {
            for number in self.of_item.get(&key).into_iter().flat_map(|numbers| numbers.iter()) {
                if Some(*number) != own {
                    let new = Alike { likeness: 0.0, number: *number, common: key };
                    alike.entry(number.wrapping_mul(SPREAD)).or_insert(new).likeness += weight;
                }
            }
            weight *= QUERY_FADE;
        }
        let mut nearest: Vec<(f32, u64, u64)> = Vec::with_capacity(alike.len());
        for Alike { likeness, number, common } in alike.into_values() {
            if let Some(session) = self.get(number) {
                #[allow(clippy::cast_precision_loss)] // at most 128
                let length = session.items.len() as f32;
                nearest.push((likeness / length.sqrt(), number, common));
            }
        }
        let order = |a: &(f32, u64, u64), b: &(f32, u64, u64)| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1));
        if nearest.len() > bounds.neighbours {
            nearest.select_nth_unstable_by(bounds.neighbours, order);
            nearest.truncate(bounds.neighbours);
        }
        nearest.sort_unstable_by(order); // sums of floats depend on their order
        let mut shares: Plain<u64, f32> = Plain::default();
        let mut total = 0.0;
        for (likeness, number, common) in nearest {
            let Some(session) = self.get(number) else { continue };
            let at = session.items.iter().position(|key| *key == common).unwrap_or(0);
            let reach = at.saturating_sub(FARTHEST)..session.items.len().min(at + FARTHEST + 1);
            for n in reach {
                let key = &session.items[n];
                if *key == common {
                    continue;
                }
                #[allow(clippy::cast_precision_loss)] // at most 12
                let near = (-(n.abs_diff(at) as f32) / REACH).exp();
                let vote = likeness * near * if n > at { 1.0 } else { 0.6 };
                *shares.entry(*key).or_default() += vote;
                total += vote;
            }
        }
        if total > 0.0 {
            shares.values_mut().for_each(|share| *share /= total);
        }
        shares
    }
}

#[cfg(test)]
mod tests;
