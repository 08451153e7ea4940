//! Produce, Fetch and ListOffsets over our own log; `log.rs` says why.

use std::sync::Arc;
use std::time::Duration;

use rama::{Context, Service};
use tansu_sans_io::fetch_request::FetchTopic;
use tansu_sans_io::fetch_response::{FetchableTopicResponse, PartitionData};
use tansu_sans_io::list_offsets_request::ListOffsetsPartition;
use tansu_sans_io::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use tansu_sans_io::produce_request::PartitionProduceData;
use tansu_sans_io::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use tansu_sans_io::record::deflated::Frame;
use tansu_sans_io::{
    ErrorCode, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest, ProduceResponse,
};
use tansu_storage::{Error, Storage as _, StorageContainer, TopicId};
use tokio::time::{Instant, sleep_until};

use crate::log::Log;

/// What a request is answered from: tansu knows the topics, we have the records.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    pub(crate) topics: StorageContainer,
    pub(crate) log: Arc<Log>,
}

/// A topic that is there.
#[derive(Debug, Clone, Copy)]
struct Found {
    id: [u8; 16],
    partitions: i32,
}

impl Found {
    fn has(self, partition: i32) -> bool {
        (0..self.partitions).contains(&partition)
    }
}

impl Records {
    async fn find(&self, topic: TopicId) -> Result<Option<Found>, Error> {
        let metadata = self.topics.metadata(Some(&[topic])).await?;
        let topic = metadata.topics().first().filter(|topic| topic.error_code == i16::from(ErrorCode::None));
        Ok(topic.and_then(|topic| {
            let partitions = i32::try_from(topic.partitions.as_ref().map_or(0, Vec::len)).ok()?;
            Some(Found { id: topic.topic_id?, partitions })
        }))
    }
}

/// Writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Produce;

impl Service<Records, ProduceRequest> for Produce {
    type Response = ProduceResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Records>, request: ProduceRequest) -> Result<ProduceResponse, Error> {
        let mut responses = Vec::new();
        for topic in request.topic_data.unwrap_or_default() {
            let found = ctx.state().find(TopicId::from(topic.name.as_str())).await?;
            let partitions = topic.partition_data.unwrap_or_default().into_iter();
            let answers = partitions.map(|partition| produced(&ctx.state().log, found, partition)).collect();
            responses.push(TopicProduceResponse::default().name(topic.name).partition_responses(Some(answers)));
        }
        Ok(ProduceResponse::default().responses(Some(responses)).throttle_time_ms(Some(0)))
    }
}

fn produced(log: &Log, found: Option<Found>, partition: PartitionProduceData) -> PartitionProduceResponse {
    let append = || {
        let topic = found.filter(|topic| topic.has(partition.index)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut first = Err(ErrorCode::InvalidRecord);
        for batch in partition.records.map_or_else(Vec::new, |frame| frame.batches) {
            let offset = log.append((topic.id, partition.index), batch)?;
            first = first.or(Ok(offset));
        }
        first
    };
    let index = partition.index;
    let (offset, error) = append().map_or_else(|error| (-1, error), |offset| (offset, ErrorCode::None));
    PartitionProduceResponse::default()
        .index(index)
        .error_code(error.into())
        .base_offset(offset)
        .log_append_time_ms(Some(-1))
        .log_start_offset(Some(0))
        .record_errors(Some(Vec::new()))
}

/// Reads; waits for something to arrive and answers as soon as it did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch;

impl Service<Records, FetchRequest> for Fetch {
    type Response = FetchResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Records>, request: FetchRequest) -> Result<FetchResponse, Error> {
        let records = ctx.state();
        let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let wanted = usize::try_from(request.min_bytes).unwrap_or(0);
        let most = request.max_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(0));
        let mut topics = Vec::new();
        for topic in request.topics.unwrap_or_default() {
            let found = records.find(TopicId::from(&topic)).await?;
            topics.push((topic, found));
        }
        loop {
            // Enabled before looking: an append in between is not slept over.
            let mut grown = std::pin::pin!(records.log.grown());
            grown.as_mut().enable();
            let (responses, bytes, failed) = fetched(&records.log, &topics, most);
            if bytes >= wanted || failed || Instant::now() >= deadline {
                return Ok(FetchResponse::default()
                    .throttle_time_ms(Some(0))
                    .error_code(Some(ErrorCode::None.into()))
                    .session_id(Some(0))
                    .node_endpoints(Some(Vec::new()))
                    .responses(Some(responses)));
            }
            tokio::select! {
                () = grown => {}
                () = sleep_until(deadline) => {}
            }
        }
    }
}

/// The answer as of now, its bytes, and whether an error is in it that must not wait.
fn fetched(
    log: &Log,
    topics: &[(FetchTopic, Option<Found>)],
    most: usize,
) -> (Vec<FetchableTopicResponse>, usize, bool) {
    let (mut bytes, mut failed) = (0_usize, false);
    let mut responses = Vec::with_capacity(topics.len());
    for (topic, found) in topics {
        let mut partitions = Vec::new();
        for wanted in topic.partitions.iter().flatten() {
            let room = most.saturating_sub(bytes).min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
            let place = found.filter(|topic| topic.has(wanted.partition)).map(|topic| (topic.id, wanted.partition));
            let read = place
                .ok_or(ErrorCode::UnknownTopicOrPartition)
                .and_then(|place| log.read(place, wanted.fetch_offset, room));
            let (batches, end, error) = match read {
                Ok((batches, end)) => (batches, end, ErrorCode::None),
                Err(error) => (Vec::new(), place.map_or(-1, |place| log.end(place)), error),
            };
            failed |= error != ErrorCode::None;
            bytes += batches.iter().map(|batch| batch.record_data.len()).sum::<usize>();
            partitions.push(
                PartitionData::default()
                    .partition_index(wanted.partition)
                    .error_code(error.into())
                    .high_watermark(end)
                    .last_stable_offset(Some(end))
                    .log_start_offset(Some(0))
                    .aborted_transactions(Some(Vec::new()))
                    .preferred_read_replica(Some(-1))
                    .records((!batches.is_empty()).then_some(Frame { batches })),
            );
        }
        responses.push(
            FetchableTopicResponse::default()
                .topic(topic.topic.clone())
                .topic_id(found.map(|topic| topic.id).or(topic.topic_id).or(Some([0; 16])))
                .partitions(Some(partitions)),
        );
    }
    (responses, bytes, failed)
}

/// Tells beginnings, ends and offsets for times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListOffsets;

impl Service<Records, ListOffsetsRequest> for ListOffsets {
    type Response = ListOffsetsResponse;
    type Error = Error;

    async fn serve(&self, ctx: Context<Records>, request: ListOffsetsRequest) -> Result<ListOffsetsResponse, Error> {
        let mut topics = Vec::new();
        for topic in request.topics.unwrap_or_default() {
            let found = ctx.state().find(TopicId::from(topic.name.as_str())).await?;
            let partitions = topic.partitions.unwrap_or_default();
            let answers = partitions.iter().map(|wanted| listed(&ctx.state().log, found, wanted)).collect();
            topics.push(ListOffsetsTopicResponse::default().name(topic.name).partitions(Some(answers)));
        }
        Ok(ListOffsetsResponse::default().throttle_time_ms(Some(0)).topics(Some(topics)))
    }
}

fn listed(log: &Log, found: Option<Found>, wanted: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    let place = found.filter(|topic| topic.has(wanted.partition_index)).map(|topic| (topic.id, wanted.partition_index));
    let (offset, time, error) = match (place, wanted.timestamp) {
        (None, _) => (-1, -1, ErrorCode::UnknownTopicOrPartition),
        (Some(place), -1) => (log.end(place), -1, ErrorCode::None),
        (Some(_), -2) => (0, -1, ErrorCode::None),
        (Some(place), time) => {
            let (offset, time) = log.first_since(place, time).unwrap_or((-1, -1));
            (offset, time, ErrorCode::None)
        }
    };
    ListOffsetsPartitionResponse::default()
        .partition_index(wanted.partition_index)
        .error_code(error.into())
        .offset(Some(offset))
        .timestamp(Some(time))
        .leader_epoch(Some(0))
}
