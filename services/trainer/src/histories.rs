//! Users' histories are not in a version: they are in the stream. A window of it is read again to rebuild them.
//!
//! One pass does both: the reader starts a window before where the version stands, and each interaction before that
//! point is remembered, each one behind it is trained on. A user's interactions are in one partition, so a history is
//! whole before the first interaction that is predicted from it.

use std::collections::BTreeMap;

use model::Positioned;
use runtime::kafka::admin::Ends;
use runtime::kafka::{Next, Positions, Record, Span};
use schemas::checkpoint::Through;
use schemas::horizon::{self, Horizon, Sight};
use schemas::{Interaction, Position, Written};

/// Where to start reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// The window before where the version stands.
    pub(crate) positions: Positions,
    /// Interactions that retention deleted before they were trained on.
    pub(crate) missed: i64,
    /// Partitions that are not what the version was trained on: the topic was deleted and made again, or lost its end.
    /// They are read from their beginning; what was applied before is known by its source.
    pub(crate) reborn: Vec<i32>,
}

/// Finds where to start for a version that stands at `through`, on a topic that holds `span`. A partition that the
/// version does not know starts at its beginning.
pub(crate) fn start(through: &BTreeMap<i32, Through>, span: &Span, window: u64) -> Start {
    let Span { life, beginnings, ends } = span;
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let of = |positions: &Positions, partition: &i32| positions.get(partition).map_or(0, |next| next.0);
    let mut start = Start { positions: beginnings.clone(), missed: 0, reborn: Vec::new() };
    for (partition, &Through { next, log, .. }) in through {
        let (beginning, end) = (of(beginnings, partition), of(ends, partition));
        if next > end || (log != 0 && *life != 0 && log != *life) {
            start.reborn.push(*partition);
            continue;
        }
        start.missed = start.missed.saturating_add(beginning.saturating_sub(next).max(0));
        start.positions.insert(*partition, Next(next.saturating_sub(window).max(beginning)));
    }
    start
}

/// A batch of `interactions`, told apart.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// The model was trained on these; they only rebuild histories.
    pub(crate) remember: Vec<Interaction>,
    /// These are new.
    pub(crate) train: Vec<Positioned>,
    /// Where records lie that are no interaction, or none that ingest wrote.
    pub(crate) undecodable: Vec<(i32, i64)>,
    /// Those of them that the version does not know of yet.
    pub(crate) passed_over: Vec<(i32, i64)>,
    /// How many records were told apart: behind them is one whose source is to be held against where `events` ends.
    pub(crate) records: usize,
}

/// Tells batches apart for a version that stands at `through`.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    through: BTreeMap<i32, Through>,
    /// The source of the last interaction that was taken, by partition.
    last: BTreeMap<i32, Position>,
    horizon: Horizon,
}

impl Sorter {
    /// Nothing is remembered yet.
    pub(crate) fn new(through: BTreeMap<i32, Through>) -> Self {
        Self { through, ..Self::default() }
    }

    /// Partitions of another log than the version was trained on: all their interactions are to be trained on.
    pub(crate) fn begin_anew(&mut self, partitions: &[i32]) {
        self.through.retain(|partition, _| !partitions.contains(partition));
        self.last.retain(|partition, _| !partitions.contains(partition));
        self.horizon.forget(partitions);
    }

    /// Tells a batch apart, up to a record whose source could lie behind the end of `events`. Ask for that end and call
    /// this again with it and the rest of the batch, all of which was read before.
    pub(crate) fn sort(&mut self, records: &[Record], events: Option<&Ends>) -> Sorted {
        let mut sorted = Sorted::default();
        let ends = events.map(Ends::offsets).unwrap_or_default();
        let events = events.map(|Ends { life, .. }| horizon::Ends { life: *life, ends: &ends });
        for record in records {
            let (partition, offset) = (record.partition, record.offset);
            let stands = self.through.get(&partition).filter(|stands| offset < stands.next);
            let read = decode(record).map(|(read, place)| (read, place, self.horizon.sight(partition, place, events)));
            match read {
                Some((_, _, Sight::Ask)) => return sorted,
                None | Some((_, _, Sight::Beyond)) => {
                    sorted.undecodable.push((partition, offset));
                    if stands.is_none() {
                        sorted.passed_over.push((partition, offset));
                    }
                }
                Some((interaction, place, Sight::Within)) => {
                    // I2: the log may hold an interaction twice; the history it went into held it once.
                    let last = self.last.entry(partition).or_insert(Position::START);
                    let new = place > *last;
                    *last = place.max(*last);
                    if stands.is_none() {
                        sorted.train.push(Positioned { partition, offset, interaction });
                    } else if new {
                        sorted.remember.push(interaction);
                    }
                }
            }
            sorted.records += 1;
        }
        sorted
    }
}

/// An interaction and its place on `events`. Without it, it could not be told from its repetition (I2).
fn decode(record: &Record) -> Option<(Interaction, Position)> {
    let written = Written { partition: record.partition, at: record.timestamp, by_broker: record.by_broker };
    let (interaction, source) = Interaction::read(record.value.as_deref(), written).ok()?;
    Some((interaction, source.position()))
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
        let beginnings = Positions::from([(0, Next(0)), (1, Next(5)), (2, Next(7))]);
        let ends = Positions::from([(0, Next(1_000)), (1, Next(90)), (2, Next(9))]);
        let start = start(&through, &Span { life: 0, beginnings, ends }, 100);
        let positions = Positions::from([(0, Next(900)), (1, Next(5)), (2, Next(7))]);
        assert_eq!(start, Start { positions, missed: 0, reborn: Vec::new() });
    }

    #[test]
    fn interactions_that_retention_took_are_counted() {
        let span =
            Span { life: 0, beginnings: Positions::from([(0, Next(25))]), ends: Positions::from([(0, Next(90))]) };
        let start = start(&BTreeMap::from([(0, stands(10))]), &span, 100);
        assert_eq!(start, Start { positions: Positions::from([(0, Next(25))]), missed: 15, reborn: Vec::new() });
    }

    #[test]
    fn another_log_than_was_trained_on_is_read_from_its_beginning() {
        let positions = Positions::from([(0, Next(2))]);
        let anew = |through, end, life| {
            let span = Span { life, beginnings: positions.clone(), ends: [(0, Next(end))].into() };
            start(&BTreeMap::from([(0, through)]), &span, 100)
        };
        let shorter = anew(stands(10), 4, 0);
        assert_eq!(shorter, Start { positions: positions.clone(), missed: 0, reborn: vec![0] });
        let remade = anew(Through { log: 7, ..stands(10) }, 500, 8);
        assert_eq!(remade, Start { positions: positions.clone(), missed: 0, reborn: vec![0] });
        for (log, life) in [(7, 7), (0, 8), (7, 0)] {
            assert!(
                anew(Through { log, ..stands(10) }, 500, life).reborn.is_empty(),
                "it is the same, or nobody knows"
            );
        }

        let mut sorter = Sorter::new(BTreeMap::from([(0, stands(10))]));
        sorter.begin_anew(&[0]);
        assert_eq!(sorter.sort(&[testing::interaction(0, 3)], None).train.len(), 1, "the learner knows what it has");
    }

    #[test]
    fn a_source_beyond_the_end_of_events_is_foreign_and_silences_nobody() {
        let at = |offset: i64, source: i64| {
            let value = testing::viewed_at(0, source, schemas::position::incarnation(1_600_000_000, 7));
            Record { offset, value: Some(value), ..testing::interaction(0, 0) }
        };
        let records = [at(0, 0), at(1, 5_000_000), at(2, 1), at(3, 4_000), at(4, 4_001)];
        let mut sorter = Sorter::default();
        let first = sorter.sort(&records, None);
        assert_eq!((first.records, first.train.len()), (1, 1), "it stops where it has to ask");
        let ends = Ends { life: 7, ends: [(0, Next(4_001))].into() };
        let rest = sorter.sort(&records[1..], Some(&ends));
        assert_eq!(
            (rest.records, rest.train.len(), rest.undecodable),
            (4, 3, vec![(0, 1)]),
            "and asks once for a batch"
        );
        // Where an earlier life ended, nobody knows.
        let mut sorter = Sorter::default();
        let rest = sorter.sort(&records[1..2], Some(&Ends { life: 8, ends: [(0, Next(10))].into() }));
        assert_eq!((rest.records, rest.train.len()), (1, 1));
    }

    #[test]
    fn what_the_version_knows_is_remembered_and_the_rest_is_trained_on() {
        let records: Vec<Record> = (8..12).map(|offset| testing::interaction(0, offset)).collect();
        let sorted = Sorter::new(BTreeMap::from([(0, stands(10))])).sort(&records, None);
        assert_eq!(sorted.remember.len(), 2);
        assert_eq!(sorted.train.iter().map(|p| p.offset).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(
            Sorter::new(BTreeMap::from([(1, stands(10))])).sort(&records, None).train.len(),
            4,
            "another partition"
        );
    }

    #[test]
    fn what_is_no_interaction_is_told_and_skipped() {
        let (mut garbage, mut deleted) = (testing::interaction(0, 5), testing::interaction(0, 6));
        garbage.value = Some(b"{}".as_slice().into());
        deleted.value = None;
        assert_eq!(Sorter::default().sort(&[garbage, deleted], None).undecodable, [(0, 5), (0, 6)]);
    }

    #[test]
    fn an_interaction_that_the_log_holds_twice_is_remembered_once() {
        let again = Record { offset: 9, ..testing::interaction(0, 7) };
        let records = [testing::interaction(0, 7), testing::interaction(0, 8), again];
        let sorted = Sorter::new(BTreeMap::from([(0, stands(10))])).sort(&records, None);
        assert_eq!(sorted.remember.len(), 2);
    }
}
