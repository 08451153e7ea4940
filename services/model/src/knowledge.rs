//! Everything learned, as one value: what a version is made of, for the trainer and the scorer alike.
//!
//! A clone shares all tables with its origin, so it is a version: the trainer keeps writing to its own while another
//! thread encodes the clone (the items of a delta apart), and a scorer serves one while it prepares the next (I5).

use std::sync::Arc;

use imbl::OrdSet;

use crate::device::Device;
use crate::keymap::KeyMap;
use crate::memory::covisitation::{self, Covisitation};
use crate::memory::history::Seen;
use crate::memory::popularity::{Clock, Counters, HALF_LIVES, NEVER, Popular, Popularity, log2_add};
use crate::memory::repeats::Repurchases;
use crate::memory::sessions::Sessions;
use crate::network::dense;
use crate::network::encoder::{Arranged, Encoder};
use crate::ranking::features::FEATURES;
use crate::ranking::query::Candidate;
use crate::ranking::ranker::Ranker;
use crate::settings::Settings;
use crate::table::items::{Entry, Items, PROVEN};
use crate::table::rows::RowEncoding;

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
    pub(crate) settings: Arc<Settings>,
    pub(crate) device: Device,
    pub(crate) clock: Clock,
    pub(crate) items: Items,
    pub(crate) content: KeyMap<Arc<ContentRow>>,
    pub(crate) covisitation: Covisitation,
    pub(crate) sessions: Sessions,
    pub(crate) repurchases: Repurchases,
    pub(crate) popular: Popular,
    /// By when they were first met, of what is proven.
    pub(crate) newest: OrdSet<(i64, u64)>,
    /// The same of what one user alone chose and the shop did not list: whoever invents ids floods this, and nothing else.
    pub(crate) unproven: OrdSet<(i64, u64)>,
    /// On the plain device: for inference only.
    pub(crate) encoder: Encoder,
    pub(crate) ranker: Ranker,
    /// Event time of the newest interaction.
    pub(crate) now: i64,
    /// Interactions ever applied.
    pub(crate) interactions: u64,
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
            device,
            settings,
        }
    }

    /// Knows nothing, has this network, and holds vectors as this one does.
    pub(crate) fn blank(&self, settings: Arc<Settings>, origin: i64, network: (Encoder, Ranker)) -> Self {
        let blank = Self::with(settings, self.device.clone(), origin, network);
        match self.items.table() {
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
        self.items.set_front(settings.retrieval_items);
        let bounds = settings.session_bounds();
        if bounds.per_item != self.settings.session_bounds().per_item {
            self.sessions.reindex(&bounds);
        }
        self.settings = settings;
    }

    /// Bytes that the table of items takes for vectors and rows.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.items.row_bytes()
    }

    /// How many items are known.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// How many items have neighbours.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.covisitation.len()
    }

    /// Whether it is the choice of an item in the table: only from such is learned, and only by such is a user encoded.
    pub(crate) fn knows(&self, seen: &Seen) -> bool {
        seen.kind.is_positive() && self.items.slot(seen.key).is_some()
    }

    /// Puts a new item into the table and the `newest` list. Gives its slot and the item that made room in the
    /// front of the table.
    pub(crate) fn insert(&mut self, entry: Entry) -> (u32, Option<u64>) {
        let key = entry.key;
        let slot = self.items.insert(entry);
        let place = self.items.promote(slot);
        self.note_arrival(key);
        place
    }

    /// The same, into the slot that the item has in the trainer's table; false when another item is there.
    pub(crate) fn insert_at(&mut self, slot: u32, entry: Entry) -> bool {
        self.items.insert_at(slot, entry)
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

    /// The sum of an item's content rows over the root of their number; `None` when it has no content.
    pub(crate) fn content_sum(&self, features: &[u64]) -> Option<Vec<f32>> {
        if features.is_empty() {
            return None;
        }
        let mut sum = vec![0.0; self.items.dim()];
        for row in features.iter().filter_map(|feature| self.content.get(feature)) {
            sum.iter_mut().zip(&row.row).for_each(|(s, x)| *s += x);
        }
        #[allow(clippy::cast_precision_loss)] // at most 24
        let scale = (features.len() as f32).sqrt().recip();
        sum.iter_mut().for_each(|s| *s *= scale);
        Some(sum)
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

    /// Takes an item for more than one user's invention, for the shop lists it; names the item that made room for it in the
    /// front of the table.
    pub(crate) fn prove(&mut self, slot: u32) -> Option<u64> {
        let popular = &mut self.popular;
        self.items.update(slot, |entry| {
            let old = entry.popularity();
            entry.chosen_by = PROVEN;
            popular.update(entry.key, &old, &entry.popularity());
        });
        self.items.promote(slot).1
    }

    /// Counts a user's choice of an item, `weight` times; names the item that made room for it in the front of the table.
    pub(crate) fn count(&mut self, slot: u32, user: u64, ts: i64, weight: f32) -> Option<u64> {
        let exponents = self.clock.exponents_of(ts, weight);
        for (total, t) in self.popular.totals.iter_mut().zip(exponents) {
            *total = log2_add(*total, t);
        }
        let popular = &mut self.popular;
        self.items.update(slot, |entry| {
            let old = entry.popularity();
            entry.counters.iter_mut().zip(exponents).for_each(|(counter, t)| *counter = log2_add(*counter, t));
            entry.choose(user);
            entry.sightings = entry.sightings.saturating_add(1);
            entry.last_ts = entry.last_ts.max(ts);
            popular.update(entry.key, &old, &entry.popularity());
        });
        self.items.promote(slot).1
    }

    /// Pairs a chosen item with the items chosen before it, nearest first, `weight` times; gives these and how near each was.
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

    /// Encodes users by their histories; a history without a known item gives zeros.
    ///
    /// # Shapes
    /// - output: `[histories, dim]` in row order, unit vectors
    pub(crate) fn encode(&self, histories: &[(&[Seen], i64)]) -> Vec<f32> {
        let dim = self.items.dim();
        // As in training: what is not in the table is not in the history.
        let histories: Vec<(Vec<Seen>, i64)> = histories
            .iter()
            .map(|(history, now)| {
                let newest_first = history.iter().rev().filter(|seen| self.knows(seen));
                let mut newest: Vec<Seen> = newest_first.take(self.settings.history).copied().collect();
                newest.reverse();
                (newest, *now)
            })
            .collect();
        let views: Vec<(&[Seen], i64)> = histories.iter().map(|(history, now)| (history.as_slice(), *now)).collect();
        let arranged = Arranged::new(&views, self.settings.history);
        if arranged.length == 0 {
            return vec![0.0; histories.len() * dim];
        }
        let mut vectors = vec![0.0_f32; arranged.keys.len() * dim];
        for (vector, key) in vectors.chunks_exact_mut(dim).zip(&arranged.keys) {
            if let Some(slot) = key.and_then(|key| self.items.slot(key)) {
                vector.copy_from_slice(&self.items.vector(slot));
            }
        }
        self.encoder.encode(vectors, &arranged, &self.device)
    }

    /// Scores the candidates of a batch in one pass of the ranker.
    pub(crate) fn score(&self, lists: &[Vec<Candidate>]) -> Vec<Vec<f32>> {
        self.ranker.score(lists, &self.device)
    }

    /// What each feature adds to the score of each candidate, in the order of [`Feature::ALL`](crate::ranking::features::Feature::ALL).
    pub(crate) fn contributions(&self, candidates: &[&Candidate]) -> Vec<[f32; FEATURES]> {
        let features: Vec<f32> = candidates.iter().flat_map(|candidate| candidate.features).collect();
        let slopes = self.ranker.slopes(features, &self.device);
        let mut contributions = Vec::with_capacity(candidates.len());
        for (candidate, slopes) in candidates.iter().zip(slopes.chunks_exact(FEATURES)) {
            let mut adds = candidate.features;
            adds.iter_mut().zip(slopes).for_each(|(feature, slope)| *feature *= slope);
            contributions.push(adds);
        }
        contributions
    }
}
