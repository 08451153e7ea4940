//! An application that writes its events in a transaction; only a real Kafka has them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use schemas::{Event, Topic};

use crate::outgoing;
use crate::sent::Sent;
use crate::world::World;

/// How long Kafka may take to begin or to end one.
const ANSWER: Duration = Duration::from_secs(60);

/// A transaction that is open: what is written in it is hidden from readers, and with it all that follows in its
/// partitions, until it ends. Dropped without an end it hangs, until Kafka aborts it (`transaction.timeout.ms`).
pub struct Transaction {
    producer: FutureProducer,
    topic: String,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Transaction {
    /// Begins one on `events`, under a name of its own.
    ///
    /// # Panics
    /// When Kafka does not answer.
    pub async fn begin(world: &World, name: &str) -> Self {
        Self::begin_on(world, Topic::Events, name).await
    }

    /// Begins one on any topic.
    ///
    /// # Panics
    /// When Kafka does not answer.
    pub async fn begin_on(world: &World, topic: Topic, name: &str) -> Self {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &world.kafka.brokers)
            .set("transactional.id", format!("{}{name}", world.kafka.topic_prefix))
            .set("transaction.timeout.ms", "60000")
            .set("partitioner", "murmur2_random")
            .create()
            .expect("the settings are good");
        blocking(&producer, |producer| {
            producer.init_transactions(ANSWER).expect("Kafka has transactions");
            producer.begin_transaction().expect("none is open");
        })
        .await;
        Self { producer, topic: world.topics.name(topic) }
    }

    /// Writes events in it.
    ///
    /// # Panics
    /// When one is not acknowledged.
    pub async fn send(&self, events: &[Event]) -> Vec<Sent> {
        let records: Vec<_> = events.iter().map(outgoing::event).collect();
        let written = records.iter().map(|record| {
            let value = record.value.as_deref().unwrap_or_default();
            self.producer.send(FutureRecord::to(&self.topic).key(&record.key[..]).payload(value), ANSWER)
        });
        let written = futures_util::future::join_all(written).await;
        let sent = |(event, delivery): (&Event, Result<_, _>)| {
            let delivery: rdkafka::producer::future_producer::Delivery = delivery.expect("it is acknowledged");
            Sent { event: event.clone(), partition: delivery.partition, offset: delivery.offset }
        };
        events.iter().zip(written.into_iter().map(|it| it.map_err(|(error, _)| error))).map(sent).collect()
    }

    /// Writes a record in it that is nobody's.
    ///
    /// # Panics
    /// When it is not acknowledged.
    pub async fn write(&self, key: &str, value: &str) {
        let written = self.producer.send(FutureRecord::to(&self.topic).key(key).payload(value), ANSWER).await;
        written.expect("it is acknowledged");
    }

    /// Lets everybody see what was written.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn commit(self) {
        blocking(&self.producer, |producer| producer.commit_transaction(ANSWER).expect("it is committed")).await;
    }

    /// Lets nobody ever see it.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn abort(self) {
        blocking(&self.producer, |producer| producer.abort_transaction(ANSWER).expect("it is aborted")).await;
    }
}

/// The client's calls block.
async fn blocking(producer: &FutureProducer, call: impl FnOnce(&FutureProducer) + Send + 'static) {
    let producer = producer.clone();
    tokio::task::spawn_blocking(move || call(&producer)).await.expect("the call returns");
}
