//! From a payload: tables as they were written, each value as it is.

use schemas::UserKey;

use super::Knowledge;
use crate::memory::covisitation::Neighbours;
use crate::memory::popularity::Counters;
use crate::memory::repeats::Repurchase;
use crate::memory::sessions::Session;
use crate::table::items::{Entry, Moved, RowRef};

/// What was counted of an item, as a payload carries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) counters: Counters,
    pub(crate) sightings: u32,
    pub(crate) repeated: u32,
    /// The key of the one user who chose it, or [`PROVEN`](crate::table::items::PROVEN).
    pub(crate) chosen_by: UserKey,
    pub(crate) last_ts: i64,
}

impl Knowledge {
    /// Stands at this time, after so many interactions.
    pub(crate) fn stand_at(&mut self, now: i64, interactions: u64) {
        (self.now, self.interactions) = (now, interactions);
    }

    /// Puts a new item into the slot that it has in the trainer's table; false when another item is there.
    pub(crate) fn insert_at(&mut self, slot: u32, entry: Entry) -> bool {
        self.items.insert_at(slot, entry)
    }

    /// Takes an item out of its slot, to be put elsewhere.
    pub(crate) fn lift(&mut self, key: u64) -> Option<(Entry, Moved)> {
        self.items.lift(key)
    }

    /// Puts what was lifted into a slot; false when another item is there.
    pub(crate) fn put_at(&mut self, slot: u32, lifted: (Entry, Moved)) -> bool {
        self.items.put_at(slot, lifted)
    }

    /// Sets what was counted of an item, and its place among the popular.
    pub(crate) fn restore_counts(&mut self, slot: u32, counted: Counted) {
        let popular = &mut self.popular;
        self.items.update(slot, |entry| {
            let old = entry.popularity();
            entry.counters = counted.counters;
            entry.sightings = counted.sightings;
            entry.repeated = counted.repeated;
            entry.chosen_by = counted.chosen_by;
            popular.update(entry.key, &old, &entry.popularity());
            entry.last_ts = counted.last_ts;
        });
    }

    /// Sets an item's row, and its unit vector.
    pub(crate) fn restore_row(&mut self, slot: u32, row: RowRef<'_>) {
        self.items.restore_row(slot, row);
    }

    /// The same where row and content are given as one.
    pub(crate) fn restore_sum(&mut self, slot: u32, sum: RowRef<'_>) {
        self.items.restore_sum(slot, sum);
    }

    /// Sets the totals that counters are shares of.
    pub(crate) fn restore_totals(&mut self, totals: Counters) {
        self.popular.totals = totals;
    }

    /// Sets an item's neighbours.
    pub(crate) fn restore_pairs(&mut self, key: u64, neighbours: Neighbours) {
        self.covisitation.set(key, neighbours);
    }

    /// Forgets an item's neighbours.
    pub(crate) fn forget_pairs(&mut self, key: u64) {
        self.covisitation.remove(key);
    }

    /// Puts a session under its number.
    pub(crate) fn restore_session(&mut self, number: u64, session: Session) {
        self.sessions.set(number, session, &self.settings.session_bounds());
    }

    /// Forgets the sessions before these numbers, as [`Sessions::first`](crate::memory::sessions::Sessions::first)
    /// gives them.
    pub(crate) fn forget_sessions_before(&mut self, first: (u64, u64)) {
        self.sessions.forget_before(first);
    }

    /// Sets how soon what is of a category is bought again.
    pub(crate) fn restore_repurchase(&mut self, category: u64, of: Repurchase) {
        self.repurchases.set(category, of);
    }
}
