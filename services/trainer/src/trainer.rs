//! The loop: interactions and catalog to the learner, versions from it to the log.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use model::Model;
use runtime::Context;
use runtime::kafka::admin;
use runtime::kafka::{Attendance, Expected, KafkaError, Next, Positions, Producer, Reader, Record, Watch};
use schemas::checkpoint::{Claim, LAST, PayloadKind, Through};
use schemas::{Topic, Topics};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::bookmarks::Bookmarks;
use crate::catalog::{Catalog, News};
use crate::config::{self, Config};
use crate::error::Error;
use crate::histories::{Sorted, Sorter};
use crate::intake::{Handful, Intake};
use crate::leadership::{Candidate, Footing, Leadership, Own, superseded, written};
use crate::learning::Learning;
use crate::ledger::Ledger;
use crate::load_shedding::LoadShedding;
use crate::metrics::{CLAIMED_AGAIN, EPOCH, LAG, LAG_SECONDS, PUBLISH, UNREADABLE};
use crate::publisher::{Published, Publisher};
use crate::schedule::{Order, Schedule};
use crate::unpublished::Unpublished;

/// How late a version may be noticed to be due.
const TICK: Duration = Duration::from_millis(20);
/// Idle readers are asked again this often.
const IDLE: Duration = Duration::from_secs(1);
/// How often it is looked whether our versions are still on the topic: two questions to the broker.
const FOOTING: Duration = Duration::from_secs(2);
/// How long they may hold up training.
const QUESTION: Duration = Duration::from_secs(2);
/// Records of `checkpoints` per poll; most are our own.
const WATCHED: usize = 1_000;

/// The trainer of one epoch.
pub(crate) struct Trainer {
    own: Own,
    /// Whether what we wrote to `checkpoints` is still there, and when this was looked at last.
    footing: (Footing, Instant),
    /// We began with nothing: no version before all is learned that was there at our start, or an empty one would go
    /// live.
    learning_the_past: bool,
    config: config::Trainer,
    kafka: runtime::config::Kafka,
    /// Name of the topic `events`.
    events: String,
    /// Knows where the version stands that we continued from.
    sorter: Sorter,
    /// Whether it was said that somebody else writes to `interactions`.
    told_foreign: bool,
    intake: Intake,
    /// The life of `interactions` that the learner knows of.
    life: u32,
    catalog: Catalog,
    /// Shows in our group that we read, and how far. A version has its own offsets, so nothing is lost with a commit.
    attendance: Attendance,
    /// Behind our claim: a higher one ends us.
    log: Reader,
    learning: Learning,
    schedule: Schedule,
    ledger: Ledger,
    bookmarks: Bookmarks,
    keep_snapshots: usize,
    publisher: Publisher,
    /// At most one; training goes on meanwhile.
    publications: JoinSet<Result<Published, Error>>,
    unpublished: Unpublished,
    ctx: Context,
}

impl Trainer {
    /// Restores, claims an epoch and reads the catalog; `None` when asked to drain meanwhile.
    pub(crate) async fn start(config: &Config, ctx: &Context) -> Result<Option<Self>, Error> {
        let topics = Topics::new(&config.kafka.topic_prefix);
        let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
        admin::check_partitions(&config.kafka, &[&events, &interactions]).await?;
        let Some(mut candidate) = Candidate::read(config, ctx).await? else { return Ok(None) };
        // All that can be refused comes before the claim: a trainer that cannot go on must not end one that can.
        if let Err(error) = Learning::check(&config.model, candidate.model(), ctx).await {
            let unfit = matches!(error, Error::Model(model::Error::Shape(_) | model::Error::Optimizer(_)));
            if !(config.trainer.anew && unfit) {
                return Err(error);
            }
            warn!(%error, "trainer.anew: the newest version cannot be gone on from; learning anew from the oldest interaction");
            candidate.begin_anew(config)?;
        }
        let Some(intake) = Intake::open(config, &through(candidate.model()), ctx).await? else { return Ok(None) };
        let mut catalog = Catalog::open(config, ctx).await?;
        let producer = Producer::connect(&config.kafka, ctx)?;

        let Some(leadership) = candidate.claim(config, &producer, ctx).await? else { return Ok(None) };
        let Leadership { epoch, model, ledger, log, trainer, bookmarks } = leadership;
        let learning_the_past = model.manifest().is_none();
        if learning_the_past {
            ctx.set("model", Err("learning what was there at the start; the first version comes behind it".to_owned()));
        }
        let sorter = Sorter::new(through(&model));
        let shedding = LoadShedding::new(config.trainer.max_batch, config.trainer.train_at_least);
        let learning = Learning::start(config.model.clone(), model, shedding, ctx).await?;
        learning.follow(intake.life()).await?;
        // Only now: who may not begin is not seen either. The trainer before us leaves as it reads our claim. Should
        // its last commit come after our first, tools show what it had learned until our next version, and letters
        // about the catalog may be written again at the next start; nothing else is read back.
        let (interactions, items) = (intake.stream().topic(), catalog.stream().topic());
        let attendance = Attendance::join(&config.kafka, &config.trainer.group, &[interactions, items], ctx)?;
        if !catalog.read_whole(&learning, &producer, &attendance).await? {
            return Ok(None);
        }
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Checkpoints);
        let watch = Watch::start(&config.kafka, ctx)?;
        let caught_up = Some((config.trainer.ready_lag, config.trainer.max_behind));
        let gauges = Some([LAG, LAG_SECONDS]);
        watch.follow(intake.stream(), Expected { topic: "interactions", caught_up, gauges });
        watch.follow(catalog.stream(), Expected { topic: "items", caught_up: None, gauges: None });
        Ok(Some(Self {
            own: Own { epoch, trainer, at: None },
            footing: (Footing::default(), Instant::now()),
            learning_the_past,
            config: config.trainer.clone(),
            kafka: config.kafka.clone(),
            events,
            sorter,
            told_foreign: false,
            life: intake.life(),
            intake,
            catalog,
            attendance,
            log,
            learning,
            schedule: Schedule::new(&config.trainer, epoch),
            ledger,
            bookmarks,
            keep_snapshots: config.trainer.keep_snapshots,
            publisher: Publisher { producer, topic, ctx: ctx.clone() },
            publications: JoinSet::new(),
            unpublished: Unpublished::new(config.trainer.max_model_age),
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
                    Some(handful) => self.learn(handful).await?,
                    None => break,
                },
                news = self.catalog.next(IDLE) => match news? {
                    Some(news) => self.list(news).await?,
                    None => break,
                },
                batch = self.log.next_batch(WATCHED, IDLE) => match batch? {
                    Some(batch) => self.obey(&batch.records).await?,
                    None => break,
                },
                Some(outcome) = self.publications.join_next() => self.finish(outcome).await?,
                _ = tick.tick() => {
                    if self.publications.is_empty()
                        && self.may_publish()
                        && let Some(order) = self.schedule.due(Instant::now())
                    {
                        self.publish(order).await?;
                    }
                    self.look();
                    self.look_down().await?;
                }
            }
        }
        self.drain().await
    }

    /// Finishes the batch in hand, publishes the last version and commits it.
    async fn drain(mut self) -> Result<(), Error> {
        while let Some(handful) = self.intake.next().await? {
            self.learn(handful).await?;
        }
        while let Some(outcome) = self.publications.join_next().await {
            self.finish(outcome).await?;
        }
        if self.may_publish()
            && let Some(order) = self.schedule.last(Instant::now())
        {
            self.publish(order).await?;
            if let Some(outcome) = self.publications.join_next().await {
                self.finish(outcome).await?;
            }
        }
        self.attendance.settle().await;
        self.learning.end().await
    }

    async fn learn(&mut self, Handful { reborn, records }: Handful) -> Result<(), Error> {
        if !reborn.is_empty() {
            self.sorter.begin_anew(&reborn);
        }
        // Told with a rebirth, and where the broker had not said so far which life of the topic this is.
        if self.life != self.intake.life() {
            self.life = self.intake.life();
            self.learning.follow(self.life).await?;
        }
        let (mut rest, mut events) = (&*records, None);
        while !rest.is_empty() {
            let sorted = self.sorter.sort(rest, events.as_ref());
            rest = &rest[sorted.records..];
            self.take(sorted).await?;
            if !rest.is_empty() {
                events = Some(admin::ends_patiently(&self.kafka, &self.events, &self.ctx).await?);
            }
        }
        Ok(())
    }

    async fn take(&mut self, sorted: Sorted) -> Result<(), Error> {
        if let Some((partition, offset)) = sorted.undecodable.first() {
            counter!(UNREADABLE).increment(sorted.undecodable.len() as u64);
            let records = sorted.undecodable.len();
            if std::mem::replace(&mut self.told_foreign, true) {
                debug!(records, partition, offset, "skipped what ingest did not write");
            } else {
                warn!(
                    records,
                    partition,
                    offset,
                    "skipped what ingest did not write: somebody else writes to the topic. More of it is only counted"
                );
            }
        }
        if !sorted.remember.is_empty() {
            self.learning.remember(sorted.remember).await?;
        }
        if !sorted.train.is_empty() {
            self.learning.observe(sorted.train).await?;
            self.schedule.changed();
            self.unpublished.changed(Instant::now());
        }
        if !sorted.passed_over.is_empty() {
            self.learning.pass_over(sorted.passed_over).await?;
            self.schedule.changed();
            self.unpublished.changed(Instant::now());
        }
        Ok(())
    }

    async fn list(&mut self, mut news: News) -> Result<(), Error> {
        self.catalog.bury(&mut news, &self.publisher.producer, &self.attendance).await?;
        if !news.listings.is_empty() {
            self.schedule.changed();
            self.unpublished.changed(Instant::now());
            self.learning.catalog(news.listings).await?;
        }
        if news.settled {
            self.learning.catalog_is_whole().await?;
        }
        Ok(())
    }

    /// Not before all is learned that was there when we began with nothing.
    fn may_publish(&mut self) -> bool {
        if self.learning_the_past && self.intake.is_past_start() {
            self.learning_the_past = false;
            info!("learned what was there at the start");
        }
        !self.learning_the_past
    }

    /// I9: an old trainer that sees a higher claim ends.
    async fn obey(&mut self, records: &[Record]) -> Result<(), Error> {
        let mut made_again = false;
        for record in records {
            made_again |= self.footing.0.read(record.offset);
        }
        if let Some(claim) = superseded(&self.own, records) {
            return Err(Error::Superseded { own: self.own.epoch, claim });
        }
        if made_again { self.claim_again().await } else { Ok(()) }
    }

    /// Whether our snapshot is still there: a scorer that starts has nothing else.
    async fn look_down(&mut self) -> Result<(), Error> {
        if self.footing.1.elapsed() < FOOTING {
            return Ok(());
        }
        self.footing.1 = Instant::now();
        let log = &self.log;
        let ask = async { Ok::<_, KafkaError>((log.beginning().await?, log.end().await?)) };
        let Ok(Ok((beginning, end))) = tokio::time::timeout(QUESTION, ask).await else { return Ok(()) };
        let of = |positions: &Positions| positions.get(&0).map(|next| next.0);
        match (of(&beginning), of(&end)) {
            (Some(beginning), Some(end)) if self.footing.0.is_lost(beginning, end) => self.claim_again().await,
            _ => Ok(()),
        }
    }

    /// `checkpoints` was emptied or made again: what is learned is still here, so a whole version of it goes there at
    /// once, under a claim of its own, for the one before is gone as well.
    async fn claim_again(&mut self) -> Result<(), Error> {
        let epoch = self.own.epoch.saturating_add(1);
        if epoch > LAST {
            return Err(Error::Epochs { topic: self.publisher.topic.clone() });
        }
        warn!(
            topic = self.publisher.topic,
            epoch, "the topic lost our versions: it was emptied or made again; publishing all under a new claim"
        );
        counter!(CLAIMED_AGAIN).increment(1);
        let claim = Claim {
            epoch,
            trainer: self.own.trainer.clone(),
            claimed_at: self.ctx.now(),
            anew: self.learning_the_past,
        };
        self.bookmarks.claimed(&claim)?;
        let written = self.publisher.producer.send_all(&self.publisher.topic, [written(&claim)?]).await?;
        self.own = Own { epoch, trainer: claim.trainer, at: written.first().map(|(_, offset)| *offset) };
        gauge!(EPOCH).set(f64::from(epoch));
        self.schedule = Schedule::new(&self.config, epoch);
        self.schedule.changed();
        (self.ledger, self.footing.0) = (Ledger::default(), Footing::default());
        self.ctx.set("model", Err("no version of this epoch is published yet".to_owned()));
        Ok(())
    }

    async fn publish(&mut self, order: Order) -> Result<(), Error> {
        // The snapshot ordered here will be the newest of those that are kept.
        let retire = match order.kind {
            PayloadKind::Snapshot => self.ledger.retire(self.keep_snapshots - 1),
            PayloadKind::Delta => Vec::new(),
        };
        let frozen = self.learning.freeze(order.kind).await?;
        self.unpublished.ordered(Instant::now());
        self.publications.spawn(self.publisher.clone().publish(order, frozen, retire));
        Ok(())
    }

    /// I3: offsets are committed after the version that holds them is acknowledged.
    async fn finish(&mut self, outcome: Result<Result<Published, Error>, JoinError>) -> Result<(), Error> {
        let Published { manifest, took, deleted, first } = outcome.map_err(Error::Publication)??;
        let (version, kind, bytes) = (manifest.version, manifest.kind, manifest.bytes);
        if version.epoch != self.own.epoch {
            return Ok(()); // it was under way when we claimed again
        }
        if kind == PayloadKind::Snapshot {
            self.footing.0.published(first);
            self.bookmarks.published(first).await;
        }
        self.ledger.whole(version, kind, manifest.chunks);
        self.schedule.published(kind, bytes);
        self.ctx.latency(PUBLISH).record(took);
        crate::metrics::published(kind, bytes);
        match kind {
            PayloadKind::Snapshot => info!(%version, bytes, deleted, ?took, "published a snapshot"),
            PayloadKind::Delta => debug!(%version, bytes, ?took, "published a delta"),
        }
        let stands = manifest.through.iter().map(|(partition, through)| (*partition, Next(through.next))).collect();
        self.attendance.commit(self.intake.stream().topic(), &stands);
        self.unpublished.published();
        self.ctx.set("model", Ok(()));
        Ok(())
    }

    /// What is learned and not published for too long turns `model` red.
    fn look(&self) {
        if let Some(reason) = self.unpublished.too_long(Instant::now()) {
            self.ctx.set("model", Err(reason));
        }
    }
}

fn through(model: &Model) -> BTreeMap<i32, Through> {
    model.manifest().map(|manifest| manifest.through.clone()).unwrap_or_default()
}
