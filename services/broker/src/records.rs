//! Produce, Fetch and ListOffsets over the log.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest, ProduceResponse, TopicName,
};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::batch::Batch;
use crate::log::{Bounds, Place};
use crate::routes::{Call, Engine, Serve, code};
use crate::topics::Found;

/// Topics are named by their ids since these versions.
const PRODUCE_BY_ID: i16 = 13;
const FETCH_BY_ID: i16 = 13;

/// An answer is not larger, whatever is asked for: Kafka's `fetch.max.bytes` of a broker.
const LARGEST_FETCH: usize = 55 << 20;

/// Who asks for the end, the beginning, the newest record; all else is a time.
const END: i64 = -1;
const BEGINNING: i64 = -2;
const NEWEST: i64 = -3;
/// The first offset on the broker's own disk, and the last one elsewhere: nothing is elsewhere.
const LOCAL_BEGINNING: i64 = -4;
const ELSEWHERE: i64 = -5;

impl Engine {
    fn find(&self, by_id: bool, name: &TopicName, id: Uuid) -> Result<Found, ResponseError> {
        if by_id {
            self.topics.name_of(id).map(|(_, found)| found).ok_or(ResponseError::UnknownTopicId)
        } else {
            self.topics.named(name).ok_or(ResponseError::UnknownTopicOrPartition)
        }
    }
}

fn place(found: Result<Found, ResponseError>, partition: i32) -> Result<Place, ResponseError> {
    let found = found?;
    if found.has(partition) { Ok((found.id, partition)) } else { Err(ResponseError::UnknownTopicOrPartition) }
}

impl Serve for ProduceRequest {
    type Response = ProduceResponse;

    fn wants_no_answer(&self) -> bool {
        self.acks == 0
    }

    async fn serve(self, engine: &Engine, call: &Call) -> ProduceResponse {
        let known = matches!(self.acks, -1..=1);
        let responses = self.topic_data.into_iter().map(|topic| {
            let found = engine.find(call.version >= PRODUCE_BY_ID, &topic.name, topic.topic_id);
            let found = if known { found } else { Err(ResponseError::InvalidRequiredAcks) };
            let answers = topic.partition_data.iter().map(|partition| produced(engine, found, partition));
            TopicProduceResponse::default()
                .with_partition_responses(answers.collect())
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
        });
        ProduceResponse::default().with_responses(responses.collect())
    }
}

fn produced(
    engine: &Engine,
    found: Result<Found, ResponseError>,
    partition: &PartitionProduceData,
) -> PartitionProduceResponse {
    let append = || {
        let place = place(found, partition.index)?;
        let mut first = None;
        for batch in Batch::split(partition.records.as_deref().unwrap_or_default())? {
            let offset = engine.log.append(place, batch)?;
            first = first.or(Some(offset));
        }
        Ok((first.unwrap_or(-1), engine.log.bounds(place).start))
    };
    let outcome: Result<(i64, i64), ResponseError> = append();
    let error = code(&outcome);
    let (offset, start) = outcome.unwrap_or((-1, -1));
    PartitionProduceResponse::default()
        .with_index(partition.index)
        .with_error_code(error)
        .with_base_offset(offset)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(start)
}

impl Serve for FetchRequest {
    type Response = FetchResponse;

    /// Waits for something to arrive and answers as soon as it did.
    async fn serve(self, engine: &Engine, call: &Call) -> FetchResponse {
        let deadline = Instant::now() + Duration::from_millis(u64::try_from(self.max_wait_ms).unwrap_or(0));
        let wanted = usize::try_from(self.min_bytes).unwrap_or(0);
        let most = usize::try_from(self.max_bytes).unwrap_or(0).min(LARGEST_FETCH);
        loop {
            // Enabled before looking: an append in between is not slept over.
            let mut grown = std::pin::pin!(engine.log.grown());
            grown.as_mut().enable();
            let (responses, bytes, failed) = fetched(engine, &self.topics, call.version >= FETCH_BY_ID, most);
            if bytes >= wanted || failed || Instant::now() >= deadline {
                return FetchResponse::default().with_responses(responses);
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
    engine: &Engine,
    topics: &[FetchTopic],
    by_id: bool,
    most: usize,
) -> (Vec<FetchableTopicResponse>, usize, bool) {
    let (mut bytes, mut failed) = (0_usize, false);
    let mut responses = Vec::with_capacity(topics.len());
    for topic in topics {
        // Looked up anew after each wait: the topic may be gone, or another one.
        let found = engine.find(by_id, &topic.topic, topic.topic_id);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let room = most.saturating_sub(bytes).min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
            let place = place(found, wanted.partition);
            let read = place.and_then(|place| engine.log.read(place, wanted.fetch_offset, room));
            let error = code(&read);
            let (batches, bounds) = read.unwrap_or_else(|_| {
                let unknown = Bounds { start: -1, end: -1 };
                (Vec::new(), place.map_or(unknown, |place| engine.log.bounds(place)))
            });
            let records = joined(&batches);
            failed |= error != 0;
            bytes += records.len();
            partitions.push(
                PartitionData::default()
                    .with_partition_index(wanted.partition)
                    .with_error_code(error)
                    .with_high_watermark(bounds.end)
                    .with_last_stable_offset(bounds.end)
                    .with_log_start_offset(bounds.start)
                    .with_aborted_transactions(Some(Vec::new()))
                    .with_records(Some(records)),
            );
        }
        responses.push(
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_topic_id(topic.topic_id)
                .with_partitions(partitions),
        );
    }
    (responses, bytes, failed)
}

/// One batch goes out as it lies in the log.
fn joined(batches: &[Batch]) -> Bytes {
    if let [only] = batches {
        return only.bytes().clone();
    }
    let mut joined = BytesMut::with_capacity(batches.iter().map(|batch| batch.bytes().len()).sum());
    batches.iter().for_each(|batch| joined.extend_from_slice(batch.bytes()));
    joined.freeze()
}

impl Serve for ListOffsetsRequest {
    type Response = ListOffsetsResponse;

    async fn serve(self, engine: &Engine, call: &Call) -> ListOffsetsResponse {
        // Told since version 4.
        let epoch = if call.version < 4 { -1 } else { 0 };
        let topics = self.topics.into_iter().map(|topic| {
            let found = engine.find(false, &topic.name, Uuid::nil());
            let answers = topic.partitions.iter().map(|wanted| listed(engine, found, wanted).with_leader_epoch(epoch));
            ListOffsetsTopicResponse::default().with_partitions(answers.collect()).with_name(topic.name)
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }
}

fn listed(
    engine: &Engine,
    found: Result<Found, ResponseError>,
    wanted: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let outcome = place(found, wanted.partition_index).map(|place| match wanted.timestamp {
        END => (engine.log.bounds(place).end, -1),
        BEGINNING | LOCAL_BEGINNING => (engine.log.bounds(place).start, -1),
        NEWEST => engine.log.newest(place).unwrap_or((-1, -1)),
        ELSEWHERE => (-1, -1),
        time => engine.log.first_since(place, time).unwrap_or((-1, -1)),
    });
    let error = code(&outcome);
    let (offset, time) = outcome.unwrap_or((-1, -1));
    ListOffsetsPartitionResponse::default()
        .with_partition_index(wanted.partition_index)
        .with_error_code(error)
        .with_offset(offset)
        .with_timestamp(time)
}
