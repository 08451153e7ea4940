//! temporary
use std::time::Duration;
use runtime::Context;
use runtime::kafka::{admin, Outgoing, Producer, Reader, From};
use schemas::*;
use schemas::checkpoint::*;

fn config(brokers: &str, more: &[(&str, String)]) -> trainer::Config {
    let mut o = vec![("kafka.brokers", brokers.to_owned()), ("frame.admin.listen", String::new())];
    o.extend(more.iter().cloned());
    runtime::config::load(trainer::DEFAULTS, None, &o, false).unwrap()
}
async fn send(config: &trainer::Config, from: i64, to: i64) {
    let ctx = Context::new("traffic");
    let p = Producer::connect(&config.kafka, &ctx).unwrap();
    let recs: Vec<_> = (from..to).map(|n| {
        let partition = (n % 2) as i32;
        let i = Interaction { user_id: format!("u{}", n % 50), item_id: format!("i{}", (n * 7) % 200), kind: Kind::View.into(), ts: 1_700_000_000_000 + n*100,
            source: Some(Source { partition, offset: n / 2 }), arrived_at: ctx.now(), ..Default::default() };
        Outgoing { partition: Some(partition), key: i.user_id.clone().into(), value: Some(i.encode_to_vec().into()), ..Default::default() }
    }).collect();
    p.send_all("interactions", recs).await.unwrap();
}
async fn manifests(config: &trainer::Config) -> Vec<Manifest> {
    let ctx = Context::new("look");
    let mut r = Reader::open(&config.kafka, "checkpoints", From::Beginning, &ctx).await.unwrap();
    let end = r.end().await.unwrap();
    let mut out = vec![]; let mut tomb = 0;
    while !r.is_at(&end) {
        for rec in r.next_batch(1000, Duration::from_millis(100)).await.unwrap().unwrap().records {
            let (_, part) = parse_key(std::str::from_utf8(&rec.key).unwrap()).unwrap();
            if rec.value.is_none() { tomb += 1; }
            if part == Part::Manifest && let Some(v) = rec.value { out.push(serde_json::from_slice(&v).unwrap()); }
        }
    }
    eprintln!("tombstones {tomb}");
    out
}
async fn wait_for(config: &trainer::Config, n: u64) -> Vec<Manifest> {
    for _ in 0..200 {
        let m = manifests(config).await;
        if m.last().is_some_and(|m: &Manifest| m.interactions >= n) { return m; }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("never {n}")
}
#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    tracing_subscriber::fmt().with_env_filter("info,trainer=debug,runtime=info").init();
    let broker = broker::Broker::start().unwrap();
    let fast = [("trainer.publish_every", "200ms".to_owned()), ("trainer.snapshot_every", "1s".to_owned()), ("trainer.history_window", "100".to_owned())];
    let config = config(&broker.brokers(), &fast);
    let topics = Topics::new("");
    let specs: Vec<_> = Topic::ALL.iter().map(|t| admin::TopicSpec { name: topics.name(*t), partitions: t.partitions(2), settings: vec![] }).collect();
    admin::apply(&config.kafka, &specs).await.unwrap();
    send(&config, 0, 1000).await;
    let a = Context::new("trainer");
    let first = tokio::spawn(trainer::run(config.clone(), a.clone()));
    let m = wait_for(&config, 1000).await;
    let last = m.last().unwrap(); 
    eprintln!("{last:?}");
    eprintln!("{:?}", a.readiness());
    for n in 5..20 { send(&config, n * 200, (n + 1) * 200).await; tokio::time::sleep(Duration::from_millis(200)).await; }
    wait_for(&config, 4000).await;
    eprintln!("{:?}", a.readiness());
    // drain
    send(&config, 4000, 4100).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    a.drain();
    first.await.unwrap().unwrap();
    a.join().await.unwrap();
    let m = manifests(&config).await; eprintln!("after drain {:?} {:?}", m.last().unwrap().version, m.last().unwrap().interactions);
    assert!(m.iter().all(|m| m.interactions as i64 == m.through.values().map(|t| t.next).sum::<i64>()));
    // next epoch, and another that supersedes it
    let b = Context::new("trainer");
    let second = tokio::spawn(trainer::run(config.clone(), b.clone()));
    wait_for(&config, 4100).await;
    let c = Context::new("trainer");
    let third = tokio::spawn(trainer::run(config.clone(), c.clone()));
    let t = std::time::Instant::now();
    let err = second.await.unwrap().unwrap_err();
    eprintln!("superseded: {err} after {:?}", t.elapsed());
    send(&config, 4100, 4200).await;
    let m = wait_for(&config, 4200).await;
    for m in m.iter().rev().take(4).rev() { eprintln!("{} {:?} {:?} {} {} {:?}", m.version, m.kind, m.parent, m.interactions, m.bytes, m.quality); }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    eprintln!("{:?}", c.readiness());
    // away
    broker.go_away();
    tokio::time::sleep(Duration::from_millis(3500)).await;
    eprintln!("away {:?}", c.readiness());
    broker.come_back().unwrap();
    send(&config, 4200, 4300).await;
    wait_for(&config, 4300).await;
    eprintln!("{:?}", c.readiness());
    // shape
    let mut odd = config.clone(); odd.model.dim = 32;
    eprintln!("shape: {}", trainer::run(odd, Context::new("trainer")).await.unwrap_err());
    assert!(!third.is_finished());
    let h = c.latency("trainer_step").snapshot(); eprintln!("step p50 {} us p99 {}", h.value_at_quantile(0.5), h.value_at_quantile(0.99));
    let h = a.latency("trainer_step").snapshot(); eprintln!("step p50 {} us p99 {} n {}", h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.len());
    let h = a.latency("trainer_publish").snapshot(); eprintln!("publish p50 {} us p99 {} n {}", h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.len());
    c.drain(); third.await.unwrap().unwrap();
}
