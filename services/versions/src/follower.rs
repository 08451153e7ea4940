//! Follows the log of versions: makes models of them on a thread and swaps them in.
//!
//! Two versions are told apart. The *tip* is the end of the chain: the newest version that a model could be made of, on
//! which the next delta builds ([`tip`]). *Live* is what the [`Slot`] holds and slates are made by. The tip moves with
//! every version; whether live follows, or stays on what operator or gate decided, is one place ([`live`]).
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod live;
mod tip;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics::counter;
use model::Model;
use runtime::config::Kafka;
use runtime::kafka::{Expected, Followed, Reader, Record, Watch};
use runtime::{Context, Latency, lock};
use schemas::checkpoint::PayloadKind;
use schemas::signature::Distrust;
use schemas::{Releases, VersionId};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use crate::continuity::Continuity;
use crate::control::Control;
use crate::error::Error;
use crate::held::Held;
use crate::log::Log;
use crate::refusals::Refusals;
use crate::slot::{Live, Slot};
use crate::told::Told;
use crate::walk::{Step, Version, Walk};
use crate::worker::Worker;

/// Records of one read, at most 1 MB each.
const BATCH: usize = 16;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(200);
/// How often it is asked whether the topic was emptied, and how long an answer may take.
const ASK_EVERY: Duration = Duration::from_secs(1);
const QUESTION: Duration = Duration::from_secs(2);

/// What was refused, as the counter of refusals has it: why a version did not go live, or a record of `control`.
pub const REFUSALS: [&str; 10] =
    ["torn", "payload", "suspect", "parent", "epoch", "control", "unsigned", "forged", "foreign", "replayed"];

/// What a service calls the thread, and what it counts and measures.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The condition of readiness that holds once a version is live.
    pub condition: &'static str,
    /// The thread on which versions are made.
    pub thread: &'static str,
    /// Counter: versions that went live.
    pub swapped: &'static str,
    /// Counter: versions that did not, by `reason`, one of [`REFUSALS`].
    pub refused: &'static str,
    /// Counter: lists that users were given by versions that were gone back from; `None` where no lists are made.
    pub withdrawn: Option<&'static str>,
    /// Latency: making a version out of its payload.
    pub load: &'static str,
    /// Latency: from an event's arrival to a version trained on it being live.
    pub freshness: &'static str,
}

/// Keeps the tip, and the live version in its slot.
pub struct Follower {
    walk: Walk,
    /// The end of the chain: the next delta builds on it.
    tip: Model,
    /// What the next version is held against.
    continuity: Continuity,
    /// What operator and gate decided.
    releases: Releases,
    /// What a version is put together on that is read again.
    empty: Model,
    /// The version that is wanted and was not on the topic, and when it was looked for.
    missing: Option<(VersionId, Instant)>,
    kafka: Kafka,
    /// What is live.
    slot: Arc<Slot>,
    /// What was live before, on its way to be freed on the thread that makes the next version: by then no reader has
    /// it.
    before: Option<Arc<Live>>,
    /// `None` once caught up.
    held: Option<Held>,
    /// A delta did not fit: the next snapshot is waited for.
    waiting: bool,
    /// The last version of a claimed epoch that was refused, and why.
    refused: Option<String>,
    /// When it was asked last whether the topic was emptied.
    asked: Option<Instant>,
    told: Told,
    /// For the audit, where what is refused is written there.
    refusals: Option<Arc<Mutex<Refusals>>>,
    /// When a swap was told last.
    announced: Option<Instant>,
    worker: Worker,
    load: Latency,
    freshness: Latency,
    names: Names,
    ctx: Context,
}

impl Follower {
    /// Makes versions live in `slot`, which holds none yet.
    #[must_use]
    pub fn new(slot: Arc<Slot>, names: Names, kafka: Kafka, ctx: Context) -> Self {
        let empty = slot.load().model.clone();
        Self {
            walk: Walk::default(),
            tip: empty.clone(),
            continuity: Continuity::default(),
            releases: Releases::default(),
            empty,
            missing: None,
            kafka,
            slot,
            before: None,
            held: Some(Held::default()),
            waiting: false,
            refused: None,
            asked: None,
            told: Told::new(names.refused),
            refusals: None,
            announced: None,
            worker: Worker::in_background(names.thread, &ctx),
            load: ctx.latency(names.load),
            freshness: ctx.latency(names.freshness),
            names,
            ctx,
        }
    }

    /// Takes note there of what is refused once all was read that was there at the start.
    #[must_use]
    pub fn noting(self, refusals: Arc<Mutex<Refusals>>) -> Self {
        Self { refusals: Some(refusals), ..self }
    }

    /// Reads the log and follows it until drained.
    ///
    /// `loaded` is told once everything that was there at the start is live or refused.
    ///
    /// # Errors
    /// Kafka refuses something that waiting does not cure, or the thread is gone.
    pub async fn follow(
        mut self,
        mut log: Log,
        mut control: Control,
        watch: Watch,
        loaded: oneshot::Sender<()>,
    ) -> Result<(), Error> {
        control.watched(&watch);
        self.releases = control.releases().clone();
        let watched = |log: &Log| {
            let expected = Expected { topic: "checkpoints", caught_up: None, gauges: None };
            watch.follow(log.reader.stream(), expected);
        };
        watched(&log);
        self.walk = log.walk();
        let mut loaded = Some(loaded);
        drop(control.refused()); // at the start
        loop {
            // Either can be dropped while it waits and loses nothing.
            let followed = tokio::select! {
                followed = log.reader.follow(BATCH, WAIT) => followed?,
                changed = control.changed() => {
                    if !changed? {
                        break;
                    }
                    self.releases = control.releases().clone();
                    continue; // to the next read, at most 200 ms away, which has live follow
                }
            };
            let Some(Followed { batch, caught_up }) = followed else { break };
            for (why, (records, reason)) in control.refused() {
                self.note("control", (why, &reason), None, records);
            }
            for record in batch.records {
                self.take(&record, &log.reader).await?;
            }
            if caught_up {
                if !self.catch_up().await? && !log.is_whole() {
                    let topic = log.topic();
                    warn!(topic, "nothing is usable from the newest snapshots on; reading from the beginning");
                    log = Log::open_whole(&self.kafka, &self.ctx).await?;
                    watched(&log);
                    let Self { releases, empty, missing, refusals, .. } = self;
                    self = Self::new(self.slot, self.names, self.kafka, self.ctx);
                    self.walk = log.walk();
                    (self.releases, self.tip, self.empty) = (releases, empty.clone(), empty);
                    (self.missing, self.refusals) = (missing, refusals);
                    continue;
                }
                loaded.take().map(|loaded| loaded.send(()));
            } else if self.held.is_none() {
                self.follow_tip().await?; // a pin may have expired, or a word come
            }
        }
        Ok(())
    }

    async fn take(&mut self, record: &Record, reader: &Reader) -> Result<(), Error> {
        if self.walk.is_made_anew(record) {
            warn!(offset = record.offset, "the topic checkpoints was made anew; following it from its beginning");
            self.begin_again();
        }
        let mut step = self.walk.take(record);
        if matches!(step, Step::Stale(_)) && self.was_emptied(reader).await {
            // The same after it was emptied: whoever claimed since found nothing to claim above.
            warn!(offset = record.offset, "the topic checkpoints was emptied; following it from here");
            self.begin_again();
            step = self.walk.take(record);
        }
        match step {
            Step::Kept | Step::Deleted(..) => {}
            Step::Whole(version) => self.whole(version).await?,
            Step::Refused { version, distrust, reason } => {
                if let Some(version) = version {
                    self.refuse(version, distrust, &reason);
                }
                self.tell(distrust.map_or("torn", Distrust::as_str), version, &reason);
            }
            Step::Claimed(claim) => info!(epoch = claim.epoch, trainer = claim.trainer, "a trainer claimed the log"),
            Step::Stale(version) => {
                counter!(self.names.refused, "reason" => "epoch").increment(1);
                debug!(%version, offset = record.offset, "ignored a record of a superseded trainer"); // I9
            }
        }
        Ok(())
    }

    /// Counts and tells what must not be used, and has it audited. What is refused at a start was refused by those who
    /// ran before.
    fn tell(&mut self, why: &'static str, version: Option<VersionId>, reason: &str) {
        self.told.refused("checkpoints", why, version, reason);
        if self.held.is_none() {
            self.note("checkpoints", (why, reason), version, 1);
        }
    }

    fn note(&self, topic: &'static str, why: (&'static str, &str), version: Option<VersionId>, records: u64) {
        if let Some(refusals) = &self.refusals {
            lock(refusals).note(topic, why, version, records, Instant::now());
        }
    }

    fn begin_again(&mut self) {
        self.walk.begin_again();
        self.continuity.forget();
    }

    /// Whether all that counted so far is gone from the topic. Asked of the broker only when something does not count.
    async fn was_emptied(&mut self, reader: &Reader) -> bool {
        let Some(counted) = self.walk.counted() else { return false };
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return false;
        }
        self.asked = Some(Instant::now());
        let Ok(Ok(beginning)) = tokio::time::timeout(QUESTION, reader.beginning()).await else { return false };
        beginning.get(&0).is_some_and(|beginning| beginning.is_past(counted))
    }

    async fn whole(&mut self, version: Version) -> Result<(), Error> {
        let Some(held) = &mut self.held else {
            if self.apply(version).await? && self.follow_tip().await? {
                self.measure();
            }
            return Ok(());
        };
        // Of a long log only the last snapshot and its deltas count; the earlier ones stand by in case it is refused.
        if version.manifest.kind == PayloadKind::Delta {
            let due = held.push(version);
            return self.apply_all(due).await;
        }
        if self.apply(version).await?
            && let Some(held) = &mut self.held
        {
            held.clear();
        }
        Ok(())
    }

    async fn apply_all(&mut self, versions: Vec<Version>) -> Result<(), Error> {
        for version in versions {
            self.apply(version).await?;
        }
        Ok(())
    }

    /// Everything that was there at the start has been read; whether a version of it is live.
    async fn catch_up(&mut self) -> Result<bool, Error> {
        if let Some(mut held) = self.held.take() {
            let refusals = self.refusals.take(); // these are of the start, too
            self.apply_all(held.take()).await?;
            self.refusals = refusals;
            self.ask_from_tip().await?;
        }
        let some = self.tip.version().is_some();
        self.follow_tip().await?;
        if some {
            return Ok(true);
        }
        if let Some(refused) = &self.refused {
            self.slot.leave_lists();
            let advice = "lists stay as they are until one is";
            warn!(refused, advice, "versions are there and none is usable");
            self.ctx
                .set(self.names.condition, Err(format!("versions are there and none is usable, {advice}: {refused}")));
        } else {
            info!("no version is usable yet");
        }
        Ok(false)
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live = self.slot.load().model.version();
        f.debug_struct("Follower").field("tip", &self.tip.version()).field("live", &live).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod empty;
#[cfg(test)]
mod tests {
    use model::RowEncoding;

    use super::*;
    use crate::testing::versions;

    pub(super) const NAMES: Names = Names {
        condition: "model",
        thread: "versions",
        swapped: "swapped",
        refused: "refused",
        withdrawn: None,
        load: "load",
        freshness: "freshness",
    };

    pub(super) fn kafka() -> Kafka {
        Kafka {
            brokers: "127.0.0.1:1".into(),
            topic_prefix: String::new(),
            properties: Default::default(),
            signatures: Default::default(),
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_moves_neither_the_tip_nor_what_is_live() {
        let versions = versions();
        let slot = Arc::new(Slot::new(Model::serving("flex", RowEncoding::F32).expect("opens")));
        let mut follower = Follower::new(Arc::clone(&slot), NAMES, kafka(), Context::new("test"));
        for version in &versions[..2] {
            follower.whole(version.clone()).await.expect("is taken");
        }
        assert!(follower.catch_up().await.expect("is taken"));
        for (next, newest) in [(3, 2), (2, 3), (3, 4)] {
            follower.whole(versions[next].clone()).await.expect("is taken");
            let expected = Some(VersionId { epoch: 1, sequence: newest });
            assert_eq!((follower.tip.version(), slot.load().model.version()), (expected, expected));
        }
    }

    #[tokio::test]
    async fn deltas_beyond_what_is_held_at_a_start_are_applied_and_give_the_same_version() {
        let versions = versions();
        let delta = versions[1].payload.len().max(versions[2].payload.len());
        for (most, waiting) in [(256 << 20, 4), (3 * delta / 2, 0), (0, 0)] {
            let slot = Arc::new(Slot::new(Model::serving("flex", RowEncoding::F32).expect("opens")));
            let mut follower = Follower::new(Arc::clone(&slot), NAMES, kafka(), Context::new("test"));
            follower.held = Some(Held::at_most(most));
            for version in versions.clone() {
                follower.whole(version).await.expect("is taken");
                let held = follower.held.as_ref().map_or(0, Held::bytes);
                assert!(held <= most, "{held} of {most} bytes");
            }
            let held = follower.held.as_ref().map_or(0, Held::len);
            assert!(if waiting == 0 { held < 4 } else { held == waiting }, "{held} deltas wait at {most} bytes");
            assert!(slot.load().model.version().is_none(), "nothing is live before the end");
            assert!(follower.catch_up().await.expect("is taken"));
            assert_eq!(slot.load().model.version(), Some(VersionId { epoch: 1, sequence: 5 }));
        }
    }
}
