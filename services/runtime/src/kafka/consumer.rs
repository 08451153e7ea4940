//! A member of a consumer group: shares a topic's partitions with the other instances of its service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::client::{Role, blocking, partitions, settings};
use super::contact::contact;
use super::error::{KafkaError, is_denied, is_lost_partition, is_missing, is_outage};
use super::group::Group;
use super::growth::follow_partitions;
use super::link::{self, Link};
use super::pull::Pull;
use super::stream::{Committed, Stream};
use super::{Batch, Next, Positions, resume};
use crate::config;
use crate::context::Context;

/// An idle consumer hands out an empty batch this often, so that its service can see to other things.
const IDLE: Duration = Duration::from_secs(1);
/// The longest question where a group continues.
const QUESTION: Duration = Duration::from_secs(2);
/// Pause between two tries to commit while the coordinator is away.
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// The same while it does not allow it.
const DENIED_PAUSE: Duration = Duration::from_secs(1);

/// Reads a topic as a member of a group.
///
/// Offsets are committed only by [`commit`](Self::commit) (I3). Dropping it leaves the group.
pub struct Consumer {
    /// Taken only by `drop`.
    pull: Option<Pull<Group>>,
    /// A batch with new partitions, until it is known where they begin.
    settling: Option<Batch>,
    /// Where the group went on with our partitions.
    committed: Positions,
}

impl Consumer {
    /// Joins `group` to read `topic`.
    ///
    /// # Errors
    /// What is not waited for ([`contact`]): no broker answers within 10 s and none ever did, or the topic is missing
    /// at the start; librdkafka refuses a setting; the service drains.
    pub async fn subscribe(
        config: &config::Kafka,
        group: &str,
        topic: &str,
        ctx: &Context,
    ) -> Result<Self, KafkaError> {
        contact(ctx, || Self::try_subscribe(config, group, topic, ctx)).await
    }

    async fn try_subscribe(
        config: &config::Kafka,
        group: &str,
        topic: &str,
        ctx: &Context,
    ) -> Result<Self, KafkaError> {
        let link = Arc::new(Link::new(ctx));
        let context = Group::new(&link);
        let consumer: StreamConsumer<Group> = settings(config, ctx.name(), Role::Member(group))
            .create_with_context(context)
            .map_err(KafkaError::Settings)?;
        let consumer = Arc::new(consumer);
        let (asking, brokers, name) = (Arc::clone(&consumer), config.brokers.clone(), topic.to_owned());
        let count = blocking("ask for the topic", move || partitions(asking.client(), &brokers, &name)).await?;
        consumer.subscribe(&[topic]).map_err(|error| KafkaError::of(format!("subscribe to {topic}"), error))?;
        link.opened();
        link::watch(&consumer, &link, |consumer, link| link.probe(consumer.client()));
        info!(service = ctx.name(), group, topic, "reading as a member");
        let stream = Arc::new(Stream::new(topic, usize::try_from(count).unwrap_or(0), committed(&consumer, topic)));
        follow_partitions(&consumer, &stream, &link, &config.brokers);
        let pull = Pull::new(consumer, link, stream, Positions::new());
        Ok(Self { pull: Some(pull), settling: None, committed: Positions::new() })
    }

    /// The next records, at most `most`; `None` once the service drains.
    ///
    /// Waits for the first record, then up to `linger` for more. A change of the assignment, or an
    /// idle second, ends the wait: such a batch has no records. Dropping the future loses nothing. A right that is lost
    /// while the service runs is waited for.
    ///
    /// # Errors
    /// Only what waiting does not mend: a right that is missing at the start, a fatal state of the client.
    pub async fn next_batch(&mut self, most: usize, linger: Duration) -> Result<Option<Batch>, KafkaError> {
        let Some(pull) = &mut self.pull else { return Ok(None) };
        if self.settling.is_none() {
            let Some(batch) = pull.next(most, IDLE, linger).await? else { return Ok(None) };
            if batch.assigned.is_empty() {
                return Ok(Some(batch));
            }
            self.settling = Some(batch);
        }
        let assigned = self.settling.as_ref().map(|batch| batch.assigned.clone()).unwrap_or_default();
        let Some(committed) = resume::settle(pull, &assigned).await? else { return Ok(None) };
        self.committed.retain(|partition, _| !assigned.contains(partition));
        self.committed.extend(committed);
        let Some(mut batch) = self.settling.take() else { return Ok(None) };
        // What came along of a partition that is read from elsewhere comes again.
        batch.records.retain(|record| !assigned.contains(&record.partition) || !pull.was_reborn(record.partition));
        for record in &batch.records {
            pull.begin(record.partition, Next::behind(record.offset));
        }
        Ok(Some(batch))
    }

    /// Tells the lives of the topic apart: another number after it was deleted and made again; 0 where the broker does
    /// not say.
    #[must_use]
    pub fn life(&self) -> u32 {
        self.pull().life()
    }

    /// Commits where the group continues; waits while Kafka is away or does not allow it.
    ///
    /// Partitions that are no longer ours are left out: their new owner commits them. Of a topic that is gone nothing
    /// is committed: made again, it is read from its beginning.
    ///
    /// # Errors
    /// The drain's grace is over, or Kafka refuses for good.
    pub async fn commit(&self, positions: &Positions) -> Result<(), KafkaError> {
        let pull = self.pull();
        loop {
            let list = {
                let assigned = pull.consumer().context().assigned();
                let ours = positions.iter().filter(|(partition, _)| assigned.contains(partition));
                resume::noted(offsets(pull.topic(), ours)?, pull.life())
            };
            if list.count() == 0 {
                return Ok(());
            }
            match commit_list(pull.consumer(), pull.link(), list).await? {
                Ok(()) => {
                    pull.denial().over();
                    return Ok(());
                }
                Err(error) if is_lost_partition(&error) => {
                    debug!(topic = pull.topic(), %error, "not committed: the partitions changed hands");
                    return Ok(());
                }
                Err(error) if is_missing(&error) => {
                    warn!(topic = pull.topic(), %error, "not committed: there is no such topic now");
                    return Ok(());
                }
                Err(error) if is_denied(&error) && pull.link().ctx().has_started() => {
                    let error = KafkaError::of(format!("commit offsets of {}", pull.topic()), error);
                    pull.denial().told(&error);
                    let pause = tokio::time::sleep(DENIED_PAUSE);
                    tokio::select! {
                        () = pause => {}
                        () = pull.link().ctx().grace_over() => {
                            return Err(KafkaError::Draining { what: "commit offsets".into() });
                        }
                    }
                }
                Err(error) if is_outage(&error) => {
                    pull.link().down(format!("cannot commit: {error}"));
                    tokio::time::sleep(COMMIT_PAUSE).await;
                }
                Err(error) => return Err(KafkaError::of(format!("commit offsets of {}", pull.topic()), error)),
            }
        }
    }

    /// Where the group went on with a partition when it became ours; `None` where it had committed nothing of this
    /// topic.
    #[must_use]
    pub fn committed(&self, partition: i32) -> Option<Next> {
        self.committed.get(&partition).copied()
    }

    /// Goes on at other offsets, earlier or later; where each partition really goes on: with the oldest record where
    /// the offset is deleted, or beyond the end. Records in hand are not affected. Partitions that are no longer ours
    /// are left out.
    ///
    /// # Errors
    /// The service drains before Kafka answers, or Kafka refuses for good.
    pub async fn seek(&mut self, to: &Positions) -> Result<Positions, KafkaError> {
        match &mut self.pull {
            Some(pull) => resume::seek(pull, to).await,
            None => Ok(Positions::new()),
        }
    }

    /// The partitions that are ours now, in order.
    #[must_use]
    pub fn partitions(&self) -> Vec<i32> {
        self.pull().consumer().context().assigned().iter().copied().collect()
    }

    /// Where it stands, for a [`Watch`](super::Watch).
    #[must_use]
    pub fn stream(&self) -> &Arc<Stream> {
        self.pull().stream()
    }

    fn pull(&self) -> &Pull<Group> {
        self.pull.as_ref().expect("only `drop` takes it")
    }
}

/// How to ask where the group continues.
fn committed(consumer: &Arc<StreamConsumer<Group>>, topic: &str) -> Committed {
    let (consumer, topic) = (Arc::downgrade(consumer), topic.to_owned());
    Box::new(move |partitions| {
        let Some(consumer) = consumer.upgrade() else { return Ok(Positions::new()) };
        committed_offsets(&consumer, &topic, partitions, QUESTION)
    })
}

/// Where the client's group continues; partitions of which nothing was committed are left out. Blocks for up to `wait`.
pub(super) fn committed_offsets<C: ConsumerContext>(
    consumer: &StreamConsumer<C>,
    topic: &str,
    partitions: &[i32],
    wait: Duration,
) -> Result<Positions, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let failed = |error| KafkaError::of(format!("ask where the group continues on {topic}"), error);
    let told = consumer.committed_offsets(list, wait).map_err(failed)?;
    let known = told.elements().into_iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition(), Next(offset))),
        _ => None,
    });
    Ok(known.collect())
}

/// Commits off the async threads; the outer error is the end of the drain's grace.
pub(super) async fn commit_list<C: ConsumerContext + 'static>(
    consumer: &Arc<StreamConsumer<C>>,
    link: &Arc<Link>,
    list: TopicPartitionList,
) -> Result<Result<(), ClientError>, KafkaError> {
    let committing = Arc::clone(consumer);
    let call = tokio::task::spawn_blocking(move || committing.commit(&list, CommitMode::Sync));
    tokio::select! {
        outcome = call => {
            let outcome = outcome.map_err(|_| KafkaError::interrupted("commit offsets"))?;
            if outcome.is_ok() {
                link.up();
            }
            Ok(outcome)
        }
        () = link.ctx().grace_over() => Err(KafkaError::Draining { what: "commit offsets".into() }),
    }
}

/// Positions as librdkafka wants them.
pub(super) fn offsets<'a>(
    topic: &str,
    positions: impl Iterator<Item = (&'a i32, &'a Next)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, next) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(next.0))
            .map_err(|error| KafkaError::of(format!("name offset {next} of {topic}/{partition}"), error))?;
    }
    Ok(list)
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("topic", &self.pull().topic()).finish_non_exhaustive()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Leaving the group takes a round trip; the context's `join` waits for it.
        if let Some(pull) = self.pull.take() {
            let ctx = pull.link().ctx().clone();
            ctx.spawn_worker("kafka-leave", move |_| drop(pull));
        }
    }
}
