//! The loop: interactions and catalog to the learner, versions from it to the log.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod defence;
mod log;
mod rollback;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use model::{Alarm, Gate, Model, Positioned};
use runtime::Context;
use runtime::kafka::admin;
use runtime::kafka::{Attendance, Expected, Producer, Reader, Watch};
use schemas::checkpoint::{Through, VersionId};
use schemas::control::{Back, Place};
use schemas::signature::Trust;
use schemas::{Release, Topic, Topics};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};
use versions::Control;
use versions::audit::Chain;
use versions::signing;

use crate::bookmarks::Bookmarks;
use crate::catalog::{Catalog, News};
use crate::config::{self, Config, OnRollback, WhenSuperseded};
use crate::distrusted::Distrusted;
use crate::error::Error;
use crate::foreign::Foreign;
use crate::histories::{Sorted, Sorter};
use crate::intake::{Handful, Intake};
use crate::leadership::{Candidate, Footing, Leadership, Own};
use crate::learning::Learning;
use crate::ledger::Ledger;
use crate::load_shedding::LoadShedding;
use crate::metrics::{LAG, LAG_SECONDS, UNREADABLE, VERSIONS_REFUSED};
use crate::publisher::{Places, Published, Publisher};
use crate::restore::furthest;
use crate::schedule::Schedule;
use crate::standing_by;
use crate::survey;
use crate::unpublished::Unpublished;

/// How late a version may be noticed to be due.
const TICK: Duration = Duration::from_millis(20);
/// Idle readers are asked again this often.
const IDLE: Duration = Duration::from_secs(1);
/// Records of `checkpoints` per poll; most are our own.
const WATCHED: usize = 1_000;

/// Why a trainer ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was asked to.
    Drained,
    /// Operator or gate went back to an older version than ours: what the next start goes on with.
    RolledBack(Carried),
    /// Another trainer claimed (I9), and this one is to stand by.
    Superseded,
}

/// What a trainer that starts again in place goes on with.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Still in the group: to who stands by, we are there.
    pub(crate) attendance: Option<Attendance>,
    /// The epoch that we led.
    pub(crate) epoch: Option<u32>,
}

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
    foreign: Foreign,
    /// Whose records are believed, what was not, and when words were written again for that.
    trust: Trust,
    distrusted: Distrusted,
    repeated: Option<Instant>,
    bookmarks: Bookmarks,
    control: Control,
    /// The rollback that we went on from.
    back: Option<Back>,
    /// The newest good version, and where snapshots begin that may become good.
    good: Option<Place>,
    candidate: Option<VersionId>,
    places: Places,
    /// From the gate.
    alarms: mpsc::Receiver<Alarm>,
    /// What the gate decided, for the audit.
    chain: Chain,
    /// Its last decision.
    said: Option<Release>,
    /// Where the versions stood that it rolled back, by partition: what lies before is not trained on.
    skip: BTreeMap<i32, Through>,
    /// What lay on `checkpoints` before the place where we began to read.
    survey: JoinSet<Result<Option<Ledger>, Error>>,
    publisher: Publisher,
    /// At most one; training goes on meanwhile.
    publications: JoinSet<Result<Published, Error>>,
    unpublished: Unpublished,
    ctx: Context,
}

impl Trainer {
    /// Restores, claims an epoch and reads the catalog; `None` when asked to drain meanwhile, or when another was faster
    /// and this one is to stand by.
    pub(crate) async fn start(
        config: &Config,
        Carried { attendance, epoch: led }: Carried,
        watch: &Watch,
        ctx: &Context,
    ) -> Result<Option<Self>, Error> {
        let topics = Topics::new(&config.kafka.topic_prefix);
        let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
        admin::check_partitions(&config.kafka, &[&events, &interactions]).await?;
        let Some(control) = Control::open(&config.kafka, VERSIONS_REFUSED, ctx).await? else { return Ok(None) };
        let back = control.releases().back().map(|(back, _)| back);
        let Some(mut candidate) = Candidate::read(config, control.releases(), ctx).await? else { return Ok(None) };
        let stands_by = config.trainer.when_superseded == WhenSuperseded::StandBy;
        if stands_by && led.is_some_and(|led| candidate.epoch() > led) {
            return Ok(None); // another claimed while we went back
        }
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
        let signer = signing::signing_key("trainer.sign_key", &config.trainer.sign_key.0, &config.kafka);
        let signer = signer.map_err(Error::SignKey)?.map(Arc::new);
        let stamp = signer.clone().map(|signer| signing::stamp(signer, &config.kafka));
        let producer = Producer::connect(&config.kafka, ctx)?.stamped(stamp);

        if stands_by && attendance.is_none() && standing_by::is_taken(config, ctx).await {
            return Ok(None);
        }
        let claimed = candidate.claim(back, config, (&producer, signer), ctx).await?;
        let Some(leadership) = claimed else { return Ok(None) };
        let Leadership { epoch, model, ledger, log, trainer, bookmarks, rolled_back, start, trust, distrusted } =
            leadership;
        // Not before: who may not begin is not seen. And not later, for who stands by looks here. The trainer before us
        // leaves as it reads our claim. Should its last commit come after our first, tools show what it had learned
        // until our next version, and letters about the catalog may be written again at the next start; nothing else
        // is read back.
        let (interactions, items) = (intake.stream().topic(), catalog.stream().topic());
        let attendance = match attendance {
            Some(attendance) => attendance,
            None => Attendance::join(&config.kafka, &config.trainer.group(), &[interactions, items], ctx)?,
        };
        let mut survey = JoinSet::new();
        if start > 0 {
            survey.spawn(survey::before(start, config.clone(), ctx.clone()));
        }
        let mut skip = BTreeMap::new();
        if config.trainer.on_rollback == OnRollback::Skip {
            skip = model.manifest().map(|manifest| manifest.untrained.clone()).unwrap_or_default();
            furthest(&mut skip, &rolled_back);
        }
        let learning_the_past = model.manifest().is_none();
        if learning_the_past {
            ctx.set("model", Err("learning what was there at the start; the first version comes behind it".to_owned()));
        }
        let sorter = Sorter::new(through(&model));
        let shedding = LoadShedding::new(config.trainer.max_batch, config.trainer.train_at_least);
        // A version that was gone back to is good by that.
        let returned = back.map(|back| back.to).filter(|to| model.version() == Some(to.version));
        let good = returned.or_else(|| model.manifest()?.good);
        let gate = Gate::new(config.trainer.gate.rules(), good.map(|good| good.version));
        let (learning, alarms) = Learning::start(config.model.clone(), model, shedding, gate, ctx).await?;
        learning.follow(intake.life()).await?;
        if !catalog.read_whole(&learning, &producer, &attendance).await? {
            return Ok(None);
        }
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Checkpoints);
        control.watched(watch);
        let caught_up = Some((config.trainer.ready_lag, config.trainer.max_behind));
        let gauges = Some([LAG, LAG_SECONDS]);
        watch.follow(intake.stream(), Expected { topic: "interactions", caught_up, gauges });
        watch.follow(catalog.stream(), Expected { topic: "items", caught_up: None, gauges: None });
        Ok(Some(Self {
            chain: Chain::new(trainer.clone()),
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
            foreign: Foreign::default(),
            trust,
            distrusted,
            repeated: None,
            bookmarks,
            control,
            back,
            good,
            candidate: None,
            places: Places::default(),
            alarms,
            said: None,
            skip,
            survey,
            publisher: Publisher { producer, topic, ctx: ctx.clone() },
            publications: JoinSet::new(),
            unpublished: Unpublished::new(config.trainer.max_model_age),
            ctx: ctx.clone(),
        }))
    }

    /// Trains and publishes until drained, superseded or rolled back.
    pub(crate) async fn run(mut self) -> Result<End, Error> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.hear(); // a hold may be in force since before
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
                    Some(batch) => if let Some(claim) = self.obey(&batch.records).await? {
                        return self.step_down(claim).await;
                    },
                    None => break,
                },
                Some(outcome) = self.publications.join_next() => self.finish(outcome).await?,
                changed = self.control.changed() => match changed? {
                    true if self.is_rolled_back() => return self.step_back().await,
                    true => self.hear(),
                    false => break,
                },
                Some(alarm) = self.alarms.recv() => self.answer(alarm).await?,
                Some(older) = self.survey.join_next() => {
                    if let Some(older) = older.map_err(Error::Publication)?? {
                        self.ledger.adopt(older);
                    }
                }
                _ = tick.tick() => {
                    if self.publications.is_empty()
                        && self.may_publish()
                        && let Some(order) = self.schedule.due(Instant::now())
                    {
                        self.publish(order).await?;
                    }
                    self.look();
                    self.look_down().await?;
                    self.defend().await?;
                }
            }
        }
        self.drain().await?;
        Ok(End::Drained)
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
            self.skip.retain(|partition, _| !reborn.contains(partition));
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
            let (skip, life) = (&self.skip, self.life);
            let of_life = |stood: &Through| stood.log == 0 || life == 0 || stood.log == life;
            let skipped = |new: &Positioned| {
                skip.get(&new.partition).is_some_and(|stood| of_life(stood) && new.offset < stood.next)
            };
            let (skipped, train): (Vec<_>, Vec<_>) = sorted.train.into_iter().partition(skipped);
            for (batch, train) in [(skipped, false), (train, true)] {
                if !batch.is_empty() {
                    self.learning.observe(batch, train).await?;
                }
            }
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
}

fn through(model: &Model) -> BTreeMap<i32, Through> {
    model.manifest().map(|manifest| manifest.through.clone()).unwrap_or_default()
}
