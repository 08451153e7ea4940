//! Everything learned, as one value: what a version is made of, for the trainer and the scorer alike.
//!
//! A clone shares all tables with its origin, so it is a version (I5). The trainer keeps writing to its own value while
//! another thread encodes the clone, and a scorer serves one version while it prepares the next. A frozen delta is the
//! exception: it copies the items that changed.

mod ask;
mod content;
mod read;
mod restore;
mod users;

use std::sync::Arc;

use imbl::OrdSet;
use schemas::UserKey;

use crate::device::Device;
use crate::keymap::KeyMap;
use crate::memory::covisitation::{self, Covisitation};
use crate::memory::history::Seen;
use crate::memory::influence::Influence;
use crate::memory::popularity::{Clock, Counters, HALF_LIVES, NEVER, Popular, Popularity, log2_add};
use crate::memory::repeats::Repurchases;
use crate::memory::sessions::Sessions;
use crate::network::dense;
use crate::network::encoder::Encoder;
use crate::ranking::ranker::Ranker;
use crate::settings::Settings;
use crate::table::items::{Entry, Items, PROVEN};
use crate::table::rows::RowEncoding;

pub(crate) use restore::Counted;

/// How many of the newest items are kept at hand for the `new` lists, and as many again that one user alone chose.
const NEWEST: usize = 1_000;

/// A trained row of a content feature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContentRow {
    pub(crate) row: Vec<f32>,
    pub(crate) accumulator: f32,
}

/// Everything learned up to one moment.
#[derive(Debug, Clone)]
pub struct Knowledge {
    settings: Arc<Settings>,
    device: Device,
    clock: Clock,
    items: Items,
    content: KeyMap<u64, Arc<ContentRow>>,
    covisitation: Covisitation,
    sessions: Sessions,
    repurchases: Repurchases,
    popular: Popular,
    /// By when they were first met, of what is proven.
    newest: OrdSet<(i64, u64)>,
    /// The same of what one user alone chose and the shop did not list: whoever invents ids floods this, and nothing
    /// else.
    unproven: OrdSet<(i64, u64)>,
    /// On the plain device: for inference only.
    encoder: Encoder,
    ranker: Ranker,
    /// Event time of the newest interaction.
    now: i64,
    /// Interactions ever applied.
    interactions: u64,
    /// Tells the secret that users' keys are made with.
    known_by: Option<Arc<str>>,
}

impl Knowledge {
    pub(crate) fn new(settings: Arc<Settings>, device: Device, origin: i64) -> Self {
        let encoder = dense::seeded(&device, settings.seed, || Encoder::new(&settings, &device));
        let ranker = dense::seeded(&device, settings.seed, || Ranker::new(&device));
        Self::with(settings, device, origin, (encoder, ranker))
    }

    /// Knows nothing, with a network that is there.
    fn with(settings: Arc<Settings>, device: Device, origin: i64, (encoder, ranker): (Encoder, Ranker)) -> Self {
        Self {
            clock: Clock::new(origin, settings.popularity_half_lives_s),
            items: Items::new(settings.dim, settings.retrieval_items),
            content: KeyMap::default(),
            covisitation: Covisitation::default(),
            sessions: Sessions::default(),
            repurchases: Repurchases::default(),
            popular: Popular::default(),
            newest: OrdSet::new(),
            unproven: OrdSet::new(),
            encoder,
            ranker,
            now: origin,
            interactions: 0,
            known_by: None,
            device,
            settings,
        }
    }

    /// Knows nothing, has this network, and holds vectors as this one does.
    pub(crate) fn blank(&self, settings: Arc<Settings>, origin: i64, network: (Encoder, Ranker)) -> Self {
        let blank = Self::with(settings, self.device.clone(), origin, network);
        match self.items.served_in() {
            Some(table) => blank.serving(table),
            None => blank,
        }
    }

    /// The same, before anything is known, with a table that only serves.
    pub(crate) fn serving(mut self, table: RowEncoding) -> Self {
        self.items = Items::serving(self.settings.dim, self.settings.retrieval_items, table);
        self
    }

    /// Goes on under other settings of the same shape.
    pub(crate) fn set_settings(&mut self, settings: Arc<Settings>) {
        self.items.set_hot(settings.retrieval_items);
        let bounds = settings.session_bounds();
        if bounds.per_item != self.settings.session_bounds().per_item {
            self.sessions.reindex(&bounds);
        }
        self.settings = settings;
    }

    /// Puts a new item into the table and the `newest` list. Gives its slot and the item that made room in the
    /// hot set.
    pub(crate) fn insert(&mut self, entry: Entry) -> (u32, Option<u64>) {
        let key = entry.key;
        let slot = self.items.insert(entry);
        let place = self.items.promote(slot);
        self.note_arrival(key);
        place
    }

    /// Puts an item among the newest, once it is in the table and each time that more is known of who chose it.
    pub(crate) fn note_arrival(&mut self, key: u64) {
        let Some(entry) = self.items.get(key) else { return };
        let at = (entry.first_ts, key);
        let (into, from) = if entry.is_proven() {
            (&mut self.newest, &mut self.unproven)
        } else {
            (&mut self.unproven, &mut self.newest)
        };
        from.remove(&at);
        if into.len() >= NEWEST && into.get_min().is_some_and(|least| at < *least) {
            return; // most choices are of older items
        }
        into.insert(at);
        if into.len() > NEWEST {
            into.remove_min();
        }
    }

    /// Forgets an item everywhere.
    pub(crate) fn remove(&mut self, key: u64) {
        if let Some(entry) = self.items.remove(key) {
            self.popular.remove(key, &entry.popularity());
            self.newest.remove(&(entry.first_ts, key));
            self.unproven.remove(&(entry.first_ts, key));
        }
        self.covisitation.remove(key);
    }

    /// Goes over to other half-lives of popularity: every count stays what it is at this moment.
    pub(crate) fn set_half_lives(&mut self, half_lives_s: [f64; HALF_LIVES]) {
        let clock = Clock::new(self.clock.origin, half_lives_s);
        if clock == self.clock {
            return;
        }
        let (old, new) = (self.clock.exponents(self.now), clock.exponents(self.now));
        let moved = |counters: &Counters| std::array::from_fn(|h| counters[h] - old[h] + new[h]);
        self.clock = clock;
        let totals = moved(&self.popular.totals);
        self.popular = Popular::default();
        self.popular.totals = totals;
        let slots: Vec<u32> = self.items.keys().filter_map(|key| self.items.slot(key)).collect();
        for slot in slots {
            let popular = &mut self.popular;
            self.items.update(slot, |entry| {
                let never = Popularity { counters: [NEVER; HALF_LIVES], ..entry.popularity() };
                entry.counters = moved(&entry.counters);
                popular.update(entry.key, &never, &entry.popularity());
            });
        }
    }

    /// Takes an item for more than one user's invention, for the shop lists it; names the item that made room for it in
    /// the hot set.
    pub(crate) fn prove(&mut self, slot: u32) -> Option<u64> {
        let popular = &mut self.popular;
        self.items.update(slot, |entry| {
            let old = entry.popularity();
            entry.chosen_by = PROVEN;
            popular.update(entry.key, &old, &entry.popularity());
        });
        self.items.promote(slot).1
    }

    /// Has another network from now on.
    pub(crate) fn set_network(&mut self, (encoder, ranker): (Encoder, Ranker)) {
        (self.encoder, self.ranker) = (encoder, ranker);
    }

    /// Counts time from this moment; before anything is counted.
    pub(crate) fn set_origin(&mut self, origin: i64) {
        self.clock.origin = origin;
    }

    /// One interaction more, at its time.
    pub(crate) fn advance(&mut self, ts: i64) {
        self.interactions += 1;
        self.now = self.now.max(ts);
    }

    /// Lets go of the items: of a version that has those that it carries beside it.
    pub(crate) fn drop_items(&mut self) {
        self.items = self.items.blank();
    }

    /// Notes a choice in the user's session.
    pub(crate) fn note_session(&mut self, user: UserKey, key: u64, ts: i64) {
        self.sessions.note(user, key, ts, &self.settings.session_bounds());
    }

    /// Counts a purchase of an item in these categories, so many milliseconds after the same user had bought it last;
    /// gives the keys of what changed.
    pub(crate) fn note_purchase(&mut self, categories: &[u64], gap_ms: Option<i64>) -> Vec<u64> {
        self.repurchases.note(categories, gap_ms)
    }

    /// Counts a user's choice of an item, as often as its weight and influence say; names the item that made room for
    /// it in the hot set.
    pub(crate) fn count(
        &mut self,
        slot: u32,
        user: UserKey,
        ts: i64,
        (weight, influence): (f32, &Influence),
    ) -> Option<u64> {
        let exponents = self.clock.exponents_of(ts, influence.popularity.map(|share| weight * share));
        for (total, t) in self.popular.totals.iter_mut().zip(exponents) {
            *total = log2_add(*total, t);
        }
        let popular = &mut self.popular;
        self.items.update(slot, |entry| {
            let old = entry.popularity();
            entry.counters.iter_mut().zip(exponents).for_each(|(counter, t)| *counter = log2_add(*counter, t));
            entry.choose(user);
            entry.sightings = entry.sightings.saturating_add(1);
            entry.repeated = entry.repeated.saturating_add(u32::from(!influence.first));
            entry.last_ts = entry.last_ts.max(ts);
            popular.update(entry.key, &old, &entry.popularity());
        });
        self.items.promote(slot).1
    }

    /// Pairs a chosen item with the items chosen before it, nearest first, `weight` times; gives these and how near
    /// each was.
    pub(crate) fn pair(&mut self, history: &[Seen], choice: &Seen, weight: f32) -> Vec<(u64, f32)> {
        // An item that went has no neighbours any more: nobody would remove them again.
        let before = history.iter().rev().filter(|seen| self.knows(seen));
        let pairs: Vec<_> = covisitation::nearness(choice, weight, before, self.settings.covisitation_window).collect();
        self.add_pairs(choice.key, choice.ts, &pairs);
        pairs
    }

    /// Adds the pairs of a choice, nearest first.
    pub(crate) fn add_pairs(&mut self, key: u64, ts: i64, pairs: &[(u64, f32)]) {
        let memory = self.settings.pair_memory();
        for (distance, (earlier, near)) in pairs.iter().enumerate() {
            let (there, back) = covisitation::gains(distance, *near);
            self.covisitation.add(*earlier, key, there, ts, &memory);
            self.covisitation.add(key, *earlier, back, ts, &memory);
        }
    }
}
