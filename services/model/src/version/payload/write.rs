//! Writing a payload: what is frozen, as tensors.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};
use schemas::checkpoint::{PayloadKind, Quality, Through};

use super::{METADATA, Metadata};
use crate::error::Error;
use crate::knowledge::{ContentRow, Knowledge};
use crate::learner::{Carried, Choice};
use crate::memory::covisitation::{Neighbour, Neighbours, WAYS};
use crate::memory::popularity::{Counters, HALF_LIVES};
use crate::memory::repeats::Repurchase;
use crate::memory::sessions::Session;
use crate::network::trainable::OptimizerStates;
use crate::settings::Settings;
use crate::table::items::{Entry, Items, RowRef};
use crate::table::rows::{Rows, STEPS, touch};

/// A row has so many steps to either side however much a delta may leave out.
const LEAST_STEPS: f32 = 15.0;

/// A version that is decided but not yet encoded. It shares the learner's tables, and where few items changed has those of
/// its own.
#[derive(Debug)]
pub struct Frozen {
    pub(crate) kind: PayloadKind,
    /// Without items where `items` has them.
    pub(crate) knowledge: Knowledge,
    /// The items of a delta, where they were copied.
    pub(crate) items: Option<ItemColumns>,
    /// Their rows, or those that moved; as above.
    pub(crate) rows: Option<RowColumns>,
    /// Slots of the table of items.
    pub(crate) slots: usize,
    /// Dense weights.
    pub(crate) dense: Vec<Column>,
    /// `None` where those of the version before go on.
    pub(crate) optimizers: Option<OptimizerStates>,
    pub(crate) steps: u64,
    pub(crate) through: BTreeMap<i32, Through>,
    pub(crate) recent_quality: BTreeMap<String, Quality>,
    pub(crate) overall_quality: BTreeMap<String, Quality>,
    pub(crate) changed: Carried,
}

impl Frozen {
    /// Whole or delta.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        self.kind
    }

    /// Where the model stands, by partition.
    #[must_use]
    pub fn through(&self) -> &BTreeMap<i32, Through> {
        &self.through
    }

    /// Interactions ever applied.
    #[must_use]
    pub fn interactions(&self) -> u64 {
        self.knowledge.interactions
    }

    /// Event time of the newest interaction.
    #[must_use]
    pub fn event_ts(&self) -> i64 {
        self.knowledge.now
    }

    /// When the interactions new in this version had arrived, with counts.
    #[must_use]
    pub fn arrivals(&self) -> Vec<(i64, u32)> {
        self.changed.arrivals.iter().map(|(at, count)| (*at, *count)).collect()
    }

    /// Prequential quality over the sliding window, by method.
    #[must_use]
    pub fn recent_quality(&self) -> &BTreeMap<String, Quality> {
        &self.recent_quality
    }

    /// Prequential quality since the trainer started, by method.
    #[must_use]
    pub fn overall_quality(&self) -> &BTreeMap<String, Quality> {
        &self.overall_quality
    }

    /// Encodes the payload. Takes time in proportion to what it holds: call it off the learner's thread.
    ///
    /// # Errors
    /// When safetensors refuses, which it does only on a fault of ours.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let whole = self.kind == PayloadKind::Snapshot;
        let mut out = Out::default();
        match &self.items {
            Some(items) => self.write_items(items, &mut out),
            None => self.write_items(&ItemColumns::of(&self.knowledge.items, self.items_held()), &mut out),
        }
        match &self.rows {
            Some(rows) => self.write_item_rows(rows, &mut out),
            None => {
                let sums = (!self.is_exact()).then_some(&self.changed.sums);
                self.write_item_rows(&RowColumns::of(&self.knowledge.items, &self.rows_held(), sums), &mut out);
            }
        }
        if whole {
            self.write_memory(&mut out);
        } else {
            write_choices(&self.changed.choices, &mut out);
        }
        self.write_repurchases(&mut out);
        self.write_content(&mut out);
        out.tensors.extend(self.dense.iter().cloned());
        for (name, bytes) in self.optimizers.iter().flat_map(|o| [("encoder", &o.encoder), ("ranker", &o.ranker)]) {
            out.put(format!("optimizer.{name}"), Dtype::U8, vec![bytes.len()], bytes.clone());
        }
        out.finish(&self.metadata())
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            kind: self.kind,
            settings: (*self.knowledge.settings).clone(),
            origin: self.knowledge.clock.origin,
            now: self.knowledge.now,
            interactions: self.knowledge.interactions,
            steps: self.steps,
            first_session: self.knowledge.sessions.first().0,
            first_waiting: self.knowledge.sessions.first().1,
            slots: self.slots,
        }
    }

    /// Pairs and sessions, whole.
    fn write_memory(&self, out: &mut Out) {
        let mut pairs: Vec<(u64, &Arc<Neighbours>)> = self.knowledge.covisitation.iter().collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        write_pairs(&pairs, out);
        write_sessions(&self.knowledge.sessions.iter().collect::<Vec<_>>(), out);
    }

    fn write_repurchases(&self, out: &mut Out) {
        let known = &self.knowledge.repurchases;
        let of = |key: &u64| Some((*key, *known.get(*key)?));
        let repurchases: Vec<(u64, Repurchase)> = match self.kind {
            PayloadKind::Snapshot => known.iter().map(|(key, of)| (key, *of)).collect(),
            PayloadKind::Delta => self.changed.repurchases.iter().filter_map(of).collect(),
        };
        write_repurchases(&repurchases, out);
    }

    /// Keys of the items of this version.
    fn items_held(&self) -> Vec<u64> {
        match self.kind {
            PayloadKind::Snapshot => self.knowledge.items.keys().collect(),
            PayloadKind::Delta => self.changed.items.clone(),
        }
    }

    /// Keys of the items whose rows it has.
    fn rows_held(&self) -> Vec<u64> {
        match self.kind {
            PayloadKind::Snapshot => self.items_held(),
            PayloadKind::Delta => self.changed.rows.clone(),
        }
    }

    fn write_items(&self, items: &ItemColumns, out: &mut Out) {
        let n = items.slot.len();
        let column = |out: &mut Out, name: &str, dtype, bytes| out.put(format!("items.{name}"), dtype, vec![n], bytes);
        column(out, "key", Dtype::U64, le(&items.key, u64::to_le_bytes));
        column(out, "slot", Dtype::U32, le(&items.slot, u32::to_le_bytes));
        column(out, "sightings", Dtype::U32, le(&items.sightings, u32::to_le_bytes));
        column(out, "chosen_by", Dtype::U64, le(&items.chosen_by, u64::to_le_bytes));
        column(out, "first_ts", Dtype::I64, le(&items.first_ts, i64::to_le_bytes));
        column(out, "last_ts", Dtype::I64, le(&items.last_ts, i64::to_le_bytes));
        let popularity = le(items.counters.as_flattened(), f64::to_le_bytes);
        out.put("items.popularity".into(), Dtype::F64, vec![n, HALF_LIVES], popularity);
        out.put("items.id".into(), Dtype::U8, vec![items.ids.len()], items.ids.clone());
        column(out, "id_end", Dtype::U32, le(&items.id_end, u32::to_le_bytes));
        let removed: Vec<u64> = self.changed.removed.keys().copied().collect();
        let after = self.changed.removed.values().map(|after| u32::try_from(*after).unwrap_or(u32::MAX));
        let after: Vec<u32> = after.collect();
        let r = removed.len();
        out.put("items.removed".into(), Dtype::U64, vec![r], le(&removed, u64::to_le_bytes));
        out.put("items.removed_after".into(), Dtype::U32, vec![r], le(&after, u32::to_le_bytes));
        let total = le(&self.knowledge.popular.totals, f64::to_le_bytes);
        out.put("popularity.total".into(), Dtype::F64, vec![HALF_LIVES], total);
    }

    fn write_item_rows(&self, rows: &RowColumns, out: &mut Out) {
        let mut put = |name: &str, dtype, n, bytes| out.put(format!("items.{name}"), dtype, vec![n], bytes);
        put("row_slot", Dtype::U32, rows.slot.len(), le(&rows.slot, u32::to_le_bytes));
        put("accumulator", Dtype::F32, rows.slot.len(), le(&rows.accumulator, f32::to_le_bytes));
        put("content_of", Dtype::U32, rows.content_of.len(), le(&rows.content_of, u32::to_le_bytes));
        self.write_rows(if self.is_exact() { "items.row" } else { "items.sum" }, &rows.row, out);
        self.write_rows("items.content", &rows.content, out);
    }

    fn write_content(&self, out: &mut Out) {
        let content = &self.knowledge.content;
        let mut rows: Vec<(u64, &Arc<ContentRow>)> = match self.kind {
            PayloadKind::Snapshot => content.iter().map(|(key, row)| (*key, row)).collect(),
            PayloadKind::Delta => {
                self.changed.content.iter().filter_map(|key| Some((*key, content.get(key)?))).collect()
            }
        };
        rows.sort_unstable_by_key(|(key, _)| *key);
        let keys: Vec<u64> = rows.iter().map(|(key, _)| *key).collect();
        let accumulators: Vec<f32> = rows.iter().map(|(_, row)| row.accumulator).collect();
        let values: Vec<f32> = rows.iter().flat_map(|(_, row)| row.row.iter().copied()).collect();
        let n = keys.len();
        out.put("content.key".into(), Dtype::U64, vec![n], le(&keys, u64::to_le_bytes));
        out.put("content.accumulator".into(), Dtype::F32, vec![n], le(&accumulators, f32::to_le_bytes));
        self.write_rows("content.row", &values, out);
        let freed = &self.changed.freed;
        out.put("content.removed".into(), Dtype::U64, vec![freed.len()], le(freed, u64::to_le_bytes));
    }

    /// Whether it holds all that moved, as it is.
    fn is_exact(&self) -> bool {
        self.kind == PayloadKind::Snapshot || self.knowledge.settings.delta_tolerance <= 0.0
    }

    fn write_rows(&self, name: &str, rows: &[f32], out: &mut Out) {
        let Settings { row_encoding, delta_tolerance, dim, .. } = *self.knowledge.settings;
        let encoded = if self.is_exact() {
            Rows::encode(row_encoding, dim, rows)
        } else {
            // Off by some 0.4 of what a delta leaves out.
            Rows::rough(dim, rows, (2.0 / delta_tolerance).round().clamp(LEAST_STEPS, STEPS))
        };
        out.tensors.extend(encoded.columns(name));
    }
}

/// Items by key, column by column, as a payload holds them.
#[derive(Debug)]
pub(crate) struct ItemColumns {
    key: Vec<u64>,
    slot: Vec<u32>,
    sightings: Vec<u32>,
    chosen_by: Vec<u64>,
    first_ts: Vec<i64>,
    last_ts: Vec<i64>,
    counters: Vec<Counters>,
    /// One after the other, and where each ends.
    ids: Vec<u8>,
    id_end: Vec<u32>,
}

/// Rows of items, by slot, column by column.
#[derive(Debug)]
pub(crate) struct RowColumns {
    slot: Vec<u32>,
    accumulator: Vec<f32>,
    /// `[slot, dim]`
    row: Vec<f32>,
    /// Which of them say what their content is.
    content_of: Vec<u32>,
    /// `[content_of, dim]`
    content: Vec<f32>,
}

impl ItemColumns {
    /// Copies those of `keys` that the table has, in the order of their keys.
    pub(crate) fn of(table: &Items, mut keys: Vec<u64>) -> Self {
        keys.sort_unstable();
        let placed = keys.into_iter().filter_map(|key| Some((key, table.slot(key)?)));
        let (key, slot): (Vec<u64>, Vec<u32>) = placed.unzip();
        table.touch(slot.iter().copied());
        let entry = |slot: &u32| table.entry(*slot).expect("slots come from the index");
        let entries: Vec<&Entry> = slot.iter().map(entry).collect();
        let mut columns = Self {
            sightings: entries.iter().map(|entry| entry.sightings).collect(),
            chosen_by: entries.iter().map(|entry| entry.chosen_by).collect(),
            first_ts: entries.iter().map(|entry| entry.first_ts).collect(),
            last_ts: entries.iter().map(|entry| entry.last_ts).collect(),
            counters: entries.iter().map(|entry| entry.counters).collect(),
            ids: Vec::new(),
            id_end: Vec::with_capacity(slot.len()),
            key,
            slot,
        };
        entries.iter().for_each(|entry| touch(entry.id.as_bytes()));
        for entry in entries {
            columns.ids.extend_from_slice(entry.id.as_bytes());
            columns.id_end.push(u32::try_from(columns.ids.len()).unwrap_or(u32::MAX)); // 4 GB of ids: far beyond max_items
        }
        columns
    }
}

impl RowColumns {
    /// Copies those of `keys` that the table has, in the order of their keys. With `sums`, keys in order, row and content are
    /// added up, and only these say what of it is content.
    pub(crate) fn of(table: &Items, keys: &[u64], sums: Option<&Vec<u64>>) -> Self {
        let mut placed: Vec<(u64, u32)> = keys.iter().filter_map(|key| Some((*key, table.slot(*key)?))).collect();
        placed.sort_unstable();
        let (key, slot): (Vec<u64>, Vec<u32>) = placed.into_iter().unzip();
        let nothing = vec![0.0; table.dim()];
        table.touch_rows(slot.iter().copied());
        let mut columns = Self {
            accumulator: Vec::with_capacity(slot.len()),
            row: Vec::with_capacity(slot.len() * table.dim()),
            content_of: Vec::new(),
            content: Vec::new(),
            slot,
        };
        for ((index, slot), key) in (0_u32..).zip(&columns.slot).zip(&key) {
            let RowRef { row, content, accumulator } = table.row(*slot);
            columns.accumulator.push(accumulator);
            let told = match sums {
                Some(sums) => {
                    columns.row.extend(row.iter().zip(content.unwrap_or(&nothing)).map(|(row, content)| row + content));
                    sums.binary_search(key).is_ok().then(|| content.unwrap_or(&nothing))
                }
                None => {
                    columns.row.extend_from_slice(row);
                    content
                }
            };
            if let Some(content) = told {
                if sums.is_none() && columns.content.is_empty() {
                    columns.content.reserve(columns.row.capacity()); // where one has content most have
                }
                columns.content_of.push(index);
                columns.content.extend_from_slice(content);
            }
        }
        columns
    }
}

fn write_choices(choices: &[Choice], out: &mut Out) {
    let users: Vec<u64> = choices.iter().map(|choice| choice.user).collect();
    let keys: Vec<u64> = choices.iter().map(|choice| choice.key).collect();
    let times: Vec<i64> = choices.iter().map(|choice| choice.ts).collect();
    let ends = ends(choices.iter().map(|choice| choice.pairs.len()));
    let pairs = || choices.iter().flat_map(|choice| choice.pairs.iter());
    let earlier: Vec<u64> = pairs().map(|(key, _)| *key).collect();
    let near: Vec<f32> = pairs().map(|(_, near)| *near).collect();
    let (k, l) = (keys.len(), earlier.len());
    let mut put = |name: &str, dtype, n, bytes| out.put(format!("choices.{name}"), dtype, vec![n], bytes);
    put("user", Dtype::U64, k, le(&users, u64::to_le_bytes));
    put("key", Dtype::U64, k, le(&keys, u64::to_le_bytes));
    put("ts", Dtype::I64, k, le(&times, i64::to_le_bytes));
    put("end", Dtype::U64, k, le(&ends, u64::to_le_bytes));
    put("earlier", Dtype::U64, l, le(&earlier, u64::to_le_bytes));
    put("near", Dtype::F32, l, le(&near, f32::to_le_bytes));
}

fn write_pairs(pairs: &[(u64, &Arc<Neighbours>)], out: &mut Out) {
    let keys: Vec<u64> = pairs.iter().map(|(key, _)| *key).collect();
    let at: Vec<i64> = pairs.iter().map(|(_, n)| n.at).collect();
    let totals: Vec<f32> = pairs.iter().flat_map(|(_, n)| n.totals).collect();
    let all: Vec<Neighbour> = pairs.iter().flat_map(|(_, n)| n.list.iter().copied()).collect();
    let ends = ends(pairs.iter().map(|(_, n)| n.list.len()));
    let neighbours: Vec<u64> = all.iter().map(|n| n.key).collect();
    let weights: Vec<f32> = all.iter().flat_map(|n| n.weights).collect();
    let (p, q) = (keys.len(), all.len());
    let mut put = |name: &str, dtype, shape, bytes| out.put(format!("covisitation.{name}"), dtype, shape, bytes);
    put("key", Dtype::U64, vec![p], le(&keys, u64::to_le_bytes));
    put("at", Dtype::I64, vec![p], le(&at, i64::to_le_bytes));
    put("total", Dtype::F32, vec![p, WAYS], le(&totals, f32::to_le_bytes));
    put("end", Dtype::U64, vec![p], le(&ends, u64::to_le_bytes));
    put("neighbour", Dtype::U64, vec![q], le(&neighbours, u64::to_le_bytes));
    put("weight", Dtype::F32, vec![q, WAYS], le(&weights, f32::to_le_bytes));
}

fn write_sessions(sessions: &[(u64, &Arc<Session>)], out: &mut Out) {
    let numbers: Vec<u64> = sessions.iter().map(|(number, _)| *number).collect();
    let users: Vec<u64> = sessions.iter().map(|(_, session)| session.user).collect();
    let last_ts: Vec<i64> = sessions.iter().map(|(_, session)| session.last_ts).collect();
    let ends = ends(sessions.iter().map(|(_, session)| session.items.len()));
    let items: Vec<u64> = sessions.iter().flat_map(|(_, session)| session.items.iter().copied()).collect();
    let (s, t) = (numbers.len(), items.len());
    let mut put = |name: &str, dtype, n, bytes| out.put(format!("sessions.{name}"), dtype, vec![n], bytes);
    put("number", Dtype::U64, s, le(&numbers, u64::to_le_bytes));
    put("user", Dtype::U64, s, le(&users, u64::to_le_bytes));
    put("last_ts", Dtype::I64, s, le(&last_ts, i64::to_le_bytes));
    put("end", Dtype::U64, s, le(&ends, u64::to_le_bytes));
    put("item", Dtype::U64, t, le(&items, u64::to_le_bytes));
}

fn write_repurchases(repurchases: &[(u64, Repurchase)], out: &mut Out) {
    let n = repurchases.len();
    let keys: Vec<u64> = repurchases.iter().map(|(key, _)| *key).collect();
    let bought: Vec<u32> = repurchases.iter().map(|(_, of)| of.bought).collect();
    let again: Vec<u32> = repurchases.iter().map(|(_, of)| of.again).collect();
    let log_gaps: Vec<f64> = repurchases.iter().map(|(_, of)| of.log_gaps).collect();
    let mut put = |name: &str, dtype, bytes| out.put(format!("repurchases.{name}"), dtype, vec![n], bytes);
    put("key", Dtype::U64, le(&keys, u64::to_le_bytes));
    put("bought", Dtype::U32, le(&bought, u32::to_le_bytes));
    put("again", Dtype::U32, le(&again, u32::to_le_bytes));
    put("log_gaps", Dtype::F64, le(&log_gaps, f64::to_le_bytes));
}

/// Where each of consecutive ranges ends.
fn ends(lengths: impl Iterator<Item = usize>) -> Vec<u64> {
    lengths
        .scan(0_u64, |end, length| {
            *end += length as u64;
            Some(*end)
        })
        .collect()
}

/// Little-endian bytes of a column.
pub(crate) fn le<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

/// A tensor on its way into a payload: name, type, shape, little-endian bytes.
pub(crate) type Column = (String, Dtype, Vec<usize>, Vec<u8>);

#[derive(Default)]
struct Out {
    tensors: Vec<Column>,
}

impl Out {
    fn put(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) {
        self.tensors.push((name, dtype, shape, bytes));
    }

    fn finish(self, metadata: &Metadata) -> Result<Vec<u8>, Error> {
        let text = serde_json::to_string(metadata).map_err(|e| Error::Metadata(e.to_string()))?;
        let views: Result<Vec<_>, _> = self
            .tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        Ok(safetensors::serialize(views?, Some(HashMap::from([(METADATA.to_owned(), text)])))?)
    }
}
