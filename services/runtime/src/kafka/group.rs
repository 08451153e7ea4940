//! What a member of a group hears while it polls: rebalances, connections, librdkafka's log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use tokio::sync::Notify;
use tracing::{debug, info};

use super::growth::Grows;
use super::link::{Link, log};
use super::pull::{Change, Changes};
use super::stream::Stream;
use crate::lock::lock;

/// Hears of rebalances, on the thread that polls.
pub(super) struct Group {
    link: Arc<Link>,
    assigned: Mutex<BTreeSet<i32>>,
    changes: Mutex<Vec<Change>>,
    changed: Notify,
}

impl Group {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        Self { link: Arc::clone(link), assigned: Mutex::default(), changes: Mutex::default(), changed: Notify::new() }
    }

    /// The partitions that are ours now.
    pub(super) fn assigned(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        lock(&self.assigned)
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.link.heard(&error, reason);
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let change = match rebalance {
            Rebalance::Assign(list) => {
                let partitions = numbers(list);
                lock(&self.assigned).extend(&partitions);
                Change::Assigned(partitions)
            }
            Rebalance::Revoke(list) => {
                let partitions = numbers(list);
                lock(&self.assigned).retain(|partition| !partitions.contains(partition));
                Change::Revoked(partitions)
            }
            Rebalance::Error(error) => {
                debug!(%error, "rebalance failed; librdkafka joins again");
                return;
            }
        };
        info!(service = self.link.ctx().name(), ?change, "partitions changed");
        lock(&self.changes).push(change);
        self.changed.notify_one();
    }
}

impl Changes for Group {
    fn changes(&self) -> Vec<Change> {
        std::mem::take(&mut lock(&self.changes))
    }

    fn changed(&self) -> &Notify {
        &self.changed
    }
}

impl Grows for Group {
    fn grew(_: &StreamConsumer<Self>, _: &Stream, _: usize, _: usize) -> Result<(), String> {
        Ok(()) // the group's leader sees them, too, and hands them out
    }

    fn shrank(_: &StreamConsumer<Self>, _: &Stream, _: usize, _: usize) -> Result<(), String> {
        Ok(()) // the group may go on to name them; nothing is read of them, and nobody waits for it
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}
