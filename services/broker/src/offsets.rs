//! What groups committed, and the two requests about it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rama::{Context, Service};
use tansu_sans_io::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use tansu_sans_io::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use tansu_sans_io::{ErrorCode, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse};
use tansu_storage::Error;

use crate::groups::Groups;

/// Of a topic, by partition.
type Partitions = BTreeMap<i32, Committed>;

/// An offset and what the group noted with it; -1 where nothing was committed.
#[derive(Debug, Clone)]
struct Committed {
    offset: i64,
    metadata: Option<String>,
}

/// By group and topic.
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Partitions>>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commit;

impl Service<Arc<Groups>, OffsetCommitRequest> for Commit {
    type Response = OffsetCommitResponse;
    type Error = Error;

    async fn serve(
        &self,
        ctx: Context<Arc<Groups>>,
        request: OffsetCommitRequest,
    ) -> Result<OffsetCommitResponse, Error> {
        let (groups, generation) = (ctx.state(), request.generation_id_or_member_epoch.unwrap_or(-1));
        let member = request.member_id.unwrap_or_default();
        let allowed = groups.with(&request.group_id, |group| group.may_commit(&member, generation, Instant::now()));
        let error = allowed.err().unwrap_or(ErrorCode::None);
        let mut committed = groups.offsets.lock();
        let mut topics = Vec::new();
        for topic in request.topics.unwrap_or_default() {
            let mut partitions = Vec::new();
            for partition in topic.partitions.unwrap_or_default() {
                if error == ErrorCode::None {
                    let (offset, metadata) = (partition.committed_offset, partition.committed_metadata);
                    let known = committed.entry(request.group_id.clone()).or_default();
                    let known = known.entry(topic.name.clone()).or_default();
                    known.insert(partition.partition_index, Committed { offset, metadata });
                }
                partitions.push(
                    OffsetCommitResponsePartition::default()
                        .partition_index(partition.partition_index)
                        .error_code(error.into()),
                );
            }
            topics.push(OffsetCommitResponseTopic::default().name(topic.name).partitions(Some(partitions)));
        }
        Ok(OffsetCommitResponse::default().throttle_time_ms(Some(0)).topics(Some(topics)))
    }
}

/// Tells commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tell;

impl Service<Arc<Groups>, OffsetFetchRequest> for Tell {
    type Response = OffsetFetchResponse;
    type Error = Error;

    async fn serve(
        &self,
        ctx: Context<Arc<Groups>>,
        request: OffsetFetchRequest,
    ) -> Result<OffsetFetchResponse, Error> {
        let offsets = &ctx.state().offsets;
        let answer = OffsetFetchResponse::default().throttle_time_ms(Some(0)).error_code(Some(ErrorCode::None.into()));
        if let Some(group) = request.group_id.filter(|_| request.groups.is_none()) {
            let wanted = request.topics.as_ref().map(|topics| {
                let named =
                    topics.iter().map(|topic| (topic.name.as_str(), topic.partition_indexes.as_deref().unwrap_or(&[])));
                named.collect()
            });
            let topics = offsets.of(&group, wanted).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(partition, found)| {
                    OffsetFetchResponsePartition::default()
                        .partition_index(partition)
                        .committed_offset(found.offset)
                        .committed_leader_epoch(Some(-1))
                        .metadata(found.metadata.or(Some(String::new())))
                        .error_code(ErrorCode::None.into())
                });
                OffsetFetchResponseTopic::default().name(name).partitions(Some(partitions.collect()))
            });
            return Ok(answer.topics(Some(topics.collect())));
        }
        let groups = request.groups.unwrap_or_default().into_iter().map(|group| {
            let wanted = group.topics.as_ref().map(|topics| {
                let named =
                    topics.iter().map(|topic| (topic.name.as_str(), topic.partition_indexes.as_deref().unwrap_or(&[])));
                named.collect()
            });
            let topics = offsets.of(&group.group_id, wanted).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(partition, found)| {
                    OffsetFetchResponsePartitions::default()
                        .partition_index(partition)
                        .committed_offset(found.offset)
                        .committed_leader_epoch(-1)
                        .metadata(found.metadata.or(Some(String::new())))
                        .error_code(ErrorCode::None.into())
                });
                OffsetFetchResponseTopics::default().name(name).partitions(Some(partitions.collect()))
            });
            OffsetFetchResponseGroup::default()
                .topics(Some(topics.collect()))
                .error_code(ErrorCode::None.into())
                .group_id(group.group_id.clone())
        });
        let groups = groups.collect();
        Ok(answer.groups(Some(groups)))
    }
}
