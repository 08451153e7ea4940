//! A version's payload: one safetensors file, whole or only what changed, that Python can open too.
//!
//! | tensor | shape | what |
//! |---|---|---|
//! | `items.key`, `items.slot`, `items.sightings`, `items.repeated`, `items.chosen_by`, `items.first_ts`, `items.last_ts`, `items.popularity` | `[n]`, popularity `[n, 4]` | the items, of a delta those whose counts or place changed |
//! | `items.id`, `items.id_end` | bytes, `[n]` | their ids in UTF-8, one after the other, and where each ends |
//! | `items.row_slot`, `items.row`, `items.accumulator` | `[w]`, `[w, dim]`, `[w]` | rows by the slot of their item, of a snapshot in the order of the items, of a delta those that moved |
//! | `items.content_of`, `items.content` | `[m]`, `[m, dim]` | which of these rows have content, and its vector; the item's vector is row + content, scaled to length 1 |
//! | `items.sum` | `[w, dim]` | in place of `items.row` in deltas that leave out what moved little: row + content. The content is as it was, but for those that `items.content_of` names |
//! | `items.row_scale`, `items.content_scale`, `content.row_scale` | `[w]`, `[m]`, `[c]` | only where the rows are I8: a row times its scale is what was encoded |
//! | `items.removed`, `items.removed_after` | `[r]` | keys that went, to be taken out first: one that was met again is among the items too; and how many of a delta's choices came before, whose pairs went with it |
//! | `popularity.total` | `[4]` | log2 of all counts, decayed |
//! | `covisitation.key`, `.at`, `.total`, `.end`, `.neighbour`, `.weight` | `[p]`, totals `[p, 4]`, `[q]`, weights `[q, 4]` | snapshots: neighbours of each key, as ranges, with the weight of each way |
//! | `sessions.number`, `.user`, `.last_ts`, `.end`, `.item` | `[s]`, `[t]` | snapshots: sessions in the order of their beginning, and the keys of what each held, as ranges |
//! | `choices.user`, `.key`, `.ts`, `.end`, `.earlier`, `.near` | `[k]`, `[l]` | deltas: the choices that were counted, in their order, and as ranges what each was paired with, nearest first, and how near; pairs and sessions follow from them |
//! | `repurchases.key`, `.bought`, `.again`, `.log_gaps` | `[r]` | how often what was bought is bought again, by category; key 0: of all |
//! | `content.key`, `content.row`, `content.accumulator` | `[c]`, `[c, dim]` | rows of content features |
//! | `encoder.*`, `ranker.*` | | dense weights by path; I8: how many steps they moved since the version before |
//! | `encoder_step.*`, `ranker_step.*` | | the size of these steps, for each row of a matrix, and one for a vector |
//! | `optimizer.encoder`, `optimizer.ranker` | bytes | Adam's moments; not in every delta, then those of before go on |
//!
//! `items.row`, `items.sum`, `items.content` and `content.row` are F32, F16 or I8, as `model.row_encoding` says
//! ([`crate::table::rows`]). They are I8 in deltas that leave out what moved little. Readers go by the tensor's type.
//! Everything else that is learned is F32 or F64.
//!
//! The file's metadata hold two texts in JSON: `thalweg` says what is in it, and with which settings; in an exported
//! version `thalweg.manifest` is the manifest that it had on its topic, as a snapshot.

mod check;
mod columns;
mod exported;
mod merge;
mod metadata;
mod pack;
mod read;
mod rows;
mod sample;
mod weights;
mod write;

pub use super::frozen::Frozen;
pub(crate) use columns::{Column, ItemColumns, RowColumns};
use metadata::{MANIFEST, METADATA, Metadata};
pub use pack::{pack, unpack};
pub use read::Payload;
pub(crate) use weights::{moved, whole};
