//! Pulling batches out of a librdkafka consumer: what group consumers and readers have in common.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::collect::Collector;
use super::denial::Denial;
use super::error::{KafkaError, is_denied, is_outage};
use super::identity::{Answer, Identity};
use super::life::{Gaps, Step, step};
use super::link::Link;
use super::stream::Stream;
use super::{Batch, Next, Positions};

/// How long librdkafka may take to go elsewhere.
const SEEK: Duration = Duration::from_secs(2);
/// Pause between two tries.
const SEEK_PAUSE: Duration = Duration::from_millis(50);

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
    denial: Denial,
    stream: Arc<Stream>,
    collector: Collector,
    /// The next offset to hand out, for partitions of which a record or a start is known.
    positions: Positions,
    /// What was handed out last: applied once its taker comes back.
    handed: Positions,
    /// When a partition last said that it has no more; gone with its next record.
    ends: BTreeMap<i32, Instant>,
    /// Whether the topic is still the one that is read.
    identity: Identity,
    gaps: Gaps,
    /// Partitions that are read from the beginning again, until a batch tells it.
    reborn: Vec<i32>,
    /// Where partitions are to be read from that librdkafka was not told yet, or was not ready for.
    unsought: Positions,
    /// It is being told. Nothing is taken from it meanwhile: what came might be of before or of after.
    seeking: Option<JoinHandle<Vec<(i32, Next)>>>,
    missed: u64,
}

impl<C: Changes + 'static> Pull<C> {
    pub(super) fn new(
        consumer: Arc<StreamConsumer<C>>,
        link: Arc<Link>,
        stream: Arc<Stream>,
        positions: Positions,
    ) -> Self {
        Self {
            consumer,
            denial: Denial::new(link.ctx()),
            link,
            stream,
            collector: Collector::default(),
            positions,
            handed: Positions::new(),
            ends: BTreeMap::new(),
            identity: Identity::default(),
            gaps: Gaps::default(),
            reborn: Vec::new(),
            unsought: Positions::new(),
            seeking: None,
            missed: 0,
        }
    }

    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Which life of the topic is read; 0 where it is not known.
    pub(super) fn life(&self) -> u32 {
        self.identity.life()
    }

    /// Takes note of an answer that somebody else got.
    pub(super) fn heard(&mut self, answer: Answer, asked: Instant) {
        self.hear(Ok(answer), asked);
    }

    /// Where a partition begins of which nothing was read yet.
    pub(super) fn begin(&mut self, partition: i32, next: Next) {
        self.positions.insert(partition, next);
    }

    /// Whether the next batch will tell that a partition is read anew.
    pub(super) fn was_reborn(&self, partition: i32) -> bool {
        self.reborn.contains(&partition)
    }

    /// Adds records that are gone to what the next batch tells.
    pub(super) fn miss(&mut self, records: u64) {
        self.missed = self.missed.saturating_add(records);
    }

    /// Reads a partition from `next` on, whatever was read or gathered of it, and tells it with the next batch if
    /// `reborn`.
    pub(super) fn seek(&mut self, partition: i32, next: Next, reborn: bool) {
        self.collector.drop_records(partition);
        self.ends.remove(&partition);
        self.gaps.forget(partition);
        self.handed.remove(&partition);
        self.stream.sought(partition, next);
        self.positions.insert(partition, next);
        self.unsought.insert(partition, next);
        if reborn && !self.reborn.contains(&partition) {
            self.reborn.push(partition);
        }
    }

    /// Tells librdkafka where to read. It refuses before it fetches a partition, and right after a topic was made
    /// again: what is left is tried again, and what comes of it meanwhile is not taken.
    async fn seek_now(&mut self) {
        let seeking = self.seeking.get_or_insert_with(|| {
            let (consumer, stream, to) = (Arc::clone(&self.consumer), Arc::clone(&self.stream), self.unsought.clone());
            let sought = move || to.into_iter().filter(|to| seek(&consumer, stream.topic(), *to)).collect();
            tokio::task::spawn_blocking(sought)
        });
        let sought = seeking.await.unwrap_or_default(); // interrupted: tried again
        self.seeking = None;
        // A topic made again may have fewer partitions, and a group goes on to name those that are gone.
        let stream = &self.stream;
        self.unsought.retain(|partition, next| stream.has(*partition) && !sought.contains(&(*partition, *next)));
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

    /// Whether it may read and commit.
    pub(super) fn denial(&self) -> &Denial {
        &self.denial
    }

    /// Reads on where it stands, some time after it was denied: then there is a record, an end or another denial.
    fn ask_again(&mut self) {
        if self.denial.is_due(std::time::Instant::now()) {
            let positions = self.positions.clone();
            positions.into_iter().for_each(|(partition, next)| self.seek(partition, next, false));
        }
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
        let (mut lingering, mut whole) = (false, false);
        loop {
            if self.link.ctx().draining() {
                return Ok(None);
            }
            self.ask_again();
            if !self.unsought.is_empty() {
                let ctx = self.link.ctx().clone();
                tokio::select! {
                    () = ctx.drained() => return Ok(None),
                    () = self.seek_now() => {}
                }
            }
            if !whole {
                self.gather(&consumer, most)?;
            }
            if self.collector.has_records() && !lingering {
                lingering = true;
                deadline = Instant::now() + linger;
            }
            let told = self.collector.has_changes() || !self.reborn.is_empty() || self.missed > 0;
            whole = told || self.collector.is_full(most) || Instant::now() >= deadline;
            let unconfirmed = self.collector.has_records() && self.identity.is_behind();
            if whole && !unconfirmed {
                break;
            }
            self.identity.ask(&consumer, self.stream.topic(), unconfirmed, || self.gaps.partitions());
            tokio::select! {
                biased;
                () = self.link.ctx().drained() => {}
                () = consumer.context().changed().notified(), if !whole => {}
                answered = self.identity.answered() => if let Some((answer, asked)) = answered {
                    self.hear(answer, asked);
                },
                received = consumer.recv(), if !whole => self.accept(&consumer, received)?,
                () = tokio::time::sleep_until(deadline), if !whole => {}
                () = tokio::time::sleep(SEEK_PAUSE), if !self.unsought.is_empty() => {}
            }
        }
        Ok(Some(self.take()))
    }

    /// Takes in what a broker says of the topic.
    fn hear(&mut self, answer: Result<Answer, KafkaError>, asked: Instant) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.identity.failed(self.stream.topic(), &error),
        };
        for (partition, low) in &answer.lows {
            let missed = self.gaps.settle(*partition, *low);
            if missed > 0 {
                let topic = self.stream.topic();
                warn!(topic, partition, missed, low, "records that were not read yet are gone; raise retention.ms");
                self.miss(missed);
            }
        }
        if self.identity.heard(&answer, asked) {
            let topic = self.stream.topic();
            warn!(
                topic,
                "the topic was deleted and made again: reading it from its beginning; what was not read before is gone"
            );
            self.stream.ours().into_iter().for_each(|partition| self.seek(partition, Next(0), true));
        }
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
            Ok(message) if self.unsought.contains_key(&message.partition()) => Ok(()),
            Ok(message) => {
                self.ends.remove(&message.partition());
                self.denial.over();
                self.identity.read();
                self.collector.push(&message);
                Ok(())
            }
            Err(ClientError::PartitionEOF(partition)) => {
                self.ends.insert(partition, Instant::now());
                self.link.up();
                self.denial.over();
                Ok(())
            }
            Err(error) => self.judge(error),
        }
    }

    fn apply(&mut self, context: &C) {
        for change in context.changes() {
            match change {
                Change::Assigned(partitions) => {
                    self.denial.over();
                    self.stream.assigned(&partitions);
                    self.collector.assign(&partitions);
                }
                Change::Revoked(partitions) => {
                    self.stream.revoked(&partitions);
                    self.handed.retain(|partition, _| !partitions.contains(partition));
                    self.collector.revoke(&partitions);
                    self.positions.retain(|partition, _| !partitions.contains(partition));
                    self.unsought.retain(|partition, _| !partitions.contains(partition));
                    self.reborn.retain(|partition| !partitions.contains(partition));
                    partitions.iter().for_each(|partition| self.gaps.forget(*partition));
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
            (ClientError::MessageConsumptionFatal(_), _) => Err(KafkaError::of(format!("read topic {topic}"), error)),
            _ if is_denied(&error) => {
                let error = KafkaError::of(format!("read topic {topic}"), error);
                if !self.link.ctx().has_started() {
                    return Err(error);
                }
                self.denial.told(&error);
                Ok(())
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
        let mut batch = self.collector.take();
        for record in &batch.records {
            let (partition, offset) = (record.partition, record.offset);
            let next = self.positions.entry(partition).or_insert(Next(offset));
            match step(*next, offset) {
                Step::Next => {}
                Step::Gap => self.gaps.note(partition, next.0, offset),
                Step::Back => {
                    let topic = self.stream.topic();
                    warn!(topic, partition, read = %next, offset, "the log was cut off: reading it from its beginning");
                    if !self.reborn.contains(&partition) {
                        self.reborn.push(partition);
                    }
                }
            }
            *next = Next::behind(offset);
        }
        if !batch.records.is_empty() {
            self.link.up();
            self.handed = batch.end();
        }
        (batch.reborn, batch.missed) = (std::mem::take(&mut self.reborn), std::mem::take(&mut self.missed));
        if !batch.reborn.is_empty() {
            info!(topic = self.stream.topic(), partitions = ?batch.reborn, "another log under the same name");
        }
        batch
    }
}

/// Tells librdkafka where to read a partition; whether it does. Blocks.
fn seek<C: ConsumerContext>(consumer: &StreamConsumer<C>, topic: &str, (partition, next): (i32, Next)) -> bool {
    let sought = consumer.seek(topic, partition, Offset::Offset(next.0), SEEK);
    if let Err(error) = &sought {
        debug!(topic, partition, %next, %error, "seeking again in a moment");
    }
    sought.is_ok()
}

/// The output of a future that is ready at once.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
