//! scratch
use std::time::{Duration, Instant};
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{admin, Consumer, From, Outgoing, Producer, Reader};

fn out(p: i32, v: Vec<u8>) -> Outgoing {
    Outgoing { partition: Some(p), key: "user".into(), value: Some(v.into()), timestamp: None, headers: vec![] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scratch() {
    let real = std::env::var("KAFKA_BROKERS").ok();
    let broker = broker::Broker::start().unwrap();
    let sh = |what: &str| { let o = std::process::Command::new("infra/kafka/kafka.sh").args([what, "scratch"]).output().unwrap(); println!("{what}: {o:?}"); };
    let strategy = std::env::var("STRATEGY").ok();
    let mut properties = std::collections::BTreeMap::new();
    if let Some(s) = strategy { properties.insert("partition.assignment.strategy".to_owned(), s); }
    let config = Kafka { brokers: real.clone().unwrap_or(broker.brokers()), topic_prefix: String::new(), properties };
    let spec = |name: &str, partitions| admin::TopicSpec { name: name.into(), partitions, settings: vec![("cleanup.policy".into(), "delete".into()), ("retention.ms".into(), "1000000".into())] };
    let specs = [spec("a", 4), spec("b", 1)];
    println!("apply {:?}", admin::apply(&config, &specs).await);
    println!("again {:?}", admin::apply(&config, &specs).await);
    println!("equal {:?}", admin::check_equal_partitions(&config, &["a", "b"]).await.map_err(|e| e.to_string()));
    let ctx = Context::new("s");
    println!("missing {:?}", Consumer::subscribe(&config, "g", "nope", &ctx).await.map(|_| ()).map_err(|e| e.to_string()));
    let producer = Producer::connect(&config, &ctx).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for n in [1, 1000, 20000, 20000] {
        let records: Vec<_> = (0..n).map(|i| out(i % 4, vec![b'x'; 200])).collect();
        let t = Instant::now();
        producer.send_all("a", records).await.unwrap();
        println!("sent {n} in {:?}", t.elapsed());
    }
    let t = Instant::now();
    for _ in 0..50 { producer.send_all("a", [out(0, vec![b'y'; 200])]).await.unwrap(); }
    println!("one by one {:?}", t.elapsed() / 50);
    let t = Instant::now();
    let mut first = Consumer::subscribe(&config, "g", "a", &ctx).await.unwrap();
    let mut n = 0;
    let mut began = None;
    while n < 41051 {
        let b = first.next_batch(2000, Duration::ZERO).await.unwrap().unwrap();
        if !b.is_empty() && n == 0 { println!("first batch after {:?} assigned {:?} records {}", t.elapsed(), b.assigned, b.records.len()); began = Some(Instant::now()); }
        n += b.records.len();
        if !b.records.is_empty() { first.commit(&b.end()).await.unwrap(); }
    }
    println!("read+commit {n} in {:?} ready {:?}", began.unwrap().elapsed(), ctx.readiness());
    let t = Instant::now();
    for _ in 0..50 { first.commit(&[(0, 5)].into()).await.unwrap(); }
    println!("commit {:?}", t.elapsed() / 50);
    println!("lag {}", first.lag().await);
    // second member
    let other = Context::new("t");
    let mut second = Consumer::subscribe(&config, "g", "a", &other).await.unwrap();
    let t = Instant::now();
    while second.partitions().len() != 2 && t.elapsed() < Duration::from_secs(40) {
        let (x, y) = tokio::join!(first.next_batch(1000, Duration::ZERO), second.next_batch(1000, Duration::ZERO));
        let (x, y) = (x.unwrap().unwrap(), y.unwrap().unwrap());
        if !x.is_empty() || !y.is_empty() { println!("{:?}: x +{:?} -{:?} {} y +{:?} -{:?} {}", t.elapsed(), x.assigned, x.revoked, x.records.len(), y.assigned, y.revoked, y.records.len()); }
    }
    println!("shared {:?} {:?} after {:?}", first.partitions(), second.partitions(), t.elapsed());
    drop(second);
    let t = Instant::now();
    while first.partitions().len() != 4 && t.elapsed() < Duration::from_secs(40) {
        first.next_batch(1000, Duration::ZERO).await.unwrap().unwrap();
    }
    println!("taken over {:?} after {:?}", first.partitions(), t.elapsed());
    // latency of a hop
    let hop = ctx.latency("hop");
    for i in 0..300 {
        let t = Instant::now();
        producer.send_all("a", [out(i % 4, vec![b'y'; 200])]).await.unwrap();
        let acked = t.elapsed();
        let _ = acked;
        loop { let b = first.next_batch(100, Duration::ZERO).await.unwrap().unwrap(); if !b.records.is_empty() { break; } }
        hop.record(t.elapsed());
    }
    let h = hop.snapshot();
    println!("hop p50 {} p99 {} us", h.value_at_quantile(0.5), h.value_at_quantile(0.99));
    // outage
    if real.is_some() { sh("stop") } else { broker.go_away() };
    let sending = tokio::spawn({ let p = producer.clone(); async move { let t = Instant::now(); let r = p.send_all("a", (0..10).map(|i| out(i % 4, vec![b'z'; 10]))).await; (r.map(|r| r.len()), t.elapsed()) } });
    let t = Instant::now();
    while ctx.is_ready() && t.elapsed() < Duration::from_secs(20) { first.next_batch(10, Duration::ZERO).await.unwrap(); }
    println!("red after {:?} {:?}", t.elapsed(), ctx.readiness());
    tokio::time::sleep(Duration::from_secs(12)).await;
    if real.is_some() { sh("start") } else { broker.come_back().unwrap() };
    let t = Instant::now();
    println!("sent {:?} {:?}", sending.await.unwrap(), t.elapsed());
    let mut n = 0;
    while (n < 10 || !ctx.is_ready()) && t.elapsed() < Duration::from_secs(60) { let b = first.next_batch(10, Duration::ZERO).await.unwrap().unwrap(); n += b.records.len(); if !b.records.is_empty() { first.commit(&b.end()).await.unwrap(); } if !b.assigned.is_empty() { println!("reassigned {:?}", b.assigned); } }
    println!("green after {:?} {n} {:?} {:?}", t.elapsed(), ctx.readiness(), first.partitions());
    // reader
    let mut reader = Reader::open_as(&config, "trainer", "a", From::Beginning, &ctx).await.unwrap();
    let end = reader.end().await.unwrap();
    let t = Instant::now();
    let mut n = 0;
    while !reader.is_at(&end) { n += reader.next_batch(5000, Duration::from_millis(50)).await.unwrap().unwrap().records.len(); }
    println!("reader {n} in {:?} {:?}", t.elapsed(), end);
    reader.commit_as("trainer", &end).await.unwrap();
    reader.commit_as("elsewhere", &end).await.unwrap();
    let big: Vec<_> = (0..20).map(|_| out(0, vec![7; 900_000])).collect();
    let t = Instant::now();
    producer.send_all("b", big).await.unwrap();
    println!("18 MB sent in {:?}", t.elapsed());
    let mut reader2 = Reader::open(&config, "b", From::Beginning, &ctx).await.unwrap();
    let end = reader2.end().await.unwrap();
    let t = Instant::now();
    while !reader2.is_at(&end) { let b = reader2.next_batch(5000, Duration::from_millis(50)).await.unwrap().unwrap(); println!("{}", b.records.len()); }
    println!("18 MB read in {:?}", t.elapsed());
    ctx.drain(); other.drain();
    drop((first, reader, reader2, producer));
    let t = Instant::now();
    println!("join {:?} {:?}", ctx.join().await.is_ok(), t.elapsed());
}
