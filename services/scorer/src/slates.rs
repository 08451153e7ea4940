//! From a micro-batch of interactions to slates in Redis: one scoring for each user, one version for all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use model::{Seen, UserView};
use runtime::kafka::Record;
use runtime::redis::{Answer, Redis, Script};
use runtime::{Context, Latency};
use schemas::{Entry, Keys, Slate, Source, key_of};
use tracing::{debug, warn};

use crate::batch::{self, Positioned};
use crate::config::Scorer;
use crate::error::Error;
use crate::fit::fit;
use crate::profile::Outcome;
use crate::renewals::Renewals;
use crate::users::{User, Users};
use crate::worker::Worker;
use crate::{Sources, lock, metrics as names, profile, script};

/// Users found in Redis wait in the sweep, not here, beyond so many in line.
const FOUND: usize = 10_000;

/// Besides the item of an interaction, so many chosen before it have another `similar` list: the strongest new pairs.
const PAIRED: usize = 2;

/// The one writer of this instance's slates and profiles.
#[derive(Debug)]
pub(crate) struct Slates {
    sources: Arc<Sources>,
    settings: Scorer,
    users: Users,
    renewals: Renewals,
    redis: Redis,
    keys: Keys,
    /// Name of the topic `events`, for a slate's source.
    events: String,
    script: Script,
    worker: Worker,
    /// Whether a version is live that knows an item; until then slates show what is popular.
    serving: bool,
    freshness: Latency,
    ranking: Latency,
    ctx: Context,
}

/// A user of a micro-batch, on the way from the log to Redis.
#[derive(Debug)]
struct Work {
    name: Arc<str>,
    user: User,
    /// When the applied interactions had arrived; empty for a slate made anew without one.
    arrived: Vec<i64>,
}

/// Lists for a batch, and the one version that made them, by name.
type Ranked = (String, Vec<Vec<Entry>>);

impl Slates {
    pub(crate) fn new(
        sources: Arc<Sources>,
        settings: Scorer,
        redis: Redis,
        keys: Keys,
        events: String,
        ctx: Context,
    ) -> Self {
        Self {
            users: Users::new(settings.users, redis.clone(), keys.clone(), Arc::clone(&sources), ctx.clone()),
            renewals: Renewals::new(settings.renew_per_second, Instant::now()),
            worker: Worker::start("scorer-ranking", &ctx),
            script: script::write(),
            serving: false,
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

    /// Applies a micro-batch; when it returns, Redis has acknowledged everything (I3).
    ///
    /// # Errors
    /// Redis is away and the service drains, or a thread is gone: the batch stays uncommitted.
    pub(crate) async fn step(&mut self, records: &[Record]) -> Result<(), Error> {
        if !self.serving && self.sources.slot.load().serves() {
            self.serving = true;
            self.renewals.extend(self.users.all()); // who acted before a version knew an item
        }
        let works = self.hydrate(records).await?;
        if works.is_empty() {
            return Ok(());
        }
        let ranked = self.rank(&works).await?;
        self.write(works, ranked).await
    }

    /// Reads the users, applies their interactions, and leaves out who needs no new slate.
    async fn hydrate(&mut self, records: &[Record]) -> Result<Vec<Work>, Error> {
        let sorted = batch::sort(records);
        let (mut names, mut interactions): (Vec<Arc<str>>, Vec<Vec<Positioned>>) = sorted.users.into_iter().unzip();
        let acting: HashSet<Arc<str>> = names.iter().cloned().collect();
        let renewed = self.renewals.take(self.settings.max_batch, Instant::now());
        names.extend(renewed.into_iter().filter(|name| !acting.contains(name)));
        interactions.resize_with(names.len(), Vec::new);
        gauge!(names::RENEWALS).set(self.renewals.len() as f64);
        if sorted.unreadable > 0 {
            counter!(names::UNREADABLE, "from" => "interactions").increment(sorted.unreadable);
            warn!(records = sorted.unreadable, "skipped what is no interaction: somebody else writes to the topic");
        }

        let users = self.users.take(&names).await?;
        let mut works = Vec::with_capacity(names.len());
        let (mut applied, mut dropped) = (0, 0);
        for ((name, user), interactions) in names.into_iter().zip(users).zip(interactions) {
            let Some(mut user) = user else { continue }; // the key is somebody else's
            let arrived = self.apply(&name, &mut user, &interactions);
            applied += arrived.len();
            dropped += interactions.len() - arrived.len();
            let renewed = interactions.is_empty();
            if renewed && !self.sources.share.load().holds(user.stored.source.partition) {
                continue; // another's by now, or expired while it waited
            }
            // A repeat may be of a time when there was nothing to show.
            let unserved = user.stored.profile.slate.is_empty();
            if renewed || unserved || !arrived.is_empty() {
                works.push(Work { name, user, arrived });
            } else {
                self.users.put(name, user);
            }
        }
        counter!(names::INTERACTIONS).increment(applied as u64);
        counter!(names::DUPLICATES_DROPPED).increment(dropped as u64);
        Ok(works)
    }

    /// Applies what is new to a user (I2); returns when each of it had arrived.
    fn apply(&self, name: &str, user: &mut User, interactions: &[Positioned]) -> Vec<i64> {
        let mut arrived = Vec::with_capacity(interactions.len());
        let (live, catalog) = (self.sources.slot.load(), self.sources.catalog.load());
        for Positioned { interaction, source, offset } in interactions {
            match profile::apply(&mut user.stored, interaction, *source, self.settings.history) {
                Outcome::Applied => {}
                Outcome::Repeat => continue,
                Outcome::Foreign => {
                    self.found_foreign(name, user.stored.source);
                    continue;
                }
            }
            arrived.push(interaction.arrived_at);
            if interaction.kind().is_positive() {
                if !self.serving {
                    lock(&self.sources.early).count(&interaction.item_id, interaction.effective_ts());
                }
                let mut known = lock(&self.sources.known);
                let newest_first = user.stored.profile.recent.iter().rev();
                let chosen = newest_first.filter(|seen| seen.kind().is_positive()).take(1 + PAIRED);
                // What must not be shown has no list, and takes no place of one that has.
                for seen in chosen.filter(|seen| live.model.shows(&catalog, key_of(&seen.item_id))) {
                    known.touch(&seen.item_id, source.partition, *offset);
                }
            }
        }
        arrived
    }

    /// I6: an interaction that a profile of other topics keeps out is not dropped in silence.
    fn found_foreign(&self, user: &str, through: Source) {
        counter!(names::FOREIGN_PROFILES).increment(1);
        let (key, source) = (self.keys.user(user), Slate::source_of(&self.events, through.partition, through.offset));
        debug!(key, source, "a profile from before the topics were recreated");
        let advice = "Redis holds profiles that are ahead of the topics, which were deleted and made again: \
                      delete the keys user:* or choose another redis.key_prefix, then restart the scorers";
        self.ctx.set("profiles", Err(advice.to_owned()));
    }

    /// Makes the lists, on the ranking thread, by one version and one edition of the catalog (I5).
    async fn rank(&self, works: &[Work]) -> Result<Ranked, Error> {
        let view = |work: &Work| {
            let profile = &work.user.stored.profile;
            let seen = profile::seen(profile, self.settings.history);
            // As in training: an impression is no moment of asking.
            let ts = seen.last().map_or(profile.last_ts, |seen| seen.ts);
            (key_of(&work.name), seen, ts)
        };
        let views: Vec<(u64, Vec<Seen>, i64)> = works.iter().map(view).collect();
        let (sources, k, ranking) = (Arc::clone(&self.sources), self.settings.slate_items, self.ranking.clone());
        let make = move || {
            let started = Instant::now();
            let (live, catalog) = (sources.slot.load(), sources.catalog.load());
            if !live.serves() {
                return (live.maker(), vec![lock(&sources.early).top(&live.model, &catalog, k); views.len()]);
            }
            let views = views.iter().map(|(user, history, ts)| UserView { user: *user, history, ts: *ts });
            let users: Vec<UserView<'_>> = views.collect();
            let mut lists = live.model.slates(&users, &catalog, k);
            // JSON has no other numbers; a reader must never meet one.
            lists.iter_mut().for_each(|list| list.retain(|entry| entry.score.is_finite()));
            ranking.record(started.elapsed());
            (live.maker(), lists)
        };
        self.worker.run(make).await
    }

    async fn write(&mut self, mut works: Vec<Work>, (model, lists): Ranked) -> Result<(), Error> {
        let now = self.ctx.now();
        let mut calls = Vec::with_capacity(works.len());
        let (mut trimmed, mut slates) = (0, Vec::with_capacity(works.len()));
        for (work, items) in works.iter_mut().zip(lists) {
            // An empty list takes the place of one whose items are all gone, not of nothing.
            let worth = !items.is_empty() || !work.user.stored.profile.slate.is_empty();
            let mut slate = worth.then(|| self.slate(&work.user, model.clone(), items, now));
            let stored = &mut work.user.stored;
            let fitted = fit(stored, slate.as_mut(), self.settings.encoding, self.settings.max_user_bytes);
            trimmed += u64::from(fitted.trimmed);
            slates.push(slate.is_some());
            let longest =
                if profile::is_first(&work.user.stored.profile) { self.settings.first_ttl } else { Duration::MAX };
            let (user_ttl, recs_ttl) = (self.settings.user_ttl.min(longest), self.settings.recs_ttl.min(longest));
            calls.push(script::call(&self.keys, &work.name, fitted, user_ttl, recs_ttl));
        }
        let answers = self.ctx.retry("redis", || self.redis.eval_many(&self.script, calls.clone())).await?;
        counter!(names::SLATES_TRIMMED).increment(trimmed);
        self.settle(works, &answers, &slates);
        Ok(())
    }

    fn slate(&self, user: &User, model: String, items: Vec<Entry>, now: i64) -> Slate {
        let source = &user.stored.source;
        Slate {
            v: Slate::V,
            model,
            source: Slate::source_of(&self.events, source.partition, source.offset),
            event_ts: user.stored.profile.last_ts,
            made_at: now,
            items,
        }
    }

    /// Redis has answered: what it took is readable from now on; whom it refused, another instance knows better.
    fn settle(&mut self, works: Vec<Work>, answers: &[Answer<i64>], slates: &[bool]) {
        let now = self.ctx.now();
        let (mut written, mut renewed, mut refused) = (0, 0, 0);
        for ((work, answer), slate) in works.into_iter().zip(answers).zip(slates) {
            let taken = match answer {
                Ok(taken) => *taken,
                Err(wrong) => {
                    self.sources.foreign.found(self.keys.user(&work.name), wrong);
                    continue;
                }
            };
            if taken == script::REFUSED {
                refused += 1;
                debug!(user = &*work.name, "Redis has a newer slate; another instance owns the partition now");
                continue; // forgotten: read again when seen again
            }
            if taken == script::WITHOUT_SLATE {
                self.sources.foreign.found(self.keys.recs(&work.name), "it holds no string");
            } else if *slate {
                written += 1;
                renewed += u64::from(work.arrived.is_empty());
                for arrived_at in &work.arrived {
                    let age = u64::try_from(now - arrived_at).unwrap_or(0); // clocks of two machines may differ
                    self.freshness.record(Duration::from_millis(age));
                }
            }
            self.users.put(work.name, User::new(work.user.stored));
        }
        counter!(names::SLATES).increment(written);
        counter!(names::SLATES_RENEWED).increment(renewed);
        counter!(names::SLATES_REFUSED).increment(refused);
    }
}
