//! Deterministic clicks in a small shop with a clear structure: what comes after an item is nearly always the next one.
//!
//! Six aisles of ten items; a visit walks along one aisle. All items are about as popular, so popularity finds the next
//! item in its 20 of 60 one time out of three, and whoever learned the aisles nearly always.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::{Event, EventType, Item, Timestamp};

const AISLES: u32 = 6;
const SHELVES: u32 = 10;

/// An endless stream of events in the order of their times.
#[derive(Debug)]
pub struct Traffic {
    chance: ChaCha8Rng,
    users: u32,
    clock: i64,
    step: i64,
    sent: u64,
    visit: Option<Visit>,
}

#[derive(Debug)]
struct Visit {
    user: String,
    aisle: u32,
    shelf: u32,
    left: u32,
}

impl Traffic {
    /// `start`: the time of the first event, milliseconds since 1970; each is 100 ms after the one before.
    #[must_use]
    pub fn new(seed: u64, start: i64) -> Self {
        Self { chance: ChaCha8Rng::seed_from_u64(seed), users: 40, clock: start, step: 100, sent: 0, visit: None }
    }

    /// The same with another number of users.
    #[must_use]
    pub fn with_users(mut self, users: u32) -> Self {
        self.users = users;
        self
    }

    /// The same with so many milliseconds between two events: what is sent for long must not run ahead of the clock.
    #[must_use]
    pub fn with_step(mut self, step: i64) -> Self {
        self.step = step;
        self
    }

    /// The shop's catalog; an aisle is a category.
    #[must_use]
    pub fn catalog() -> Vec<Item> {
        let item = |aisle: u32, shelf: u32| Item {
            item_id: item_id(aisle, shelf),
            title: format!("item {shelf} of aisle {aisle}"),
            categories: vec![format!("aisle-{aisle}")],
            brand: None,
            price: Some(f64::from(shelf) + 1.0),
            published_at: None,
            available: true,
            attributes: Default::default(),
        };
        (0..AISLES).flat_map(|aisle| (0..SHELVES).map(move |shelf| item(aisle, shelf))).collect()
    }

    /// The next `number` events.
    #[must_use]
    pub fn take(&mut self, number: usize) -> Vec<Event> {
        (0..number).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Event {
        let visit = match self.visit.take() {
            Some(visit) => visit,
            None => Visit {
                user: format!("u{}", self.chance.random_range(0..self.users)),
                aisle: self.chance.random_range(0..AISLES),
                shelf: self.chance.random_range(0..SHELVES),
                left: self.chance.random_range(4..9),
            },
        };
        self.clock += self.step;
        self.sent += 1;
        let kind = if self.chance.random_bool(0.1) { EventType::Cart } else { EventType::View };
        let event = click(&visit.user, &item_id(visit.aisle, visit.shelf), kind, self.clock, format!("e{}", self.sent));
        let astray = self.chance.random_bool(0.1);
        let shelf = if astray { self.chance.random_range(0..SHELVES) } else { (visit.shelf + 1) % SHELVES };
        self.visit = (visit.left > 0).then(|| Visit { shelf, left: visit.left - 1, ..visit });
        event
    }
}

fn item_id(aisle: u32, shelf: u32) -> String {
    format!("i{aisle}{shelf}")
}

/// One event, with every field that tests look at.
#[must_use]
pub fn click(user: &str, item: &str, kind: EventType, ts: i64, event_id: String) -> Event {
    Event {
        event_id: Some(event_id),
        kind,
        user_id: user.to_owned(),
        session_id: None,
        item_id: item.to_owned(),
        ts: Timestamp(ts),
        value: None,
        items: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_events_and_every_id_once() {
        let events = Traffic::new(7, 0).take(500);
        assert_eq!(events, Traffic::new(7, 0).take(500));
        assert_ne!(events, Traffic::new(8, 0).take(500));
        let ids: std::collections::BTreeSet<_> = events.iter().map(|event| &event.event_id).collect();
        assert_eq!(ids.len(), 500);
    }
}
