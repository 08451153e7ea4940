//! What promoting a challenger costs the lists that are written meanwhile: their latency, and the longest time without
//! one, before and during it, under 500 events/s.

use std::time::{Duration, Instant};

use runtime::Context;
use runtime::redis::Redis as Client;
use schemas::{Keys, Slate, Topic};
use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::freshness::beside_us;
use crate::measure::{Latencies, Size, block_on};
use crate::report::{Figure, Report};
use crate::running::{Live, Running};
use crate::sender::{Acknowledged, Sender};
use crate::servers::{Kafka, Redis};
use crate::world::World;

const PER_SECOND: i64 = 500;
const STAND_BY: (&str, &str) = ("THALWEG__TRAINER__WHEN_SUPERSEDED", "stand_by");
/// Another network, and every test taken by the live version as well.
const CHALLENGER: &[(&str, &str)] = &[
    STAND_BY,
    ("THALWEG__TRAINER__ROLE", "challenger"),
    ("THALWEG__TRAINER__NAME", "other"),
    ("THALWEG__TRAINER__CHALLENGER__SAMPLE", "1"),
    ("THALWEG__MODEL__ENCODER", "pooling"),
    ("THALWEG__MODEL__DIM", "16"),
];
/// Tests after which the challenger is promoted.
const TESTS: u64 = 1_000;
/// What takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a list is looked for.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// A list that comes later counts as so late.
const LOST: Duration = Duration::from_secs(30);

/// When a list was there, and how long after its event.
type Seen = (Instant, Duration);

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pace")]
pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let (calm, after) = (Duration::from_secs(size.pick(60, 5)), Duration::from_secs(size.pick(30, 5)));
    let (before, during, took, label) = block_on(async {
        let (kafka, redis) = (Kafka::fresh().await?, Redis::start().await?);
        let (ctx, on) = (Context::new("bench"), (&kafka, &redis));
        let live = Live::connect(&redis, &ctx).await?;
        let _services = [
            Running::start("ingest", on, &[])?,
            Running::start("scorer", on, &[])?,
            Running::start("trainer", on, &[STAND_BY])?,
        ];
        let mut sender = Sender::open(&kafka, World::at(size.pick(3_000, 200), PER_SECOND), &ctx)?;
        let mut probes = Probes::open(&kafka, &redis, &ctx).await?;
        let _challenger = Running::start("trainer", on, CHALLENGER)?;
        let pace = PER_SECOND as usize;
        sender.until(pace, |_| (), compared(on)).await?;

        sender.until(pace, |last| probes.look(last), rest(calm)).await?;
        let before = probes.seen().await;
        let epoch = live.wait("a version is live", |_| true).await?.epoch;
        let promoted = async {
            let began = Instant::now();
            operate(on, &["release", "promote", "other", "--reason", "a benchmark"]).await?;
            live.wait("the challenger's version is live", |live| live.epoch > epoch).await?;
            let took = began.elapsed();
            tokio::time::sleep(after).await;
            Ok(took)
        };
        let took = sender.until(pace, |last| probes.look(last), promoted).await?;
        Ok((before, probes.seen().await, took, kafka.label))
    })?;
    let took = Figure::of("promoted → the challenger's version in Redis", took.as_secs_f64() * 1e3, "ms");
    report.add(took.remark(format!("{label}; {PER_SECOND} events/s")));
    let (before, during) = (Served::of(before), Served::of(during));
    for (quantile, name) in [(0.5, "p50"), (0.99, "p99")] {
        let what = |when: &str| format!("event → list, {name}, {when}");
        let (calm, promoted) = (before.latencies.ms(quantile), during.latencies.ms(quantile));
        report.add(Figure::of(what("before"), calm, "ms").remark(format!("{} lists", before.lists)));
        let figure = Figure::of(what("while promoted"), promoted, "ms").beside("before".to_owned(), promoted / calm);
        report.add(figure.remark(format!("{} lists", during.lists)));
    }
    let gap = |when: &str, served: &Served| {
        Figure::of(format!("longest time without a list, {when}"), served.gap.as_secs_f64() * 1e3, "ms")
    };
    report.add(gap("before", &before).remark("20 lists a second are looked for"));
    let ratio = during.gap.as_secs_f64() / before.gap.as_secs_f64().max(1e-9);
    report.add(gap("while promoted", &during).beside("before".to_owned(), ratio));
    Ok(())
}

async fn rest(time: Duration) -> Result<(), Error> {
    tokio::time::sleep(time).await;
    Ok(())
}

/// Waits until the challenger was compared with the live version in so many tests.
async fn compared(on: (&Kafka, &Redis)) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let status: Value = serde_json::from_str(&operate(on, &["release", "status", "--json"]).await?)?;
        let tests = status["challengers"][0]["contest"]["tests"].as_u64().unwrap_or(0);
        if tests >= TESTS {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::Other(format!("the challenger has {tests} tests after {PATIENCE:?}: {status}")));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Runs the operator's command; what it printed.
async fn operate((kafka, redis): (&Kafka, &Redis), words: &[&str]) -> Result<String, Error> {
    let program = beside_us("thalweg")?;
    let output = Command::new(&program)
        .args(words)
        .args(["--brokers", &kafka.config.brokers, "--topic-prefix", &kafka.config.topic_prefix])
        .args(["--redis", &redis.config.url, "--key-prefix", &redis.config.key_prefix])
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::file(&program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Other(format!("`thalweg {}` failed: {said}", words.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Looks in Redis for the lists of events that were sent.
struct Probes {
    client: Client,
    keys: Keys,
    /// What a list's source begins with.
    source: String,
    running: JoinSet<Seen>,
}

impl Probes {
    async fn open(kafka: &Kafka, redis: &Redis, ctx: &Context) -> Result<Self, Error> {
        Ok(Self {
            client: Client::connect(&redis.config, ctx).await?,
            keys: Keys::new(&redis.config.key_prefix),
            source: kafka.topics.name(Topic::Events),
            running: JoinSet::new(),
        })
    }

    /// Looks for the list of an event that was acknowledged just now.
    fn look(&mut self, last: Acknowledged) {
        let (client, key) = (self.client.clone(), self.keys.recs(&last.event.user_id));
        let source = format!("{}/{}@", self.source, last.partition);
        self.running.spawn(async move {
            let began = Instant::now();
            while began.elapsed() < LOST {
                let values = client.get_many(std::slice::from_ref(&key)).await.unwrap_or_default();
                let value = values.into_iter().flatten().next().flatten();
                let slate = value.and_then(|value| Slate::decode(&value).ok());
                // The user may have acted once more meanwhile.
                let offset = slate.and_then(|slate| slate.source.strip_prefix(&source)?.parse::<i64>().ok());
                if offset.is_some_and(|offset| offset >= last.offset) {
                    break;
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
            (Instant::now(), began.elapsed())
        });
    }

    /// What was seen since the last call, once everything was.
    async fn seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.running).join_all().await
    }
}

/// How lists came.
struct Served {
    latencies: Latencies,
    lists: usize,
    /// The longest time between two of them.
    gap: Duration,
}

impl Served {
    fn of(mut seen: Vec<Seen>) -> Self {
        seen.sort();
        let gap = seen.windows(2).map(|two| two[1].0.duration_since(two[0].0)).max().unwrap_or_default();
        let mut latencies = Latencies::new();
        seen.iter().for_each(|(_, latency)| latencies.record(*latency));
        Self { latencies, lists: seen.len(), gap }
    }
}
