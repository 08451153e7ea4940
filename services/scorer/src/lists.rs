//! Keeps `hot`, `new`, `similar` and `model` in Redis, from the live version, and fills them again after a flush.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod list_mark;
mod tops;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use runtime::redis::{Redis, Script};
use runtime::{Context, Latency};
use schemas::Keys;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};
use versions::{Kept, Worker};

use crate::config::Scorer;
use crate::error::Error;
use crate::metrics::{CATEGORIES_LEFT_OUT, FRESHNESS, HIDDEN, LISTS, REFILLS, SIMILAR, UNUSABLE_SCORES};
use crate::{Sources, lock, marks, script, summary};
use list_mark::ListMark;
use tops::Tops;

/// `similar` lists made at once: small, so that the budget is kept and no reader waits long.
const CHUNK: usize = 32;

/// What must not be shown is counted so often: it looks at every item.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// While Redis is filled from empty, `similar` may take so many times its budget.
const HASTE: u32 = 5;

/// The one writer of this instance's lists.
#[derive(Debug)]
pub(crate) struct Lists {
    sources: Arc<Sources>,
    settings: Scorer,
    redis: Redis,
    keys: Keys,
    worker: Worker,
    ctx: Context,
    tops: Tops,
    started: Instant,
    /// When the version under `model` went live, and when it was written.
    announced: Option<(i64, Instant)>,
    /// What was kept from going live, as it was written last.
    kept: Kept,
    /// From an event's arrival to its slate in Redis.
    freshness: Latency,
    /// An item whose list we wrote, and that lives long: if it is gone, so is everything.
    witness: Option<Arc<str>>,
    /// Shows what Redis loses of what we wrote.
    mark: ListMark,
    script: Script,
    /// Redis has another mark than ours: it lost some.
    lost: bool,
    /// Everything is to be written again.
    filling: bool,
    /// Of [`Sources`], as it was when all lists were written last.
    fallbacks: u64,
    /// When what must not be shown was counted.
    counted: Option<Instant>,
    /// It was told that it is most of what is known.
    warned: bool,
}

/// The readiness condition of the lists' own connection to Redis: what lists can read must not turn what slates cannot
/// write green.
const REDIS: &str = "redis-lists";

impl Lists {
    pub(crate) fn new(sources: Arc<Sources>, settings: Scorer, redis: Redis, keys: Keys, ctx: Context) -> Self {
        let mark = ListMark::new(&keys, marks::token(ctx.now()), settings.list_ttl);
        Self {
            sources,
            tops: Tops::new(&settings),
            started: Instant::now(),
            worker: Worker::start("scorer-lists", &ctx),
            settings,
            redis,
            keys,
            freshness: ctx.latency(FRESHNESS),
            ctx,
            announced: None,
            kept: Kept::default(),
            witness: None,
            mark,
            script: script::write(),
            lost: false,
            filling: true,
            fallbacks: 0,
            counted: None,
            warned: false,
        }
    }

    /// Runs until drained.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut tick = tokio::time::interval(self.settings.lists_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut swaps = self.sources.slot.swaps();
        let ctx = self.ctx.clone();
        while !ctx.draining() {
            let outcome = tokio::select! {
                () = ctx.drained() => break,
                _ = tick.tick() => self.turn().await,
                _ = swaps.changed() => self.follow().await,
            };
            match outcome {
                Err(Error::Redis(_)) if ctx.draining() => break, // lists are made again after the restart
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), Error> {
        if self.sources.slot.load().model.version().is_none() {
            // Once they have expired ours stand there, and are renewed as always.
            let theirs = self.sources.slot.leaves_lists() && !self.tops.has_written();
            let left = theirs && self.holds(&self.keys.hot(None)).await?;
            return if left { Ok(()) } else { self.write_tops().await };
        }
        self.move_mark().await?;
        if std::mem::take(&mut self.lost) {
            self.sources.fell_back(); // the list of what is delisted may lie there again: only a sweep finds it
        }
        let fallbacks = self.sources.fallbacks.load(Ordering::Relaxed);
        let fell_back = std::mem::replace(&mut self.fallbacks, fallbacks) != fallbacks;
        if fell_back || self.was_flushed().await? {
            info!("Redis lost what we wrote; writing all lists again");
            counter!(REFILLS).increment(1);
            (self.announced, self.witness, self.filling) = (None, None, true);
            self.tops.forget();
            lock(&self.sources.known).forget_writings();
        }
        self.announce().await?;
        self.write_tops().await?;
        self.write_similar().await
    }

    /// What is hot must not wait for the next turn: an unknown user is served nothing else.
    async fn follow(&mut self) -> Result<(), Error> {
        self.announce().await?;
        self.write_tops().await
    }

    async fn was_flushed(&mut self) -> Result<bool, Error> {
        if self.announced.is_some() && !self.holds(&self.keys.model()).await? {
            return Ok(true);
        }
        let Some(item) = self.witness.clone() else { return Ok(false) };
        if self.holds(&self.keys.similar(&item)).await? {
            return Ok(false);
        }
        self.witness = None;
        // Whoever sweeps deletes the list of an item that must not be shown: that it is gone says nothing of the rest.
        Ok(!self.sources.shop().hides(&item))
    }

    /// Moves the mark, unless Redis holds another: then it lost what we wrote.
    async fn move_mark(&mut self) -> Result<(), Error> {
        let (next, call) = self.mark.next();
        let answers = self.ctx.retry(REDIS, || self.redis.eval_many(&self.script, vec![call.clone()])).await?;
        self.lost |= !self.mark.moved(next, answers.first(), &self.keys);
        Ok(())
    }

    async fn holds(&self, key: &str) -> Result<bool, Error> {
        Ok(self.ctx.retry(REDIS, || self.redis.exists(key)).await?)
    }

    /// Writes the hash `model`, if that is ours and there is news.
    async fn announce(&mut self) -> Result<(), Error> {
        if !self.sources.share.load().leads() {
            self.announced = None;
            return Ok(());
        }
        let live = self.sources.slot.load();
        let Some(manifest) = live.model.manifest() else { return Ok(()) };
        let kept = self.sources.slot.kept();
        let known = self.announced.filter(|(_, at)| at.elapsed() < self.settings.list_ttl / 4);
        if known.is_some_and(|(swapped_at, _)| swapped_at == live.swapped_at) && kept == self.kept {
            return Ok(());
        }
        let (key, ttl) = (self.keys.model(), self.settings.list_ttl);
        let service = self.sources.service.standing(&self.freshness);
        let mut fields = summary::fields(manifest, live.swapped_at, live.decided.as_ref());
        fields.extend(summary::evidence(&kept, service));
        if let Err(wrong) = self.ctx.retry(REDIS, || self.redis.hset(&key, fields.clone(), ttl)).await? {
            self.sources.foreign.found(&key, wrong);
        }
        (self.announced, self.kept) = (Some((live.swapped_at, Instant::now())), kept);
        self.move_mark().await
    }

    async fn write_tops(&mut self) -> Result<(), Error> {
        if !self.leads() {
            return Ok(());
        }
        if self.sources.slot.load().model.version().is_some() {
            self.tops.adopt(std::mem::take(&mut lock(&self.sources.tops)));
        }
        self.count_hidden().await?;
        if !self.tops.are_due(&self.sources, Instant::now()) {
            return Ok(());
        }
        let (sources, settings, keys, now) =
            (Arc::clone(&self.sources), self.settings.clone(), self.keys.clone(), self.ctx.now());
        let made = self.worker.run(move || tops::make(&sources, &settings, &keys, now)).await?;
        if !self.leads() {
            return Ok(()); // another does by now, and may have written newer ones
        }
        self.set(&made.entries).await?;
        let gone = self.tops.wrote(&made, Instant::now());
        self.delete(&gone).await?;
        let mut known = lock(&self.sources.known);
        made.items.iter().for_each(|id| known.learn(id));
        counter!(LISTS, "list" => "hot").increment(made.hot as u64);
        counter!(LISTS, "list" => "new").increment((made.entries.len() - made.hot) as u64);
        gauge!(CATEGORIES_LEFT_OUT).set(made.left_out as f64);
        counter!(UNUSABLE_SCORES).increment(made.unusable);
        Ok(())
    }

    /// Whether the global lists are ours; those of before are forgotten where they are not.
    fn leads(&mut self) -> bool {
        let leads = self.sources.share.load().leads();
        if !leads {
            self.tops.forget();
        }
        leads
    }

    /// Tells how much of what the version knows the catalog keeps out of the lists.
    async fn count_hidden(&mut self) -> Result<(), Error> {
        if self.counted.is_some_and(|at| at.elapsed() < COUNT_EVERY) {
            return Ok(());
        }
        self.counted = Some(Instant::now());
        let (live, catalog) = (self.sources.slot.load(), self.sources.catalog.load());
        let (known, listed) = (live.model.knowledge().items(), catalog.len());
        let hidden = self.worker.run(move || live.model.hidden(&catalog)).await?;
        gauge!(HIDDEN).set(hidden as f64);
        if !self.warned && hidden * 2 > known {
            self.warned = true;
            let advice = "if the catalog is not the whole shop's, set model.only_listed = false, the trainer's";
            warn!(hidden, known, listed, advice, "the catalog keeps most items out of every list");
        }
        Ok(())
    }

    async fn write_similar(&mut self) -> Result<(), Error> {
        let mut budget = Budget::new(&self.settings, self.filling);
        while budget.is_left() && !self.ctx.draining() {
            let live = self.sources.slot.load();
            let Some(manifest) = live.model.manifest() else { return Ok(()) };
            let (share, trained) = (self.sources.share.load_full(), self.sources.trained(&manifest.through));
            let (now, turn) = (self.ctx.now(), self.turn_of_lists());
            let (due, more, delistings) = {
                let mut known = lock(&self.sources.known);
                (known.due(CHUNK, trained, &share, turn), known.has_due(turn), known.delistings())
            };
            if due.is_empty() {
                if more {
                    continue; // others' lists were passed over
                }
                self.filling = false;
                break;
            }
            let (catalog, settings) = (self.sources.catalog.load(), self.settings.clone());
            let keys = self.keys.clone();
            let make = move || {
                let started = Instant::now(); // processor time, as far as a thread of its own can tell
                let made = tops::similar(&live, &catalog, &due, &settings, &keys, now);
                (made, started.elapsed())
            };
            let (made, took) = self.worker.run(make).await?;
            self.set(&made.entries).await?;
            counter!(LISTS, "list" => "similar").increment(made.entries.len() as u64);
            counter!(UNUSABLE_SCORES).increment(made.unusable);
            if let Some((item, _)) = made.shows.iter().rfind(|(_, shows)| !shows.is_empty()) {
                self.witness = Some(Arc::clone(item));
            }
            {
                let mut known = lock(&self.sources.known);
                for (id, shows) in &made.shows {
                    known.wrote(id, shows.iter().map(String::as_str), delistings);
                }
                gauge!(SIMILAR).set(known.len() as f64);
            }
            // Nothing to show is no reason to leave what was shown before.
            self.delete_similar(&made.empty).await?;
            budget.spend(took);
        }
        let gone = lock(&self.sources.known).take_gone();
        self.delete_similar(&gone).await?;
        Ok(())
    }

    /// Milliseconds since the start: a clock that is set renews no list too late.
    fn turn_of_lists(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Writes lists; a key that is somebody else's is passed over.
    async fn set(&mut self, entries: &[(String, Vec<u8>, Duration)]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        self.move_mark().await?;
        let answers = self.ctx.retry(REDIS, || self.redis.set_many(entries.to_vec())).await?;
        for ((key, ..), answer) in entries.iter().zip(answers) {
            if let Err(wrong) = answer {
                self.sources.foreign.found(key, wrong);
            }
        }
        self.move_mark().await
    }

    async fn delete_similar(&mut self, items: &[Arc<str>]) -> Result<(), Error> {
        let keys: Vec<String> = items.iter().map(|id| self.keys.similar(id)).collect();
        self.witness.take_if(|witness| items.contains(witness));
        self.delete(&keys).await
    }

    async fn delete(&mut self, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        self.move_mark().await?;
        self.ctx.retry(REDIS, || self.redis.delete(keys)).await?;
        self.move_mark().await
    }
}

/// Time for `similar` in one turn. What it does not suffice for is due in the next one.
#[derive(Debug)]
struct Budget {
    left: Duration,
}

impl Budget {
    /// While Redis is filled there is more, but never so much that other lists would come late.
    fn new(settings: &Scorer, filling: bool) -> Self {
        let haste = if filling { HASTE } else { 1 };
        Self { left: (settings.similar_budget * haste).min(settings.lists_every * 3 / 4) }
    }

    fn is_left(&self) -> bool {
        !self.left.is_zero()
    }

    fn spend(&mut self, took: Duration) {
        self.left = self.left.saturating_sub(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn at_the_end_of_its_time_similar_waits_a_turn_and_a_refill_has_more_of_it() {
        let mut settings = runtime::config::load::<Config>(crate::DEFAULTS, None, &[], false).expect("is read").scorer;
        let turns = |settings: &Scorer, filling| {
            let mut budget = Budget::new(settings, filling);
            let (took, mut chunks) = (Duration::from_millis(30), 0);
            while budget.is_left() {
                budget.spend(took);
                chunks += 1;
            }
            chunks
        };
        (settings.similar_budget, settings.lists_every) = (Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!((turns(&settings, false), turns(&settings, true)), (4, 17));
        settings.similar_budget = settings.lists_every;
        assert_eq!((turns(&settings, false), turns(&settings, true)), (25, 25), "three quarters of a turn");
    }
}
