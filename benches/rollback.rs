//! How long a rollback takes: from the decision to the moment at which Redis says that a scorer serves the good
//! version.
//!
//! A scorer runs as it always does. Each round publishes another version, waits until it is live, and rolls back.

use std::collections::BTreeMap;
use std::time::Instant;

use model::{Learner, pack};
use runtime::Context;
use runtime::kafka::{Outgoing, Producer};
use schemas::Topic;
use schemas::audit::Chain;
use schemas::checkpoint::{Claim, PayloadKind, VersionId};
use schemas::control::{Action, Back, OPERATOR, Place, Release};
use versions::{claim_record, decide, manifest_record, split};

use crate::error::Error;
use crate::measure::{Latencies, Size, block_on};
use crate::report::{Figure, Report};
use crate::running::{Live, Running};
use crate::servers::{Kafka, Redis};
use crate::world::World;

/// Within so many milliseconds scorers have swapped, 99 times of 100.
const LIMIT: f64 = 3_000.0;

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let items = size.pick(10_000, 1_000);
    let mut world = World::new(items);
    let mut learner = world.learner(size.pick(5_000, 256))?;
    let rounds = size.pick(100, 3);
    let (latencies, label) = block_on(async {
        let (kafka, redis) = (Kafka::fresh().await?, Redis::start().await?);
        let (bench, live) = (Bench::connect(&kafka)?, Live::connect(&redis, &Context::new("bench")).await?);
        let good = bench.publish(VersionId { epoch: 1, sequence: 1 }, &mut learner).await?;
        let _scorer = Running::start("scorer", (&kafka, &redis), &[])?;
        live.wait("it is live", |live| live == good.version).await?;
        let (mut chain, mut latencies) = (Chain::new("bench".to_owned()), Latencies::new());
        let mut epoch = 1;
        for _ in 0..rounds {
            learner.observe(&world.examples(128));
            let bad = bench.publish(VersionId { epoch: epoch + 1, sequence: 1 }, &mut learner).await?;
            live.wait("it is live", |live| live == bad.version).await?;
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
            live.wait("it is live", |live| live == good.version).await?;
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

/// Who publishes.
struct Bench {
    producer: Producer,
    checkpoints: String,
    ctx: Context,
}

impl Bench {
    fn connect(kafka: &Kafka) -> Result<Self, Error> {
        let ctx = Context::new("bench");
        Ok(Self {
            producer: Producer::connect(&kafka.config, &ctx)?,
            checkpoints: kafka.topics.name(Topic::Checkpoints),
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
}
