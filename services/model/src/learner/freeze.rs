//! The learner as a version: what the next one carries.

use schemas::checkpoint::PayloadKind;

use super::Learner;
use super::negatives::Pool;
use crate::error::Error;
use crate::version::frozen::Frozen;
use crate::version::payload::{Column, ItemColumns, RowColumns, moved, whole};

impl Learner {
    /// Freezes what the next version holds; encoding it is another thread's work.
    ///
    /// A version shares the learner's tables. A delta copies the items that changed, though, which takes a moment for
    /// each: sharing their table would cost the learner a copy of every block that it writes to while the delta is
    /// encoded, and it writes to items all over the hot set. Where more changed than the hot set holds, as after a bulk
    /// of catalog records, it shares that table, too. Where so much changed that a delta would be the larger one, it is
    /// a snapshot.
    ///
    /// # Errors
    /// When the optimisers' states cannot be written.
    pub fn freeze(&mut self, kind: PayloadKind) -> Result<Frozen, Error> {
        let kind = if self.changed.is_much() { PayloadKind::Snapshot } else { kind };
        let tolerance = self.knowledge.settings().delta_tolerance;
        let exact = kind == PayloadKind::Snapshot || tolerance <= 0.0;
        let changed = self.changed.take(kind, tolerance, &self.knowledge);
        self.pool = Pool::default();
        let mut knowledge = self.knowledge.clone();
        let few = changed.items.len().max(changed.rows.len()) <= knowledge.settings().retrieval_items;
        let copied = kind == PayloadKind::Delta && few;
        if copied {
            knowledge.drop_items();
        }
        let table = self.knowledge.table();
        Ok(Frozen {
            kind,
            knowledge,
            items: copied.then(|| ItemColumns::of(table, changed.items.clone())),
            rows: copied.then(|| RowColumns::of(table, &changed.rows, (!exact).then_some(&changed.sums))),
            known: self.knowledge.items() as u64,
            slots: table.slots(),
            dense: self.dense_columns(exact),
            optimizers: exact.then(|| self.trainable.optimizer_states()).transpose()?,
            steps: self.steps,
            through: self.through.clone(),
            recent_quality: self.quality.recent(),
            overall_quality: self.quality.overall(),
            guarded: self.guarded(),
            changed,
        })
    }

    /// The dense weights, whole or as what they moved by; from then on the versions have them.
    fn dense_columns(&mut self, exact: bool) -> Vec<Column> {
        let (encoder, ranker) = self.trainable.arrays();
        let published = (&mut self.published.0, &mut self.published.1);
        [("encoder", encoder, published.0), ("ranker", ranker, published.1)]
            .into_iter()
            .flat_map(
                |(prefix, now, published)| {
                    if exact { whole(prefix, now, published) } else { moved(prefix, &now, published) }
                },
            )
            .collect()
    }
}
