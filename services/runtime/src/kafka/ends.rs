//! Asks brokers where topics begin and end, and for the first record at a place. Blocks.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::debug;

use super::consumer::offsets;
use super::error::KafkaError;
use super::link::Quiet;
use super::{Next, Positions};

/// The longest single question to the brokers.
pub(super) const QUESTION: Duration = Duration::from_secs(2);

/// Beginnings or ends of all partitions, or why a topic's are not told; one question to each broker; in the order asked
/// for, in which a topic may come more than once. Blocks.
pub(super) fn ask<C: ConsumerContext>(
    client: &impl Consumer<C>,
    wanted: &[(&str, Vec<i32>)],
    which: Offset,
) -> Result<Vec<Result<Positions, KafkaError>>, KafkaError> {
    let failed = |error| KafkaError::of("ask where the topics begin and end", error);
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in wanted {
        for partition in partitions {
            // A broker refuses to be asked for a partition twice in one question.
            if list.find_partition(topic, *partition).is_none() {
                list.add_partition_offset(topic, *partition, which).map_err(failed)?;
            }
        }
    }
    if list.count() == 0 {
        return Ok(wanted.iter().map(|_| Ok(Positions::new())).collect());
    }
    let mut answers: BTreeMap<&str, Positions> = BTreeMap::new();
    let mut untold: BTreeMap<&str, ClientError> = BTreeMap::new();
    let told = client.offsets_for_times(list, QUESTION).map_err(failed)?;
    for element in told.elements() {
        let Some((topic, _)) = wanted.iter().find(|(topic, _)| *topic == element.topic()) else { continue };
        if let Err(error) = element.error() {
            untold.insert(topic, error);
        }
        if let Offset::Offset(offset) = element.offset() {
            answers.entry(topic).or_default().insert(element.partition(), Next(offset));
        }
    }
    let of = |(topic, partitions): &(&str, Vec<i32>)| match untold.get(topic) {
        Some(error) => Err(KafkaError::of(format!("ask where {topic} begins and ends"), error.clone())),
        None => {
            let all = answers.get(topic);
            Ok(partitions.iter().filter_map(|partition| Some((*partition, *all?.get(partition)?))).collect())
        }
    };
    Ok(wanted.iter().map(of).collect())
}

/// The first record at or behind each position, if there is one: its offset, and when it was written. Blocks.
pub(super) fn first(
    client: &BaseConsumer<Quiet>,
    topic: &str,
    from: &Positions,
) -> Result<BTreeMap<i32, (i64, i64)>, KafkaError> {
    let mut found = BTreeMap::new();
    if from.is_empty() {
        return Ok(found);
    }
    let failed = |error| KafkaError::of(format!("look at the records of {topic}"), error);
    client.assign(&offsets(topic, from.iter())?).map_err(failed)?;
    let mut open: BTreeSet<i32> = from.keys().copied().collect();
    let began = Instant::now();
    while !open.is_empty() && began.elapsed() < QUESTION {
        match client.poll(QUESTION.saturating_sub(began.elapsed())) {
            Some(Ok(message)) if open.remove(&message.partition()) => {
                let written = message.timestamp().to_millis().unwrap_or(-1);
                found.insert(message.partition(), (message.offset(), written));
            }
            Some(Ok(_)) | None => {}
            Some(Err(ClientError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => debug!(%error, topic, "looking goes on after an error"),
        }
    }
    client.unassign().map_err(failed)?;
    if !open.is_empty() {
        return Err(failed(ClientError::MessageConsumption(Code::OperationTimedOut)));
    }
    Ok(found)
}
