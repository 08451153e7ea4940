//! Sessions so far, found by the items that they hold: what the baselines that ask neighbours share.

use std::cmp::Ordering;
use std::collections::VecDeque;

use schemas::UserKey;

use super::{Choice, ITEMS, Recent, USERS, recent};
use crate::keymap::Plain;

/// Sessions remembered for each item, the latest.
const SESSIONS_OF_ITEM: usize = 500;
/// Items of a session remembered, the latest.
const ITEMS_OF_SESSION: usize = 50;

/// See the file's first line. It is kept up to date with each choice.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Each session's distinct items, oldest first.
    items: Recent<UserKey, VecDeque<u64>>,
    of_item: Recent<u64, OfItem>,
    /// Choices so far.
    time: u64,
    /// Items that sessions held so far, each as often as sessions held it.
    held: u64,
}

/// The sessions of an item.
#[derive(Debug, Default)]
struct OfItem {
    /// With the time of the choice, latest last.
    latest: VecDeque<(UserKey, u64)>,
    /// All there ever were.
    count: u64,
}

/// A session that shares an item with the current one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbour {
    pub(super) session: UserKey,
    /// When it last chose an item of the current session.
    time: u64,
    pub(super) likeness: f32,
    /// Steps back to the latest item in common.
    pub(super) steps: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { items: recent(USERS), of_item: recent(ITEMS), time: 0, held: 0 }
    }
}

impl Sessions {
    /// The `k` nearest of the `sample` latest sessions that share an item with `session`, whose distinct items are
    /// `looked_at`, latest first, each with what it counts; in a fixed order.
    pub(super) fn nearest(
        &self,
        session: UserKey,
        looked_at: &[(u64, f32)],
        sample: usize,
        k: usize,
    ) -> Vec<Neighbour> {
        let mut found = Plain::<UserKey, Neighbour>::default();
        for (steps, (key, weight)) in looked_at.iter().enumerate() {
            for (other, time) in self.of_item.peek(key).into_iter().flat_map(|of_item| &of_item.latest) {
                if *other != session {
                    let fresh = Neighbour { session: *other, time: *time, likeness: 0.0, steps };
                    let neighbour = found.entry(*other).or_insert(fresh);
                    neighbour.likeness += weight;
                    neighbour.time = neighbour.time.max(*time);
                }
            }
        }
        let mut neighbours: Vec<Neighbour> = found.into_values().collect();
        keep(&mut neighbours, sample, |a, b| b.time.cmp(&a.time).then(a.session.cmp(&b.session)));
        let nearest = |a: &Neighbour, b: &Neighbour| {
            b.likeness.total_cmp(&a.likeness).then(b.time.cmp(&a.time)).then(a.session.cmp(&b.session))
        };
        keep(&mut neighbours, k, nearest);
        // Sums of floats depend on their order, so it is a fixed one.
        neighbours.sort_unstable_by(nearest);
        neighbours
    }

    /// The items of a session.
    pub(super) fn items(&self, session: UserKey) -> impl Iterator<Item = u64> + '_ {
        self.items.peek(&session).into_iter().flatten().copied()
    }

    /// How rare an item is: the natural logarithm of all that sessions held over how many held it, as Serenade's index
    /// has it (the Java and Python of its experiments count sessions above the line, too); 1 while there is but one
    /// item.
    #[allow(clippy::cast_precision_loss)] // counts
    pub(super) fn rarity(&self, key: u64) -> f32 {
        let of_item = self.of_item.peek(&key).map_or(1, |of_item| of_item.count.max(1));
        let rarity = (self.held.max(1) as f32 / of_item as f32).ln();
        if rarity > 0.0 { rarity } else { 1.0 }
    }

    pub(super) fn learn(&mut self, choice: &Choice<'_>) {
        self.time += 1;
        let session = self.items.get_or_insert_mut(choice.user, VecDeque::new);
        let old = session.iter().position(|key| *key == choice.key);
        old.map(|at| session.remove(at));
        session.push_back(choice.key);
        if session.len() > ITEMS_OF_SESSION {
            session.pop_front();
        }
        let of_item = self.of_item.get_or_insert_mut(choice.key, OfItem::default);
        of_item.count += u64::from(old.is_none());
        self.held += u64::from(old.is_none());
        let sessions = &mut of_item.latest;
        // A session that comes back to an item stands among its latest again, once.
        if let Some(at) = sessions.iter().rev().take(8).position(|(session, _)| *session == choice.user) {
            sessions.remove(sessions.len() - 1 - at);
        }
        sessions.push_back((choice.user, self.time));
        if sessions.len() > SESSIONS_OF_ITEM {
            sessions.pop_front();
        }
    }
}

/// Keeps the first `k` by `order`, in no order.
fn keep<T>(list: &mut Vec<T>, k: usize, order: impl Fn(&T, &T) -> Ordering) {
    if list.len() > k {
        list.select_nth_unstable_by(k, order);
        list.truncate(k);
    }
}
