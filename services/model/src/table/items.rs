//! The table of items: rows on the host, in small blocks that versions share.
//!
//! A clone of the table is a version of it. It shares every block, and a write copies only the block it touches. So a
//! publication costs what changed, not the catalog, and so does a scorer's swap.
//!
//! The items met last stand in the first slots, the hot set. Retrieval searches only the hot set,
//! and negatives are drawn from it, so neither a training step nor a slate searches more as the catalog grows. Items
//! that nobody has met stay there only while there is room: many new records must not push out what sells. Items that
//! one user alone has chosen and the shop never listed make room before all others, so a flood of invented ids does no
//! harm.

use std::borrow::Cow;
use std::sync::Arc;

use crate::keymap::{KeyMap, Plain};
pub(crate) use crate::table::block::{BLOCK, Entry, Moved, PROVEN, RowRef};
use crate::table::block::{Block, Recency};
use crate::table::rows::RowEncoding;

/// Slots by key. The hot set has an index of its own: nearly every look-up is for an item that stands there, and must
/// not wait longer for memory as the catalog grows. It is small, so that the first write beside another version may
/// copy it.
#[derive(Debug, Clone, Default)]
struct Index {
    hot: Arc<Plain<u64, u32>>,
    rest: KeyMap<u64, u32>,
}

impl Index {
    fn get(&self, key: u64) -> Option<u32> {
        self.hot.get(&key).or_else(|| self.rest.get(&key)).copied()
    }

    fn insert(&mut self, key: u64, slot: u32, hot: usize) {
        if (slot as usize) < hot {
            Arc::make_mut(&mut self.hot).insert(key, slot);
        } else {
            self.rest.insert(key, slot);
        }
    }

    fn remove(&mut self, key: u64, slot: u32, hot: usize) {
        if (slot as usize) < hot {
            Arc::make_mut(&mut self.hot).remove(&key);
        } else {
            self.rest.remove(&key);
        }
    }

    fn len(&self) -> usize {
        self.hot.len() + self.rest.len()
    }
}

/// Items by key, in slots.
#[derive(Debug, Clone)]
pub(crate) struct Items {
    dim: usize,
    /// How vectors are held by a table that only serves; `None` where rows are held too, to be learned on from.
    table: Option<RowEncoding>,
    index: Index,
    blocks: imbl::Vector<Arc<Block>>,
    /// Numbers of the blocks that have a free slot. The lowest slot is taken first, so that a restored table goes on
    /// exactly like the one it was made from.
    roomy: imbl::OrdSet<u32>,
    /// What new blocks are at first: one for all, so that a table with few items in many slots takes little.
    empty: Arc<Block>,
    /// Slots of the hot set.
    hot: usize,
    /// How recently the items of the hot set were met, and their slots: the first is the one to make room.
    recency: imbl::OrdSet<(Recency, u32)>,
}

impl Items {
    pub(crate) fn new(dim: usize, hot: usize) -> Self {
        Self {
            dim,
            table: None,
            hot,
            index: Index::default(),
            blocks: imbl::Vector::new(),
            roomy: imbl::OrdSet::new(),
            empty: Arc::new(Block::new(dim, None)),
            recency: imbl::OrdSet::new(),
        }
    }

    /// An empty table of the same kind.
    pub(crate) fn blank(&self) -> Self {
        Self { table: self.table, empty: Arc::clone(&self.empty), ..Self::new(self.dim, self.hot) }
    }

    /// A table of vectors alone, to serve from.
    pub(crate) fn serving(dim: usize, hot: usize, table: RowEncoding) -> Self {
        Self { table: Some(table), empty: Arc::new(Block::new(dim, Some(table))), ..Self::new(dim, hot) }
    }

    /// How vectors are held by a table that only serves.
    pub(crate) fn served_in(&self) -> Option<RowEncoding> {
        self.table
    }

    /// Bytes of vectors and rows, free slots among them.
    pub(crate) fn row_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.row_bytes()).sum()
    }

    /// Changes the length of the hot set; what stands there from now on belongs to it.
    pub(crate) fn set_hot(&mut self, hot: usize) {
        if hot == self.hot {
            return;
        }
        self.hot = hot;
        self.index = Index::default();
        for (slot, entry) in (0_u32..).zip(self.blocks.iter().flat_map(|block| block.entries())) {
            if let Some(entry) = entry {
                self.index.insert(entry.key, slot, hot);
            }
        }
        let entries = self.blocks.iter().flat_map(|block| block.entries()).zip(0..).take(hot);
        self.recency = entries.filter_map(|(entry, slot)| Some((entry?.recency(), slot))).collect();
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn slot(&self, key: u64) -> Option<u32> {
        self.index.get(key)
    }

    /// Every item's key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> {
        self.blocks().flat_map(|block| block.keys().map(|(_, key)| key))
    }

    pub(crate) fn blocks(&self) -> impl ExactSizeIterator<Item = &Arc<Block>> {
        self.blocks.iter()
    }

    /// The blocks that retrieval searches.
    pub(crate) fn front_blocks(&self) -> impl ExactSizeIterator<Item = &Arc<Block>> {
        self.blocks.iter().take(self.hot.div_ceil(BLOCK))
    }

    /// How many slots the table has at present, free ones among them.
    pub(crate) fn slots(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// How many slots the hot set has at present, free ones among them.
    pub(crate) fn hot_slots(&self) -> usize {
        self.front_blocks().len() * BLOCK
    }

    /// How many items stand in the hot set.
    pub(crate) fn hot_len(&self) -> usize {
        self.recency.len()
    }

    pub(crate) fn block(&self, n: usize) -> Option<&Arc<Block>> {
        self.blocks.get(n)
    }

    pub(crate) fn entry(&self, slot: u32) -> Option<&Entry> {
        let (block, n) = place(slot);
        self.blocks.get(block)?.entry(n)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Entry> {
        self.entry(self.slot(key)?)
    }

    /// Reads a little of what slots hold besides their rows. The waits for memory overlap, which they do not where one
    /// slot after the other is looked at: call it before looking at many.
    pub(crate) fn touch(&self, slots: impl Iterator<Item = u32>) {
        for (block, n) in slots.map(place) {
            self.blocks[block].touch(n);
        }
    }

    /// The same, and of their rows.
    pub(crate) fn touch_rows(&self, slots: impl Iterator<Item = u32>) {
        for (block, n) in slots.map(place) {
            self.blocks[block].touch(n);
            self.blocks[block].touch_row(n);
        }
    }

    /// The unit vector of an occupied slot, `[dim]`.
    pub(crate) fn vector(&self, slot: u32) -> Cow<'_, [f32]> {
        let (block, n) = place(slot);
        self.blocks[block].vector(n)
    }

    /// The row of a slot; not in a table that only serves.
    pub(crate) fn row(&self, slot: u32) -> RowRef<'_> {
        let (block, n) = place(slot);
        self.blocks[block].row(n).expect("a table that only serves is neither exported nor learned with")
    }

    /// Puts an item into a free slot with a zero row; the caller sets the row next.
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        let slot = self.lowest_free(self.slots()).unwrap_or_else(|| self.grow());
        self.occupy(slot, entry);
        slot
    }

    /// Puts an item into the slot that it has elsewhere; false when another item is there.
    pub(crate) fn insert_at(&mut self, slot: u32, entry: Entry) -> bool {
        while self.blocks.len() * BLOCK <= slot as usize {
            self.grow();
        }
        let free = self.entry(slot).is_none();
        if free {
            self.occupy(slot, entry);
        }
        free
    }

    /// The lowest free slot, if it lies before `end`.
    fn lowest_free(&self, end: usize) -> Option<u32> {
        let block = self.roomy.get_min().copied().filter(|block| (*block as usize) * BLOCK < end)?;
        let n = self.blocks.get(block as usize)?.entries().position(|entry| entry.is_none())?;
        Some(block * BLOCK as u32 + n as u32)
    }

    /// Adds a block; gives its first slot.
    fn grow(&mut self) -> u32 {
        let block = u32::try_from(self.blocks.len()).expect("max_items bounds the table");
        self.blocks.push_back(Arc::clone(&self.empty));
        self.roomy.insert(block);
        block * BLOCK as u32
    }

    fn occupy(&mut self, slot: u32, entry: Entry) {
        self.index.insert(entry.key, slot, self.hot);
        self.note(slot, None, Some(entry.recency()));
        let (block, n) = self.write(slot);
        *block.entry_mut(n) = Some(entry);
        if block.entries().all(|entry| entry.is_some()) {
            self.roomy.remove(&(slot / BLOCK as u32));
        }
    }

    /// Keeps the order of the hot set when an item comes, goes or is seen again.
    fn note(&mut self, slot: u32, old: Option<Recency>, new: Option<Recency>) {
        if (slot as usize) < self.hot && old != new {
            old.map(|old| self.recency.remove(&(old, slot)));
            new.map(|new| self.recency.insert((new, slot)));
        }
    }

    /// Changes what is known about an item; its slot stays.
    pub(crate) fn update(&mut self, slot: u32, change: impl FnOnce(&mut Entry)) {
        let (block, n) = self.write(slot);
        if let Some(entry) = block.entry_mut(n) {
            let old = entry.recency();
            change(entry);
            let new = entry.recency();
            self.note(slot, Some(old), Some(new));
        }
    }

    /// Brings an item to the hot set if it was met later than one that stands there. Gives the slot where it is
    /// now, and the item that it changed places with.
    pub(crate) fn promote(&mut self, slot: u32) -> (u32, Option<u64>) {
        let Some(own) = self.entry(slot).map(Entry::recency) else { return (slot, None) };
        let free = self.lowest_free(self.hot);
        let oldest = self.recency.get_min().filter(|oldest| oldest.0 < own).map(|oldest| oldest.1);
        match free.or(oldest) {
            Some(to) if slot as usize >= self.hot => {
                let (item, other) = (self.take(slot), self.take(to));
                let displaced = other.as_ref().map(|(entry, _)| entry.key);
                for (place, contents) in [(to, item), (slot, other)] {
                    if let Some((entry, moved)) = contents {
                        self.occupy(place, entry);
                        let (block, n) = self.write(place);
                        block.put(n, moved);
                    }
                }
                self.shrink();
                (to, displaced)
            }
            _ => (slot, None),
        }
    }

    fn take(&mut self, slot: u32) -> Option<(Entry, Moved)> {
        let (block, n) = self.write(slot);
        let (entry, moved) = block.take(n)?;
        self.note(slot, Some(entry.recency()), None);
        self.index.remove(entry.key, slot, self.hot);
        self.roomy.insert(slot / BLOCK as u32);
        Some((entry, moved))
    }

    /// Changes an item's own row and accumulator, sets its content sum (`None`: it has none), and renews its unit
    /// vector.
    pub(crate) fn set_row(&mut self, slot: u32, content: Option<&[f32]>, change: impl FnOnce(&mut [f32], &mut f32)) {
        let (block, n) = self.write(slot);
        block.change(n, content, change);
    }

    /// Sets an item's row as a payload carries it, and its unit vector.
    pub(crate) fn restore_row(&mut self, slot: u32, row: RowRef<'_>) {
        let (block, n) = self.write(slot);
        block.set(n, row);
    }

    /// The same where row and content are given as one; [`Block::set_sum`].
    pub(crate) fn restore_sum(&mut self, slot: u32, sum: RowRef<'_>) {
        let (block, n) = self.write(slot);
        block.set_sum(n, sum);
    }

    /// Takes an item out of its slot with all that is held of it, to be put elsewhere.
    pub(crate) fn lift(&mut self, key: u64) -> Option<(Entry, Moved)> {
        let slot = self.slot(key)?;
        let lifted = self.take(slot);
        self.shrink();
        lifted
    }

    /// Puts what was lifted into a slot; false when another item is there.
    pub(crate) fn put_at(&mut self, slot: u32, (entry, moved): (Entry, Moved)) -> bool {
        let free = self.insert_at(slot, entry);
        if free {
            let (block, n) = self.write(slot);
            block.put(n, moved);
        }
        free
    }

    /// Frees an item's slot.
    pub(crate) fn remove(&mut self, key: u64) -> Option<Entry> {
        let slot = self.slot(key)?;
        let entry = self.take(slot).map(|(entry, _)| entry);
        self.shrink();
        entry
    }

    /// Gives up empty blocks at the end, so that a table has as many as one restored from its items.
    fn shrink(&mut self) {
        while self.blocks.back().is_some_and(|block| block.keys().next().is_none()) {
            self.blocks.pop_back();
            self.roomy.remove(&u32::try_from(self.blocks.len()).expect("max_items bounds the table"));
        }
    }

    fn write(&mut self, slot: u32) -> (&mut Block, usize) {
        let (block, n) = place(slot);
        (Arc::make_mut(self.blocks.get_mut(block).expect("slots come from the index")), n)
    }
}

fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / BLOCK, slot % BLOCK)
}

#[cfg(test)]
mod tests;
