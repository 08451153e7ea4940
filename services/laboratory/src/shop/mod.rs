//! A seeded synthetic shop: traffic with something to learn in it, for the demo without a file.
//!
//! What it has: two-level categories, brands, log-normal prices; popularity by Zipf's law; users with tastes that
//! drift; visits that either compare alternatives or collect what goes together; the view → cart → purchase
//! funnel; likes, dislikes and impressions; new items; items that become hot for a while. The same seed, settings
//! and times give the same stream. The cost of an event does not depend on the size of the catalog.

mod bad;
mod catalog;
mod chance;
mod people;
mod visit;
mod words;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use schemas::{Event, EventType, Item, Timestamp};

pub use bad::{BAD_USERS, BadEvent, BadLimits, Fate, bad_events};

use catalog::Catalog;
use people::People;
use visit::{Deed, Surroundings, Visit};

/// Sizes and paces of the shop. Paces count events, not time, so that a faster replay gives the same stream.
#[derive(Debug, Clone, PartialEq)]
pub struct ShopSettings {
    /// Items at the opening; at least one for each of the 50 categories.
    pub items: usize,
    /// The catalog never grows beyond this.
    pub items_limit: usize,
    /// Users.
    pub users: usize,
    /// Visits going on at the same time, interleaved. At 1,000 events/s and 400 visits a user acts every 0.4 s.
    pub visits: usize,
    /// Mean views in a visit.
    pub mean_views: f64,
    /// How likely a user's taste has changed since the last visit, 0 to 1.
    pub drift: f64,
    /// Events between two new items; 0 for none.
    pub new_item_every: u64,
    /// Items that are hot at the same time.
    pub hot_items: usize,
    /// Events for which an item stays hot.
    pub hot_for: u64,
}

impl Default for ShopSettings {
    fn default() -> Self {
        Self {
            items: 3_000,
            items_limit: 50_000,
            users: 4_000,
            visits: 400,
            mean_views: 8.0,
            drift: 0.08,
            new_item_every: 400,
            hot_items: 3,
            hot_for: 15_000,
        }
    }
}

/// What happens next in the shop.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A user did something: to the topic `events`.
    Event(Event),
    /// An item arrived: to the topic `items`.
    NewItem(Item),
}

/// The shop, open.
#[derive(Debug, Clone)]
pub struct Shop {
    settings: ShopSettings,
    rng: ChaCha8Rng,
    catalog: Catalog,
    people: People,
    visits: Vec<Visit>,
    visits_begun: u64,
    events: u64,
    arrivals: u64,
    /// Item and the event count at which it cools down.
    hot: Vec<(u32, u64)>,
    hot_now: Vec<u32>,
    label: String,
    run: String,
}

impl Shop {
    /// Opens the shop at `now` (milliseconds since 1970): its catalog is there, nobody has come yet.
    #[must_use]
    pub fn new(settings: ShopSettings, seed: u64, now: i64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let catalog = Catalog::new(settings.items, now, &mut rng);
        let people = People::new(settings.users, &catalog, &mut rng);
        Self {
            rng,
            catalog,
            people,
            visits: Vec::new(),
            visits_begun: 0,
            events: 0,
            arrivals: 0,
            hot: Vec::new(),
            hot_now: Vec::new(),
            label: format!("synthetic shop, seed {seed}"),
            // Two runs against one broker must not drop each other's events as repeats.
            run: format!("shop{seed}.{now:x}"),
            settings,
        }
    }

    /// What reports call this traffic.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Every item so far, arrivals included.
    #[must_use]
    pub fn catalog(&self) -> &[Item] {
        self.catalog.items()
    }

    /// Events made so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// What happens next, at `now` (milliseconds since 1970).
    pub fn next(&mut self, now: i64) -> Action {
        let due = self.events.checked_div(self.settings.new_item_every).unwrap_or(0);
        if due > self.arrivals && self.catalog.items().len() < self.settings.items_limit {
            self.arrivals += 1;
            return Action::NewItem(self.catalog.arrive(now, &mut self.rng));
        }
        self.warm();
        Action::Event(self.event(now))
    }

    /// Lets hot items cool down and others take their place.
    fn warm(&mut self) {
        let before = self.hot.len();
        self.hot.retain(|(_, until)| *until > self.events);
        let mut changed = self.hot.len() != before;
        while self.hot.len() < self.settings.hot_items {
            // Spread from the start, so that they do not all change at once.
            let share = if self.events == 0 { (self.hot.len() + 1) as u64 } else { self.settings.hot_items as u64 };
            let lasts = (self.settings.hot_for * share / self.settings.hot_items as u64).max(1);
            self.hot.push((self.catalog.anything(&mut self.rng), self.events + lasts));
            changed = true;
        }
        if changed {
            self.hot_now = self.hot.iter().map(|(item, _)| *item).collect();
        }
    }

    fn event(&mut self, now: i64) -> Event {
        let wanted = self.settings.visits.clamp(1, self.settings.users.max(1));
        loop {
            while self.visits.len() < wanted {
                match self.people.enter(self.settings.drift, &self.catalog, &mut self.rng) {
                    Some(user) => {
                        self.visits_begun += 1;
                        let mean = self.settings.mean_views;
                        self.visits.push(Visit::new(user, self.visits_begun, mean, &mut self.rng));
                    }
                    None => break,
                }
            }
            let at = rand::RngExt::random_range(&mut self.rng, 0..self.visits.len());
            let mut around =
                Surroundings { catalog: &self.catalog, people: &self.people, hot: &self.hot_now, rng: &mut self.rng };
            let visit = &mut self.visits[at];
            if let Some(deed) = visit.step(&mut around) {
                let (user, number) = (visit.user, visit.number);
                return self.spell(deed, user, number, now);
            }
            let over = self.visits.swap_remove(at);
            self.people.leave(over.user);
        }
    }

    fn spell(&mut self, deed: Deed, user: u32, visit: u64, now: i64) -> Event {
        self.events += 1;
        let priced = matches!(deed.kind, EventType::View | EventType::Cart | EventType::Purchase);
        Event {
            event_id: Some(format!("{}/{}", self.run, self.events)),
            kind: deed.kind,
            user_id: format!("u{user}"),
            session_id: Some(format!("s{visit}")),
            item_id: self.catalog.id(deed.item).to_owned(),
            ts: Timestamp(now),
            value: priced.then(|| self.catalog.price(deed.item)),
            items: deed.shown.iter().map(|item| self.catalog.id(*item).to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
