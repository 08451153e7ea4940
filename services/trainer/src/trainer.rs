//! The loop: interactions and catalog to the learner, versions from it to the log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use model::Model;
use runtime::kafka::{Producer, Reader, Record, admin};
use runtime::{CaughtUp, Context};
use schemas::checkpoint::{PayloadKind, Through};
use schemas::{Topic, Topics};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::catalog::{Catalog, Listing};
use crate::config::Config;
use crate::error::Error;
use crate::histories::Sorter;
use crate::intake::Intake;
use crate::learning::Learning;
use crate::ledger::Ledger;
use crate::metrics::{LAG, PUBLISH, UNDECODABLE};
use crate::publisher::{Published, Publisher};
use crate::reign::{Candidate, Reign, superseded};
use crate::rush::Rush;
use crate::schedule::{Order, Schedule};

/// How late a version may be noticed to be due.
const TICK: Duration = Duration::from_millis(20);
/// Idle readers are asked again this often.
const IDLE: Duration = Duration::from_secs(1);
/// Records of `checkpoints` per poll; most are our own.
const WATCHED: usize = 1_000;

/// The trainer of one epoch.
pub(crate) struct Trainer {
    epoch: u32,
    /// Knows where the version stands that we continued from.
    sorter: Sorter,
    intake: Intake,
    catalog: Catalog,
    /// Behind our claim: a higher one ends us.
    log: Reader,
    learning: Learning,
    schedule: Schedule,
    ledger: Ledger,
    keep_snapshots: usize,
    publisher: Publisher,
    /// At most one; training goes on meanwhile.
    publications: JoinSet<Result<Published, Error>>,
    caught_up: CaughtUp,
    ctx: Context,
}

impl Trainer {
    /// Restores, claims an epoch and reads the catalog; `None` when asked to drain meanwhile.
    pub(crate) async fn start(config: &Config, ctx: &Context) -> Result<Option<Self>, Error> {
        let topics = Topics::new(&config.kafka.topic_prefix);
        let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
        admin::check_equal_partitions(&config.kafka, &[&events, &interactions]).await?;
        let Some(candidate) = Candidate::read(config, ctx).await? else { return Ok(None) };
        // All that can be refused comes before the claim: a trainer that cannot go on must not end one that can.
        Learning::check(&config.model, candidate.model(), ctx).await?;
        let intake = Intake::open(config, &through(candidate.model()), ctx).await?;
        let mut catalog = Catalog::open(config, ctx).await?;
        let producer = Producer::connect(&config.kafka, ctx)?;

        let Some(reign) = candidate.claim(&producer, ctx).await? else { return Ok(None) };
        let Reign { epoch, model, ledger, log } = reign;
        let sorter = Sorter::new(through(&model));
        let rush = Rush::new(config.trainer.max_batch, config.trainer.train_at_least);
        let learning = Learning::start(config.model.clone(), model, rush, ctx).await?;
        if !catalog.read_whole(&learning).await? {
            return Ok(None);
        }
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Checkpoints);
        Ok(Some(Self {
            epoch,
            sorter,
            intake,
            catalog,
            log,
            learning,
            schedule: Schedule::new(&config.trainer, epoch),
            ledger,
            keep_snapshots: config.trainer.keep_snapshots,
            publisher: Publisher { producer, topic, ctx: ctx.clone() },
            publications: JoinSet::new(),
            caught_up: CaughtUp::new("interactions", config.trainer.ready_lag, Instant::now()),
            ctx: ctx.clone(),
        }))
    }

    /// Trains and publishes until drained or superseded.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Every branch can be dropped while it waits and loses nothing.
            tokio::select! {
                batch = self.intake.next() => match batch? {
                    Some(records) => self.learn(&records).await?,
                    None => break,
                },
                listings = self.catalog.next(IDLE) => match listings? {
                    Some(listings) => self.list(listings).await?,
                    None => break,
                },
                batch = self.log.next_batch(WATCHED, IDLE) => match batch? {
                    Some(batch) => self.obey(&batch.records)?,
                    None => break,
                },
                Some(outcome) = self.publications.join_next() => self.finish(outcome).await?,
                _ = tick.tick() => {
                    if self.publications.is_empty() && let Some(order) = self.schedule.due(Instant::now()) {
                        self.publish(order).await?;
                    }
                    self.look().await?;
                }
            }
        }
        self.drain().await
    }

    /// Finishes the batch in hand, publishes the last version and commits it.
    async fn drain(mut self) -> Result<(), Error> {
        while let Some(records) = self.intake.next().await? {
            self.learn(&records).await?;
        }
        while let Some(outcome) = self.publications.join_next().await {
            self.finish(outcome).await?;
        }
        if let Some(order) = self.schedule.last(Instant::now()) {
            self.publish(order).await?;
            if let Some(outcome) = self.publications.join_next().await {
                self.finish(outcome).await?;
            }
        }
        self.learning.end().await
    }

    async fn learn(&mut self, records: &[Record]) -> Result<(), Error> {
        let sorted = self.sorter.sort(records);
        if let Some((partition, offset)) = sorted.undecodable.first() {
            counter!(UNDECODABLE).increment(sorted.undecodable.len() as u64);
            let records = sorted.undecodable.len();
            warn!(records, partition, offset, "skipped what is no interaction: somebody else writes to the topic");
        }
        if !sorted.remember.is_empty() {
            self.learning.remember(sorted.remember).await?;
        }
        if !sorted.train.is_empty() {
            self.learning.observe(sorted.train).await?;
            self.schedule.changed();
        }
        Ok(())
    }

    async fn list(&mut self, listings: Vec<Listing>) -> Result<(), Error> {
        if listings.is_empty() {
            return Ok(());
        }
        self.schedule.changed();
        self.learning.catalog(listings).await
    }

    /// I9: an old trainer that sees a higher claim ends.
    fn obey(&self, records: &[Record]) -> Result<(), Error> {
        superseded(self.epoch, records).map_or(Ok(()), |claim| Err(Error::Superseded { own: self.epoch, claim }))
    }

    async fn publish(&mut self, order: Order) -> Result<(), Error> {
        // The snapshot ordered here will be the newest of those that are kept.
        let retire = match order.kind {
            PayloadKind::Snapshot => self.ledger.retire(self.keep_snapshots - 1),
            PayloadKind::Delta => Vec::new(),
        };
        let frozen = self.learning.freeze(order.kind).await?;
        self.publications.spawn(self.publisher.clone().publish(order, frozen, retire));
        Ok(())
    }

    /// I3: offsets are committed after the version that holds them is acknowledged.
    async fn finish(&mut self, outcome: Result<Result<Published, Error>, JoinError>) -> Result<(), Error> {
        let Published { manifest, took, deleted } = outcome.map_err(Error::Publication)??;
        let (version, kind, bytes) = (manifest.version, manifest.kind, manifest.bytes);
        self.ledger.whole(version, kind, manifest.chunks);
        self.schedule.published(kind, bytes);
        self.ctx.latency(PUBLISH).record(took);
        crate::metrics::published(kind, bytes);
        match kind {
            PayloadKind::Snapshot => info!(%version, bytes, deleted, ?took, "published a snapshot"),
            PayloadKind::Delta => debug!(%version, bytes, ?took, "published a delta"),
        }
        self.intake.commit(&manifest.through).await;
        self.ctx.set("model", Ok(()));
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Error> {
        if !self.caught_up.is_due(Instant::now()) {
            return Ok(());
        }
        if let Some(lag) = self.intake.lag().await {
            gauge!(LAG).set(lag as f64);
            // It reads every partition, and there is at least one.
            self.ctx.set("caught-up", self.caught_up.state(1, lag, Instant::now()));
        }
        Ok(self.intake.check_partitions().await?)
    }
}

fn through(model: &Model) -> BTreeMap<i32, Through> {
    model.manifest().map(|manifest| manifest.through.clone()).unwrap_or_default()
}
