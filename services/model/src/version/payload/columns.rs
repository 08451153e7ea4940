//! Columns on their way into a payload, and items and their rows copied column by column.

use safetensors::tensor::Dtype;
use schemas::UserKey;

use crate::memory::popularity::Counters;
use crate::table::items::{Entry, Items, RowRef};
use crate::table::rows::touch;

/// Little-endian bytes of a column.
pub(crate) fn le<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

/// A tensor on its way into a payload: name, type, shape, little-endian bytes.
pub(crate) type Column = (String, Dtype, Vec<usize>, Vec<u8>);

/// Items by key, column by column, as a payload holds them.
#[derive(Debug)]
pub(crate) struct ItemColumns {
    pub(super) key: Vec<u64>,
    pub(super) slot: Vec<u32>,
    pub(super) sightings: Vec<u32>,
    pub(super) repeated: Vec<u32>,
    pub(super) chosen_by: Vec<UserKey>,
    pub(super) first_ts: Vec<i64>,
    pub(super) last_ts: Vec<i64>,
    pub(super) counters: Vec<Counters>,
    /// One after the other, and where each ends.
    pub(super) ids: Vec<u8>,
    pub(super) id_end: Vec<u32>,
}

/// Rows of items, by slot, column by column.
#[derive(Debug)]
pub(crate) struct RowColumns {
    pub(super) slot: Vec<u32>,
    pub(super) accumulator: Vec<f32>,
    /// `[slot, dim]`
    pub(super) row: Vec<f32>,
    /// Which of them say what their content is.
    pub(super) content_of: Vec<u32>,
    /// `[content_of, dim]`
    pub(super) content: Vec<f32>,
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
            repeated: entries.iter().map(|entry| entry.repeated).collect(),
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
    /// Copies those of `keys` that the table has, in the order of their keys. With `sums`, keys in order, row and
    /// content are added up, and only these say what of it is content.
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
