//! Brokers that answer and refuse.

use super::*;

fn kafka(ctx: &Context) -> Option<String> {
    ctx.readiness().into_iter().find(|(name, _)| *name == "kafka").and_then(|(_, state)| state.err())
}

/// Waits until the condition `kafka` is red, or green again.
async fn until(ctx: &Context, red: bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    while kafka(ctx).is_some() != red {
        assert!(Instant::now() < deadline, "kafka: {:?}", kafka(ctx));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kafka(ctx).unwrap_or_default()
}

/// What lies on the topic.
async fn values(config: &config::Kafka) -> Vec<Bytes> {
    let ctx = Context::new("reader");
    let mut reader = Reader::open(config, TOPIC, StartAt::Beginning, &ctx).await.expect("the topic is there");
    let (end, mut values) = (reader.end().await.expect("Kafka answers"), Vec::new());
    while let Some(batch) = reader.replay(&end, 1_000).await.expect("readable") {
        values.extend(batch.records.into_iter().filter_map(|record| record.value));
    }
    values
}

fn numbers(numbers: std::ops::Range<i32>) -> Vec<Outgoing> {
    numbers.map(|number| record(0, "k", &number.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_topic_does_not_take_together_is_sent_in_smaller_batches_and_one_record_too_big_is_told() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, TOO_LARGE]);
    let places = producer.send_all(TOPIC, numbers(0..500)).await.expect("all are acknowledged in the end");
    assert_eq!(places.len(), 500);
    let written: std::collections::BTreeSet<Bytes> = values(&config).await.into_iter().collect();
    assert_eq!(written.len(), 500, "none is missing");

    // However small the batches are, it does not take it.
    cluster.request_errors(RDKafkaApiKey::Produce, &[TOO_LARGE; 100]);
    let big = Outgoing { value: Some(vec![7; 100_000].into()), ..record(0, "k", "") };
    let error = producer.send_all(TOPIC, [big]).await.expect_err("the topic does not take it");
    assert!(matches!(error, KafkaError::TooBig { bytes: 100_001, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_write_that_is_taken_away_is_an_outage_while_running_and_nothing_is_lost() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, numbers(0..1)).await.expect("acknowledged");
    ctx.started();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &vec![denied; 10_000]);
    let sending = tokio::spawn(async move { producer.send_all(TOPIC, numbers(1..100)).await });
    let told = until(&ctx, true).await;
    assert!(told.contains("does not allow to write to topic interactions") && told.contains("WRITE"), "{told}");
    assert!(!sending.is_finished());
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    assert_eq!(sending.await.expect("no panic").expect("all are acknowledged in the end").len(), 99);
    until(&ctx, false).await;
    let expected: Vec<Bytes> = (0..100).map(|number| number.to_string().into()).collect();
    assert_eq!(values(&config).await, expected, "each once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_at_the_start_is_told_and_ends_it() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[denied; 10]);
    let error = producer.send_all(TOPIC, numbers(0..1)).await.expect_err("it may not");
    assert!(matches!(error, KafkaError::Denied { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_read_that_is_taken_away_is_an_outage_while_running_and_reading_goes_on_by_itself() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, numbers(0..1)).await.expect("acknowledged");
    let mut consumer = Consumer::subscribe(&config, "group", TOPIC, &ctx).await.expect("the topic is there");
    assert_eq!(read(&mut consumer, 1).await.len(), 1);
    ctx.started();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Fetch, &vec![denied; 10_000]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while kafka(&ctx).is_none() && Instant::now() < deadline {
        consumer.next_batch(10, Duration::ZERO).await.expect("it waits").expect("not draining");
    }
    let told = kafka(&ctx).expect("it is red");
    assert!(told.contains("does not allow to read topic interactions"), "{told}");
    cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    // Idle it is green again, too: nobody has to write a record for that.
    let deadline = Instant::now() + Duration::from_secs(30);
    while kafka(&ctx).is_some() && Instant::now() < deadline {
        consumer.next_batch(10, Duration::ZERO).await.expect("it reads").expect("not draining");
    }
    assert_eq!(kafka(&ctx), None);
    producer.send_all(TOPIC, numbers(1..2)).await.expect("acknowledged");
    assert_eq!(read(&mut consumer, 1).await[0].value.as_deref(), Some(&b"1"[..]), "once, and none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_denied_waits_while_running_and_one_of_a_topic_that_is_gone_is_passed_over() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    producer.send_all(TOPIC, numbers(0..1)).await.expect("acknowledged");
    let mut consumer = Consumer::subscribe(&config, "group", TOPIC, &ctx).await.expect("the topic is there");
    assert_eq!(read(&mut consumer, 1).await.len(), 1);
    ctx.started();
    let next = Positions::from([(0, Next(1))]);
    let gone = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[gone]);
    consumer.commit(&next).await.expect("it goes on");
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[denied; 3]);
    let (outcome, told) = tokio::join!(consumer.commit(&next), until(&ctx, true));
    outcome.expect("committed in the end");
    assert!(told.contains("READ on the group"), "{told}");
    assert_eq!(kafka(&ctx), None);
    assert_eq!(committed(&config, "group", &ctx).await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_into_the_group_that_shows_its_life_says_so_with_the_reason_and_is_green_once_it_is() {
    let (cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::JoinGroup, &vec![denied; 10_000]);
    let _attendance = Attendance::join(&config, "trainer", &[TOPIC], &ctx).expect("it waits for nothing");
    let group = || ctx.readiness().into_iter().find(|(name, _)| *name == "group").and_then(|(_, state)| state.err());
    let becomes = async |red: bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while group().is_some() != red {
            assert!(Instant::now() < deadline, "it never becomes {}: {:?}", if red { "red" } else { "green" }, group());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    becomes(true).await;
    let told = group().expect("it is red");
    assert!(told.contains("not in group trainer") && told.contains("allow it to be read"), "{told}");
    cluster.clear_request_errors(RDKafkaApiKey::JoinGroup);
    becomes(false).await;
}
