//! scratch
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::admin::{self, TopicSpec};
use runtime::kafka::{From, Outgoing, Producer, Reader, Record};
use schemas::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn event(n: u64) -> Vec<u8> {
    let id = if n % 50 == 49 { n - 8 } else { n };
    if n % 100 == 7 {
        return b"not json".to_vec();
    }
    format!(r#"{{"event_id":"e{id}","type":"view","user_id":"u{}","session_id":"s{}","item_id":"i{}","ts":1700000000123,"value":19.9,"properties":{{"surface":"home","campaign":"autumn","position":{}}}}}"#, n % 8, n % 1000, n % 5000, n % 20).into_bytes()
}
async fn all(config: &Kafka, topic: &str, ctx: &Context) -> Vec<Record> {
    let mut r = Reader::open(config, topic, From::Beginning, ctx).await.unwrap();
    let end = r.end().await.unwrap();
    let mut out = vec![];
    while !r.is_at(&end) {
        out.extend(r.next_batch(10000, Duration::from_millis(100)).await.unwrap().unwrap().records);
    }
    out
}
fn spawn(b: &str) -> Child {
    Command::new("target/debug/ingest")
        .env("THALWEG__KAFKA__BROKERS", b)
        .env("THALWEG__FRAME__ADMIN__LISTEN", "127.0.0.1:19101")
        .env("RUST_BACKTRACE", "1")
        .spawn()
        .unwrap()
}
#[tokio::main]
async fn main() {
    // validator
    let v = ingest::validator::Validator::new(ingest::config::Limits {
        max_message_bytes: 65536,
        max_items: 200,
        max_future: Duration::from_secs(3600),
    });
    let evs: Vec<Vec<u8>> = (0..10_000).map(event).collect();
    let bytes: usize = evs.iter().map(Vec::len).sum();
    let o = ingest::validator::Origin { partition: 0, offset: 0, arrived_at: 0 };
    for _ in 0..3 {
        let t = Instant::now();
        let mut ok = 0;
        for _ in 0..30 {
            for e in &evs {
                ok += usize::from(v.judge(Some(e), o, 1_800_000_000_000).is_ok());
            }
        }
        let s = t.elapsed().as_secs_f64();
        println!("validator {:.0} events/s, {} B avg, ok {ok}", 300_000.0 / s, bytes / evs.len());
    }
    let b = broker::Broker::start().unwrap();
    let config = Kafka { brokers: b.brokers(), topic_prefix: String::new(), properties: BTreeMap::new() };
    let ctx = Context::new("hand");
    let specs: Vec<TopicSpec> = [("events", 4), ("interactions", 4), ("dead-letters", 1)]
        .iter()
        .map(|(n, p)| TopicSpec { name: (*n).into(), partitions: *p, settings: vec![] })
        .collect();
    println!("{:?}", admin::apply(&config, &specs).await.unwrap());
    let p = Producer::connect(&config, &ctx).unwrap();
    const N: u64 = 300_000;
    let t = Instant::now();
    for s in (0..N).step_by(10_000) {
        p.send_all(
            "events",
            (s..s + 10_000).map(|n| Outgoing {
                partition: Some(((n % 8) % 4) as i32),
                key: format!("u{}", n % 8).into(),
                value: Some(event(n).into()),
                ..Default::default()
            }),
        )
        .await
        .unwrap();
    }
    println!("produced {N} in {:?}", t.elapsed());
    let kills: u32 = std::env::args().nth(1).map_or(0, |a| a.parse().unwrap());
    for k in 0..kills {
        let mut c = spawn(&b.brokers());
        tokio::time::sleep(Duration::from_millis(1200 + u64::from(k) * 137)).await;
        c.kill().unwrap();
        c.wait().unwrap();
        println!(
            "killed {k}: {} interactions",
            Reader::open(&config, "interactions", From::End, &ctx)
                .await
                .unwrap()
                .end()
                .await
                .unwrap()
                .values()
                .sum::<i64>()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let t = Instant::now();
    let mut c = spawn(&b.brokers());
    let want_dl = (0..N).filter(|n| n % 100 == 7).count();
    let mut first: Option<(Instant, i64)> = None;
    let probe = Reader::open(&config, "interactions", From::End, &ctx).await.unwrap();
    let mut last = -1;
    let mut still = Instant::now();
    loop {
        let n: i64 = probe.end().await.unwrap().values().sum();
        if n != last {
            last = n;
            still = Instant::now();
        }
        if first.is_none() && n > 0 {
            first = Some((Instant::now(), n));
            println!("first after {:?}", t.elapsed());
        }
        if still.elapsed() > Duration::from_secs(if n == 0 { 30 } else { 3 }) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Some((f, n0)) = first {
        println!("{} interactions, rate {:.0}/s", last, (last - n0) as f64 / (still - f).as_secs_f64());
    }
    println!(
        "{}",
        String::from_utf8_lossy(&Command::new("curl").args(["-s", "127.0.0.1:19101/readyz"]).output().unwrap().stdout)
    );
    println!(
        "{}",
        String::from_utf8_lossy(
            &Command::new("sh")
                .args(["-c", "curl -s 127.0.0.1:19101/metrics | grep -E '^ingest'"])
                .output()
                .unwrap()
                .stdout
        )
    );
    {
        let mut tail = Reader::open(&config, "interactions", From::End, &ctx).await.unwrap();
        let start = Instant::now();
        let q = p.clone();
        let sender = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            let mut flights = tokio::task::JoinSet::new();
            for n in 0..5000_u64 {
                tick.tick().await;
                let us = start.elapsed().as_micros();
                let q = q.clone();
                flights.spawn(async move {
                    let v = format!(
                        r#"{{"type":"view","user_id":"u{}","item_id":"i1","session_id":"{us}","ts":1700000000123}}"#,
                        n % 8
                    );
                    q.send_all(
                        "events",
                        [Outgoing {
                            partition: Some(((n % 8) % 4) as i32),
                            key: format!("u{}", n % 8).into(),
                            value: Some(v.into()),
                            ..Default::default()
                        }],
                    )
                    .await
                    .unwrap();
                });
            }
            flights.join_all().await;
        });
        let mut lat = vec![];
        while lat.len() < 5000 && start.elapsed() < Duration::from_secs(20) {
            for r in tail.next_batch(1000, Duration::from_millis(100)).await.unwrap().unwrap().records {
                let i = schemas::Interaction::decode(r.value.unwrap()).unwrap();
                lat.push(start.elapsed().as_micros() - i.session_id.parse::<u128>().unwrap());
            }
        }
        sender.await.unwrap();
        lat.sort_unstable();
        println!(
            "latency at 1000/s: n {} p50 {} p99 {} max {} us",
            lat.len(),
            lat[lat.len() / 2],
            lat[lat.len() * 99 / 100],
            lat[lat.len() - 1]
        );
        last += 5000;
    }
    // broker away, with traffic
    b.go_away();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "away: {}",
        String::from_utf8_lossy(&Command::new("curl").args(["-s", "127.0.0.1:19101/readyz"]).output().unwrap().stdout)
    );
    b.come_back().unwrap();
    let t = Instant::now();
    p.send_all(
        "events",
        (N..N + 10_000).map(|n| Outgoing {
            partition: Some(((n % 8) % 4) as i32),
            key: format!("u{}", n % 8).into(),
            value: Some(event(n).into()),
            ..Default::default()
        }),
    )
    .await
    .unwrap();
    println!("sent after come back {:?}", t.elapsed());
    loop {
        let n: i64 = probe.end().await.unwrap().values().sum();
        if n >= last + 9700 || t.elapsed() > Duration::from_secs(60) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("ingested after come back {:?}", t.elapsed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "back: {}",
        String::from_utf8_lossy(&Command::new("curl").args(["-s", "127.0.0.1:19101/readyz"]).output().unwrap().stdout)
    );
    Command::new("kill").args(["-TERM", &c.id().to_string()]).status().unwrap();
    let t = Instant::now();
    println!("exit {:?} after {:?}", c.wait().unwrap(), t.elapsed());
    let records = all(&config, "interactions", &ctx).await;
    println!(
        "ends {:?} {:?}",
        probe.end().await.unwrap(),
        Reader::open(&config, "events", From::End, &ctx).await.unwrap().end().await.unwrap()
    );
    let mut per: BTreeMap<i32, (i64, i64, i64)> = BTreeMap::new();
    for r in &records {
        let e = per.entry(r.partition).or_insert((0, i64::MAX, -1));
        e.0 += 1;
        e.1 = e.1.min(r.offset);
        e.2 = e.2.max(r.offset);
    }
    println!("read {per:?}");
    println!("again {}", all(&config, "interactions", &ctx).await.len());
    let mut through: BTreeMap<i32, i64> = BTreeMap::new();
    let (mut applied, mut dropped) = (0, 0);
    let mut ids = BTreeSet::new();
    for r in &records {
        let i = schemas::Interaction::decode(r.value.clone().unwrap()).unwrap();
        let s = i.source.unwrap();
        assert_eq!(s.partition, r.partition);
        let t = through.entry(r.partition).or_insert(-1);
        if s.offset <= *t {
            dropped += 1;
            continue;
        }
        *t = s.offset;
        applied += 1;
        if !i.event_id.is_empty() {
            assert!(ids.insert((i.user_id, i.event_id)), "twice");
        }
    }
    let mut want = BTreeSet::new();
    for n in 0..N + 10_000 {
        if n % 100 != 7 {
            let id = if n % 50 == 49 { n - 8 } else { n };
            want.insert((format!("u{}", n % 8), format!("e{id}")));
        }
    }
    println!("applied {applied} dropped {dropped} wanted {} missing {}", want.len(), want.difference(&ids).count());
    let dl = all(&config, "dead-letters", &ctx).await;
    let uniq: BTreeSet<(Vec<u8>, Vec<u8>)> = dl
        .iter()
        .map(|r| (r.header("source-partition").unwrap().to_vec(), r.header("source-offset").unwrap().to_vec()))
        .collect();
    println!("dead letters {} unique {} wanted {}", dl.len(), uniq.len(), want_dl + 100);
}
