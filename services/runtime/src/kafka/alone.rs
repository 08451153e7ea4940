//! What a reader without a group hears while it polls: connections, librdkafka's log, partitions that are added.

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
    added: Mutex<Vec<i32>>,
    grown: Notify,
}

impl Alone {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        Self { link: Arc::clone(link), added: Mutex::default(), grown: Notify::new() }
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
        let added = std::mem::take(&mut *lock(&self.added));
        if added.is_empty() { Vec::new() } else { vec![Change::Assigned(added)] }
    }

    fn changed(&self) -> &Notify {
        &self.grown
    }
}

impl Grows for Alone {
    fn grew(consumer: &StreamConsumer<Self>, stream: &Stream, before: usize, now: usize) -> Result<(), String> {
        let number = |partition| i32::try_from(partition).unwrap_or(i32::MAX);
        let added: Vec<i32> = (before..now).map(number).collect();
        let mut list = TopicPartitionList::with_capacity(added.len());
        for partition in &added {
            let place = list.add_partition_offset(stream.topic(), *partition, Offset::Beginning);
            place.map_err(|error| error.to_string())?;
        }
        consumer.incremental_assign(&list).map_err(|error| error.to_string())?;
        lock(&consumer.context().added).extend(added);
        consumer.context().grown.notify_one();
        Ok(())
    }
}
