//! Reads whole topics from positions of its own choice: checkpoints, the catalog, windows of the past.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError as ClientError;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use super::client::{Role, blocking, partitions, patiently, settings};
use super::consumer::{commit_list, offsets};
use super::error::{KafkaError, is_lost_partition};
use super::link::{Link, log, watch};
use super::pull::{Change, Changes, Pull};
use super::{Batch, Positions};
use crate::config;
use crate::context::{Context, lock};

/// The group of readers that commit nothing; librdkafka asks for one. Nobody joins it.
const NO_GROUP: &str = "thalweg-reader";
/// The longest single question to a broker.
const QUESTION: Duration = Duration::from_secs(5);
/// Nothing came for this long after a partition said that it has no more: then it has no more.
/// Fifty fetches of 10 ms.
const QUIET: Duration = Duration::from_millis(500);

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// With the oldest record that is still there.
    Beginning,
    /// With the next record to be written.
    End,
    /// At these offsets; partitions that are not named from the beginning.
    At(Positions),
}

/// Reads every partition of a topic, without a group.
///
/// The partitions are those the topic has when it is opened; [`Reader::check_partitions`] says when that changes.
pub struct Reader {
    /// Taken only by `drop`.
    pull: Option<Pull<Alone>>,
    config: config::Kafka,
    group: String,
    partitions: Vec<i32>,
    /// When [`Reader::end`] was last asked.
    end_asked: Mutex<Option<Instant>>,
}

impl Reader {
    /// Opens a topic that is only read.
    ///
    /// # Errors
    /// No broker answers within 10 s, the topic is missing, or librdkafka refuses a setting.
    pub async fn open(config: &config::Kafka, topic: &str, from: From, ctx: &Context) -> Result<Self, KafkaError> {
        Self::open_as(config, NO_GROUP, topic, from, ctx).await
    }

    /// Opens a topic whose progress is committed under `group`, so that tools for lag see it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_as(
        config: &config::Kafka,
        group: &str,
        topic: &str,
        from: From,
        ctx: &Context,
    ) -> Result<Self, KafkaError> {
        let link = Arc::new(Link::new(ctx));
        let context = Alone { link: Arc::clone(&link), never: Notify::new() };
        let consumer: StreamConsumer<Alone> = settings(config, ctx.name(), Role::Reader(group))
            .create_with_context(context)
            .map_err(KafkaError::Settings)?;
        let consumer = Arc::new(consumer);
        let (asking, brokers, name) = (Arc::clone(&consumer), config.brokers.clone(), topic.to_owned());
        let starts = blocking("ask for the topic", move || {
            let count = partitions(asking.client(), &brokers, &name)?;
            patiently(&brokers, || starts(&asking, &name, count, &from))
        })
        .await?;
        consumer
            .assign(&offsets(topic, starts.iter())?)
            .map_err(|error| KafkaError::of(format!("read topic {topic}"), error))?;
        link.opened();
        watch(&consumer, &link, |consumer, link| link.probe(consumer.client()));
        info!(service = ctx.name(), topic, positions = ?starts, "reading every partition");
        Ok(Self {
            partitions: starts.keys().copied().collect(),
            pull: Some(Pull::new(consumer, link, topic, starts)),
            config: config.clone(),
            group: group.to_owned(),
            end_asked: Mutex::default(),
        })
    }

    /// The next records, at most `most`, waiting up to `wait` for the first; `None` once the service drains.
    ///
    /// The batch may be empty. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Only what waiting does not mend: lost rights, a fatal state of the client.
    pub async fn next_batch(&mut self, most: usize, wait: Duration) -> Result<Option<Batch>, KafkaError> {
        match &mut self.pull {
            Some(pull) => pull.next(most, wait, Duration::ZERO).await,
            None => Ok(None),
        }
    }

    /// For each partition the offset of the next record to be written.
    ///
    /// # Errors
    /// Kafka is away.
    pub async fn end(&self) -> Result<Positions, KafkaError> {
        *lock(&self.end_asked) = Some(Instant::now());
        self.watermarks(|(_, high)| high).await
    }

    /// Whether the topic still has the partitions that are read.
    ///
    /// # Errors
    /// It has others now, or Kafka is away.
    pub async fn check_partitions(&self) -> Result<(), KafkaError> {
        let pull = self.pull();
        let (consumer, topic, before) = (Arc::clone(pull.consumer()), pull.topic().to_owned(), self.partitions.len());
        let name = topic.clone();
        let asked = blocking("ask for the partitions", move || {
            let metadata = consumer.fetch_metadata(Some(&name), QUESTION);
            let metadata =
                metadata.map_err(|error| KafkaError::of(format!("ask for the partitions of {name}"), error))?;
            Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
        });
        match asked.await? {
            0 => Ok(()), // being deleted or made: whoever reads hears of it
            now if now == before => Ok(()),
            now => Err(KafkaError::Repartitioned { topic, before, now }),
        }
    }

    /// For each partition the offset of the oldest record that is still there.
    ///
    /// # Errors
    /// Kafka is away.
    pub async fn beginning(&self) -> Result<Positions, KafkaError> {
        self.watermarks(|(low, _)| low).await
    }

    /// The next offset to be handed out, for each partition.
    #[must_use]
    pub fn position(&self) -> Positions {
        self.pull().positions().clone()
    }

    /// Whether everything up to `end` (an answer of [`end`](Self::end)) was handed out.
    ///
    /// A partition's last offsets may hold no record (deleted by retention, or markers of
    /// transactions): it is at its end, too, when it said so and nothing came for half a second.
    #[must_use]
    pub fn is_at(&self, end: &Positions) -> bool {
        let asked = *lock(&self.end_asked);
        let pull = self.pull();
        end.iter().all(|(partition, end)| {
            pull.positions().get(partition).is_some_and(|next| next >= end)
                || pull
                    .end_of(*partition)
                    .is_some_and(|said| said.elapsed() >= QUIET && asked.is_none_or(|asked| asked.elapsed() >= QUIET))
        })
    }

    /// Commits progress under `group`, for tools that show lag; it is never read back.
    ///
    /// The group must have no members. Under another group than the one it was opened with, it
    /// costs a connection.
    ///
    /// # Errors
    /// Kafka is away or refuses.
    pub async fn commit_as(&self, group: &str, positions: &Positions) -> Result<(), KafkaError> {
        let pull = self.pull();
        if positions.is_empty() {
            return Ok(());
        }
        let list = offsets(pull.topic(), positions.iter())?;
        let outcome = if group == self.group {
            commit_list(pull.consumer(), pull.link(), list).await?
        } else {
            let context = Alone { link: Arc::clone(pull.link()), never: Notify::new() };
            let other: StreamConsumer<Alone> = settings(&self.config, pull.link().ctx().name(), Role::Reader(group))
                .create_with_context(context)
                .map_err(KafkaError::Settings)?;
            commit_list(&Arc::new(other), pull.link(), list).await?
        };
        match outcome {
            Err(error) if is_lost_partition(&error) => {
                warn!(group, %error, "progress is not shown: the group has members; give the reader a group of its own");
                Ok(())
            }
            outcome => outcome.map_err(|error| KafkaError::of(format!("commit offsets of {}", pull.topic()), error)),
        }
    }

    async fn watermarks(&self, pick: fn((i64, i64)) -> i64) -> Result<Positions, KafkaError> {
        let pull = self.pull();
        let (consumer, topic, partitions) =
            (Arc::clone(pull.consumer()), pull.topic().to_owned(), self.partitions.clone());
        blocking("ask for watermarks", move || {
            let ask = |partition| Ok((partition, pick(watermarks(&consumer, &topic, partition)?)));
            partitions.into_iter().map(ask).collect()
        })
        .await
    }

    fn pull(&self) -> &Pull<Alone> {
        self.pull.as_ref().expect("only `drop` takes it")
    }
}

fn watermarks(consumer: &StreamConsumer<Alone>, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
    consumer
        .fetch_watermarks(topic, partition, QUESTION)
        .map_err(|error| KafkaError::of(format!("ask for the watermarks of {topic}/{partition}"), error))
}

/// Turns `from` into offsets; blocks.
fn starts(consumer: &StreamConsumer<Alone>, topic: &str, count: i32, from: &From) -> Result<Positions, KafkaError> {
    let mut starts = Positions::new();
    for partition in 0..count {
        let (low, high) = watermarks(consumer, topic, partition)?;
        let start = match from {
            From::Beginning => low,
            From::End => high,
            From::At(positions) => match positions.get(&partition) {
                Some(wanted) if *wanted < low => {
                    warn!(topic, partition, wanted, low, "records that were not read yet are gone; raise retention.ms");
                    low
                }
                Some(wanted) if *wanted > high => {
                    warn!(topic, partition, wanted, high, "the topic is shorter than what was read: was it recreated?");
                    low
                }
                Some(wanted) => *wanted,
                None => low,
            },
        };
        starts.insert(partition, start);
    }
    Ok(starts)
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("topic", &self.pull().topic())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Closing takes a round trip; the context's `join` waits for it.
        if let Some(pull) = self.pull.take() {
            let ctx = pull.link().ctx().clone();
            ctx.spawn_thread("kafka-close", move || drop(pull));
        }
    }
}

/// Has every partition, always.
struct Alone {
    link: Arc<Link>,
    never: Notify,
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
        Vec::new()
    }

    fn changed(&self) -> &Notify {
        &self.never
    }
}
