//! A version that is decided and not yet encoded, and what it carries of what changed.

use std::collections::BTreeMap;

use schemas::UserKey;
use schemas::checkpoint::{Guarded, PayloadKind, Quality, Through};

use super::payload::{Column, ItemColumns, RowColumns};
use crate::knowledge::Knowledge;
use crate::network::trainable::OptimizerStates;

/// A version that is decided but not yet encoded. It shares the learner's tables, and where few items changed has those
/// of its own.
#[derive(Debug)]
pub struct Frozen {
    pub(crate) kind: PayloadKind,
    /// Without items where `items` has them.
    pub(crate) knowledge: Knowledge,
    /// The items of a delta, where they were copied.
    pub(crate) items: Option<ItemColumns>,
    /// Their rows, or those that moved; as above.
    pub(crate) rows: Option<RowColumns>,
    /// Items that are known, copied or not.
    pub(crate) known: u64,
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
    pub(crate) guarded: Option<Guarded>,
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
        self.knowledge.interactions()
    }

    /// Event time of the newest interaction.
    #[must_use]
    pub fn event_ts(&self) -> i64 {
        self.knowledge.now()
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
}

/// A choice as it was counted: sessions and pairs follow from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(crate) user: UserKey,
    pub(crate) key: u64,
    pub(crate) ts: i64,
    /// The items that it was paired with, nearest first, and how near each was.
    pub(crate) pairs: Vec<(u64, f32)>,
}

/// What one version carries.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) items: Vec<u64>,
    pub(crate) rows: Vec<u64>,
    /// Those of `rows` whose content moved, too; in order.
    pub(crate) sums: Vec<u64>,
    pub(crate) content: Vec<u64>,
    pub(crate) freed: Vec<u64>,
    pub(crate) repurchases: Vec<u64>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) removed: BTreeMap<u64, usize>,
    pub(crate) arrivals: BTreeMap<i64, u32>,
}
