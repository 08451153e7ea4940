//! Pulling batches out of a librdkafka consumer: what group consumers and readers have in common.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::collect::Collector;
use super::error::{KafkaError, is_outage};
use super::link::Link;
use super::stream::Stream;
use super::{Batch, Positions};

/// What happened to the assignment of partitions.
#[derive(Debug)]
pub(super) enum Change {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>),
}

/// Where a consumer's context leaves changes of the assignment, and what wakes who waits for them.
pub(super) trait Changes: ConsumerContext {
    fn changes(&self) -> Vec<Change>;
    fn changed(&self) -> &Notify;
}

/// A consumer, the batch in the making, and where it stands.
pub(super) struct Pull<C: Changes + 'static> {
    consumer: Arc<StreamConsumer<C>>,
    link: Arc<Link>,
    stream: Arc<Stream>,
    collector: Collector,
    /// The next offset to hand out, for partitions of which a record or a start is known.
    positions: Positions,
    /// What was handed out last: applied once its taker comes back.
    handed: Positions,
    /// When a partition last said that it has no more; gone with its next record.
    ends: BTreeMap<i32, Instant>,
}

impl<C: Changes + 'static> Pull<C> {
    pub(super) fn new(
        consumer: Arc<StreamConsumer<C>>,
        link: Arc<Link>,
        stream: Arc<Stream>,
        positions: Positions,
    ) -> Self {
        let (collector, handed, ends) = (Collector::default(), Positions::new(), BTreeMap::new());
        Self { consumer, link, stream, collector, positions, handed, ends }
    }

    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    pub(super) fn consumer(&self) -> &Arc<StreamConsumer<C>> {
        &self.consumer
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(super) fn topic(&self) -> &str {
        self.stream.topic()
    }

    pub(super) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// When `partition` said that it has no more, if no record came since.
    pub(super) fn end_of(&self, partition: i32) -> Option<Instant> {
        self.ends.get(&partition).copied()
    }

    /// Waits up to `wait` for a record or a change, then up to `linger` for more; `None` once draining.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(
        &mut self,
        most: usize,
        wait: Duration,
        linger: Duration,
    ) -> Result<Option<Batch>, KafkaError> {
        self.stream.apply(&mut self.handed);
        let consumer = Arc::clone(&self.consumer);
        let mut deadline = Instant::now() + wait;
        let mut lingering = false;
        loop {
            if self.link.ctx().draining() {
                return Ok(None);
            }
            self.gather(&consumer, most)?;
            if self.collector.has_changes() || self.collector.is_full(most) {
                break;
            }
            if self.collector.has_records() && !lingering {
                lingering = true;
                deadline = Instant::now() + linger;
            }
            if Instant::now() >= deadline {
                break;
            }
            tokio::select! {
                biased;
                () = self.link.ctx().drained() => {}
                () = consumer.context().changed().notified() => {}
                received = consumer.recv() => self.accept(&consumer, received)?,
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
        Ok(Some(self.take()))
    }

    /// Takes what is there without waiting.
    fn gather(&mut self, consumer: &StreamConsumer<C>, most: usize) -> Result<(), KafkaError> {
        while !self.collector.is_full(most) {
            let Some(received) = now(consumer.recv()) else { break };
            self.accept(consumer, received)?;
        }
        self.apply(consumer.context());
        Ok(())
    }

    fn accept(
        &mut self,
        consumer: &StreamConsumer<C>,
        received: Result<BorrowedMessage<'_>, ClientError>,
    ) -> Result<(), KafkaError> {
        self.apply(consumer.context()); // what changed, changed before this record
        match received {
            Ok(message) => {
                self.ends.remove(&message.partition());
                self.collector.push(&message);
                Ok(())
            }
            Err(ClientError::PartitionEOF(partition)) => {
                self.ends.insert(partition, Instant::now());
                self.link.up();
                Ok(())
            }
            Err(error) => self.judge(error),
        }
    }

    fn apply(&mut self, context: &C) {
        for change in context.changes() {
            match change {
                Change::Assigned(partitions) => {
                    self.stream.assigned(&partitions);
                    self.collector.assign(&partitions);
                }
                Change::Revoked(partitions) => {
                    self.stream.revoked(&partitions);
                    self.handed.retain(|partition, _| !partitions.contains(partition));
                    self.collector.revoke(&partitions);
                    self.positions.retain(|partition, _| !partitions.contains(partition));
                    self.ends.retain(|partition, _| !partitions.contains(partition));
                }
            }
        }
    }

    /// librdkafka mends most of its errors itself; only what it cannot is returned.
    fn judge(&self, error: ClientError) -> Result<(), KafkaError> {
        let topic = self.stream.topic();
        let code = error.rdkafka_error_code();
        match (&error, code) {
            (ClientError::MessageConsumptionFatal(_), _)
            | (_, Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed)) => {
                Err(KafkaError::of(format!("read topic {topic}"), error))
            }
            (_, Some(Code::PollExceeded)) => {
                warn!(
                    topic,
                    "no batch was taken for max.poll.interval.ms; the partitions went to others and come back"
                );
                Ok(())
            }
            _ if is_outage(&error) => {
                debug!(topic, %error, "reading waits for Kafka");
                Ok(())
            }
            _ => {
                warn!(topic, %error, "reading goes on after an error");
                Ok(())
            }
        }
    }

    fn take(&mut self) -> Batch {
        let batch = self.collector.take();
        if !batch.records.is_empty() {
            self.link.up();
            self.handed = batch.end();
            self.positions.extend(batch.end());
        }
        batch
    }
}

/// The output of a future that is ready at once.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
