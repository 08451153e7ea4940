//! Room in the tables: what is not seen for too long goes, and at the bound what was not seen for longest.

use super::Learner;
use crate::table::items::Entry;

impl Learner {
    /// Looks at one block per micro-batch for items not seen for too long: expiry never stops the world.
    pub(super) fn expire_some(&mut self) {
        let blocks = self.knowledge.table().blocks().len();
        if blocks == 0 {
            return;
        }
        let sweep = usize::try_from(self.steps).unwrap_or(0) % blocks;
        let age = i64::try_from(self.knowledge.settings().expire_after_s).unwrap_or(i64::MAX / 1_000) * 1_000;
        let least = self.knowledge.now().saturating_sub(age);
        let catalog = &self.catalog;
        // What the shop lists may still be chosen for the first time.
        let old = self.in_block(sweep).filter(|e| e.last_ts < least && !catalog.is_listed(e.key));
        let old: Vec<u64> = old.map(|e| e.key).collect();
        old.into_iter().for_each(|key| self.remove(key));
    }

    /// Makes room for the item with this key: the one not seen for longest among those of a few blocks goes, what one
    /// user alone chose before all others.
    pub(super) fn evict(&mut self, newcomer: u64) {
        let blocks = self.knowledge.table().blocks().len() as u64;
        let block = |n: u64| newcomer.wrapping_add(n * 7_919) % blocks.max(1);
        let sample = (0..8).map(|n| usize::try_from(block(n)).unwrap_or(0));
        let oldest = sample.flat_map(|n| self.in_block(n)).min_by_key(|e| (e.recency(), e.key)).map(|e| e.key);
        if let Some(key) = oldest {
            self.remove(key);
        }
    }

    fn in_block(&self, n: usize) -> impl Iterator<Item = &Entry> {
        let keys = self.knowledge.table().block(n).into_iter().flat_map(|block| block.keys());
        keys.filter_map(|(_, key)| self.knowledge.table().get(key))
    }

    fn remove(&mut self, key: u64) {
        self.knowledge.remove(key);
        self.changed.went(key);
    }
}
