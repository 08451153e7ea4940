//! Writing a payload: what is frozen, as tensors.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};
use schemas::UserKey;
use schemas::checkpoint::{Manifest, PayloadKind};

use super::columns::{Column, ItemColumns, RowColumns, le};
use super::{MANIFEST, METADATA, Metadata, rows};
use crate::error::Error;
use crate::knowledge::ContentRow;
use crate::memory::covisitation::{Neighbour, Neighbours, WAYS};
use crate::memory::popularity::HALF_LIVES;
use crate::memory::repeats::Repurchase;
use crate::memory::sessions::Session;
use crate::settings::Settings;
use crate::table::rows::{Rows, STEPS};
use crate::version::frozen::{Choice, Frozen};

/// A row has so many steps to either side however much a delta may leave out.
const LEAST_STEPS: f32 = 15.0;

impl Frozen {
    /// Encodes the payload. Takes time in proportion to what it holds: call it off the learner's thread.
    ///
    /// # Errors
    /// When safetensors refuses, which it does only on a fault of ours.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.encode_under(None)
    }

    /// The same, with a manifest in the file's metadata.
    pub(crate) fn encode_under(&self, manifest: Option<&Manifest>) -> Result<Vec<u8>, Error> {
        let whole = self.kind == PayloadKind::Snapshot;
        let mut out = Out::default();
        match &self.items {
            Some(items) => self.write_items(items, &mut out),
            None => self.write_items(&ItemColumns::of(self.knowledge.table(), self.items_held()), &mut out),
        }
        match &self.rows {
            Some(rows) => self.write_item_rows(rows, &mut out),
            None => {
                let sums = (!self.is_exact()).then_some(&self.changed.sums);
                self.write_item_rows(&RowColumns::of(self.knowledge.table(), &self.rows_held(), sums), &mut out);
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
        out.finish(&self.metadata(), manifest)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            kind: self.kind,
            settings: self.knowledge.settings().clone(),
            origin: self.knowledge.clock().origin,
            now: self.knowledge.now(),
            interactions: self.knowledge.interactions(),
            steps: self.steps,
            first_session: self.knowledge.sessions().first().0,
            first_waiting: self.knowledge.sessions().first().1,
            slots: self.slots,
            users: self.knowledge.users_known_by().map(str::to_owned),
        }
    }

    /// Pairs and sessions, whole.
    fn write_memory(&self, out: &mut Out) {
        let mut pairs: Vec<(u64, &Arc<Neighbours>)> = self.knowledge.covisitation().iter().collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        write_pairs(&pairs, out);
        write_sessions(&self.knowledge.sessions().iter().collect::<Vec<_>>(), out);
    }

    fn write_repurchases(&self, out: &mut Out) {
        let known = self.knowledge.repurchases();
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
            PayloadKind::Snapshot => self.knowledge.table().keys().collect(),
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
        column(out, "repeated", Dtype::U32, le(&items.repeated, u32::to_le_bytes));
        column(out, "chosen_by", Dtype::U64, le(&items.chosen_by, UserKey::to_le_bytes));
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
        let total = le(&self.knowledge.popular().totals, f64::to_le_bytes);
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
        let content = self.knowledge.content();
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
        self.kind == PayloadKind::Snapshot || self.knowledge.settings().delta_tolerance <= 0.0
    }

    fn write_rows(&self, name: &str, values: &[f32], out: &mut Out) {
        let Settings { row_encoding, delta_tolerance, dim, .. } = *self.knowledge.settings();
        let encoded = if self.is_exact() {
            Rows::encode(row_encoding, dim, values)
        } else {
            // Off by some 0.4 of what a delta leaves out.
            Rows::rough(dim, values, (2.0 / delta_tolerance).round().clamp(LEAST_STEPS, STEPS))
        };
        out.tensors.extend(rows::columns(&encoded, name));
    }
}

fn write_choices(choices: &[Choice], out: &mut Out) {
    let users: Vec<UserKey> = choices.iter().map(|choice| choice.user).collect();
    let keys: Vec<u64> = choices.iter().map(|choice| choice.key).collect();
    let times: Vec<i64> = choices.iter().map(|choice| choice.ts).collect();
    let ends = ends(choices.iter().map(|choice| choice.pairs.len()));
    let pairs = || choices.iter().flat_map(|choice| choice.pairs.iter());
    let earlier: Vec<u64> = pairs().map(|(key, _)| *key).collect();
    let near: Vec<f32> = pairs().map(|(_, near)| *near).collect();
    let (k, l) = (keys.len(), earlier.len());
    let mut put = |name: &str, dtype, n, bytes| out.put(format!("choices.{name}"), dtype, vec![n], bytes);
    put("user", Dtype::U64, k, le(&users, UserKey::to_le_bytes));
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
    let users: Vec<UserKey> = sessions.iter().map(|(_, session)| session.user).collect();
    let last_ts: Vec<i64> = sessions.iter().map(|(_, session)| session.last_ts).collect();
    let ends = ends(sessions.iter().map(|(_, session)| session.items.len()));
    let items: Vec<u64> = sessions.iter().flat_map(|(_, session)| session.items.iter().copied()).collect();
    let (s, t) = (numbers.len(), items.len());
    let mut put = |name: &str, dtype, n, bytes| out.put(format!("sessions.{name}"), dtype, vec![n], bytes);
    put("number", Dtype::U64, s, le(&numbers, u64::to_le_bytes));
    put("user", Dtype::U64, s, le(&users, UserKey::to_le_bytes));
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

#[derive(Default)]
struct Out {
    tensors: Vec<Column>,
}

impl Out {
    fn put(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) {
        self.tensors.push((name, dtype, shape, bytes));
    }

    fn finish(self, metadata: &Metadata, manifest: Option<&Manifest>) -> Result<Vec<u8>, Error> {
        let unwritable = |e: serde_json::Error| Error::Metadata(e.to_string());
        let mut texts = HashMap::from([(METADATA.to_owned(), serde_json::to_string(metadata).map_err(unwritable)?)]);
        if let Some(manifest) = manifest {
            texts.insert(MANIFEST.to_owned(), serde_json::to_string(manifest).map_err(unwritable)?);
        }
        let views: Result<Vec<_>, _> = self
            .tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        Ok(safetensors::serialize(views?, Some(texts))?)
    }
}
