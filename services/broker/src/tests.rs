//! The broker as our own Kafka clients see it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::admin::{self, Outcome, TopicSpec};
use runtime::kafka::{Next, Outgoing, Producer, Reader, Record, StartAt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const TOPIC: &str = "events";
const PARTITIONS: i32 = 4;

fn config(broker: &Broker) -> Kafka {
    Kafka {
        brokers: broker.brokers(),
        topic_prefix: String::new(),
        properties: BTreeMap::new(),
        signatures: Default::default(),
    }
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
    let mut reader = Reader::open(config, TOPIC, StartAt::Beginning, ctx).await.expect("the reader opens");
    let end = reader.end().await.expect("the topic has ends");
    let mut records = Vec::new();
    while end.iter().any(|(partition, end)| reader.position().get(partition).copied().unwrap_or_default() < *end) {
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

    let from = StartAt::Offsets((0..PARTITIONS).map(|partition| (partition, Next(100))).collect());
    let mut reader = Reader::open(&config, TOPIC, from, &ctx).await.expect("the reader opens");
    let end = reader.end().await.expect("the topic has ends");
    assert!(end.values().all(|end| *end == Next(250)), "{end:?}");
    let mut offsets = BTreeMap::<i32, Vec<i64>>::new();
    while let Some(batch) = reader.replay(&end, 70).await.expect("reads") {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_is_another_one_and_starts_empty() {
    let broker = Broker::start().expect("starts");
    let (config, ctx) = (config(&broker), Context::new("test"));
    create_topic(&config).await;
    let producer = Producer::connect(&config, &ctx).expect("the producer connects");
    producer.send_all(TOPIC, (0..100).map(message)).await.expect("acknowledged");
    let before = admin::ends(&config, TOPIC).await.expect("it is there");
    assert_eq!(before.offsets().values().sum::<i64>(), 100);

    admin::delete(&config, &[TOPIC]).await.expect("it is deleted");
    create_topic(&config).await;
    let after = admin::ends(&config, TOPIC).await.expect("it is there again");
    assert!(before.life != 0 && after.life != 0, "the broker tells the ids");
    assert_ne!(before.life, after.life);
    assert_eq!(after.offsets().values().sum::<i64>(), 0);
    producer.send_all(TOPIC, (0..100).map(message)).await.expect("the same producer goes on");
    assert_eq!(read_all(&config, &ctx).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_partitions_are_told_and_partitions_are_added() {
    let broker = Broker::start().expect("starts");
    let (config, ctx) = (config(&broker), Context::new("test"));
    let spec = |partitions: i32, retention: &str| {
        let settings = vec![("retention.ms".to_owned(), retention.to_owned())];
        TopicSpec { name: TOPIC.into(), partitions, may_grow: false, copies: None, settings }
    };
    let compare = async |spec| admin::compare(&config, &[spec]).await.expect("the broker answers").remove(0).1;
    assert_eq!(compare(spec(2, "1000")).await, Outcome::Missing);
    admin::apply(&config, &[spec(2, "1000")]).await.expect("it is created");
    assert_eq!(compare(spec(2, "1000")).await, Outcome::Exists);
    assert!(matches!(compare(spec(2, "2000")).await, Outcome::Differs(found) if found[0].found == "1000"));

    let life = admin::ends(&config, TOPIC).await.expect("it is there").life;
    admin::grow(&config, &[TOPIC], PARTITIONS as usize).await.expect("partitions are added");
    assert_eq!(compare(spec(PARTITIONS, "1000")).await, Outcome::Exists);
    assert_eq!(admin::ends(&config, TOPIC).await.expect("it is there").life, life, "it is the same topic");
    let producer = Producer::connect(&config, &ctx).expect("the producer connects");
    producer.send_all(TOPIC, (0..100).map(message)).await.expect("acknowledged, on the new partitions as well");
    assert_eq!(read_all(&config, &ctx).await.len(), 100);
}

/// Sends bytes; what comes back until the other side closes.
async fn told(broker: &Broker, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(broker.addr()).await.expect("the port is open");
    stream.write_all(bytes).await.expect("the broker reads");
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    // An error is a connection that was reset: closed as well.
    let _ = closed.expect("the broker closes the connection");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_closes_its_own_connection_only() {
    let broker = Broker::start().expect("starts");
    let config = config(&broker);
    let mut other = TcpStream::connect(broker.addr()).await.expect("the port is open");
    let versions = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    for wrong in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0x06, 0x40, 0, 1, 0, 18, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 0, 18, 0],
        &[0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff],
    ] {
        assert!(told(&broker, wrong).await.is_empty(), "{wrong:?}");
    }
    other.write_all(&versions).await.expect("is still open");
    let length = other.read_u32().await.expect("is answered");
    assert!(length > 100, "{length}");
    create_topic(&config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_however_it_is_cut_on_its_way_and_several_in_their_order() {
    let broker = Broker::start().expect("starts");
    let mut stream = TcpStream::connect(broker.addr()).await.expect("the port is open");
    stream.set_nodelay(true).expect("is a socket");
    for correlation in 1..=3 {
        for byte in [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, correlation, 0xff, 0xff] {
            stream.write_all(&[byte]).await.expect("the broker reads");
            tokio::task::yield_now().await;
        }
    }
    for correlation in 1..=3 {
        let length = stream.read_u32().await.expect("is answered");
        let mut answer = vec![0; length as usize];
        stream.read_exact(&mut answer).await.expect("is whole");
        assert_eq!(answer[..4], [0, 0, 0, correlation]);
    }
}

/// Whether a question is answered within `wait`.
async fn answers(broker: &Broker, wait: Duration) -> bool {
    let Ok(mut stream) = TcpStream::connect(broker.addr()).await else { return false };
    let asked = stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).await;
    asked.is_ok() && matches!(tokio::time::timeout(wait, stream.read_u32()).await, Ok(Ok(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_keeps_its_port_and_answers_when_it_is_over() {
    let broker = Broker::start().expect("starts");
    assert!(answers(&broker, Duration::from_secs(10)).await);
    let hung = broker.hang();
    assert!(broker.is_listening() && !answers(&broker, Duration::from_millis(200)).await);
    drop(hung);
    assert!(answers(&broker, Duration::from_secs(10)).await);
}

/// `cargo test -p broker -- --ignored --nocapture`
#[test]
#[ignore = "is there for clients in other languages, until standard input ends"]
fn a_broker_is_there_for_clients_in_other_languages() {
    let broker = Broker::start().expect("starts");
    println!("KAFKA_BROKERS={}", broker.brokers());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("standard input can be read");
}
