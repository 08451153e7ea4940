//! The learner on its own thread, behind a bounded queue: whoever hands over more waits.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::Instant;

use metrics::counter;
use model::{Alarm, Comparison, Frozen, Gate, Learner, Model, Positioned, Settings, Standing};
use runtime::{Context, Latency, Pulse, Thread};
use schemas::checkpoint::{Contest, PayloadKind, VersionId};
use schemas::{Erased, Interaction, Secret, UserKey};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::catalog::Listing;
use crate::error::Error;
use crate::load_shedding::LoadShedding;
use crate::metrics::{REMEMBERED, STEP, observed, show, show_contest, show_evidence};

/// Work that waits for the learner: one batch is under way, one is ready, one is being read (I7).
const QUEUE: usize = 2;

/// The answer to an order to freeze, with where gate and comparison stood then.
pub(crate) type Freezing = oneshot::Receiver<Froze>;
type Froze = Result<(Frozen, Standing, Option<Contest>), model::Error>;

enum Work {
    /// Boxed, as [`Work::Against`].
    Anchor(Box<Model>, Vec<UserKey>),
    Catalog(Vec<Listing>),
    CatalogIsWhole,
    ForgetGood,
    Follow(u32),
    Forget(Erased, Vec<UserKey>),
    PassOver(Vec<(i32, i64)>),
    Remember(Vec<Interaction>),
    Observe(Vec<Positioned>, bool),
    Freeze(PayloadKind, VersionId, oneshot::Sender<Froze>),
    /// Boxed, for it is the largest and comes once a second.
    Against(Box<Model>, bool),
}

/// The learner, as the async side sees it. Work is done in the order in which it is handed over.
#[derive(Debug)]
pub(crate) struct Learning {
    queue: mpsc::Sender<Work>,
    thread: Thread<()>,
}

impl Learning {
    /// Checks that a learner with these settings can go on from `model`.
    pub(crate) async fn check(settings: &Settings, model: &Model, ctx: &Context) -> Result<(), Error> {
        let (settings, model) = (settings.clone(), model.clone());
        let trial = ctx.spawn_thread("learner-check", move || Learner::try_on(settings, &model));
        Ok(trial.join().await??)
    }

    /// Continues where `model` stands, with users' keys made with `secret`, judged by `gate`, whose alarms come out
    /// beside. A challenger has a `contest`, and of how many tests the live version takes one.
    pub(crate) async fn start(
        settings: Settings,
        (model, secret): (Model, Secret),
        mut shedding: LoadShedding,
        mut gate: Gate,
        mut contest: Option<(Comparison, u64)>,
        ctx: &Context,
    ) -> Result<(Self, mpsc::Receiver<Alarm>), Error> {
        let (raise, alarms) = mpsc::channel(1);
        let (queue, work) = mpsc::channel(QUEUE);
        let (started, starting) = oneshot::channel();
        let step = ctx.latency(STEP);
        let thread = ctx.spawn_background_worker("learner", move |pulse| {
            let learner = {
                let _busy = pulse.long_work("restore");
                let learner = Learner::restore(settings, &model);
                let goes_on = model.manifest().is_some();
                // An anchor costs the learner a copy of each block before it first writes to it.
                let anchor = Some(model).filter(|model| gate.sample() > 0 && model.knowledge().items() > 0);
                learner.map(|mut learner| {
                    if learner.set_secret(secret) && goes_on {
                        warn!("privacy.secret is another than the version was made with: users' sessions begin anew");
                    }
                    anchor.into_iter().for_each(|anchor| learner.set_anchor(anchor, gate.sample()));
                    learner
                })
            };
            match learner {
                Ok(learner) => {
                    let _ = started.send(Ok(())); // fails only when the service is ending already
                    let judges = (&mut gate, &raise, &mut contest);
                    attend(learner, work, &mut shedding, judges, &step, &pulse);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        });
        starting.await.map_err(|_| Error::LearnerGone)??;
        Ok((Self { queue, thread }, alarms))
    }

    /// Takes records of the catalog in.
    pub(crate) async fn catalog(&self, listings: Vec<Listing>) -> Result<(), Error> {
        self.hand_over(Work::Catalog(listings)).await
    }

    /// Nothing more of the catalog is on its way.
    pub(crate) async fn catalog_is_whole(&self) -> Result<(), Error> {
        self.hand_over(Work::CatalogIsWhole).await
    }

    /// No version is known to be good any more.
    pub(crate) async fn forget_good(&self) -> Result<(), Error> {
        self.hand_over(Work::ForgetGood).await
    }

    /// From now on the learner is held against this version, if it is the newest good one still; without users of these
    /// keys.
    pub(crate) async fn anchor(&self, good: Model, gone: Vec<UserKey>) -> Result<(), Error> {
        self.hand_over(Work::Anchor(Box::new(good), gone)).await
    }

    /// From now on the learner is held against this version, which is live, and perhaps kept so by somebody's word.
    pub(crate) async fn against(&self, (live, kept): (Model, bool)) -> Result<(), Error> {
        self.hand_over(Work::Against(Box::new(live), kept)).await
    }

    /// From now on interactions come from this life of their topic.
    pub(crate) async fn follow(&self, log: u32) -> Result<(), Error> {
        self.hand_over(Work::Follow(log)).await
    }

    /// Forgets users who are erased, and by their keys what versions know of them.
    pub(crate) async fn forget(&self, erased: Erased, keys: Vec<UserKey>) -> Result<(), Error> {
        self.hand_over(Work::Forget(erased, keys)).await
    }

    /// Takes note of places that hold no interaction.
    pub(crate) async fn pass_over(&self, places: Vec<(i32, i64)>) -> Result<(), Error> {
        self.hand_over(Work::PassOver(places)).await
    }

    /// Rebuilds histories.
    pub(crate) async fn remember(&self, interactions: Vec<Interaction>) -> Result<(), Error> {
        self.hand_over(Work::Remember(interactions)).await
    }

    /// Tests, then trains on a micro-batch; without `train` it is tested, counted and remembered.
    pub(crate) async fn observe(&self, batch: Vec<Positioned>, train: bool) -> Result<(), Error> {
        self.hand_over(Work::Observe(batch, train)).await
    }

    /// Freezes what is known once everything handed over before is done, as the version of this name.
    pub(crate) async fn freeze(&self, kind: PayloadKind, version: VersionId) -> Result<Freezing, Error> {
        let (reply, freezing) = oneshot::channel();
        self.hand_over(Work::Freeze(kind, version, reply)).await?;
        Ok(freezing)
    }

    /// Finishes what was handed over and ends the thread.
    pub(crate) async fn end(self) -> Result<(), Error> {
        drop(self.queue);
        Ok(self.thread.join().await?)
    }

    async fn hand_over(&self, work: Work) -> Result<(), Error> {
        self.queue.send(work).await.map_err(|_| Error::LearnerGone)
    }
}

/// The learner's thread: until nobody can hand over work any more.
fn attend(
    mut learner: Learner,
    mut queue: mpsc::Receiver<Work>,
    shedding: &mut LoadShedding,
    (gate, raise, contest): (&mut Gate, &mpsc::Sender<Alarm>, &mut Option<(Comparison, u64)>),
    step: &Latency,
    pulse: &Pulse,
) {
    while let Some(work) = queue.blocking_recv() {
        let _busy = match &work {
            Work::Observe(..) => pulse.work("a step"),
            Work::Catalog(_)
            | Work::CatalogIsWhole
            | Work::ForgetGood
            | Work::Against(..)
            | Work::Anchor(..)
            | Work::Follow(_)
            | Work::Forget(..)
            | Work::PassOver(_)
            | Work::Remember(_)
            | Work::Freeze(..) => pulse.long_work("what it was handed"),
        };
        match work {
            Work::Catalog(listings) => {
                for Listing { item_id, item, written_at } in &listings {
                    learner.catalog(item_id, item.as_ref(), *written_at);
                }
            }
            Work::CatalogIsWhole => learner.catalog_is_whole(),
            Work::ForgetGood => gate.forget(),
            Work::Anchor(mut good, gone) => {
                if gate.anchored(good.version()) {
                    good.forget(&gone);
                    learner.set_anchor(*good, gate.sample());
                }
            }
            Work::Against(live, kept) => {
                if let (Some((contest, sample)), Some(version)) = (contest.as_mut(), live.version()) {
                    contest.against(version, kept);
                    learner.set_anchor(*live, *sample);
                }
            }
            Work::Follow(log) => learner.follow(log),
            Work::Forget(erased, keys) => {
                learner.forget(&keys, |user| erased.is_erased(user));
                gate.forget_users(&keys);
            }
            Work::PassOver(places) => learner.pass_over(&places),
            Work::Remember(interactions) => {
                interactions.iter().for_each(|interaction| learner.remember(interaction));
                counter!(REMEMBERED).increment(interactions.len() as u64);
            }
            Work::Observe(batch, train) => {
                learner.train_on(if train { shedding.share(batch.len()) } else { 0.0 });
                let began = Instant::now();
                let outcome = learner.observe_with(&batch, |tested| {
                    gate.test(&tested);
                    if let Some((contest, _)) = contest.as_mut() {
                        contest.test(&tested);
                    }
                });
                step.record(began.elapsed());
                observed(&outcome);
                judge(&mut learner, gate, raise);
            }
            Work::Freeze(kind, version, reply) => {
                show(learner.sizes(), &learner.quality().recent());
                show_evidence(gate.evidence());
                let frozen = learner.freeze(kind);
                // To go back to a version that knows no items would leave everybody without a list.
                let is_snapshot = frozen.as_ref().is_ok_and(|frozen| frozen.kind() == PayloadKind::Snapshot);
                if is_snapshot && learner.knowledge().items() > 0 {
                    gate.made(version, || Model::of(learner.knowledge()), Instant::now());
                }
                let stands = contest.as_ref().and_then(|(contest, _)| contest.standing());
                if contest.is_some() {
                    show_contest(stands.as_ref());
                }
                // Fails only when the service is ending.
                let _ = reply.send(frozen.map(|frozen| (frozen, gate.standing(), stands)));
            }
        }
    }
}

/// Raises an alarm if the learner has become worse; else the next anchor may have become good.
fn judge(learner: &mut Learner, gate: &mut Gate, raise: &mpsc::Sender<Alarm>) {
    // While one waits to be answered the gate keeps what it finds: none is lost behind another.
    if let Ok(room) = raise.try_reserve()
        && let Some(alarm) = gate.alarm()
    {
        room.send(alarm);
    }
    if let Some(anchor) = gate.settle(Instant::now(), || learner.recent_quality()) {
        learner.set_anchor(anchor, gate.sample());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::Rules;
    use model::testing::tested;

    use super::*;

    #[test]
    fn an_alarm_that_finds_another_waiting_to_be_answered_is_raised_after_it() {
        let good_after = Duration::from_secs(600);
        let rules = Rules { tolerance: 0.002, threshold: 1e3, sample: 1, good_after_tests: 20_000, good_after };
        let mut learner = Learner::new(Settings { dim: 16, negatives: 16, ..Settings::default() }).expect("opens");
        let (mut gate, (raise, mut alarms)) = (Gate::new(rules, None), mpsc::channel(1));
        let missed = tested([None; 3], Some(Some(0)));
        for _ in 0..2 {
            (0..100).for_each(|_| gate.test(&missed));
            judge(&mut learner, &mut gate, &raise);
        }
        assert!(alarms.try_recv().is_ok() && alarms.try_recv().is_err(), "one waits");
        judge(&mut learner, &mut gate, &raise);
        assert!(alarms.try_recv().is_ok(), "what was found meanwhile is not lost");
    }

    #[tokio::test]
    async fn who_hands_more_over_than_waits_for_the_learner_waits_and_nothing_is_left_out() {
        let (queue, mut work) = mpsc::channel(QUEUE);
        let (begin, gate) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let ctx = Context::new("test");
        let thread = ctx.spawn_background_worker("learner", move |_| {
            gate.recv().expect("the test lets it go"); // a step that takes long
            while let Some(Work::Follow(n)) = work.blocking_recv() {
                tell.send(n).expect("the test listens");
            }
        });
        let learning = Learning { queue, thread };
        for n in 0..QUEUE as u32 {
            learning.follow(n).await.expect("there is room");
        }
        {
            let mut waiting = std::pin::pin!(learning.follow(QUEUE as u32));
            let at_once = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
            assert!(at_once.is_err(), "reading waits");
            begin.send(()).expect("the learner listens");
            waiting.await.expect("now there is room");
        }
        let all: Vec<u32> = (0..=QUEUE).map(|_| told.recv().expect("comes")).collect();
        assert_eq!(all, [0, 1, 2], "each in its turn");
        learning.end().await.expect("ends");
    }
}
