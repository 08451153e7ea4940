//! The broker as our own Kafka clients see it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::admin::{self, TopicSpec};
use runtime::kafka::{From, Outgoing, Producer, Reader, Record};

use super::*;

const TOPIC: &str = "events";
const PARTITIONS: i32 = 4;

fn config(broker: &Broker) -> Kafka {
    Kafka { brokers: broker.brokers(), topic_prefix: String::new(), properties: BTreeMap::new() }
}

async fn create_topic(config: &Kafka) {
    let topic =
        TopicSpec { name: TOPIC.into(), partitions: PARTITIONS, may_grow: false, copies: None, settings: Vec::new() };
    admin::apply(config, &[topic]).await.expect("the topic is created");
}

fn message(number: i32) -> Outgoing {
    Outgoing {
        partition: Some(number % PARTITIONS),
        key: Bytes::from(format!("u{number}")),
        value: Some(Bytes::from(number.to_string())),
        timestamp: Some(1_700_000_000_000 + i64::from(number)),
        headers: vec![("number", number.to_string())],
    }
}

async fn read_all(config: &Kafka, ctx: &Context) -> Vec<Record> {
    let mut reader = Reader::open(config, TOPIC, From::Beginning, ctx).await.expect("the reader opens");
    let end = reader.end().await.expect("the topic has ends");
    let mut records = Vec::new();
    while end.iter().any(|(partition, end)| reader.position().get(partition).copied().unwrap_or(0) < *end) {
        let batch = reader.next_batch(1000, Duration::from_millis(100)).await.expect("the reader reads");
        records.extend(batch.expect("not draining").records);
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_come_back_as_they_were_sent() {
    let broker = Broker::start().expect("the broker starts");
    let (config, ctx) = (config(&broker), Context::new("test"));
    create_topic(&config).await;

    let producer = Producer::connect(&config, &ctx).expect("the producer connects");
    producer.send_all(TOPIC, (0..1000).map(message)).await.expect("every message is acknowledged");

    let records = read_all(&config, &ctx).await;
    assert_eq!(records.len(), 1000);
    for record in records {
        let number = record.offset as i32 * PARTITIONS + record.partition;
        let sent = message(number);
        assert_eq!((Some(record.partition), &record.key, &record.value), (sent.partition, &sent.key, &sent.value));
        assert_eq!(Some(record.timestamp), sent.timestamp);
        assert_eq!(record.header("number").map(|value| value.to_vec()), Some(number.to_string().into_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_resumes_in_the_middle_of_a_batch_misses_nothing() {
    let broker = Broker::start().expect("the broker starts");
    let (config, ctx) = (config(&broker), Context::new("test"));
    create_topic(&config).await;
    let producer = Producer::connect(&config, &ctx).expect("the producer connects");
    producer.send_all(TOPIC, (0..1000).map(message)).await.expect("acknowledged");

    let from = From::At((0..PARTITIONS).map(|partition| (partition, 100)).collect());
    let mut reader = Reader::open(&config, TOPIC, from, &ctx).await.expect("the reader opens");
    let end = reader.end().await.expect("the topic has ends");
    assert!(end.values().all(|end| *end == 250), "{end:?}");
    let mut offsets = BTreeMap::<i32, Vec<i64>>::new();
    while !reader.is_at(&end) {
        let batch = reader.next_batch(70, Duration::from_millis(100)).await.expect("reads").expect("not draining");
        for record in batch.records {
            offsets.entry(record.partition).or_default().push(record.offset);
        }
    }
    assert!(offsets.values().all(|read| read.iter().copied().eq(100..250)), "{offsets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_away_comes_back_on_its_port_with_every_message_once() {
    let broker = Broker::start().expect("the broker starts");
    let (config, ctx) = (config(&broker), Context::new("test"));
    create_topic(&config).await;
    let producer = Producer::connect(&config, &ctx).expect("the producer connects");
    producer.send_all(TOPIC, (0..1000).map(message)).await.expect("acknowledged");

    // Cut in the middle of the traffic, more than once.
    let sending = tokio::spawn(async move {
        for start in (1000..21_000).step_by(1000) {
            producer.send_all(TOPIC, (start..start + 1000).map(message)).await.expect("acknowledged in the end");
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        broker.go_away();
        assert!(!broker.is_listening());
        assert!(std::net::TcpStream::connect(broker.addr()).is_err(), "the port is closed");
        tokio::time::sleep(Duration::from_millis(300)).await;
        broker.come_back().expect("the port is free");
    }
    sending.await.expect("the sender ends");

    let mut numbers: Vec<i32> = read_all(&config, &ctx)
        .await
        .iter()
        .map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..21_000).collect::<Vec<i32>>());
}

#[test]
fn two_brokers_do_not_share_a_port_and_dropping_one_frees_it() {
    let (first, second) = (Broker::start().expect("starts"), Broker::start().expect("starts"));
    assert_ne!(first.addr(), second.addr());
    let addr = first.addr();
    first.stop();
    assert!(std::net::TcpStream::connect(addr).is_err());
    assert!(std::net::TcpStream::connect(second.addr()).is_ok());
}

#[tokio::test]
async fn a_broker_may_be_started_and_dropped_in_async_code() {
    let broker = Broker::start().expect("starts");
    broker.come_back().expect("an open port stays open");
    drop(broker);
}
