//! Items that come: by a record of the catalog, or by their first choice.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::{Item, key_of};

use super::Learner;
use crate::knowledge::ContentRow;
use crate::table::items::Entry;

impl Learner {
    /// Takes in a catalog record; a new item has a vector from its content before its first click, a known one from its
    /// new content at once.
    pub fn catalog(&mut self, item_id: &str, item: Option<&Item>, now: i64) {
        let freed = self.catalog.apply(item_id, item);
        self.free_content(freed);
        let key = key_of(item_id);
        match (item, self.knowledge.table().slot(key)) {
            (Some(item), None) => {
                let published = item.published_at.map_or(now, |ts| ts.0.min(now));
                self.insert(Entry::new(key, item_id.into(), published));
            }
            (_, Some(slot)) => {
                let features = self.catalog.features(key).to_vec();
                self.ensure_content(&features);
                let content = self.knowledge.content_sum(&features);
                self.changed.row(key, slot, self.knowledge.table(), content.is_some());
                self.knowledge.set_row(slot, content.as_deref(), |_, _| {});
                if item.is_some() {
                    self.changed.items.extend(self.knowledge.prove(slot));
                    self.knowledge.note_arrival(key);
                }
                self.changed.items.insert(key);
            }
            (None, None) => {}
        }
    }

    /// Everything that the topic `items` holds was handed over: from now on the catalog may say what is shown, and what
    /// is known of content that no item has goes. A catalog without an item is none that could say so.
    pub fn catalog_is_whole(&mut self) {
        self.catalog.settle();
        if !self.catalog.is_empty() {
            let unused = self.knowledge.content().keys().copied().filter(|feature| !self.catalog.uses(*feature));
            let unused: Vec<u64> = unused.collect();
            self.free_content(unused);
        }
    }

    fn free_content(&mut self, features: Vec<u64>) {
        for feature in features {
            if self.knowledge.free_content(feature) {
                self.changed.content.remove(&feature);
                self.changed.freed.insert(feature);
            }
        }
    }

    /// Puts an item into the table, with a row of its own; at the table's bound another makes room.
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let key = entry.key;
        if self.knowledge.items() >= self.knowledge.settings().max_items {
            self.evict(key);
        }
        let (slot, displaced) = self.knowledge.insert(entry);
        let dim = self.knowledge.table().dim();
        let features = self.catalog.features(key).to_vec();
        self.ensure_content(&features);
        let content = self.knowledge.content_sum(&features);
        // An item's own row starts by its key alone, so that a replay gives the same model; small beside content.
        let mut rng = ChaCha8Rng::seed_from_u64(self.knowledge.settings().seed ^ key);
        let spread = if content.is_some() { 0.1 } else { 1.0 } / (dim as f32).sqrt();
        self.knowledge.set_row(slot, content.as_deref(), |row, accumulator| {
            row.iter_mut().for_each(|x| *x = rng.random_range(-1.7_f32..1.7) * spread);
            *accumulator = 0.0;
        });
        self.changed.items.extend(displaced);
        self.changed.came(key);
        slot
    }

    fn ensure_content(&mut self, features: &[u64]) {
        let dim = self.knowledge.table().dim();
        for feature in features {
            if !self.knowledge.content().contains_key(feature) {
                let mut rng = ChaCha8Rng::seed_from_u64(self.knowledge.settings().seed ^ feature);
                let spread = 1.0 / (dim as f32).sqrt();
                let row = (0..dim).map(|_| rng.random_range(-1.0_f32..1.0) * spread).collect();
                self.changed.content(*feature, self.knowledge.content());
                self.knowledge.insert_content(*feature, ContentRow { row, accumulator: 0.0 });
                self.changed.freed.remove(feature);
            }
        }
    }
}
