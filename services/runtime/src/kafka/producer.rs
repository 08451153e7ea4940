//! Writes batches of records and waits until every one is acknowledged.
//!
//! In each partition records are written in their order or not at all (I2): what comes behind a record that Kafka
//! refuses must not lie before it. librdkafka would go on with the next, so it is told to stop instead
//! (`enable.gapless.guarantee`), which is for good; then another client takes over and sends again what was not
//! written. That a broker refuses what comes out of order it can only do once it knows the client, so the first record
//! of a partition goes alone.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use tracing::{info, warn};

use super::acks::{Outstanding, watch_acknowledgements};
use super::client::{Role, settings};
use super::error::KafkaError;
use super::flight::{Flight, Place, Reports, Ticket, is_echo};
use super::link::{Link, watch};
use crate::config;
use crate::context::{Context, Pauses, chain};
use crate::lock::lock;

/// Pause when the local queue is full: at 300,000 records/s 600 leave it meanwhile.
const FULL_PAUSE: Duration = Duration::from_millis(2);
/// A topic's new partitions may be unknown to us for so long: librdkafka's metadata is refreshed every two seconds.
const GROWTH: Duration = Duration::from_secs(10);
/// Records handed over between two yields to the other tasks of the thread, about half a millisecond.
const HANDFUL: usize = 512;
/// librdkafka's own bound of a batch, bytes before compression.
const BATCH: usize = 1_000_000;
/// How often a client is asked whether it has given up while its records are on their way.
const LOOK: Duration = Duration::from_secs(1);

/// A record to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The partition; without one the key decides, as in Kafka's Java clients.
    pub partition: Option<i32>,
    /// The key; empty is none.
    pub key: Bytes,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970; without one the client's clock.
    pub timestamp: Option<i64>,
    /// Headers, in order.
    pub headers: Vec<(&'static str, String)>,
}

impl Outgoing {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Gives a record of the topic with this name one more header on its way out, or none.
pub type Stamp = Arc<dyn Fn(&str, &Outgoing) -> Option<(&'static str, String)> + Send + Sync>;

/// An idempotent producer: records are written in order, and none is dropped. Clones share it.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    stamp: Option<Stamp>,
}

struct Shared {
    config: config::Kafka,
    link: Arc<Link>,
    outstanding: Arc<Outstanding>,
    current: Mutex<Arc<Client>>,
}

/// One of librdkafka's clients.
struct Client {
    inner: Arc<ThreadedProducer<Reports>>,
    /// Its bound of a batch, bytes.
    batch: usize,
    /// Where a record of it was acknowledged: there the brokers know it.
    known: Mutex<BTreeSet<(String, i32)>>,
}

/// Why a round left records unwritten.
enum Trouble {
    /// Our own bound: nobody else can mend it.
    Ours(KafkaError),
    /// Kafka's word.
    Theirs(KafkaError),
    /// Another record was the cause; nothing is known of these.
    Echo,
}

impl Producer {
    /// Prepares a producer; it connects with the first record. Call it within a tokio runtime.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn connect(config: &config::Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let (link, outstanding) = (Arc::new(Link::new(ctx)), Arc::default());
        let client = Client::connect(config, None, &link, &outstanding)?;
        let current = Mutex::new(Arc::new(client));
        Ok(Self { shared: Arc::new(Shared { config: config.clone(), link, outstanding, current }), stamp: None })
    }

    /// The same, which stamps every record.
    #[must_use]
    pub fn stamped(self, stamp: Option<Stamp>) -> Self {
        Self { stamp, ..self }
    }

    /// Writes records and waits until all are acknowledged; partition and offset of each, in their order.
    ///
    /// While no broker answers it waits, with the condition `kafka` red. A full local queue is waited out. What a topic
    /// does not take together is sent in smaller batches. Once the service has [started](Context::started), a missing
    /// topic, partition or right, and a topic that does not take a record of that size, are waited for, too, and what
    /// was not written is sent again: of what was under way some may be written twice, in order.
    ///
    /// # Errors
    /// A record that is too big for any topic, what is not waited for, or the end of the drain's grace. Some of the
    /// records may be written then.
    pub async fn send_all(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = Outgoing>,
    ) -> Result<Vec<(i32, i64)>, KafkaError> {
        let mut records: Vec<Outgoing> = records.into_iter().collect();
        if let Some(stamp) = &self.stamp {
            for record in &mut records {
                record.headers.extend(stamp(topic, record));
            }
        }
        let mut places: Vec<Option<Place>> = vec![None; records.len()];
        let mut left: Vec<usize> = (0..records.len()).collect();
        let (mut refused, mut pauses) = (None, Pauses::begin());
        while !left.is_empty() {
            let client = Arc::clone(&lock(&self.shared.current));
            let Some(trouble) = self.attempt(&client, topic, &records, &left, &mut places).await? else { break };
            left.retain(|index| places[*index].is_none());
            let largest = left.iter().map(|index| records[*index].bytes()).max().unwrap_or(0);
            let (ctx, gave_up) = (self.shared.link.ctx(), client.inner.client().fatal_error());
            let error = match trouble {
                Trouble::Ours(error) => return Err(error),
                Trouble::Theirs(KafkaError::TooBig { .. }) if client.batch > largest => {
                    let batch = (client.batch / 2).max(largest);
                    warn!(topic, batch, "the topic does not take so much at once: sending smaller batches");
                    self.renew(client, batch)?;
                    continue;
                }
                Trouble::Theirs(KafkaError::TooBig { topic, .. }) => Some(KafkaError::TooBig { topic, bytes: largest }),
                Trouble::Theirs(error) => Some(error),
                Trouble::Echo => gave_up.as_ref().and_then(|(code, _)| its_own(topic, *code)),
            };
            if gave_up.is_some() {
                let batch = client.batch;
                self.renew(client, batch)?;
            }
            if let Some(error) = error {
                if !ctx.has_started() {
                    return Err(error);
                }
                refused.get_or_insert_with(|| Link::new(ctx)).refused(chain(&error));
            }
            self.in_grace(topic, tokio::time::sleep(pauses.next())).await?;
        }
        self.shared.link.ctx().reached();
        Ok(places.into_iter().flatten().collect())
    }

    /// Waits until nothing is under way any more.
    pub async fn flush(&self) {
        while self.waiting() > 0 {
            tokio::select! {
                () = self.shared.link.ctx().grace_over() => return,
                () = tokio::time::sleep(FULL_PAUSE) => {}
            }
        }
    }

    /// Records that librdkafka holds.
    pub(super) fn waiting(&self) -> i32 {
        lock(&self.shared.current).inner.in_flight_count()
    }

    /// Sends what is `left` once; why some of it was not written.
    async fn attempt(
        &self,
        client: &Client,
        topic: &str,
        records: &[Outgoing],
        left: &[usize],
        places: &mut [Option<Place>],
    ) -> Result<Option<Trouble>, KafkaError> {
        let first = client.first_of_unknown(topic, records, left);
        if first.is_empty() {
            return self.round(client, topic, records, left, places).await;
        }
        if let Some(trouble) = self.round(client, topic, records, &first, places).await? {
            return Ok(Some(trouble));
        }
        let of = |index: &usize| Some((topic.to_owned(), records[*index].partition?));
        lock(&client.known).extend(first.iter().filter_map(of));
        let rest: Vec<usize> = left.iter().copied().filter(|index| places[*index].is_none()).collect();
        if rest.is_empty() { Ok(None) } else { self.round(client, topic, records, &rest, places).await }
    }

    async fn round(
        &self,
        client: &Client,
        topic: &str,
        records: &[Outgoing],
        part: &[usize],
        places: &mut [Option<Place>],
    ) -> Result<Option<Trouble>, KafkaError> {
        let flight = Arc::new(Flight::new(part.len()));
        let _sent = self.shared.outstanding.begin(topic, part.len());
        let mut trouble = None;
        for (number, &index) in part.iter().enumerate() {
            trouble = self.hand_over(client, topic, &records[index], &flight, number).await?;
            if trouble.is_some() {
                flight.took_off(part.len() - number);
                break;
            }
            if number % HANDFUL == HANDFUL - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.in_grace(topic, client.landed(&flight)).await?;
        let (reported, error) = flight.outcome();
        for (&index, place) in part.iter().zip(reported) {
            places[index] = place;
        }
        // What is reported befell the earlier records.
        Ok(error.map(|error| trouble_of(topic, error)).or(trouble))
    }

    /// Copies a record into librdkafka's queue, and waits for room there; what is wrong with it, if it is not taken.
    async fn hand_over(
        &self,
        client: &Client,
        topic: &str,
        record: &Outgoing,
        flight: &Arc<Flight>,
        number: usize,
    ) -> Result<Option<Trouble>, KafkaError> {
        let began = Instant::now();
        loop {
            let ticket = Box::new(Ticket { flight: Arc::clone(flight), index: number });
            match client.inner.send(message(topic, record, ticket)) {
                Ok(()) => return Ok(None),
                Err((ClientError::MessageProduction(Code::QueueFull), _)) => {}
                Err((ClientError::MessageProduction(Code::UnknownPartition), _)) if began.elapsed() < GROWTH => {}
                Err((ClientError::MessageProduction(Code::MessageSizeTooLarge), _)) => {
                    let error = KafkaError::TooBig { topic: topic.to_owned(), bytes: record.bytes() };
                    return Ok(Some(Trouble::Ours(error)));
                }
                Err((error, _)) => return Ok(Some(trouble_of(topic, error))),
            }
            self.in_grace(topic, tokio::time::sleep(FULL_PAUSE)).await?;
        }
    }

    /// Has another client take over, with batches of at most so many bytes, unless one has already.
    fn renew(&self, old: Arc<Client>, batch: usize) -> Result<(), KafkaError> {
        let Shared { config, link, outstanding, current } = &*self.shared;
        let mut current = lock(current);
        if Arc::ptr_eq(&current, &old) {
            info!(batch, "another producer takes over what was not written");
            *current = Arc::new(Client::connect(config, Some(batch), link, outstanding)?);
        }
        drop(current);
        // Whoever drops it last waits for it to close.
        drop(link.ctx().spawn_worker("kafka-close", move |_| drop(old)));
        Ok(())
    }

    async fn in_grace<T>(&self, topic: &str, waiting: impl Future<Output = T>) -> Result<T, KafkaError> {
        tokio::select! {
            biased;
            output = waiting => Ok(output),
            () = self.shared.link.ctx().grace_over() => Err(KafkaError::Draining { what: format!("write to {topic}") }),
        }
    }
}

impl Client {
    fn connect(
        config: &config::Kafka,
        batch: Option<usize>,
        link: &Arc<Link>,
        outstanding: &Arc<Outstanding>,
    ) -> Result<Self, KafkaError> {
        let mut settings = settings(config, link.ctx().name(), Role::Producer);
        if let Some(batch) = batch {
            settings.set("batch.size", batch.max(1).to_string());
        }
        let batch = settings.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or(BATCH);
        let inner: ThreadedProducer<Reports> = settings
            .create_with_context(Reports { link: Arc::clone(link), outstanding: Arc::clone(outstanding) })
            .map_err(KafkaError::Settings)?;
        let inner = Arc::new(inner);
        watch(&inner, link, |client, link| link.probe(client.client()));
        watch_acknowledgements(&inner, outstanding, link, &config.brokers);
        // The first contact fetches the id of an idempotent producer, up to a second on a Kafka that has just started:
        // better now than with the first record.
        let (first, contact) = (Arc::clone(&inner), Arc::clone(link));
        tokio::task::spawn_blocking(move || contact.probe(first.client()));
        Ok(Self { inner, batch, known: Mutex::default() })
    }

    /// Of each partition that is named and where the brokers do not know this client, the first record.
    fn first_of_unknown(&self, topic: &str, records: &[Outgoing], left: &[usize]) -> Vec<usize> {
        let mut met = BTreeSet::new();
        let mut first: Vec<(i32, usize)> = Vec::new();
        for &index in left {
            let Some(partition) = records[index].partition else { continue };
            if met.insert(partition) {
                first.push((partition, index));
            }
        }
        let known = lock(&self.known);
        first.retain(|(partition, _)| !known.contains(&(topic.to_owned(), *partition)));
        first.into_iter().map(|(_, index)| index).collect()
    }

    /// Waits until every record is reported. A client that has given up may keep some: then they are taken from it.
    async fn landed(&self, flight: &Flight) {
        loop {
            tokio::select! {
                biased;
                () = flight.landed.notified() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.inner.client().fatal_error().is_some() {
                let client = Arc::clone(&self.inner);
                let purged =
                    tokio::task::spawn_blocking(move || client.purge(PurgeConfig::default().queue().inflight()));
                let _ = purged.await; // fails only when the tokio runtime goes down
            }
        }
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("in_flight", &self.waiting()).finish_non_exhaustive()
    }
}

fn message<'r>(topic: &'r str, record: &'r Outgoing, ticket: Box<Ticket>) -> BaseRecord<'r, [u8], [u8], Box<Ticket>> {
    let mut message = BaseRecord::<[u8], [u8], Box<Ticket>>::with_opaque_to(topic, ticket);
    message.partition = record.partition;
    message.key = (!record.key.is_empty()).then_some(&record.key[..]);
    message.payload = record.value.as_deref();
    message.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        message.headers = Some(
            record
                .headers
                .iter()
                .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_bytes()) })),
        );
    }
    message
}

/// Why a client gave up, where that was not another record: such as that it may not write at all.
fn its_own(topic: &str, code: Code) -> Option<KafkaError> {
    let error = ClientError::MessageProduction(code);
    (code != Code::GaplessGuarantee).then(|| KafkaError::of(format!("write to topic {topic}"), error))
}

fn trouble_of(topic: &str, error: ClientError) -> Trouble {
    if is_echo(&error) {
        return Trouble::Echo;
    }
    let topic = topic.to_owned();
    Trouble::Theirs(match error.rdkafka_error_code() {
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => KafkaError::MissingTopic { topic },
        Some(Code::UnknownPartition) => KafkaError::MissingPartition { topic },
        Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => KafkaError::TooBig { topic, bytes: 0 },
        Some(Code::InvalidRecord) => KafkaError::Invalid { topic },
        _ => KafkaError::of(format!("write to topic {topic}"), error),
    })
}
