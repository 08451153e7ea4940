//! How long a rollback takes: from the decision to the moment at which Redis says that a scorer serves the good
//! version.
//!
//! A scorer runs as it always does. Each round publishes another version, waits until it is live, and rolls back.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::{Learner, pack};
use runtime::Context;
use runtime::kafka::{Outgoing, Producer};
use runtime::redis::Redis as Client;
use schemas::audit::Chain;
use schemas::checkpoint::{Claim, PayloadKind, VersionId};
use schemas::control::{Action, Back, OPERATOR, Place, Release};
use schemas::{Keys, Topic};
use versions::{claim_record, decide, manifest_record, split};

use crate::error::Error;
use crate::freshness::beside_us;
use crate::measure::{Latencies, Size, block_on};
use crate::report::{Figure, Report};
use crate::servers::{Kafka, Redis};
use crate::world::World;

/// Within so many milliseconds scorers have swapped, 99 times of 100.
const LIMIT: f64 = 3_000.0;
/// How often Redis is asked.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// A scorer that takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let items = size.pick(10_000, 1_000);
    let mut world = World::new(items);
    let mut learner = world.learner(size.pick(5_000, 256))?;
    let rounds = size.pick(100, 3);
    let (latencies, label) = block_on(async {
        let (kafka, redis) = (Kafka::fresh().await?, Redis::start().await?);
        let bench = Bench::connect(&kafka, &redis).await?;
        let good = bench.publish(VersionId { epoch: 1, sequence: 1 }, &mut learner).await?;
        let _scorer = Scorer::start(&kafka, &redis)?;
        bench.live(good.version).await?;
        let (mut chain, mut latencies) = (Chain::new("bench".to_owned()), Latencies::new());
        let mut epoch = 1;
        for _ in 0..rounds {
            learner.observe(&world.examples(128));
            let bad = bench.publish(VersionId { epoch: epoch + 1, sequence: 1 }, &mut learner).await?;
            bench.live(bad.version).await?;
            let at = bench.ctx.now();
            let back = Back::new(good, bad.version.epoch, at);
            epoch = back.epoch;
            let word = Release {
                action: Action::Rollback,
                place: Some(good),
                back: Some(back),
                by: "bench".to_owned(),
                reason: "a benchmark".to_owned(),
                at,
                expires: None,
                rollbacks: Vec::new(),
            };
            let began = Instant::now();
            decide(&word, OPERATOR, BTreeMap::new(), &mut chain, (&bench.producer, &kafka.topics)).await?;
            bench.live(good.version).await?;
            latencies.record(began.elapsed());
        }
        Ok((latencies, kafka.label))
    })?;
    let figure = |quantile: f64, name: &str| {
        let what = format!("{items} items: decision → good version in Redis, {name}");
        Figure::of(what, latencies.ms(quantile), "ms")
    };
    report.add(figure(0.5, "p50").remark(format!("{label}; {rounds} rollbacks")));
    report.add(figure(0.99, "p99").beside("limit of 3 s".to_owned(), latencies.ms(0.99) / LIMIT));
    report.add(figure(1.0, "the slowest"));
    Ok(())
}

/// Clients of the servers.
struct Bench {
    producer: Producer,
    checkpoints: String,
    client: Client,
    key: String,
    ctx: Context,
}

impl Bench {
    async fn connect(kafka: &Kafka, redis: &Redis) -> Result<Self, Error> {
        let ctx = Context::new("bench");
        Ok(Self {
            producer: Producer::connect(&kafka.config, &ctx)?,
            checkpoints: kafka.topics.name(Topic::Checkpoints),
            client: Client::connect(&redis.config, &ctx).await?,
            key: Keys::new(&redis.config.key_prefix).model(),
            ctx,
        })
    }

    /// Claims the version's epoch and publishes a snapshot in it.
    async fn publish(&self, version: VersionId, learner: &mut Learner) -> Result<Place, Error> {
        let now = self.ctx.now();
        let frozen = learner.freeze(PayloadKind::Snapshot)?;
        let (chunks, manifest) = split(version, None, &frozen, &pack(&frozen.encode()?)?, now);
        let claim = Claim { epoch: version.epoch, trainer: "bench".to_owned(), claimed_at: now, anew: false };
        self.producer.send_all(&self.checkpoints, [claim_record(&claim)]).await?;
        let written = self.producer.send_all(&self.checkpoints, chunks.into_iter().map(Outgoing::from)).await?;
        self.producer.send_all(&self.checkpoints, [Outgoing::from(manifest_record(&manifest))]).await?;
        Ok(Place { version, begins: written.first().map(|(_, offset)| *offset) })
    }

    /// Waits until Redis says that the version is live.
    async fn live(&self, version: VersionId) -> Result<(), Error> {
        let (began, wanted) = (Instant::now(), version.to_string());
        loop {
            let fields = self.client.hgetall(&self.key).await?;
            if fields.is_ok_and(|fields| fields.get("version") == Some(&wanted)) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::Other(format!("the scorer does not serve {version} within {PATIENCE:?}")));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

/// A scorer of its own; it ends with us.
struct Scorer(Child);

impl Scorer {
    fn start(kafka: &Kafka, redis: &Redis) -> Result<Self, Error> {
        let program = beside_us("scorer")?;
        let child = Command::new(&program)
            .env("THALWEG__FRAME__ADMIN__LISTEN", "127.0.0.1:0")
            .env("THALWEG__KAFKA__BROKERS", &kafka.config.brokers)
            .env("THALWEG__KAFKA__TOPIC_PREFIX", &kafka.config.topic_prefix)
            .env("THALWEG__REDIS__URL", &redis.config.url)
            .env("THALWEG__REDIS__KEY_PREFIX", &redis.config.key_prefix)
            .env("THALWEG__SCORER__GROUP", format!("{}scorer", kafka.config.topic_prefix))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::file(&program))?;
        Ok(Self(child))
    }
}

impl Drop for Scorer {
    fn drop(&mut self) {
        let _ = self.0.kill(); // fails only where it has ended
        let _ = self.0.wait();
    }
}
