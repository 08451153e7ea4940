//! Users' histories are not in a version: they are in the stream. A window of it is read again to rebuild them.
//!
//! One pass does both: the reader starts a window before where the version stands, and each interaction before that
//! point is remembered, each one behind it is trained on. A user's interactions are in one partition, so a history is
//! whole before the first interaction that is predicted from it.

use std::collections::BTreeMap;

use model::Positioned;
use runtime::kafka::{Positions, Record};
use schemas::checkpoint::Through;
use schemas::{Interaction, Written};

/// Where to start reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// The window before where the version stands.
    pub(crate) positions: Positions,
    /// Interactions that retention deleted before they were trained on.
    pub(crate) missed: i64,
}

/// A partition that ends before where the version stands: `(partition, next, end)`.
pub(crate) type Shorter = (i32, i64, i64);

/// Finds where to start for a version that stands at `through`; a partition it does not know starts at its beginning.
pub(crate) fn start(
    through: &BTreeMap<i32, Through>,
    beginnings: &Positions,
    ends: &Positions,
    window: u64,
) -> Result<Start, Shorter> {
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let of = |positions: &Positions, partition: &i32| positions.get(partition).copied().unwrap_or(0);
    let mut start = Start { positions: beginnings.clone(), missed: 0 };
    for (partition, &Through { next, .. }) in through {
        let (beginning, end) = (of(beginnings, partition), of(ends, partition));
        if next > end {
            return Err((*partition, next, end));
        }
        start.missed += (beginning - next).max(0);
        start.positions.insert(*partition, next.saturating_sub(window).max(beginning));
    }
    Ok(start)
}

/// A batch of `interactions`, told apart.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// The model was trained on these; they only rebuild histories.
    pub(crate) remember: Vec<Interaction>,
    /// These are new.
    pub(crate) train: Vec<Positioned>,
    /// Where records lie that are no interaction.
    pub(crate) undecodable: Vec<(i32, i64)>,
}

/// Tells batches apart for a version that stands at `through`.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    through: BTreeMap<i32, Through>,
    /// The source offset remembered last, by partition.
    remembered: Positions,
}

impl Sorter {
    /// Nothing is remembered yet.
    pub(crate) fn new(through: BTreeMap<i32, Through>) -> Self {
        Self { through, remembered: Positions::new() }
    }

    /// Tells a batch apart.
    pub(crate) fn sort(&mut self, records: &[Record]) -> Sorted {
        let mut sorted = Sorted::default();
        for record in records {
            let (partition, offset) = (record.partition, record.offset);
            let Some((interaction, source)) = decode(record) else {
                sorted.undecodable.push((partition, offset));
                continue;
            };
            if self.through.get(&partition).is_none_or(|stands| offset >= stands.next) {
                sorted.train.push(Positioned { partition, offset, interaction });
                continue;
            }
            // I2: the log may hold an interaction twice; the history it went into held it once.
            let last = self.remembered.entry(partition).or_insert(-1);
            if source > *last {
                *last = source;
                sorted.remember.push(interaction);
            }
        }
        sorted
    }
}

/// An interaction and its offset on `events`. Without it, it could not be told from its repetition (I2).
fn decode(record: &Record) -> Option<(Interaction, i64)> {
    let written = Written { at: record.timestamp, by_broker: record.by_broker };
    let (interaction, source) = Interaction::read(record.value.as_deref(), written).ok()?;
    Some((interaction, source.offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn stands(next: i64) -> Through {
        Through { next, source: next, ..Through::NOTHING }
    }

    #[test]
    fn the_window_lies_before_where_the_version_stands_and_not_before_the_topic() {
        let through = BTreeMap::from([(0, stands(1_000)), (1, stands(30))]);
        let beginnings = Positions::from([(0, 0), (1, 5), (2, 7)]);
        let ends = Positions::from([(0, 1_000), (1, 90), (2, 9)]);
        let start = start(&through, &beginnings, &ends, 100).expect("starts");
        assert_eq!(start, Start { positions: Positions::from([(0, 900), (1, 5), (2, 7)]), missed: 0 });
    }

    #[test]
    fn interactions_that_retention_took_are_counted() {
        let (through, ends) = (BTreeMap::from([(0, stands(10))]), Positions::from([(0, 90)]));
        let start = start(&through, &Positions::from([(0, 25)]), &ends, 100).expect("starts");
        assert_eq!(start, Start { positions: Positions::from([(0, 25)]), missed: 15 });
    }

    #[test]
    fn a_topic_shorter_than_what_was_trained_on_is_refused() {
        let through = BTreeMap::from([(0, stands(10))]);
        assert_eq!(start(&through, &Positions::from([(0, 0)]), &Positions::from([(0, 4)]), 100), Err((0, 10, 4)));
        assert_eq!(start(&through, &Positions::new(), &Positions::new(), 100), Err((0, 10, 0)));
    }

    #[test]
    fn what_the_version_knows_is_remembered_and_the_rest_is_trained_on() {
        let records: Vec<Record> = (8..12).map(|offset| testing::interaction(0, offset)).collect();
        let sorted = Sorter::new(BTreeMap::from([(0, stands(10))])).sort(&records);
        assert_eq!(sorted.remember.len(), 2);
        assert_eq!(sorted.train.iter().map(|p| p.offset).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(Sorter::new(BTreeMap::from([(1, stands(10))])).sort(&records).train.len(), 4, "another partition");
    }

    #[test]
    fn what_is_no_interaction_is_told_and_skipped() {
        let (mut garbage, mut deleted) = (testing::interaction(0, 5), testing::interaction(0, 6));
        garbage.value = Some(b"{}".as_slice().into());
        deleted.value = None;
        assert_eq!(Sorter::default().sort(&[garbage, deleted]).undecodable, [(0, 5), (0, 6)]);
    }

    #[test]
    fn an_interaction_that_the_log_holds_twice_is_remembered_once() {
        let again = Record { offset: 9, ..testing::interaction(0, 7) };
        let records = [testing::interaction(0, 7), testing::interaction(0, 8), again];
        let sorted = Sorter::new(BTreeMap::from([(0, stands(10))])).sort(&records);
        assert_eq!(sorted.remember.len(), 2);
    }
}
