//! Against librdkafka's mock brokers: the protocol for real, over sockets, without a server.

mod bounds;
mod refusals;
mod watched;

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::config;
use crate::context::Context;

type Cluster = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "interactions";

fn cluster(partitions: i32) -> (Cluster, config::Kafka) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, partitions, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers();
    // Members hear of each other in a moment; a real Kafka takes no session so short.
    let hasty = [("heartbeat.interval.ms", "100"), ("session.timeout.ms", "3000")];
    let properties = hasty.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    (cluster, config::Kafka { brokers, topic_prefix: String::new(), properties, signatures: Default::default() })
}

fn record(partition: i32, key: &str, value: &str) -> Outgoing {
    Outgoing {
        partition: Some(partition),
        key: key.to_owned().into(),
        value: Some(value.to_owned().into()),
        timestamp: Some(1_700_000_000_000),
        headers: vec![("reason", format!("because {key}"))],
    }
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while records.len() < count && Instant::now() < deadline {
        let batch = consumer.next_batch(100, Duration::ZERO).await.expect("readable").expect("not draining");
        records.extend(batch.records);
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_and_continues_where_it_was_committed() {
    let (_cluster, config) = cluster(2);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    let mut outgoing: Vec<_> = (0..500).map(|i| record(i % 2, &format!("u{i}"), &format!("v{i}"))).collect();
    outgoing[0].value = None;
    let positions = producer.send_all(TOPIC, outgoing).await.expect("acknowledged");
    assert_eq!((positions[0], positions[3], positions[499]), ((0, 0), (1, 1), (1, 249)));

    let mut consumer = Consumer::subscribe(&config, "group", TOPIC, &ctx).await.expect("the topic is there");
    let records = read(&mut consumer, 500).await;
    assert_eq!(records.len(), 500);
    assert_eq!(consumer.partitions(), [0, 1]);
    let first = records.iter().find(|r| (r.partition, r.offset) == (0, 0)).expect("it was read");
    assert_eq!((first.key.as_ref(), first.value.as_ref()), (&b"u0"[..], None));
    assert_eq!(first.timestamp, 1_700_000_000_000);
    assert_eq!(first.header("reason").expect("it has one").as_ref(), b"because u0");
    consumer.commit(&[(0, Next(250)), (1, Next(100))].into()).await.expect("committed");
    assert!(ctx.is_ready());
    drop(consumer);

    let mut next = Consumer::subscribe(&config, "group", TOPIC, &ctx).await.expect("the topic is there");
    let records = read(&mut next, 150).await;
    assert!(records.iter().all(|r| r.partition == 1 && r.offset >= 100), "{records:?}");
    assert_eq!(records.len(), 150);
    next.commit(&[(7, Next(1))].into()).await.expect("a partition that is not ours is left out");

    ctx.drain();
    assert!(next.next_batch(10, Duration::ZERO).await.expect("no error").is_none());
    drop(next);
    tokio::time::timeout(Duration::from_secs(10), ctx.join()).await.expect("it leaves the group").expect("no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_is_told_before_its_records_and_a_second_member_takes_a_share() {
    let (_cluster, config) = cluster(4);
    let (ctx, other) = (Context::new("one"), Context::new("two"));
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, (0..4).map(|p| record(p, "u", "v"))).await.expect("acknowledged");

    let mut first = Consumer::subscribe(&config, "group", TOPIC, &ctx).await.expect("the topic is there");
    let mut known = Vec::new();
    while known.len() < 4 {
        let batch = first.next_batch(100, Duration::ZERO).await.expect("readable").expect("not draining");
        known.extend(&batch.assigned);
        assert!(batch.records.iter().all(|record| known.contains(&record.partition)));
    }
    let mut second = Consumer::subscribe(&config, "group", TOPIC, &other).await.expect("the topic is there");
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut revoked = Vec::new();
    while second.partitions().len() < 2 && Instant::now() < deadline {
        let (ours, theirs) =
            tokio::join!(first.next_batch(100, Duration::ZERO), second.next_batch(100, Duration::ZERO));
        revoked.extend(ours.expect("readable").expect("not draining").revoked);
        theirs.expect("readable").expect("not draining");
    }
    assert_eq!((first.partitions().len(), second.partitions().len()), (2, 2));
    assert_eq!(revoked.len(), 2, "only what changed hands is revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_away_turns_kafka_red_and_loses_nothing() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, [record(0, "a", "1")]).await.expect("acknowledged");
    let mut consumer = Consumer::subscribe(&config, "group", TOPIC, &ctx).await.expect("the topic is there");
    assert_eq!(read(&mut consumer, 1).await.len(), 1);
    assert!(ctx.is_ready());

    cluster.broker_down(-1).expect("it goes down");
    let sending = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send_all(TOPIC, (0..50).map(|i| record(0, "b", &i.to_string()))).await }
    });
    let deadline = Instant::now() + Duration::from_secs(15);
    while ctx.is_ready() && Instant::now() < deadline {
        consumer.next_batch(10, Duration::ZERO).await.expect("it waits").expect("not draining");
    }
    assert!(!ctx.is_ready(), "the outage shows");
    assert!(!sending.is_finished());

    cluster.broker_up(-1).expect("it comes back");
    let positions = sending.await.expect("no panic").expect("acknowledged in the end");
    assert_eq!(positions.len(), 50);
    let records = read(&mut consumer, 50).await;
    let values: Vec<_> = records.iter().filter_map(|r| r.value.clone()).collect();
    assert_eq!(values, (0..50).map(|i| Bytes::from(i.to_string())).collect::<Vec<_>>());
    while !ctx.is_ready() && Instant::now() < deadline + Duration::from_secs(30) {
        consumer.next_batch(10, Duration::ZERO).await.expect("it reads").expect("not draining");
    }
    assert!(ctx.is_ready(), "{:?}", ctx.readiness());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_begins_where_it_is_told() {
    let (_cluster, config) = cluster(2);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, (0..20).map(|i| record(i % 2, "k", &i.to_string()))).await.expect("acknowledged");

    let count = async |from: StartAt| {
        let mut reader = Reader::open(&config, TOPIC, from, &ctx).await.expect("the topic is there");
        let end = reader.end().await.expect("Kafka answers");
        let lag = reader.lag(&end);
        let mut records = Vec::new();
        while let Some(batch) = reader.replay(&end, 7).await.expect("readable") {
            records.extend(batch.records);
        }
        assert_eq!((reader.position(), reader.lag(&end), lag), (end, 0, records.len() as u64));
        records.len()
    };
    assert_eq!(count(StartAt::Beginning).await, 20);
    assert_eq!(count(StartAt::End).await, 0);
    assert_eq!(count(StartAt::Offsets([(0, Next(8))].into())).await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_topic_is_told_once_when_all_that_was_there_has_come() {
    let (_cluster, config) = cluster(2);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    let send = async |numbers: std::ops::Range<i32>| {
        producer.send_all(TOPIC, numbers.map(|i| record(i % 2, "k", &i.to_string()))).await.expect("acknowledged");
    };
    send(0..20).await;
    let mut reader = Reader::open(&config, TOPIC, StartAt::Beginning, &ctx).await.expect("the topic is there");
    let span = reader.span().await.expect("Kafka answers").expect("not draining");
    assert_eq!(
        (span.beginnings, span.ends),
        ([(0, Next(0)), (1, Next(0))].into(), [(0, Next(10)), (1, Next(10))].into())
    );
    let (mut records, mut told) = (0, Vec::new());
    let wait = Duration::from_millis(100);
    while records < 30 {
        let Followed { batch, caught_up } = reader.follow(7, wait).await.expect("readable").expect("not draining");
        records += batch.records.len();
        if caught_up {
            told.push(records);
            send(20..30).await;
        }
    }
    assert_eq!(told, [20]);
    ctx.drain();
    assert!(reader.follow(7, wait).await.expect("no failure").is_none());
}

/// What is committed of `TOPIC` under a group.
async fn committed(config: &config::Kafka, group: &str, ctx: &Context) -> Positions {
    let reader = Reader::open_as(config, group, TOPIC, StartAt::Beginning, ctx).await.expect("the topic is there");
    reader.committed().await.expect("Kafka answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_attend_a_group_each_commits_any_partition() {
    const OTHER: &str = "items";
    let (cluster, config) = cluster(2);
    cluster.create_topic(OTHER, 1, 1).expect("a topic");
    let (ctx, other) = (Context::new("test"), Context::new("other"));
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, (0..6).map(|i| record(i % 2, "k", &i.to_string()))).await.expect("acknowledged");
    let first = Attendance::join(&config, "trainer", &[TOPIC, OTHER], &ctx).expect("settings are good");
    first.commit(TOPIC, &[(0, Next(3)), (1, Next(2))].into());
    let deadline = Instant::now() + Duration::from_secs(30);
    while committed(&config, "trainer", &ctx).await != [(0, Next(3)), (1, Next(2))].into() {
        assert!(Instant::now() < deadline, "the first never gets into the group");
        first.settle().await;
    }
    // A second trainer is in the group as well: partitions are split, commits are not.
    let second = Attendance::join(&config, "trainer", &[TOPIC, OTHER], &other).expect("settings are good");
    let deadline = Instant::now() + Duration::from_secs(30);
    for next in 1.. {
        second.commit(TOPIC, &[(0, Next(next % 3)), (1, Next(next % 3))].into());
        second.settle().await;
        if committed(&config, "trainer", &ctx).await == [(0, Next(next % 3)), (1, Next(next % 3))].into() {
            break;
        }
        assert!(Instant::now() < deadline, "the second never gets into the group");
    }
    drop((first, second));
    for ctx in [ctx, other] {
        ctx.drain();
        tokio::time::timeout(Duration::from_secs(10), ctx.join()).await.expect("it leaves").expect("no failure");
    }
    // Nobody is left who would hold partitions back.
    let ctx = Context::new("test");
    let mut member = Consumer::subscribe(&config, "trainer", TOPIC, &ctx).await.expect("the topic is there");
    assert!(!read(&mut member, 1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_attends_a_group_is_held_up_by_no_broker_that_is_away() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    cluster.broker_down(-1).expect("it goes down");
    let attendance = Attendance::join(&config, "trainer", &[TOPIC], &ctx).expect("it waits for nothing");
    attendance.commit(TOPIC, &[(0, Next(7))].into());
    assert!(ctx.readiness().iter().all(|(_, state)| state.is_ok()), "nothing depends on it");
    cluster.broker_up(-1).expect("it comes back");
    let deadline = Instant::now() + Duration::from_secs(30);
    while committed(&config, "trainer", &ctx).await != [(0, Next(7))].into() {
        assert!(Instant::now() < deadline, "it joins by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bookmark_is_found_where_it_was_left_and_not_outside_of_the_topic() {
    let (_cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, (0..5).map(|i| record(0, "k", &i.to_string()))).await.expect("acknowledged");
    let find = || Bookmark::find(&config, "test", "marks", TOPIC);
    assert_eq!(find().await, None);
    for (offset, found) in [(3, true), (5, false), (4, true), (900, false)] {
        let mark = Bookmark { offset, note: format!("{{\"at\":{offset}}}") };
        mark.clone().leave(&config, "test", "marks", TOPIC).await.expect("it is left");
        assert_eq!(find().await, found.then_some(mark));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_where_a_topic_ends_waits_for_a_broker_that_is_away_and_says_so() {
    let (cluster, config) = cluster(2);
    let ctx = Context::new("test");
    let reader = Reader::open(&config, TOPIC, StartAt::Beginning, &ctx).await.expect("the topic is there");
    let turns_red = async || {
        let deadline = Instant::now() + Duration::from_secs(15);
        while ctx.is_ready() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!ctx.is_ready(), "it says so within 15 s");
    };
    assert!(ctx.is_ready());
    cluster.broker_down(-1).expect("it goes down");
    let (end, ()) = tokio::join!(reader.wait_for_end(), async {
        turns_red().await;
        cluster.broker_up(-1).expect("it comes back");
    });
    assert_eq!(end.expect("it waited"), Some(Positions::from([(0, Next(0)), (1, Next(0))])));
    assert!(ctx.is_ready());

    cluster.broker_down(-1).expect("it goes down");
    let (beginning, ()) = tokio::join!(reader.wait_for_beginning(), async {
        turns_red().await;
        ctx.drain();
    });
    assert_eq!(beginning.expect("no failure"), None, "a drain ends the waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_and_an_unreachable_broker_say_what_to_change() {
    let (_cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let nowhere = config::Kafka { brokers: "127.0.0.1:1".into(), ..config };
    let began = Instant::now();
    let (joined, asked) =
        tokio::join!(Consumer::subscribe(&nowhere, "group", TOPIC, &ctx), admin::compare(&nowhere, &[]));
    let error = joined.expect_err("nothing listens there");
    assert_eq!(error.to_string(), "no Kafka broker answers at 127.0.0.1:1; start one or set kafka.brokers");
    assert!(began.elapsed() < Duration::from_secs(15));
    let error = asked.expect_err("nothing listens there");
    assert!(matches!(error, KafkaError::Unreachable { .. }), "{error}");
    let text = KafkaError::MissingTopic { topic: "x".into() }.to_string();
    assert_eq!(
        text,
        "topic x does not exist; create it with `thalweg topics apply`, with the same --topic-prefix if there is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_than_the_one_it_is_written_from_is_refused() {
    let (cluster, config) = cluster(4);
    cluster.create_topic("events", 3, 1).expect("a topic");
    cluster.create_topic("many", 5, 1).expect("a topic");
    let check = admin::check_partitions(&config, &["events", TOPIC]).await;
    assert_eq!(check.expect("more are there before events has them, while partitions are added"), 4);
    let error = admin::check_partitions(&config, &["many", TOPIC]).await.expect_err("4 are fewer than 5");
    assert!(error.to_string().starts_with("topics many and interactions have 5 and 4 partitions"), "{error}");
    let error = admin::check_partitions(&config, &["absent", TOPIC]).await.expect_err("one is missing");
    assert!(matches!(error, KafkaError::MissingTopic { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_beyond_its_grace_ends_the_wait_for_a_broker() {
    let (cluster, config) = cluster(1);
    let ctx = Context::with_grace("test", Duration::from_millis(200));
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    cluster.broker_down(-1).expect("it goes down");
    ctx.drain();
    let error = producer.send_all(TOPIC, [record(0, "a", "1")]).await.expect_err("nobody answers");
    assert!(matches!(error, KafkaError::Draining { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_retriable_produce_errors_turn_kafka_red_within_15_s_with_the_reason_and_end_by_themselves() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, [record(0, "a", "1")]).await.expect("acknowledged");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 500]);
    let began = Instant::now();
    let sending = tokio::spawn(async move { producer.send_all(TOPIC, [record(0, "b", "2")]).await });
    let kafka = || ctx.readiness().into_iter().find(|(name, _)| *name == "kafka").and_then(|(_, state)| state.err());
    while kafka().is_none() && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed();
    let told = kafka().expect("it is red");
    assert!(took <= Duration::from_secs(15), "red after {took:?}");
    for word in ["1 records for interactions are not acknowledged", "replicas in sync", "min.insync.replicas"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    assert_eq!(sending.await.expect("no panic").expect("it is written").len(), 1);
    let began = Instant::now();
    while kafka().is_some() && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kafka(), None, "it goes on by itself");
}
