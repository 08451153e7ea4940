//! A block of the table of items: 64 slots that versions share, and what each slot holds.

use std::borrow::Cow;
use std::sync::Arc;

use schemas::UserKey;
use schemas::checkpoint::TIMES;

use crate::memory::popularity::{Counters, HALF_LIVES, NEVER, Popularity};
use crate::table::rows::{RowEncoding, Rows, touch};

/// Slots of a block. Small, because the first write to a block that another version shares copies it.
pub(crate) const BLOCK: usize = 64;

/// What is known about an item besides its vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: u64,
    pub(crate) id: Arc<str>,
    pub(crate) sightings: u32,
    /// How many of them repeat a choice that the same user had made lately, or are of a user faster than people.
    pub(crate) repeated: u32,
    /// The key of the one user who chose it, or [`PROVEN`].
    pub(crate) chosen_by: UserKey,
    /// Event time of the first sighting, or the catalog's time of publication.
    pub(crate) first_ts: i64,
    pub(crate) last_ts: i64,
    pub(crate) counters: Counters,
}

/// Stands for who chose an item that is not one user's alone: two users chose it, or the shop listed it. Anybody can
/// invent an id; where room is wanted, what one user alone has ever named goes first.
pub(crate) const PROVEN: UserKey = UserKey(u64::MAX);

/// What an item is known as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// One user alone chose it, and the shop never listed it.
    Unproven,
    /// The shop listed it; nobody has chosen it yet.
    Listed,
    /// It was chosen, and is proven.
    Met,
}

/// How an item stands and when it was met last: the order in which items hold their place in the hot set.
pub(crate) type Recency = (Standing, i64);

impl Entry {
    /// An item that the shop lists.
    pub(crate) fn new(key: u64, id: Arc<str>, first_ts: i64) -> Self {
        let first_ts = first_ts.clamp(*TIMES.start(), *TIMES.end()); // a version with another would be refused
        Self {
            key,
            id,
            sightings: 0,
            repeated: 0,
            chosen_by: PROVEN,
            first_ts,
            last_ts: first_ts,
            counters: [NEVER; HALF_LIVES],
        }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.chosen_by == PROVEN
    }

    pub(crate) fn recency(&self) -> Recency {
        let standing = match self.sightings {
            _ if !self.is_proven() => Standing::Unproven,
            0 => Standing::Listed,
            _ => Standing::Met,
        };
        (standing, self.last_ts)
    }

    /// What its place among the popular goes by.
    pub(crate) fn popularity(&self) -> Popularity {
        Popularity { proven: self.is_proven(), counters: self.counters }
    }

    /// Takes note of who chose it.
    pub(crate) fn choose(&mut self, user: UserKey) {
        if self.chosen_by != user {
            self.chosen_by = PROVEN;
        }
    }
}

/// What is counted of one item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) counters: Counters,
    /// Choices that repeat none of late.
    pub(crate) firsts: u32,
    pub(crate) proven: bool,
    /// Event time of the newest choice, milliseconds since 1970.
    pub(crate) last_ts: i64,
}

impl Counts {
    /// As the table has it.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            counters: entry.counters,
            firsts: entry.sightings.saturating_sub(entry.repeated),
            proven: entry.is_proven(),
            last_ts: entry.last_ts,
        }
    }
}

/// An item's row as a payload carries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowRef<'a> {
    pub(crate) row: &'a [f32],
    pub(crate) content: Option<&'a [f32]>,
    pub(crate) accumulator: f32,
}

impl RowRef<'_> {
    /// Row and content together, scaled to length 1.
    fn vector(&self) -> Vec<f32> {
        let mut vector = self.row.to_vec();
        if let Some(content) = self.content {
            vector.iter_mut().zip(content).for_each(|(v, c)| *v += c);
        }
        normalise(&mut vector);
        vector
    }
}

/// 64 slots: vectors for retrieval, and what the learner goes on from.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    dim: usize,
    /// `[BLOCK, dim]`, unit length; zeros where the slot is free.
    vectors: Rows,
    /// `None` in a table that only serves.
    learned: Option<Learned>,
    entries: Vec<Option<Entry>>,
}

#[derive(Debug, Clone)]
struct Learned {
    /// `[BLOCK, dim]`: the item's own trained row.
    rows: Vec<f32>,
    /// `[BLOCK, dim]`: the sum of its content rows when last touched; empty while no item has content.
    content: Vec<f32>,
    /// `[BLOCK]`: Adagrad's accumulated squared gradient.
    accumulators: Vec<f32>,
}

/// All that a slot holds besides its entry, on its way to another.
pub(crate) struct Moved {
    vector: Vec<f32>,
    learned: Option<(Vec<f32>, Option<Vec<f32>>, f32)>,
}

impl Block {
    /// An empty block, which holds vectors alone where `table` says how.
    pub(crate) fn new(dim: usize, table: Option<RowEncoding>) -> Self {
        let learned = Learned { rows: vec![0.0; BLOCK * dim], content: Vec::new(), accumulators: vec![0.0; BLOCK] };
        Self {
            dim,
            vectors: Rows::zeros(table.unwrap_or(RowEncoding::F32), BLOCK, dim),
            learned: table.is_none().then_some(learned),
            entries: vec![None; BLOCK],
        }
    }

    /// `[BLOCK, dim]`
    pub(crate) fn vectors(&self) -> &Rows {
        &self.vectors
    }

    /// The unit vector of a slot, `[dim]`.
    pub(crate) fn vector(&self, n: usize) -> Cow<'_, [f32]> {
        self.vectors.row(n)
    }

    /// Reads a little of a slot's vector and entry, to have them in the cache.
    pub(crate) fn touch(&self, n: usize) {
        self.vectors.touch(n);
        if let Some(entry) = &self.entries[n] {
            touch(&entry.counters);
        }
    }

    /// The same of its row.
    pub(crate) fn touch_row(&self, n: usize) {
        if let Some(learned) = &self.learned {
            let range = n * self.dim..(n + 1) * self.dim;
            touch(&learned.rows[range.clone()]);
            touch(learned.content.get(range).unwrap_or_default());
            touch(&learned.accumulators[n..=n]);
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Option<&Entry>> {
        self.entries.iter().map(Option::as_ref)
    }

    pub(crate) fn entry(&self, n: usize) -> Option<&Entry> {
        self.entries[n].as_ref()
    }

    pub(crate) fn entry_mut(&mut self, n: usize) -> &mut Option<Entry> {
        &mut self.entries[n]
    }

    /// Keys of the occupied slots.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.entries.iter().enumerate().filter_map(|(n, entry)| entry.as_ref().map(|e| (n, e.key)))
    }

    /// Bytes of vectors and rows.
    pub(crate) fn row_bytes(&self) -> usize {
        let floats = |learned: &Learned| learned.rows.len() + learned.content.len() + learned.accumulators.len();
        self.vectors.bytes() + self.learned.as_ref().map_or(0, floats) * size_of::<f32>()
    }

    /// An item's row; `None` in a table that only serves.
    pub(crate) fn row(&self, n: usize) -> Option<RowRef<'_>> {
        self.learned.as_ref().map(|learned| learned.row(n, self.dim))
    }

    /// Sets an item's row and renews its vector.
    pub(crate) fn set(&mut self, n: usize, row: RowRef<'_>) {
        if let Some(learned) = &mut self.learned {
            learned.rows[n * self.dim..(n + 1) * self.dim].copy_from_slice(row.row);
            learned.accumulators[n] = row.accumulator;
            learned.set_content(n, self.dim, row.content);
        }
        self.vectors.set(n, &row.vector());
    }

    /// Sets an item's row and content, which are given as one, and renews its vector: the content is as it was, or as
    /// it is told beside, and the rest is the item's own row.
    pub(crate) fn set_sum(&mut self, n: usize, sum: RowRef<'_>) {
        let vector = match &mut self.learned {
            Some(learned) => {
                learned.set_sum(n, self.dim, sum);
                learned.row(n, self.dim).vector()
            }
            None => RowRef { content: None, ..sum }.vector(),
        };
        self.vectors.set(n, &vector);
    }

    /// Changes an item's own row and accumulator, sets its content sum (`None`: it has none), and renews its vector.
    pub(crate) fn change(&mut self, n: usize, content: Option<&[f32]>, change: impl FnOnce(&mut [f32], &mut f32)) {
        let learned = self.learned.as_mut().expect("a table that only serves is not learned with");
        change(&mut learned.rows[n * self.dim..(n + 1) * self.dim], &mut learned.accumulators[n]);
        learned.set_content(n, self.dim, content);
        self.vectors.set(n, &learned.row(n, self.dim).vector());
    }

    /// Empties a slot.
    pub(crate) fn take(&mut self, n: usize) -> Option<(Entry, Moved)> {
        let entry = self.entries[n].take()?;
        let vector = self.vectors.row(n).into_owned();
        let zeros = vec![0.0; self.dim];
        self.vectors.set(n, &zeros);
        let learned = self.learned.as_mut().map(|learned| {
            let RowRef { row, content, accumulator } = learned.row(n, self.dim);
            let taken = (row.to_vec(), content.map(<[f32]>::to_vec), accumulator);
            learned.rows[n * self.dim..(n + 1) * self.dim].fill(0.0);
            learned.accumulators[n] = 0.0;
            learned.set_content(n, self.dim, None);
            taken
        });
        Some((entry, Moved { vector, learned }))
    }

    /// Puts into a slot what another held.
    pub(crate) fn put(&mut self, n: usize, Moved { vector, learned }: Moved) {
        self.vectors.set(n, &vector);
        if let (Some(own), Some((row, content, accumulator))) = (&mut self.learned, learned) {
            own.rows[n * self.dim..(n + 1) * self.dim].copy_from_slice(&row);
            own.accumulators[n] = accumulator;
            own.set_content(n, self.dim, content.as_deref());
        }
    }
}

impl Learned {
    fn row(&self, n: usize, dim: usize) -> RowRef<'_> {
        let range = n * dim..(n + 1) * dim;
        let content = self.content.get(range.clone()).filter(|c| c.iter().any(|x| *x != 0.0));
        RowRef { row: &self.rows[range], content, accumulator: self.accumulators[n] }
    }

    fn set_sum(&mut self, n: usize, dim: usize, sum: RowRef<'_>) {
        if sum.content.is_some() {
            self.set_content(n, dim, sum.content);
        }
        let range = n * dim..(n + 1) * dim;
        let own = &mut self.rows[range.clone()];
        own.copy_from_slice(sum.row);
        if let Some(content) = self.content.get(range) {
            own.iter_mut().zip(content).for_each(|(x, content)| *x -= content);
        }
        self.accumulators[n] = sum.accumulator;
    }

    fn set_content(&mut self, n: usize, dim: usize, content: Option<&[f32]>) {
        let range = n * dim..(n + 1) * dim;
        match content {
            Some(content) => {
                if self.content.is_empty() {
                    self.content = vec![0.0; BLOCK * dim];
                }
                self.content[range].copy_from_slice(content);
            }
            None => {
                if let Some(content) = self.content.get_mut(range) {
                    content.fill(0.0);
                }
            }
        }
    }
}

/// Scales to unit length; a zero vector stays zero.
pub(crate) fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}
