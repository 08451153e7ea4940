//! The loop: interactions and catalog to the learner, versions from it to the log.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod audit;
mod defence;
mod erasures;
mod log;
mod promotion;
mod refusal;
mod rollback;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use model::{Alarm, Model, Positioned, Sample};
use runtime::Context;
use runtime::kafka::{Attendance, Reader, admin};
use schemas::Release;
use schemas::audit::Chain;
use schemas::checkpoint::{Through, VersionId};
use schemas::control::{Back, Place, Promotion};
use schemas::signature::Trust;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};
use versions::{Control, Refusals};

use crate::anchor::Reading;
use crate::bookmarks::Bookmarks;
use crate::catalog::{Catalog, News};
use crate::challenger::Rival;
use crate::config;
use crate::error::Error;
use crate::foreign::Foreign;
use crate::histories::{Sorted, Sorter};
use crate::intake::{Handful, Intake};
use crate::leadership::{Footing, Own};
use crate::learning::Learning;
use crate::ledger::Ledger;
use crate::metrics::UNREADABLE;
use crate::publisher::{Places, Published, Publisher};
use crate::schedule::Schedule;
use crate::unpublished::Unpublished;
use erasures::Erasing;

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
    /// What we learned cannot be published, and why.
    Refused(Carried, String),
    /// Another trainer claimed (I9), and this one is to stand by.
    Superseded,
    /// A challenger is to be the trainer.
    Promoted(Promotion),
}

/// What a trainer that starts again in place goes on with.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Still in the group: to who stands by, we are there.
    pub(crate) attendance: Option<Attendance>,
    /// The epoch that we led.
    pub(crate) epoch: Option<u32>,
    /// As a challenger we were promoted, and are to claim `checkpoints`.
    pub(crate) promotion: Option<Promotion>,
    /// What the one before could not publish.
    pub(crate) past: Past,
}

/// What a trainer remembers of those before in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// When a version of ours was refused.
    refusals: Vec<Instant>,
    /// Where such versions stood, by partition, once it was no chance: what lies before is not trained on.
    spoiled: BTreeMap<i32, Through>,
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
    /// The newest good version, on its way to be what the learner is held against.
    anchor: Reading,
    schedule: Schedule,
    ledger: Ledger,
    foreign: Foreign,
    /// Whose records are believed, what was not, and when words were written again for that.
    trust: Trust,
    refusals: Refusals,
    repeated: Option<Instant>,
    /// When a snapshot came out of turn for that.
    hurried: Option<Instant>,
    bookmarks: Bookmarks,
    control: Control,
    /// The rollback that we went on from.
    back: Option<Back>,
    /// The newest good version, and where snapshots begin that may become good.
    good: Option<Place>,
    candidate: Option<VersionId>,
    places: Places,
    /// Of the newest version: what the next is held against.
    sample: Arc<Sample>,
    /// From the gate.
    alarms: mpsc::Receiver<Alarm>,
    /// What we did and the gate decided, for the audit; and how our settings differ from the default.
    chain: Chain,
    settings: String,
    /// Its last decision.
    said: Option<Release>,
    /// A challenger's: what it is held against.
    rival: Option<Rival>,
    /// By which we claimed, until it is answered.
    promotion: Option<Promotion>,
    /// Who is to be forgotten.
    erasing: Erasing,
    past: Past,
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
    /// Trains and publishes until drained, superseded or rolled back.
    pub(crate) async fn run(mut self) -> Result<End, Error> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.hear(); // a hold may be in force since before
        self.audit_start().await;
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
                Some(outcome) = self.publications.join_next() => match self.finish(outcome).await {
                    Err(Error::Unfit { version, through, source }) => return self.put_away(version, through, source).await,
                    finished => finished?,
                },
                changed = self.control.changed() => match changed? {
                    true if self.is_rolled_back() => return self.step_back().await,
                    true => {
                        self.hear(); // a promotion is looked for with every tick
                        self.forget_erased().await?;
                    }
                    false => break,
                },
                live = Rival::next(&mut self.rival) => self.learning.against(live?).await?,
                Some(read) = self.anchor.join_next() => self.hold_against(read.map_err(Error::Publication)?).await?,
                Some(alarm) = self.alarms.recv() => self.answer(alarm).await?,
                Some(older) = self.survey.join_next() => {
                    if let Some(older) = older.map_err(Error::Publication)?? {
                        self.ledger.adopt(older);
                        if std::mem::take(&mut self.erasing.purged) {
                            self.purge().await?;
                        }
                    }
                }
                _ = tick.tick() => {
                    if self.publications.is_empty()
                        && self.may_publish()
                        && let Some(order) = self.schedule.due(Instant::now())
                    {
                        self.publish(order).await?;
                    }
                    if let Some(promotion) = self.called() {
                        return self.rise(promotion).await;
                    }
                    self.look().await;
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
            self.finish_last(outcome).await?;
        }
        if self.may_publish()
            && let Some(order) = self.schedule.last(Instant::now())
        {
            self.publish(order).await?;
            if let Some(outcome) = self.publications.join_next().await {
                self.finish_last(outcome).await?;
            }
        }
        self.attendance.settle().await;
        self.learning.end().await
    }

    async fn learn(&mut self, Handful { reborn, records }: Handful) -> Result<(), Error> {
        if !reborn.is_empty() {
            self.skip.retain(|partition, _| !reborn.contains(partition));
            self.sorter.begin_anew(&reborn);
            self.sample = Arc::default(); // its places are of another log
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

    async fn take(&mut self, mut sorted: Sorted) -> Result<(), Error> {
        self.leave_out_erased(&mut sorted);
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
