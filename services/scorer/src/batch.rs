//! Sorts a micro-batch by user, so that several interactions of one user cost one scoring. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use runtime::kafka::Record;
use runtime::kafka::admin::Ends;
use schemas::horizon::{self, Horizon, Sight};
use schemas::{Interaction, Source, Written};

/// An interaction and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Positioned {
    /// The interaction.
    pub(crate) interaction: Interaction,
    /// Its event's position on `events`: the identity by which it is applied once.
    pub(crate) source: Source,
    /// Its own partition of `interactions`.
    pub(crate) partition: i32,
    /// Its own offset on `interactions`: what a version is trained through.
    pub(crate) offset: i64,
}

/// A micro-batch by user.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// Each user once, with their interactions in the order of the log.
    pub(crate) users: Vec<(Arc<str>, Vec<Positioned>)>,
    /// Records that are no interaction: somebody else writes to the topic.
    pub(crate) unreadable: u64,
    /// Where on `interactions` a record lies whose source is nowhere on `events`: nothing that ingest wrote.
    pub(crate) foreign: Vec<(i32, i64)>,
}

/// Decodes and sorts; `None` where it must be known first where `events` ends, now that the records are read.
pub(crate) fn sort(records: &[Record], horizon: &mut Horizon, events: Option<&Ends>) -> Option<Sorted> {
    let ends = events.map(Ends::offsets).unwrap_or_default();
    let events = events.map(|Ends { life, .. }| horizon::Ends { life: *life, ends: &ends });
    let mut sorted = Sorted::default();
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for record in records {
        let written = Written { partition: record.partition, at: record.timestamp, by_broker: record.by_broker };
        let Ok((interaction, source)) = Interaction::read(record.value.as_deref(), written) else {
            sorted.unreadable += 1;
            continue;
        };
        match horizon.sight(record.partition, source.position(), events) {
            Sight::Within => {}
            Sight::Ask => return None,
            Sight::Beyond => {
                sorted.foreign.push((record.partition, record.offset));
                continue;
            }
        }
        let user: Arc<str> = Arc::from(interaction.user_id.as_str());
        let place = match places.entry(user) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(vacant) => {
                sorted.users.push((Arc::clone(vacant.key()), Vec::new()));
                *vacant.insert(sorted.users.len() - 1)
            }
        };
        sorted.users[place].1.push(Positioned {
            interaction,
            source,
            partition: record.partition,
            offset: record.offset,
        });
    }
    Some(sorted)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use runtime::kafka::Next;
    use schemas::{Kind, Message};

    use super::*;

    fn record(offset: i64, value: Option<Vec<u8>>) -> Record {
        let value = value.map(Bytes::from);
        Record { partition: 1, offset, timestamp: 0, by_broker: false, key: Bytes::new(), value, headers: Vec::new() }
    }

    fn interaction(user: &str, offset: i64) -> Vec<u8> {
        let incarnation = schemas::position::incarnation(1_600_000_000, 7);
        let source = Some(Source { partition: 1, offset, topic: 0, incarnation });
        let (kind, ts) = (Kind::View.into(), 1_700_000_000_000);
        let item_id = "i".to_owned();
        Interaction { user_id: user.into(), item_id, kind, ts, source, ..Interaction::default() }.encode_to_vec()
    }

    #[test]
    fn each_user_stands_once_with_their_interactions_in_order() {
        let records: Vec<Record> = ["a", "b", "a", "a"]
            .into_iter()
            .zip(10..)
            .map(|(user, offset)| record(offset, Some(interaction(user, offset + 100))))
            .collect();
        let sorted = sort(&records, &mut Horizon::default(), None).expect("nothing is far ahead");
        let shape: Vec<(&str, Vec<i64>)> = sorted
            .users
            .iter()
            .map(|(user, list)| (&**user, list.iter().map(|positioned| positioned.source.offset).collect()))
            .collect();
        assert_eq!(shape, [("a", vec![110, 112, 113]), ("b", vec![111])]);
        assert_eq!(sorted.users[1].1[0].offset, 11);
    }

    #[test]
    fn what_is_no_interaction_is_counted_and_passed_over() {
        let without_source = Interaction { user_id: "a".into(), ..Interaction::default() }.encode_to_vec();
        let records = [record(0, None), record(1, Some(b"\xff\xff".to_vec())), record(2, Some(without_source))];
        let sorted = sort(&records, &mut Horizon::default(), None).expect("nothing is far ahead");
        assert_eq!((sorted.users.len(), sorted.unreadable), (0, 3));
    }

    #[test]
    fn a_forged_source_far_ahead_does_not_silence_its_user() {
        let records: Vec<Record> = [100, 90_000_000, 101]
            .into_iter()
            .zip(0..)
            .map(|(source, offset)| record(offset, Some(interaction("a", source))))
            .collect();
        let mut horizon = Horizon::default();
        assert!(sort(&records, &mut horizon, None).is_none(), "it asks where events ends");
        let events = Ends { life: 7, ends: [(1, Next(102))].into() };
        let sorted = sort(&records, &mut horizon, Some(&events)).expect("it was told");
        assert_eq!((sorted.unreadable, sorted.foreign), (0, vec![(1, 1)]));
        let sources: Vec<i64> = sorted.users[0].1.iter().map(|positioned| positioned.source.offset).collect();
        assert_eq!(sources, [100, 101]);
    }
}
