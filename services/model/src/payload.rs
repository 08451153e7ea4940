//! A version's payload: one safetensors file, whole or only what changed, that Python can open too.
//!
//! | tensor | shape | what |
//! |---|---|---|
//! | `items.key`, `items.slot`, `items.row`, `items.accumulator`, `items.sightings`, `items.chosen_by`, `items.first_ts`, `items.last_ts`, `items.popularity` | `[n]`, rows `[n, dim]`, popularity `[n, 4]` | the items, one row each |
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

mod read;
mod write;

use schemas::checkpoint::PayloadKind;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

pub use read::Payload;
pub(crate) use read::same_length;
pub use write::Frozen;
pub(crate) use write::{Column, ItemColumns, le};

/// The key of the file's metadata under which ours stands, as JSON.
const METADATA: &str = "thalweg";

/// What a payload says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) kind: PayloadKind,
    pub(crate) settings: Settings,
    pub(crate) origin: i64,
    pub(crate) now: i64,
    pub(crate) interactions: u64,
    pub(crate) steps: u64,
    /// Numbers of the oldest session kept, and of the oldest of one item.
    pub(crate) first_session: u64,
    #[serde(default)]
    pub(crate) first_waiting: u64,
    /// Slots of the table.
    pub(crate) slots: usize,
}
