//! Reads whole topics from positions of its own choice: checkpoints, the catalog, windows of the past.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::topic_partition_list::Offset;
use tokio::time::Instant;
use tracing::{info, warn};

use super::alone::Alone;
use super::client::{NO_GROUP, Role, blocking, partitions, patiently, settings};
use super::consumer::{committed_offsets, offsets};
use super::contact::contact;
use super::ends::ask;
use super::error::KafkaError;
use super::growth::follow_partitions;
use super::link::{self, Link};
use super::pull::Pull;
use super::stream::Stream;
use super::{Batch, Positions, Span, distance, identity};
use crate::config;
use crate::context::{Context, Outage};
use crate::lock::lock;

/// Nothing came for this long after a partition said that it has no more: then it has no more.
/// Fifty fetches of 10 ms.
const QUIET: Duration = Duration::from_millis(500);

/// The longest wait of [`Reader::replay`] for a record: how late it may notice that it is at the end.
const REPLAY_WAIT: Duration = Duration::from_millis(100);

/// The longest question for what a group committed.
const QUESTION: Duration = Duration::from_secs(5);

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record that is still there.
    Beginning,
    /// With the next record to be written.
    End,
    /// At these offsets; partitions that are not named from the beginning.
    Offsets(Positions),
}

/// Reads every partition of a topic, without a group.
///
/// Partitions that are added meanwhile are read from their beginning, and are in the next batch's `assigned`.
pub struct Reader {
    /// Taken only by `drop`.
    pull: Option<Pull<Alone>>,
    /// When [`Reader::end`] was last asked.
    end_asked: Mutex<Option<Instant>>,
    /// How far [`Reader::follow`] has come.
    following: Following,
}

/// Whether what was there at the first call of [`Reader::follow`] was handed out.
#[derive(Debug, Default)]
enum Following {
    /// It was not called yet.
    #[default]
    No,
    /// Not all: it ends here.
    Until(Positions),
    /// All of it.
    CaughtUp,
}

/// A batch of a topic that is followed.
#[derive(Debug)]
pub struct Followed {
    /// The records, perhaps none.
    pub batch: Batch,
    /// With it everything has been handed out that was there at the start; told once.
    pub caught_up: bool,
}

impl Reader {
    /// Opens a topic that is only read.
    ///
    /// # Errors
    /// What is not waited for ([`contact`]): no broker answers within 10 s and none ever did, the topic is missing at
    /// the start; librdkafka refuses a setting; the service drains.
    pub async fn open(config: &config::Kafka, topic: &str, from: StartAt, ctx: &Context) -> Result<Self, KafkaError> {
        Self::open_as(config, NO_GROUP, topic, from, ctx).await
    }

    /// Opens a topic whose progress is committed under `group`, by an [`Attendance`](super::Attendance).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_as(
        config: &config::Kafka,
        group: &str,
        topic: &str,
        from: StartAt,
        ctx: &Context,
    ) -> Result<Self, KafkaError> {
        contact(ctx, || Self::try_open(config, group, topic, from.clone(), ctx)).await
    }

    async fn try_open(
        config: &config::Kafka,
        group: &str,
        topic: &str,
        from: StartAt,
        ctx: &Context,
    ) -> Result<Self, KafkaError> {
        let link = Arc::new(Link::new(ctx));
        let context = Alone::new(&link);
        let consumer: StreamConsumer<Alone> = settings(config, ctx.name(), Role::Reader(group))
            .create_with_context(context)
            .map_err(KafkaError::Settings)?;
        let consumer = Arc::new(consumer);
        let (asking, brokers, name) = (Arc::clone(&consumer), config.brokers.clone(), topic.to_owned());
        let asked = Instant::now();
        let (starts, answer) = blocking("ask for the topic", move || {
            let count = partitions(asking.client(), &brokers, &name)?;
            patiently(&brokers, || Ok((starts(&asking, &name, count, &from)?, identity::first(&asking, &name)?)))
        })
        .await?;
        consumer
            .assign(&offsets(topic, starts.iter())?)
            .map_err(|error| KafkaError::of(format!("read topic {topic}"), error))?;
        link.opened();
        link::watch(&consumer, &link, |consumer, link| link.probe(consumer.client()));
        info!(service = ctx.name(), topic, positions = ?starts, "reading every partition");
        let stream = Arc::new(Stream::new(topic, starts.len(), Box::new(|_| Ok(Positions::new()))));
        stream.assigned(&starts.keys().copied().collect::<Vec<_>>());
        stream.begins(&starts);
        follow_partitions(&consumer, &stream, &link, &config.brokers);
        let mut pull = Pull::new(consumer, link, stream, starts);
        if let Some(answer) = answer {
            pull.heard(answer, asked);
        }
        Ok(Self { pull: Some(pull), end_asked: Mutex::default(), following: Following::No })
    }

    /// The next records, at most `most`, waiting up to `wait` for the first; `None` once the service drains.
    ///
    /// The batch may be empty. Dropping the future loses nothing. A right that is lost while the service runs is waited
    /// for.
    ///
    /// # Errors
    /// Only what waiting does not mend: a right that is missing at the start, a fatal state of the client.
    pub async fn next_batch(&mut self, most: usize, wait: Duration) -> Result<Option<Batch>, KafkaError> {
        match &mut self.pull {
            Some(pull) => pull.next(most, wait, Duration::ZERO).await,
            None => Ok(None),
        }
    }

    /// The next records on the way to `end` (an answer of [`end`](Self::end)), at most `most`; `None` once all up to
    /// there was handed out, or the service drains: [`is_at`](Self::is_at) tells which.
    ///
    /// The batch may be empty, and may hold what was written since. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    pub async fn replay(&mut self, end: &Positions, most: usize) -> Result<Option<Batch>, KafkaError> {
        if self.is_at(end) { Ok(None) } else { self.next_batch(most, REPLAY_WAIT).await }
    }

    /// The next records, as [`next_batch`](Self::next_batch) gives them, and whether all was handed out with them that
    /// was there at the first call. That waits while Kafka is away.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    pub async fn follow(&mut self, most: usize, wait: Duration) -> Result<Option<Followed>, KafkaError> {
        if let Following::No = self.following {
            let Some(end) = self.wait_for_end().await? else { return Ok(None) };
            self.following = Following::Until(end);
        }
        let Some(batch) = self.next_batch(most, wait).await? else { return Ok(None) };
        let caught_up = matches!(&self.following, Following::Until(end) if self.is_at(end));
        if caught_up {
            self.following = Following::CaughtUp;
        }
        Ok(Some(Followed { batch, caught_up }))
    }

    /// Reads every partition again from its oldest record, and tells anew when all is handed out that is there now
    /// ([`follow`](Self::follow)); false once the service drains. Dropping the future changes nothing.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub async fn read_again(&mut self) -> Result<bool, KafkaError> {
        let Some(beginnings) = self.wait_for_beginning().await? else { return Ok(false) };
        if let Some(pull) = &mut self.pull {
            beginnings.into_iter().for_each(|(partition, oldest)| pull.seek(partition, oldest, false));
        }
        self.following = Following::No;
        Ok(true)
    }

    /// Tells the lives of the topic apart: another number after it was deleted and made again; 0 where the broker does
    /// not say.
    #[must_use]
    pub fn life(&self) -> u32 {
        self.pull().life()
    }

    /// For each partition the offset of the next record to be written.
    ///
    /// # Errors
    /// Kafka is away.
    pub async fn end(&self) -> Result<Positions, KafkaError> {
        *lock(&self.end_asked) = Some(Instant::now());
        self.watermarks(Offset::End).await
    }

    /// For each partition the offset of the oldest record that is still there.
    ///
    /// # Errors
    /// Kafka is away.
    pub async fn beginning(&self) -> Result<Positions, KafkaError> {
        self.watermarks(Offset::Beginning).await
    }

    /// As [`end`](Self::end), but waits while Kafka is away, which shows as the condition `kafka`; `None` once
    /// draining.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub async fn wait_for_end(&self) -> Result<Option<Positions>, KafkaError> {
        self.unless_draining(contact(self.pull().link().ctx(), || self.end()).await)
    }

    /// As [`beginning`](Self::beginning), but waits as [`wait_for_end`](Self::wait_for_end) does.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub(super) async fn wait_for_beginning(&self) -> Result<Option<Positions>, KafkaError> {
        self.unless_draining(contact(self.pull().link().ctx(), || self.beginning()).await)
    }

    /// Which offsets the topic holds now; waits while Kafka is away, and gives `None` once draining.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub async fn span(&self) -> Result<Option<Span>, KafkaError> {
        let Some(beginnings) = self.wait_for_beginning().await? else { return Ok(None) };
        let Some(ends) = self.wait_for_end().await? else { return Ok(None) };
        Ok(Some(Span { life: self.life(), beginnings, ends }))
    }

    /// Offsets from where it stands up to `end`, over all partitions: no fewer than there are records.
    #[must_use]
    pub fn lag(&self, end: &Positions) -> u64 {
        distance(self.pull().positions(), end)
    }

    fn unless_draining<T>(&self, answer: Result<T, KafkaError>) -> Result<Option<T>, KafkaError> {
        match answer {
            Err(error) if error.is_outage() && self.pull().link().ctx().draining() => Ok(None),
            answer => answer.map(Some),
        }
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
            // What is gone with a topic that was made again has no more.
            !pull.stream().has(*partition)
                || pull.positions().get(partition).is_some_and(|next| next >= end)
                || pull
                    .end_of(*partition)
                    .is_some_and(|said| said.elapsed() >= QUIET && asked.is_none_or(|asked| asked.elapsed() >= QUIET))
        })
    }

    /// What was committed under the reader's own group; a partition without a commit is not named.
    ///
    /// # Errors
    /// Kafka is away or refuses; [`contact`] waits for it.
    pub async fn committed(&self) -> Result<Positions, KafkaError> {
        let pull = self.pull();
        let (consumer, topic, partitions) =
            (Arc::clone(pull.consumer()), pull.topic().to_owned(), pull.stream().ours());
        blocking("ask for committed offsets", move || committed_offsets(&consumer, &topic, &partitions, QUESTION)).await
    }

    async fn watermarks(&self, which: Offset) -> Result<Positions, KafkaError> {
        let pull = self.pull();
        let (consumer, topic, ours) = (Arc::clone(pull.consumer()), pull.topic().to_owned(), pull.stream().ours());
        blocking("ask for watermarks", move || watermarks(&consumer, &topic, ours, which)).await
    }

    /// Where it stands, for a [`Watch`](super::Watch).
    #[must_use]
    pub fn stream(&self) -> &Arc<Stream> {
        self.pull().stream()
    }

    fn pull(&self) -> &Pull<Alone> {
        self.pull.as_ref().expect("only `drop` takes it")
    }
}

fn watermarks(
    consumer: &StreamConsumer<Alone>,
    topic: &str,
    partitions: Vec<i32>,
    which: Offset,
) -> Result<Positions, KafkaError> {
    ask(consumer, &[(topic, partitions)], which)?.remove(0)
}

/// Turns `from` into offsets; blocks.
fn starts(consumer: &StreamConsumer<Alone>, topic: &str, count: i32, from: &StartAt) -> Result<Positions, KafkaError> {
    let mut starts = Positions::new();
    let lows = watermarks(consumer, topic, (0..count).collect(), Offset::Beginning)?;
    let highs = watermarks(consumer, topic, (0..count).collect(), Offset::End)?;
    for (partition, low) in lows {
        let high = highs.get(&partition).copied().unwrap_or(low);
        let start = match from {
            StartAt::Beginning => low,
            StartAt::End => high,
            StartAt::Offsets(positions) => match positions.get(&partition) {
                Some(wanted) if *wanted < low => {
                    warn!(topic, partition, %wanted, %low, "records that were not read yet are gone; raise retention.ms");
                    low
                }
                Some(wanted) if *wanted > high => {
                    warn!(topic, partition, %wanted, %high, "the topic is shorter than what was read: was it recreated?");
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
            ctx.spawn_worker("kafka-close", move |_| drop(pull));
        }
    }
}
