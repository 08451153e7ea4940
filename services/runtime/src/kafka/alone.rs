//! What a reader without a group hears while it polls: connections, librdkafka's log, partitions that come and go.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::growth::Grows;
use super::link::{Link, log};
use super::pull::{Change, Changes};
use super::stream::Stream;
use crate::lock::lock;

/// Has every partition, always.
pub(super) struct Alone {
    link: Arc<Link>,
    changes: Mutex<Vec<Change>>,
    changed: Notify,
}

impl Alone {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        Self { link: Arc::clone(link), changes: Mutex::default(), changed: Notify::new() }
    }

    /// Leaves a change for whoever polls, and wakes them.
    fn tell(&self, change: Change) {
        lock(&self.changes).push(change);
        self.changed.notify_one();
    }
}

impl ClientContext for Alone {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.link.heard(&error, reason);
    }
}

impl ConsumerContext for Alone {}

impl Changes for Alone {
    fn changes(&self) -> Vec<Change> {
        std::mem::take(&mut *lock(&self.changes))
    }

    fn changed(&self) -> &Notify {
        &self.changed
    }
}

impl Grows for Alone {
    fn grew(consumer: &StreamConsumer<Self>, stream: &Stream, before: usize, now: usize) -> Result<(), String> {
        let (added, list) = beginnings(stream, before..now)?;
        consumer.incremental_assign(&list).map_err(|error| error.to_string())?;
        consumer.context().tell(Change::Assigned(added));
        Ok(())
    }

    fn shrank(consumer: &StreamConsumer<Self>, stream: &Stream, before: usize, now: usize) -> Result<(), String> {
        let (gone, list) = beginnings(stream, now..before)?;
        consumer.incremental_unassign(&list).map_err(|error| error.to_string())?;
        consumer.context().tell(Change::Revoked(gone));
        Ok(())
    }
}

/// The beginnings of these partitions, and their numbers.
fn beginnings(stream: &Stream, partitions: Range<usize>) -> Result<(Vec<i32>, TopicPartitionList), String> {
    let partitions: Vec<i32> = partitions.map(|partition| i32::try_from(partition).unwrap_or(i32::MAX)).collect();
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in &partitions {
        let place = list.add_partition_offset(stream.topic(), *partition, Offset::Beginning);
        place.map_err(|error| error.to_string())?;
    }
    Ok((partitions, list))
}
