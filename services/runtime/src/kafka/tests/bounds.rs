//! What a client holds and takes at most (I7).

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_big_is_refused_with_its_size() {
    let (_cluster, config) = cluster(1);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    let big = Outgoing { value: Some(vec![0; 2 << 20].into()), ..Outgoing::default() };
    let error = producer.send_all(TOPIC, [big]).await.expect_err("2 MiB is too much");
    assert!(matches!(error, KafkaError::TooBig { bytes, .. } if bytes == 2 << 20), "{error}");
}

/// Bytes that do not shrink.
fn noise(bytes: usize, seed: u64) -> Bytes {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes / 8).flat_map(|_| next()).collect()
}

/// Librdkafka's own figures of a reader.
#[derive(Default)]
struct Figures {
    /// Bytes of records that wait in memory.
    waiting: std::sync::atomic::AtomicI64,
}

impl rdkafka::ClientContext for Figures {
    fn stats(&self, figures: rdkafka::Statistics) {
        let partitions = figures.topics.values().flat_map(|topic| topic.partitions.values());
        let waiting = partitions.map(|partition| partition.fetchq_size.cast_signed()).max();
        self.waiting.store(waiting.unwrap_or(0), std::sync::atomic::Ordering::Relaxed);
    }
}

impl rdkafka::consumer::ConsumerContext for Figures {}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_nobody_takes_from_holds_32_megabytes_and_gives_everything_later() {
    use std::sync::atomic::Ordering;

    use rdkafka::consumer::Consumer as _;

    const PARTITIONS: i32 = 20;
    let (_cluster, config) = cluster(PARTITIONS);
    let ctx = Context::new("test");
    let producer = Producer::connect(&config, &ctx).expect("settings are good");
    // 80 MB: as much as the mock broker keeps.
    let big = |n: i32| Outgoing {
        partition: Some(n % PARTITIONS),
        value: Some(noise(250_000, n as u64)),
        ..Outgoing::default()
    };
    let sent = 16 * PARTITIONS;
    producer.send_all(TOPIC, (0..sent).map(big)).await.expect("acknowledged");

    let mut settings = client::settings(&config, "test", client::Role::Reader("nobody"));
    settings.set("statistics.interval.ms", "100");
    let reader: rdkafka::consumer::BaseConsumer<Figures> =
        settings.create_with_context(Figures::default()).expect("settings are good");
    let from = (0..PARTITIONS).map(|partition| (partition, Next(0))).collect::<Positions>();
    reader.assign(&consumer::offsets(TOPIC, from.iter()).expect("they are offsets")).expect("assigned");
    tokio::task::spawn_blocking(move || {
        let waiting = || reader.context().waiting.load(Ordering::Relaxed);
        let began = Instant::now();
        let mut taken = usize::from(reader.poll(Duration::from_secs(10)).is_some_and(|record| record.is_ok()));
        // Figures come with a poll; each takes one record at most.
        let (mut most, mut still) = (0, 0);
        while began.elapsed() < Duration::from_secs(20) && still < 3 {
            std::thread::sleep(Duration::from_secs(1));
            taken += usize::from(reader.poll(Duration::from_millis(1)).is_some_and(|record| record.is_ok()));
            still = if waiting() > most || most == 0 { 0 } else { still + 1 };
            most = most.max(waiting());
        }
        assert!((30 << 20..(32 << 20) + i64::from(PARTITIONS) * (1 << 20)).contains(&most), "{most} bytes wait");
        while taken < sent as usize && began.elapsed() < Duration::from_secs(60) {
            taken += usize::from(reader.poll(Duration::from_millis(100)).is_some_and(|record| record.is_ok()));
        }
        assert_eq!(taken, sent as usize);
    })
    .await
    .expect("it reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_waits_at_a_hundred_thousand_records_or_128_megabytes_and_none_is_dropped() {
    for (records, bytes, most) in [(100_500, 0, 100_000), (150, 1_000_000, 135)] {
        let (cluster, config) = cluster(1);
        let ctx = Context::new("test");
        let producer = Producer::connect(&config, &ctx).expect("settings are good");
        producer.send_all(TOPIC, [record(0, "a", "1")]).await.expect("acknowledged");
        cluster.broker_down(-1).expect("it goes down");
        let value = noise(bytes, 7);
        let sending = tokio::spawn({
            let producer = producer.clone();
            let outgoing = Outgoing { partition: Some(0), key: "b".into(), value: Some(value), ..Outgoing::default() };
            async move { producer.send_all(TOPIC, std::iter::repeat_n(outgoing, records)).await }
        });
        let (mut waiting, began) = (-1, Instant::now());
        while waiting < i64::from(producer.waiting()) && began.elapsed() < Duration::from_secs(20) {
            waiting = i64::from(producer.waiting());
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        // A handful that librdkafka has answered for and not told us of counts as well.
        assert!((most * 9 / 10..=most + 5).contains(&waiting), "{waiting} records of {bytes} bytes wait");
        assert!(!sending.is_finished(), "the sender waits");
        cluster.broker_up(-1).expect("it comes back");
        let positions = sending.await.expect("no panic").expect("acknowledged in the end");
        assert_eq!((positions.len(), positions[records - 1]), (records, (0, records as i64)));
    }
}
