//! What the next delta has to carry, and what a later one may.
//!
//! What is counted travels as the choices that were counted: pairs and sessions follow from them, and a list of 80
//! neighbours is fifty times the choice that changed it. What is trained travels where it moved by more than a
//! tolerance since a version last carried it. What moved less is still noted here, with what the versions have, so it
//! is in the first version after it has moved enough, and in the next snapshot in any case: the versions never drift
//! from the learner.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::checkpoint::PayloadKind;

use crate::keymap::{KeyMap, KeySet, Plain};
use crate::knowledge::{ContentRow, Knowledge};
use crate::table::items::{Items, RowRef};
use crate::version::frozen::{Carried, Choice};

/// Choices that a delta carries at most, some 20 MB in memory: beyond them, as after minutes in which no version could
/// be written, a snapshot is no larger.
pub(crate) const MAX_CHOICES: usize = 100_000;

/// What changed since the last version, and what of it the versions do not have yet.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Items whose counts or place changed.
    pub(crate) items: KeySet<u64>,
    /// Items whose row was written to, and the vector that the versions have; `None` where they have none.
    pub(crate) rows: Plain<u64, Option<Box<[f32]>>>,
    /// Items with content of which the sum was written to, and the sum that the versions have.
    pub(crate) sums: Plain<u64, Option<Box<[f32]>>>,
    /// The same of content features.
    pub(crate) content: Plain<u64, Option<Arc<ContentRow>>>,
    /// Content rows that no item uses any more.
    pub(crate) freed: KeySet<u64>,
    /// Categories of which it is known better how soon things are bought again.
    pub(crate) repurchases: KeySet<u64>,
    /// In their order.
    pub(crate) choices: Vec<Choice>,
    /// Items that went, and how many choices were counted before.
    pub(crate) removed: Plain<u64, usize>,
    /// When the new interactions had arrived, with counts.
    pub(crate) arrivals: BTreeMap<i64, u32>,
    /// Something went that no delta takes away.
    pub(crate) whole: bool,
}

impl Changed {
    /// Call it before an item's row is written to, or its content's sum, which it then has or not.
    pub(crate) fn row(&mut self, key: u64, slot: u32, items: &Items, has_content: bool) {
        self.rows.entry(key).or_insert_with(|| Some(items.vector(slot).into()));
        let content = items.row(slot).content;
        if has_content || content.is_some() {
            self.sums.entry(key).or_insert_with(|| content.map(Into::into));
        }
    }

    /// Call it before a content feature's row is written to, or comes.
    pub(crate) fn content(&mut self, feature: u64, rows: &KeyMap<u64, Arc<ContentRow>>) {
        self.content.entry(feature).or_insert_with(|| rows.get(&feature).cloned());
    }

    /// An item came: no version has its row.
    pub(crate) fn came(&mut self, key: u64) {
        self.items.insert(key);
        self.rows.insert(key, None);
        self.sums.insert(key, None);
    }

    /// An item went.
    pub(crate) fn went(&mut self, key: u64) {
        self.items.remove(&key);
        self.rows.remove(&key);
        self.sums.remove(&key);
        self.removed.insert(key, self.choices.len());
    }

    /// Whether the next version must be a snapshot, or is the smaller for it.
    pub(crate) fn is_much(&self) -> bool {
        self.whole || self.choices.len() > MAX_CHOICES
    }

    /// What the next version carries. What moved by `tolerance` or less since a version last carried it stays noted; a
    /// tolerance of 0 leaves nothing.
    pub(crate) fn take(&mut self, kind: PayloadKind, tolerance: f32, knowledge: &Knowledge) -> Carried {
        let mut carried = Carried { arrivals: std::mem::take(&mut self.arrivals), ..Carried::default() };
        if kind == PayloadKind::Snapshot {
            *self = Self::default();
            return carried;
        }
        let moved = |key: &u64, before: &Option<Box<[f32]>>| match (before, knowledge.table().slot(*key)) {
            (Some(before), Some(slot)) => is_far(&knowledge.table().vector(slot), before, tolerance),
            _ => true,
        };
        carried.rows = self.rows.extract_if(|key, before| moved(key, before)).map(|(key, _)| key).collect();
        self.take_sums(tolerance, knowledge.table(), &mut carried);
        let moved = |key: &u64, before: &Option<Arc<ContentRow>>| match (before, knowledge.content().get(key)) {
            (Some(before), Some(now)) => is_far(&now.row, &before.row, tolerance),
            _ => true,
        };
        carried.content = self.content.extract_if(|key, before| moved(key, before)).map(|(key, _)| key).collect();
        carried.content.sort_unstable();
        carried.items = std::mem::take(&mut self.items).into_iter().collect();
        carried.freed = std::mem::take(&mut self.freed).into_iter().collect();
        carried.freed.sort_unstable();
        carried.repurchases = std::mem::take(&mut self.repurchases).into_iter().collect();
        carried.repurchases.sort_unstable();
        carried.choices = std::mem::take(&mut self.choices);
        carried.removed = std::mem::take(&mut self.removed).into_iter().collect();
        carried
    }

    /// Of the items whose rows are carried, those whose content moved by more than half the tolerance of row and
    /// content together: it is the sum of rows that many items share, and moves much less than an item's own.
    fn take_sums(&mut self, tolerance: f32, items: &Items, carried: &mut Carried) {
        if tolerance <= 0.0 {
            self.sums.clear();
            return;
        }
        for key in &carried.rows {
            let (Some(before), Some(slot)) = (self.sums.get(key), items.slot(*key)) else { continue };
            let RowRef { row, content, .. } = items.row(slot);
            let moved = match (before, content) {
                (None, None) => false,
                (Some(before), Some(now)) => {
                    let length = row.iter().zip(now).map(|(a, b)| (a + b) * (a + b)).sum::<f32>().sqrt();
                    let near = distance(now, before) <= 0.5 * tolerance * length;
                    !near // what is no number is far
                }
                _ => true,
            };
            if moved {
                self.sums.remove(key);
                carried.sums.push(*key);
            }
        }
        carried.sums.sort_unstable();
    }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

/// Whether a vector lies farther from where it was than `tolerance` times its length. What is no number is far: it must
/// not stay unseen.
fn is_far(now: &[f32], before: &[f32], tolerance: f32) -> bool {
    let length = before.iter().map(|x| x * x).sum::<f32>().sqrt();
    let near = distance(now, before) <= tolerance * length;
    tolerance <= 0.0 || !near
}
