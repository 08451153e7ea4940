//! What groups committed, and the two requests about it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;

use crate::routes::{Call, Engine, Serve, code};

/// Of a topic, by partition.
type Partitions = BTreeMap<i32, Committed>;

/// An offset and what the group noted with it; -1 where nothing was committed.
#[derive(Debug, Clone)]
struct Committed {
    offset: i64,
    metadata: Option<StrBytes>,
}

/// By group and topic. They outlive their topic, as those of Kafka may that is killed at the wrong moment: who reads
/// must see by itself that a topic was made again.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: Mutex<BTreeMap<String, BTreeMap<String, Partitions>>>,
}

impl Offsets {
    /// The offsets asked for; of everything that was committed if `wanted` names nothing.
    fn of(&self, group: &str, wanted: Option<Vec<(&str, &[i32])>>) -> BTreeMap<String, Partitions> {
        let committed = self.lock();
        let known = committed.get(group);
        let Some(wanted) = wanted else { return known.cloned().unwrap_or_default() };
        let one = |topic: &str, partition: i32| {
            let found = known.and_then(|topics| topics.get(topic)?.get(&partition)).cloned();
            (partition, found.unwrap_or(Committed { offset: -1, metadata: None }))
        };
        let topic = |(topic, partitions): (&str, &[i32])| {
            (topic.to_owned(), partitions.iter().map(|partition| one(topic, *partition)).collect())
        };
        wanted.into_iter().map(topic).collect()
    }

    /// Groups that committed something.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets what a group committed; whether there was anything.
    pub(crate) fn forget(&self, group: &str) -> bool {
        self.lock().remove(group).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Partitions>>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serve for OffsetCommitRequest {
    type Response = OffsetCommitResponse;

    async fn serve(self, engine: &Engine, _: &Call) -> OffsetCommitResponse {
        let (groups, generation) = (&engine.groups, self.generation_id_or_member_epoch);
        let may = groups.with(&self.group_id, |group| group.may_commit(&self.member_id, generation, Instant::now()));
        if may.is_ok() {
            let mut committed = groups.offsets.lock();
            let of_group = committed.entry(self.group_id.to_string()).or_default();
            for topic in &self.topics {
                let of_topic = of_group.entry(topic.name.to_string()).or_default();
                of_topic.extend(topic.partitions.iter().map(|partition| {
                    let metadata = partition.committed_metadata.clone();
                    (partition.partition_index, Committed { offset: partition.committed_offset, metadata })
                }));
            }
        }
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code(&may))
            });
            OffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }
}

impl Serve for OffsetFetchRequest {
    type Response = OffsetFetchResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> OffsetFetchResponse {
        let offsets = &engine.groups.offsets;
        if call.version < 8 {
            let wanted = self
                .topics
                .as_ref()
                .map(|topics| topics.iter().map(|topic| (topic.name.as_str(), &topic.partition_indexes[..])).collect());
            let topics = offsets.of(&self.group_id, wanted).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(partition, found)| {
                    OffsetFetchResponsePartition::default()
                        .with_partition_index(partition)
                        .with_committed_offset(found.offset)
                        .with_metadata(found.metadata.or(Some(StrBytes::new())))
                });
                OffsetFetchResponseTopic::default()
                    .with_name(StrBytes::from(name).into())
                    .with_partitions(partitions.collect())
            });
            return OffsetFetchResponse::default().with_topics(topics.collect());
        }
        let groups = self.groups.into_iter().map(|group| {
            let wanted = group
                .topics
                .as_ref()
                .map(|topics| topics.iter().map(|topic| (topic.name.as_str(), &topic.partition_indexes[..])).collect());
            let topics = offsets.of(&group.group_id, wanted).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(partition, found)| {
                    OffsetFetchResponsePartitions::default()
                        .with_partition_index(partition)
                        .with_committed_offset(found.offset)
                        .with_metadata(found.metadata.or(Some(StrBytes::new())))
                });
                OffsetFetchResponseTopics::default()
                    .with_name(StrBytes::from(name).into())
                    .with_partitions(partitions.collect())
            });
            OffsetFetchResponseGroup::default().with_topics(topics.collect()).with_group_id(group.group_id)
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    }
}
