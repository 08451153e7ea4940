//! From a micro-batch of interactions to slates in Redis: one scoring for each user, one version for all.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod erased;
mod write;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use metrics::{counter, gauge};
use model::{Seen, UserView};
use runtime::config::Kafka;
use runtime::kafka::{Record, admin};
use runtime::redis::{Redis, Script};
use runtime::{Context, Latency};
use schemas::{Entry, Horizon, Keys, key_of};
use tracing::warn;
use versions::Worker;

use crate::batch::{self, Positioned};
use crate::config::Scorer;
use crate::error::Error;
use crate::marks::Marks;
use crate::profile::Outcome;
use crate::slate_queue::SlateQueue;
use crate::users::{Found, Taken, User, Users};
use crate::{Sources, lock, metrics as names, profile, script};
use erased::without_erased;

/// Users found in Redis wait in the sweep, not here, beyond so many in line.
const FOUND: usize = 10_000;

/// How often a batch is tried whose users others write at the same time; then all of it is read again.
const ROUNDS: usize = 8;

/// Lists made anew in one turn of the loop, at most: while nobody acts it turns once a second.
const RENEWED: usize = 4_096;

/// Besides the item of an interaction, so many chosen before it have another `similar` list: the strongest new pairs.
const PAIRED: usize = 2;

/// The one writer of this instance's slates and profiles.
#[derive(Debug)]
pub(crate) struct Slates {
    sources: Arc<Sources>,
    settings: Scorer,
    users: Users,
    renewals: SlateQueue,
    redis: Redis,
    keys: Keys,
    events: Events,
    horizon: Horizon,
    /// Whether it was said that somebody else writes to `interactions`.
    told_foreign: bool,
    script: Script,
    worker: Worker,
    /// Whether the live version knows an item; while it does not, slates show what is popular.
    serving: bool,
    /// Whether it was said that users' events come through several partitions.
    told_split: bool,
    /// Whether it was said that the version's users are hashed with another secret.
    told_secret: bool,
    freshness: Latency,
    ranking: Latency,
    ctx: Context,
}

/// The topic `events`: slates name it, and sources are held against its end.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) topic: String,
    pub(crate) kafka: Kafka,
}

/// What became of a micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Redis has acknowledged everything (I3).
    Done,
    /// Redis has forgotten what it knew, or others write the same users without end: it is to be read again.
    Again,
}

/// A user of a micro-batch.
#[derive(Debug)]
struct Acting {
    name: Arc<str>,
    /// What they did; nothing where only a slate is to be made anew.
    interactions: Vec<Positioned>,
    /// The slate is to be made anew, whatever the interactions come to.
    renewed: bool,
}

/// A user of a micro-batch, on the way from the log to Redis.
#[derive(Debug)]
struct Work {
    acting: Acting,
    user: User,
    /// When the applied interactions had arrived; empty for a slate made anew without one.
    arrived: Vec<i64>,
    /// Everything was applied once before Redis forgot it: a slate comes later, at the rate of those made anew.
    past: bool,
    /// The list in Redis stays.
    keeps: bool,
    split: bool,
}

impl Work {
    /// Whether a list is made now.
    fn is_shown(&self) -> bool {
        !self.past && !self.keeps
    }
}

/// Lists for who gets one, in their order, and the one version that made them, by name.
type Ranked = (String, Vec<Vec<Entry>>);

impl Slates {
    pub(crate) fn new(
        sources: Arc<Sources>,
        settings: Scorer,
        redis: Redis,
        keys: Keys,
        events: Events,
        ctx: Context,
    ) -> Self {
        Self {
            users: Users::new(&settings, redis.clone(), keys.clone(), Arc::clone(&sources), ctx.clone()),
            renewals: SlateQueue::new(settings.renew_per_second, Instant::now()),
            worker: Worker::start("scorer-ranking", &ctx),
            script: script::write(),
            serving: false,
            told_split: false,
            told_secret: false,
            horizon: Horizon::default(),
            told_foreign: false,
            freshness: ctx.latency(names::FRESHNESS),
            ranking: ctx.latency(names::RANKING),
            sources,
            settings,
            redis,
            keys,
            events,
            ctx,
        }
    }

    /// Forgets the users of partitions that are another's now.
    pub(crate) fn forget(&mut self, partitions: &[i32]) {
        if !partitions.is_empty() {
            self.users.forget(partitions);
        }
    }

    /// Forgets everybody: Redis is not what it was.
    pub(crate) fn clear(&mut self) {
        self.users.clear();
    }

    /// Whether the live version knows an item, so that slates are made by it.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving
    }

    /// Whether users found in Redis may be put in line, too.
    pub(crate) fn has_room(&self) -> bool {
        self.renewals.len() < FOUND
    }

    /// Puts users in line who were found in Redis.
    pub(crate) fn found(&mut self, users: Vec<Arc<str>>) {
        self.renewals.extend(users);
    }

    /// Puts users in line whose slates show an item that is delisted now. `keys` is sorted.
    pub(crate) fn delisted(&mut self, keys: &[u64]) {
        self.renewals.extend(self.users.showing(keys));
    }

    /// Applies a micro-batch of partitions whose marks are known.
    ///
    /// # Errors
    /// Redis is away and the service drains, or a thread is gone: the batch stays uncommitted.
    pub(crate) async fn step(&mut self, records: &[Record], marks: &mut Marks) -> Result<Step, Error> {
        let serves = self.sources.slot.load().serves();
        if serves && !self.serving {
            self.renewals.extend(self.users.all()); // who acted while no version knew an item
        }
        self.serving = serves; // a pin or a rollback may lead to a version that knows none
        self.look_at_secret();
        let partitions: BTreeSet<i32> = records.iter().map(|record| record.partition).collect();
        let mut acting = self.gather(records).await?;
        let renewed: Vec<Arc<str>> = acting.iter().filter(|user| user.renewed).map(|user| user.name.clone()).collect();
        for _ in 0..ROUNDS {
            let names: Vec<Arc<str>> = acting.iter().map(|user| Arc::clone(&user.name)).collect();
            // A user may have acted through each of our partitions, and is held from here on.
            let ours = marks.partitions();
            let taken = self.users.take(&names, marks.keys(ours.iter().copied())).await?;
            // What Redis lacks of users is nowhere only where it still knows what it was told. Written on what it fell
            // back to, a profile would be beyond what it lacks, and what is read again would be dropped as a repeat.
            if !marks.are_known(ours, &taken.behind) {
                return Ok(self.again(renewed));
            }
            let works = self.hydrate(acting, taken, marks);
            if works.is_empty() {
                return Ok(Step::Done);
            }
            let ranked = self.rank(&works).await?;
            let renewals = marks.renew(partitions.iter().copied());
            let (refused, answers) = self.write(works, ranked, &renewals).await?;
            if !marks.renewed(renewals, &answers) {
                return Ok(self.again(renewed));
            }
            if refused.is_empty() {
                return Ok(Step::Done);
            }
            acting = refused;
        }
        Ok(self.again(renewed))
    }

    /// The batch is to be read again, and nothing in it says who was to get a new slate.
    fn again(&mut self, renewed: Vec<Arc<str>>) -> Step {
        self.renewals.extend(renewed);
        Step::Again
    }

    /// Who acted, and whose slate is to be made anew.
    async fn gather(&mut self, records: &[Record]) -> Result<Vec<Acting>, Error> {
        let mut events = None;
        let sorted = loop {
            match batch::sort(records, &mut self.horizon, events.as_ref()) {
                Some(sorted) => break sorted,
                None => {
                    events = Some(admin::ends_patiently(&self.events.kafka, &self.events.topic, &self.ctx).await?);
                }
            }
        };
        self.found_foreign(&sorted.foreign);
        if sorted.unreadable > 0 {
            counter!(names::UNREADABLE, "from" => "interactions").increment(sorted.unreadable);
            warn!(records = sorted.unreadable, "skipped what is no interaction: somebody else writes to the topic");
        }
        let (users, passed_over) = without_erased(sorted.users, &self.sources.erased.load());
        counter!(names::ERASED).increment(passed_over);
        // Who acted does not wait for many others.
        let most = if records.is_empty() { RENEWED } else { self.settings.max_batch };
        let in_line = self.renewals.take(most, Instant::now());
        let erased = self.sources.erased.load();
        let mut in_line: HashSet<Arc<str>> = in_line.into_iter().filter(|user| !erased.is_erased(user)).collect();
        let user = |(name, interactions)| Acting { renewed: in_line.remove(&name), name, interactions };
        let mut acting: Vec<Acting> = users.into_iter().map(user).collect();
        acting.extend(in_line.into_iter().map(|name| Acting { name, interactions: Vec::new(), renewed: true }));
        gauge!(names::RENEWALS).set(self.renewals.len() as f64);
        Ok(acting)
    }

    /// Applied, they would make their users' later events look like repeats.
    fn found_foreign(&mut self, places: &[(i32, i64)]) {
        let Some((partition, offset)) = places.first() else { return };
        counter!(names::FOREIGN_INTERACTIONS).increment(places.len() as u64);
        if !std::mem::replace(&mut self.told_foreign, true) {
            warn!(
                partition,
                offset,
                "skipped an interaction that says it comes from beyond the end of events: ingest did not write it; see who else \
                 writes to the topic. Others are only counted"
            );
        }
    }

    /// Applies the users' interactions, and leaves out who needs no new slate.
    fn hydrate(&mut self, acting: Vec<Acting>, taken: Taken, marks: &mut Marks) -> Vec<Work> {
        let mut works = Vec::with_capacity(acting.len());
        let mut dropped = 0;
        for (acting, user) in acting.into_iter().zip(taken.users) {
            let Acting { name, interactions, renewed } = &acting;
            let mut user = match user {
                Found::User(user) => user,
                Found::Foreign => continue,
                Found::Later => {
                    interactions.iter().for_each(|it| marks.pass_over(it.partition, it.offset));
                    continue;
                }
            };
            let (arrived, split) = self.apply(&mut user, interactions);
            if interactions.is_empty() && !self.sources.share.load().holds(user.stored.source.partition) {
                continue; // another's by now, or gone while it waited
            }
            // A repeat may be of a time when there was nothing to show.
            let unserved = user.stored.profile.slate.is_empty();
            let keeps = !unserved && self.leaves(&user.stored.profile.slate);
            let due = (*renewed && !keeps) || unserved || !arrived.is_empty();
            if due {
                let is_past = |it: &Positioned| marks.is_past(it.partition, it.offset);
                // I7: nobody waits for a slate where the line is full.
                let past = !renewed && interactions.iter().all(is_past) && self.renewals.len() < self.settings.users;
                works.push(Work { acting, user, arrived, past, keeps, split });
            } else {
                dropped += interactions.len();
                self.users.put(Arc::clone(name), user);
            }
        }
        counter!(names::REPLAYED).increment(dropped as u64);
        works
    }

    /// Whether a list stays: a version that we cannot read made it, and we have only popularity to put in its place.
    /// What must not be shown goes all the same.
    fn leaves(&self, slate: &[String]) -> bool {
        !self.serving && self.sources.slot.leaves_lists() && self.may_stay(slate)
    }

    /// Whether a list shows nothing that must not be shown.
    fn may_stay(&self, slate: &[String]) -> bool {
        let shop = self.sources.shop();
        !slate.iter().any(|id| shop.hides(id))
    }

    /// Applies what is new to a user (I2); when each of it had arrived, and whether it came through another partition.
    fn apply(&self, user: &mut User, interactions: &[Positioned]) -> (Vec<i64>, bool) {
        let (mut arrived, mut split) = (Vec::with_capacity(interactions.len()), false);
        let (live, catalog) = (self.sources.slot.load(), self.sources.catalog.load());
        for Positioned { interaction, source, partition, offset } in interactions {
            match profile::apply(&mut user.stored, interaction, *source, self.settings.history) {
                Outcome::Applied => {}
                Outcome::Split => split = true,
                Outcome::Repeat => continue,
            }
            arrived.push(interaction.arrived_at);
            if interaction.kind().is_positive() {
                if !self.serving && live.model.shows(&catalog, key_of(&interaction.item_id)) {
                    lock(&self.sources.early).count(&interaction.item_id, interaction.effective_ts());
                }
                let mut known = lock(&self.sources.known);
                let newest_first = user.stored.profile.recent.iter().rev();
                let chosen = newest_first.filter(|seen| seen.kind().is_positive()).take(1 + PAIRED);
                // What must not be shown has no list, and takes no place of one that has.
                for seen in chosen.filter(|seen| live.model.shows(&catalog, key_of(&seen.item_id))) {
                    known.touch(&seen.item_id, *partition, *offset);
                }
            }
        }
        (arrived, split)
    }

    /// Makes the lists, on the ranking thread, by one version and one edition of the catalog (I5).
    async fn rank(&self, works: &[Work]) -> Result<Ranked, Error> {
        let view = |work: &Work| {
            let profile = &work.user.stored.profile;
            let seen = profile::seen(profile, self.settings.history);
            // As in training: an impression is no moment of asking.
            let ts = seen.last().map_or(profile.last_ts, |seen| seen.ts);
            (Arc::clone(&work.acting.name), seen, ts)
        };
        let views: Vec<(Arc<str>, Vec<Seen>, i64)> = works.iter().filter(|work| work.is_shown()).map(view).collect();
        let (sources, k, ranking) = (Arc::clone(&self.sources), self.settings.slate_items, self.ranking.clone());
        let make = move || {
            let started = Instant::now();
            let (live, catalog) = (sources.slot.load(), sources.catalog.load());
            if !live.serves() {
                return (live.maker(), vec![lock(&sources.early).top(&live.model, &catalog, k); views.len()]);
            }
            // A version says how it knows users.
            let (model, erased) = (&live.model, sources.erased.load());
            let key = |user: &str| model.user(erased.secret(), user);
            let views = views.iter().map(|(user, history, ts)| UserView { user: key(user), history, ts: *ts });
            let users: Vec<UserView<'_>> = views.collect();
            let mut lists = live.model.slates(&users, &catalog, k);
            // JSON has no other numbers; a reader must never meet one.
            lists.iter_mut().for_each(|list| list.retain(|entry| entry.score.is_finite()));
            live.gave(lists.len() as u64);
            sources.service.gave(&lists);
            ranking.record(started.elapsed());
            (live.maker(), lists)
        };
        Ok(self.worker.run(make).await?)
    }
}
