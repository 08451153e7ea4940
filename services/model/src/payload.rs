//! A version's payload: one safetensors file, whole or only what changed, that Python can open too.
//!
//! | tensor | shape | what |
//! |---|---|---|
//! | `items.key`, `items.slot`, `items.row`, `items.accumulator`, `items.sightings`, `items.first_ts`, `items.last_ts`, `items.popularity` | `[n]`, rows `[n, dim]`, popularity `[n, 4]` | the items, one row each |
//! | `items.id`, `items.id_end` | bytes, `[n]` | their ids in UTF-8, one after the other, and where each ends |
//! | `items.content_of`, `items.content` | `[m]`, `[m, dim]` | which of them have content, and its vector; the item's vector is row + content, scaled to length 1 |
//! | `items.row_scale`, `items.content_scale`, `content.row_scale` | `[n]`, `[m]`, `[c]` | only where the rows are I8: a row times its scale is what was encoded |
//! | `items.removed` | `[r]` | keys that went, to be taken out first: one that was met again is among the items too |
//! | `popularity.total` | `[4]` | log2 of all counts, decayed |
//! | `covisitation.key`, `.at`, `.total`, `.end`, `.neighbour`, `.weight` | `[p]`, totals `[p, 4]`, `[q]`, weights `[q, 4]` | neighbours of each key, as ranges, with the weight of each way |
//! | `sessions.number`, `.user`, `.last_ts`, `.end`, `.item` | `[s]`, `[t]` | sessions in the order of their beginning, and the keys of what each held, as ranges |
//! | `content.key`, `content.row`, `content.accumulator` | `[c]`, `[c, dim]` | rows of content features |
//! | `encoder.*`, `ranker.*` | | dense weights by path |
//! | `optimizer.encoder`, `optimizer.ranker` | bytes | Adam's moments |
//!
//! `items.row`, `items.content` and `content.row` are F32, F16 or I8, as `model.row_encoding` says ([`crate::rows`]); who
//! reads them goes by the tensor's type. Everything else that is learned is F32 or F64.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use schemas::checkpoint::{PayloadKind, Quality, Through};
use serde::{Deserialize, Serialize};

use crate::covisitation::{Neighbour, Neighbours, WAYS, Ways};
use crate::dense::{Array, Arrays};
use crate::error::Error;
use crate::items::{BLOCK, Entry, RowRef};
use crate::keymap::Plain;
use crate::knowledge::{ContentRow, Knowledge};
use crate::learner::Changed;
use crate::popularity::HALF_LIVES;
use crate::rows::Rows;
use crate::sessions::Session;
use crate::settings::Settings;
use crate::trainable::OptimizerStates;

/// The key of the file's metadata under which ours stands, as JSON.
const METADATA: &str = "thalweg";

/// A version that is decided but not yet encoded. Cheap to hold: it shares the learner's tables.
#[derive(Debug)]
pub struct Frozen {
    pub(crate) kind: PayloadKind,
    pub(crate) knowledge: Knowledge,
    pub(crate) arrays: (Arrays, Arrays),
    pub(crate) optimizers: OptimizerStates,
    pub(crate) steps: u64,
    pub(crate) through: BTreeMap<i32, Through>,
    pub(crate) recent_quality: BTreeMap<String, Quality>,
    pub(crate) overall_quality: BTreeMap<String, Quality>,
    pub(crate) changed: Changed,
}

/// What a payload says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) kind: PayloadKind,
    pub(crate) settings: Settings,
    pub(crate) origin: i64,
    pub(crate) now: i64,
    pub(crate) interactions: u64,
    pub(crate) steps: u64,
    /// Number of the oldest session remembered.
    pub(crate) first_session: u64,
    /// Slots of the table.
    pub(crate) slots: usize,
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
        let mut items: Vec<u64> = if whole {
            self.knowledge.items.blocks().flat_map(|b| b.keys().map(|(_, key)| key)).collect()
        } else {
            self.changed.items.iter().copied().collect()
        };
        items.sort_unstable();
        self.write_items(&items, &mut out);
        let mut pairs: Vec<(u64, &Arc<Neighbours>)> = if whole {
            self.knowledge.covisitation.iter().collect()
        } else {
            let of = |key: &u64| self.knowledge.covisitation.get(*key).map(|n| (*key, n));
            self.changed.pairs.iter().filter_map(of).collect()
        };
        pairs.sort_unstable_by_key(|(key, _)| *key);
        write_pairs(&pairs, &mut out);
        let sessions: Vec<(u64, &Arc<Session>)> = if whole {
            self.knowledge.sessions.iter().collect()
        } else {
            let of = |number: &u64| self.knowledge.sessions.get(*number).map(|session| (*number, session));
            self.changed.sessions.iter().filter_map(of).collect()
        };
        write_sessions(&sessions, &mut out);
        let mut content: Vec<(u64, &Arc<ContentRow>)> = if whole {
            self.knowledge.content.iter().map(|(key, row)| (*key, row)).collect()
        } else {
            let of = |key: &u64| self.knowledge.content.get(key).map(|row| (*key, row));
            self.changed.content.iter().filter_map(of).collect()
        };
        content.sort_unstable_by_key(|(key, _)| *key);
        self.write_content(&content, &mut out);
        for (prefix, arrays) in [("encoder", &self.arrays.0), ("ranker", &self.arrays.1)] {
            for (name, array) in arrays {
                out.put(
                    format!("{prefix}.{name}"),
                    Dtype::F32,
                    array.shape.clone(),
                    le(&array.values, f32::to_le_bytes),
                );
            }
        }
        for (name, bytes) in [("encoder", &self.optimizers.encoder), ("ranker", &self.optimizers.ranker)] {
            out.put(format!("optimizer.{name}"), Dtype::U8, vec![bytes.len()], bytes.clone());
        }
        out.finish(&Metadata {
            kind: self.kind,
            settings: (*self.knowledge.settings).clone(),
            origin: self.knowledge.clock.origin,
            now: self.knowledge.now,
            interactions: self.knowledge.interactions,
            steps: self.steps,
            first_session: self.knowledge.sessions.first(),
            slots: self.knowledge.items.blocks().len() * BLOCK,
        })
    }

    fn write_items(&self, keys: &[u64], out: &mut Out) {
        let table = &self.knowledge.items;
        let found: Vec<(u32, &Entry)> = keys
            .iter()
            .filter_map(|key| {
                let slot = table.slot(*key)?;
                Some((slot, table.entry(slot)?))
            })
            .collect();
        let (n, dim) = (found.len(), table.dim());
        let column = |out: &mut Out, name: &str, dtype, bytes| out.put(format!("items.{name}"), dtype, vec![n], bytes);
        let each = |f: &dyn Fn(&Entry) -> Vec<u8>| found.iter().flat_map(|(_, e)| f(e)).collect::<Vec<u8>>();
        column(out, "key", Dtype::U64, each(&|e| e.key.to_le_bytes().to_vec()));
        let slots: Vec<u32> = found.iter().map(|(slot, _)| *slot).collect();
        column(out, "slot", Dtype::U32, le(&slots, u32::to_le_bytes));
        column(out, "sightings", Dtype::U32, each(&|e| e.sightings.to_le_bytes().to_vec()));
        column(out, "first_ts", Dtype::I64, each(&|e| e.first_ts.to_le_bytes().to_vec()));
        column(out, "last_ts", Dtype::I64, each(&|e| e.last_ts.to_le_bytes().to_vec()));
        let popularity = each(&|e| le(&e.counters, f64::to_le_bytes));
        out.put("items.popularity".into(), Dtype::F64, vec![n, HALF_LIVES], popularity);
        let (mut ids, mut ends) = (Vec::new(), Vec::with_capacity(n));
        let (mut rows, mut accumulators) = (Vec::with_capacity(n * dim), Vec::with_capacity(n));
        let (mut content_of, mut content) = (Vec::new(), Vec::new());
        for (index, (slot, entry)) in (0_u32..).zip(&found) {
            ids.extend_from_slice(entry.id.as_bytes());
            ends.push(u32::try_from(ids.len()).unwrap_or(u32::MAX)); // 4 GB of ids: far beyond max_items
            let row = table.row(*slot);
            rows.extend_from_slice(row.row);
            accumulators.push(row.accumulator);
            if let Some(vector) = row.content {
                content_of.push(index);
                content.extend_from_slice(vector);
            }
        }
        out.put("items.id".into(), Dtype::U8, vec![ids.len()], ids);
        column(out, "id_end", Dtype::U32, le(&ends, u32::to_le_bytes));
        column(out, "accumulator", Dtype::F32, le(&accumulators, f32::to_le_bytes));
        self.write_rows("items.row", &rows, out);
        let of = le(&content_of, u32::to_le_bytes);
        out.put("items.content_of".into(), Dtype::U32, vec![content_of.len()], of);
        self.write_rows("items.content", &content, out);
        let mut removed: Vec<u64> = self.changed.removed.iter().copied().collect();
        removed.sort_unstable();
        out.put("items.removed".into(), Dtype::U64, vec![removed.len()], le(&removed, u64::to_le_bytes));
        let total = le(&self.knowledge.popular.totals, f64::to_le_bytes);
        out.put("popularity.total".into(), Dtype::F64, vec![HALF_LIVES], total);
    }

    fn write_content(&self, rows: &[(u64, &Arc<ContentRow>)], out: &mut Out) {
        let keys: Vec<u64> = rows.iter().map(|(key, _)| *key).collect();
        let accumulators: Vec<f32> = rows.iter().map(|(_, row)| row.accumulator).collect();
        let values: Vec<f32> = rows.iter().flat_map(|(_, row)| row.row.iter().copied()).collect();
        let n = keys.len();
        out.put("content.key".into(), Dtype::U64, vec![n], le(&keys, u64::to_le_bytes));
        out.put("content.accumulator".into(), Dtype::F32, vec![n], le(&accumulators, f32::to_le_bytes));
        self.write_rows("content.row", &values, out);
    }

    fn write_rows(&self, name: &str, rows: &[f32], out: &mut Out) {
        let Settings { row_encoding, dim, .. } = *self.knowledge.settings;
        out.tensors.extend(Rows::encode(row_encoding, dim, rows).columns(name));
    }
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

/// A payload's bytes, opened.
#[derive(Debug)]
pub struct Payload<'a> {
    tensors: SafeTensors<'a>,
    pub(crate) metadata: Metadata,
}

impl<'a> Payload<'a> {
    /// Opens a payload.
    ///
    /// # Errors
    /// When the bytes are no safetensors file or carry no metadata of ours.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let text = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(METADATA))
            .ok_or_else(|| Error::Metadata("it was not written by Thalweg".into()))?;
        let metadata = serde_json::from_str(text).map_err(|e| Error::Metadata(e.to_string()))?;
        Ok(Self { tensors: SafeTensors::deserialize(bytes)?, metadata })
    }

    /// Names, types and shapes, for people.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String, Vec<usize>)> {
        let mut all: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, view)| (name.to_owned(), format!("{:?}", view.dtype()), view.shape().to_vec()))
            .collect();
        all.sort();
        all
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'a>, Error> {
        self.tensors.tensor(name).map_err(|_| Error::tensor(name, "is missing"))
    }

    /// The type of a tensor that must be there.
    pub(crate) fn dtype(&self, name: &str) -> Result<Dtype, Error> {
        Ok(self.tensor(name)?.dtype())
    }

    fn bytes(&self, name: &str, dtype: Dtype) -> Result<&'a [u8], Error> {
        let view = self.tensor(name)?;
        if view.dtype() != dtype {
            return Err(Error::tensor(name, format!("is {:?}, not {dtype:?}", view.dtype())));
        }
        Ok(view.data())
    }

    pub(crate) fn column<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        of: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        let bytes = self.bytes(name, dtype)?;
        let (chunks, rest) = bytes.as_chunks::<N>();
        debug_assert!(rest.is_empty(), "safetensors checks lengths against types");
        Ok(chunks.iter().map(|chunk| of(*chunk)).collect())
    }

    fn arrays(&self, prefix: &str) -> Result<Arrays, Error> {
        let mut arrays = Arrays::new();
        for name in self.tensors.names() {
            if let Some(path) = name.strip_prefix(prefix) {
                let values = self.column(name, Dtype::F32, f32::from_le_bytes)?;
                let shape = self.tensors.tensor(name)?.shape().to_vec();
                arrays.insert(path.to_owned(), Array { shape, values });
            }
        }
        Ok(arrays)
    }

    /// Dense weights: the encoder's and the ranker's.
    pub(crate) fn dense(&self) -> Result<(Arrays, Arrays), Error> {
        Ok((self.arrays("encoder.")?, self.arrays("ranker.")?))
    }

    pub(crate) fn optimizers(&self) -> Result<OptimizerStates, Error> {
        let bytes = |name| Ok::<_, Error>(self.bytes(name, Dtype::U8)?.to_vec());
        Ok(OptimizerStates { encoder: bytes("optimizer.encoder")?, ranker: bytes("optimizer.ranker")? })
    }

    /// Writes the payload's items, pairs and content into `knowledge`.
    pub(crate) fn merge_into(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        for key in self.column("items.removed", Dtype::U64, u64::from_le_bytes)? {
            knowledge.remove(key);
        }
        self.merge_items(knowledge)?;
        self.merge_pairs(knowledge)?;
        self.merge_sessions(knowledge)?;
        let dim = knowledge.items.dim();
        let keys = self.column("content.key", Dtype::U64, u64::from_le_bytes)?;
        let accumulators = self.column("content.accumulator", Dtype::F32, f32::from_le_bytes)?;
        same_length("content.accumulator", accumulators.len(), keys.len())?;
        // Only who learns on asks for a feature's row: the items' vectors have it in them.
        if knowledge.items.table().is_none() {
            let rows = Rows::read(self, "content.row", dim)?;
            same_length("content.row", rows.len(), keys.len() * dim)?;
            for ((key, accumulator), row) in keys.into_iter().zip(accumulators).zip(rows.chunks_exact(dim)) {
                knowledge.content.insert(key, Arc::new(ContentRow { row: row.to_vec(), accumulator }));
            }
        }
        let totals = self.column("popularity.total", Dtype::F64, f64::from_le_bytes)?;
        same_length("popularity.total", totals.len(), HALF_LIVES)?;
        knowledge.popular.totals.copy_from_slice(&totals);
        Ok(())
    }

    fn merge_items(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let dim = knowledge.items.dim();
        let keys = self.column("items.key", Dtype::U64, u64::from_le_bytes)?;
        let n = keys.len();
        let slots = self.column("items.slot", Dtype::U32, u32::from_le_bytes)?;
        let sightings = self.column("items.sightings", Dtype::U32, u32::from_le_bytes)?;
        let first_ts = self.column("items.first_ts", Dtype::I64, i64::from_le_bytes)?;
        let last_ts = self.column("items.last_ts", Dtype::I64, i64::from_le_bytes)?;
        let counters = self.column("items.popularity", Dtype::F64, f64::from_le_bytes)?;
        let ids = self.bytes("items.id", Dtype::U8)?;
        let ends = self.column("items.id_end", Dtype::U32, u32::from_le_bytes)?;
        let rows = Rows::read(self, "items.row", dim)?;
        let accumulators = self.column("items.accumulator", Dtype::F32, f32::from_le_bytes)?;
        let content_of = self.column("items.content_of", Dtype::U32, u32::from_le_bytes)?;
        let content = Rows::read(self, "items.content", dim)?;
        for (name, got, expected) in [
            ("items.slot", slots.len(), n),
            ("items.sightings", sightings.len(), n),
            ("items.first_ts", first_ts.len(), n),
            ("items.last_ts", last_ts.len(), n),
            ("items.popularity", counters.len(), n * HALF_LIVES),
            ("items.id_end", ends.len(), n),
            ("items.row", rows.len(), n * dim),
            ("items.accumulator", accumulators.len(), n),
            ("items.content", content.len(), content_of.len() * dim),
        ] {
            same_length(name, got, expected)?;
        }
        // Items that changed places leave theirs first, all of them: one may go where another came from.
        let mut moved: Plain<Entry> = Plain::default();
        for (key, slot) in keys.iter().zip(&slots) {
            if knowledge.items.slot(*key).is_some_and(|old| old != *slot) {
                moved.extend(knowledge.items.remove(*key).map(|entry| (*key, entry)));
            }
        }
        let content: HashMap<u32, &[f32]> = content_of.into_iter().zip(content.chunks_exact(dim)).collect();
        let mut start = 0;
        for (index, i) in (0_u32..).zip(0..n) {
            let end = ends[i] as usize;
            let id = ids.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let id = id.ok_or_else(|| Error::tensor("items.id", "holds no UTF-8 where an id should be"))?;
            start = end;
            let mut new = [0.0; HALF_LIVES];
            new.copy_from_slice(&counters[i * HALF_LIVES..(i + 1) * HALF_LIVES]);
            let key = keys[i];
            let slot = slots[i];
            if slot as usize >= self.metadata.slots {
                return Err(Error::tensor("items.slot", "lies beyond the table"));
            }
            let placed = match knowledge.items.slot(key) {
                Some(at) => at == slot,
                None => match moved.remove(&key) {
                    Some(entry) => knowledge.items.insert_at(slot, entry),
                    None => knowledge.insert_at(slot, Entry::new(key, id.into(), first_ts[i])),
                },
            };
            if !placed {
                return Err(Error::tensor("items.slot", "puts two items into one slot or one into two"));
            }
            let popular = &mut knowledge.popular;
            knowledge.items.update(slot, |entry| {
                popular.update(key, &entry.counters, &new);
                entry.counters = new;
                entry.sightings = sightings[i];
                entry.last_ts = last_ts[i];
            });
            let row = &rows[i * dim..(i + 1) * dim];
            let content = content.get(&index).copied();
            knowledge.items.restore_row(slot, RowRef { row, content, accumulator: accumulators[i] });
        }
        Ok(())
    }

    fn merge_pairs(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let keys = self.column("covisitation.key", Dtype::U64, u64::from_le_bytes)?;
        let at = self.column("covisitation.at", Dtype::I64, i64::from_le_bytes)?;
        let totals = self.column("covisitation.total", Dtype::F32, f32::from_le_bytes)?;
        let ends = self.column("covisitation.end", Dtype::U64, u64::from_le_bytes)?;
        let neighbours = self.column("covisitation.neighbour", Dtype::U64, u64::from_le_bytes)?;
        let weights = self.column("covisitation.weight", Dtype::F32, f32::from_le_bytes)?;
        same_length("covisitation.at", at.len(), keys.len())?;
        same_length("covisitation.total", totals.len(), keys.len() * WAYS)?;
        same_length("covisitation.weight", weights.len(), neighbours.len() * WAYS)?;
        let ranges = ranges("covisitation.end", &ends, keys.len(), neighbours.len())?;
        for (n, range) in ranges.into_iter().enumerate() {
            let of = |n: usize| Neighbour { key: neighbours[n], weights: ways(&weights, n) };
            let list = range.map(of).collect();
            knowledge.covisitation.set(keys[n], Neighbours { at: at[n], totals: ways(&totals, n), list });
        }
        Ok(())
    }

    fn merge_sessions(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let numbers = self.column("sessions.number", Dtype::U64, u64::from_le_bytes)?;
        let users = self.column("sessions.user", Dtype::U64, u64::from_le_bytes)?;
        let last_ts = self.column("sessions.last_ts", Dtype::I64, i64::from_le_bytes)?;
        let ends = self.column("sessions.end", Dtype::U64, u64::from_le_bytes)?;
        let items = self.column("sessions.item", Dtype::U64, u64::from_le_bytes)?;
        same_length("sessions.user", users.len(), numbers.len())?;
        same_length("sessions.last_ts", last_ts.len(), numbers.len())?;
        let bounds = self.metadata.settings.session_bounds();
        // First, so that the numbers that follow have no gap before them.
        knowledge.sessions.forget_before(self.metadata.first_session);
        let ranges = ranges("sessions.end", &ends, numbers.len(), items.len())?;
        for (n, range) in ranges.into_iter().enumerate() {
            let session = Session { user: users[n], last_ts: last_ts[n], items: items[range].to_vec() };
            if !knowledge.sessions.set(numbers[n], session, &bounds) {
                return Err(Error::tensor("sessions.number", "leaves a session out"));
            }
        }
        Ok(())
    }
}

/// The `n`-th weights of a column.
fn ways(column: &[f32], n: usize) -> Ways {
    let mut ways = [0.0; WAYS];
    ways.copy_from_slice(&column[n * WAYS..(n + 1) * WAYS]);
    ways
}

/// Ranges from where each ends, checked.
fn ranges(name: &str, ends: &[u64], count: usize, most: usize) -> Result<Vec<std::ops::Range<usize>>, Error> {
    same_length(name, ends.len(), count)?;
    let mut start = 0;
    ends.iter()
        .map(|end| {
            let end = usize::try_from(*end).ok().filter(|end| start <= *end && *end <= most);
            let range = start..end.ok_or_else(|| Error::tensor(name, "points outside"))?;
            start = range.end;
            Ok(range)
        })
        .collect()
}

pub(crate) fn same_length(name: &str, got: usize, expected: usize) -> Result<(), Error> {
    if got == expected {
        return Ok(());
    }
    Err(Error::tensor(name, format!("has {got} values, not {expected}")))
}
