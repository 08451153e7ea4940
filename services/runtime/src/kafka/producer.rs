//! Writes batches of records and waits until every one is acknowledged.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;

use super::acks::{Outstanding, watch_acknowledgements};
use super::client::{Role, settings};
use super::error::KafkaError;
use super::link::{Link, log, watch};
use crate::config;
use crate::context::Context;
use crate::lock::lock;

/// Pause when the local queue is full: at 300,000 records/s 600 leave it meanwhile.
const FULL_PAUSE: Duration = Duration::from_millis(2);
/// A topic's new partitions may be unknown to us for so long: librdkafka's metadata is refreshed every two seconds.
const GROWTH: Duration = Duration::from_secs(10);
/// Records handed over between two yields to the other tasks of the thread, about half a millisecond.
const HANDFUL: usize = 512;

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

/// Gives a record of the topic with this name one more header on its way out, or none.
pub type Stamp = Arc<dyn Fn(&str, &Outgoing) -> Option<(&'static str, String)> + Send + Sync>;

/// An idempotent producer: records are written once and in order, and none is dropped. Clones share it.
#[derive(Clone)]
pub struct Producer {
    client: Arc<ThreadedProducer<Reports>>,
    link: Arc<Link>,
    outstanding: Arc<Outstanding>,
    stamp: Option<Stamp>,
}

impl Producer {
    /// Prepares a producer; it connects with the first record. Call it within a tokio runtime.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn connect(config: &config::Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let link = Arc::new(Link::new(ctx));
        let outstanding = Arc::new(Outstanding::default());
        let client: ThreadedProducer<Reports> = settings(config, ctx.name(), Role::Producer)
            .create_with_context(Reports { link: Arc::clone(&link), outstanding: Arc::clone(&outstanding) })
            .map_err(KafkaError::Settings)?;
        let client = Arc::new(client);
        watch(&client, &link, |client, link| link.probe(client.client()));
        watch_acknowledgements(&client, &outstanding, &link, &config.brokers);
        // The first contact fetches the id of an idempotent producer, up to a second on a Kafka that has just started:
        // better now than with the first record.
        let (first, contact) = (Arc::clone(&client), Arc::clone(&link));
        tokio::task::spawn_blocking(move || contact.probe(first.client()));
        Ok(Self { client, link, outstanding, stamp: None })
    }

    /// The same, which stamps every record.
    #[must_use]
    pub fn stamped(self, stamp: Option<Stamp>) -> Self {
        Self { stamp, ..self }
    }

    /// Writes records and waits until all are acknowledged; partition and offset of each, in their order.
    ///
    /// While no broker answers it waits, with the condition `kafka` red. A full local queue is waited out.
    ///
    /// # Errors
    /// A record that Kafka refuses (too big, topic missing, no right), or the end of the drain's
    /// grace. Some of the records may be written then.
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
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let flight = Arc::new(Flight::new(records.len()));
        let _sent = self.outstanding.begin(topic, records.len());
        for (index, record) in records.iter().enumerate() {
            let began = Instant::now();
            loop {
                match self.hand_over(topic, record, &flight, index) {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(KafkaError::MissingPartition { .. }) if began.elapsed() < GROWTH => {}
                    Err(error) => return Err(error),
                }
                self.in_grace(topic, tokio::time::sleep(FULL_PAUSE)).await?;
            }
            if index % HANDFUL == HANDFUL - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.in_grace(topic, flight.landed.notified()).await?;
        flight.outcome().map_err(|error| explain(topic, &records, error))
    }

    /// Waits until nothing is under way any more.
    pub async fn flush(&self) {
        while self.client.in_flight_count() > 0 {
            tokio::select! {
                () = self.link.ctx().grace_over() => return,
                () = tokio::time::sleep(FULL_PAUSE) => {}
            }
        }
    }

    /// Records that librdkafka holds.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> i32 {
        self.client.in_flight_count()
    }

    /// Copies a record into librdkafka's queue; false if that is full.
    fn hand_over(
        &self,
        topic: &str,
        record: &Outgoing,
        flight: &Arc<Flight>,
        index: usize,
    ) -> Result<bool, KafkaError> {
        let ticket = Box::new(Ticket { flight: Arc::clone(flight), index });
        let mut message = BaseRecord::<[u8], [u8], Box<Ticket>>::with_opaque_to(topic, ticket);
        message.partition = record.partition;
        message.key = (!record.key.is_empty()).then_some(&record.key[..]);
        message.payload = record.value.as_deref();
        message.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            message.headers =
                Some(record.headers.iter().fold(headers, |headers, (key, value)| {
                    headers.insert(Header { key, value: Some(value.as_bytes()) })
                }));
        }
        match self.client.send(message) {
            Ok(()) => Ok(true),
            Err((ClientError::MessageProduction(Code::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(explain(topic, std::slice::from_ref(record), error)),
        }
    }

    async fn in_grace<T>(&self, topic: &str, waiting: impl Future<Output = T>) -> Result<T, KafkaError> {
        tokio::select! {
            biased;
            output = waiting => Ok(output),
            () = self.link.ctx().grace_over() => Err(KafkaError::Draining { what: format!("write to {topic}") }),
        }
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("in_flight", &self.client.in_flight_count()).finish_non_exhaustive()
    }
}

fn explain(topic: &str, records: &[Outgoing], error: ClientError) -> KafkaError {
    let topic = topic.to_owned();
    match error.rdkafka_error_code() {
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => KafkaError::MissingTopic { topic },
        Some(Code::UnknownPartition) => KafkaError::MissingPartition { topic },
        Some(Code::MessageSizeTooLarge) => {
            let size = |record: &Outgoing| record.key.len() + record.value.as_ref().map_or(0, Bytes::len);
            KafkaError::TooBig { topic, bytes: records.iter().map(size).max().unwrap_or(0) }
        }
        _ => KafkaError::of(format!("write to topic {topic}"), error),
    }
}

/// The records of one `send_all`, on their way.
#[derive(Debug)]
pub(super) struct Flight {
    /// Records that are not reported yet.
    left: AtomicUsize,
    reports: Mutex<Reported>,
    landed: Notify,
}

#[derive(Debug)]
struct Reported {
    positions: Vec<(i32, i64)>,
    /// The first failure.
    error: Option<ClientError>,
}

/// What librdkafka carries along with a record.
pub(super) struct Ticket {
    flight: Arc<Flight>,
    index: usize,
}

impl Flight {
    fn new(records: usize) -> Self {
        let reports = Reported { positions: vec![(-1, -1); records], error: None };
        Self { left: AtomicUsize::new(records), reports: Mutex::new(reports), landed: Notify::new() }
    }

    fn report(&self, index: usize, report: Result<(i32, i64), ClientError>) {
        let mut reports = lock(&self.reports);
        match report {
            Ok(position) => reports.positions[index] = position,
            Err(error) => {
                reports.error.get_or_insert(error);
            }
        }
        drop(reports);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.landed.notify_one();
        }
    }

    fn outcome(&self) -> Result<Vec<(i32, i64)>, ClientError> {
        let mut reports = lock(&self.reports);
        match reports.error.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut reports.positions)),
        }
    }
}

/// Receives the delivery reports, on librdkafka's polling thread.
pub(super) struct Reports {
    link: Arc<Link>,
    outstanding: Arc<Outstanding>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.link.heard(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let report = match result {
            Ok(message) => {
                self.link.up();
                self.outstanding.acknowledged();
                Ok((message.partition(), message.offset()))
            }
            Err((error, _)) => Err(error.clone()),
        };
        ticket.flight.report(ticket.index, report);
    }
}
