//! The scorer: swaps checkpoints under traffic and keeps Redis full of fresh slates.
//!
//! Three tasks beside the loop over `interactions`: [`checkpoints`] makes versions live in the [`versions::Slot`],
//! [`catalog`] follows the items ([`sources`] starts both), [`lists`] keeps `hot`, `new`, `similar` and `model`. The
//! loop itself is [`slates`], and what comes to it beside interactions [`inputs`]; whom it forgets say [`erasures`].
//! Ranking, loading of versions and making of lists each have a thread ([`versions::Worker`]); nothing waits for a
//! swap. Decisions are pure ([`batch`], [`profile`], [`fit`], [`similar_due`], [`early`], [`slate_queue`], [`share`]).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait and measure"))]

mod age;
mod batch;
mod catalog;
mod checkpoints;
pub mod config;
mod early;
mod erasures;
pub mod error;
mod evictions;
mod fit;
mod foreign;
mod inputs;
mod lists;
mod marks;
pub mod metrics;
mod profile;
mod progress;
mod refused;
mod script;
mod service;
mod share;
mod similar_due;
mod slate_queue;
mod slates;
mod sources;
mod summary;
mod sweep;
mod users;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use runtime::kafka::{Batch, Consumer, Expected, Watch, admin, contact};
use runtime::redis::Redis;
use runtime::{Context, lock};
use schemas::{Keys, Secret, Topic, Topics};
use tracing::warn;

pub use config::Config;
use erasures::Erasing;
pub use error::Error;
use inputs::Inputs;
use lists::Lists;
use marks::Marks;
use progress::Progress;
use slates::{Events, Slates, Step};
use sources::Sources;

/// The embedded `config.toml`.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Runs until drained. I3: offsets are committed only after Redis acknowledged every slate of the batch.
pub async fn run(config: Config, ctx: Context) -> Result<(), Error> {
    ctx.finish(serve(config, ctx.clone()).await)
}

#[allow(clippy::disallowed_methods, reason = "the loop measures its batches")]
async fn serve(config: Config, ctx: Context) -> Result<(), Error> {
    let Config { kafka, redis, privacy, scorer: settings, .. } = config;
    let secret = Secret::new(&privacy.secret);
    ctx.set("model", Err("no version is live yet".to_owned()));
    ctx.set("caught-up", Err("reading checkpoints and the catalog".to_owned()));
    metrics::describe();
    versions::signing::tell(&kafka);
    let topics = Topics::new(&kafka.topic_prefix);
    let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
    let mut partitions =
        contact(&ctx, async || admin::check_partitions(&kafka, &[&events, &interactions]).await).await?;
    let keys = Keys::new(&redis.key_prefix);
    let redis = match Redis::connect_patiently(&redis, &ctx).await {
        Err(_) if ctx.draining() => return Ok(()), // nothing was begun
        connected => connected?,
    };

    // First what slates are made from.
    let watch = Watch::start(&kafka, &ctx)?;
    let Some((sources, delistings, erasures)) = Sources::start(&kafka, &settings, &watch, &ctx).await? else {
        return Ok(());
    };
    let mut erasing = Erasing::new(secret, erasures, &kafka, &ctx);
    let lists = Lists::new(Arc::clone(&sources), settings.clone(), redis.clone(), keys.clone(), ctx.clone());
    ctx.spawn("lists", lists.run());

    let input = Consumer::subscribe(&kafka, &settings.group, &interactions, &ctx).await?;
    let stream = Arc::clone(input.stream());
    let caught_up = Some((settings.ready_lag, settings.max_behind));
    let gauges = Some([metrics::LAG, metrics::LAG_SECONDS]);
    watch.follow(&stream, Expected { topic: "interactions", caught_up, gauges });
    let age = age::watch(Arc::clone(&sources), Arc::clone(&stream), settings.max_model_age, ctx.clone());
    ctx.spawn("version-age", age);
    let evicted =
        evictions::watch(Arc::clone(&sources), (redis.clone(), keys.clone()), settings.group.clone(), ctx.clone());
    ctx.spawn("evictions", evicted);

    let mut inputs = Inputs::start(delistings, &sources, (&redis, &keys), &settings, &ctx);
    let (named, ttl) = ((keys.clone(), settings.group.clone()), settings.user_ttl);
    let marks = Marks::new(redis.clone(), named, ttl, Arc::clone(&sources), ctx.clone());
    let mut progress = Progress::new(input, marks, settings.commit_every);
    let events = Events { topic: events, kafka };
    let mut slates = Slates::new(Arc::clone(&sources), settings.clone(), redis, keys, events, ctx.clone());
    let (latency, mut fallbacks) = (ctx.latency(metrics::BATCH), 0);
    ctx.started();

    while let Some(batch) = progress.next_batch(&settings).await? {
        let started = Instant::now();
        let grown = stream.partitions() != partitions;
        if grown || !(batch.assigned.is_empty() && batch.revoked.is_empty()) {
            partitions = stream.partitions();
            slates.forget(&batch.revoked);
            sources.share_anew(partitions, progress.input.partitions());
            inputs.sweep();
        }
        if !batch.reborn.is_empty() {
            lock(&sources.known).begin_anew(&batch.reborn);
        }
        match forget(&mut erasing, &mut slates, &progress.input.partitions()).await {
            Err(error) if ctx.draining() && error.is_absence() => return Ok(()), // whoever starts next does it
            changed => {
                if changed? {
                    inputs.sweep(); // others of them lie in Redis only
                }
            }
        }
        inputs.hand_over(&mut slates);
        let (worked, served) = (!batch.records.is_empty(), slates.is_serving());
        match turn(&mut progress, &mut slates, batch).await {
            Err(error) if ctx.draining() && error.is_absence() => {
                let advice = "the last interactions stay uncommitted and are applied after the restart";
                warn!(%error, advice, "ended while a server was away");
                return Ok(());
            }
            outcome => {
                if outcome? {
                    sources.fell_back();
                }
            }
        }
        let fallen = sources.fallbacks.load(Ordering::Relaxed); // the lists' task notices some, too
        if std::mem::replace(&mut fallbacks, fallen) != fallen {
            inputs.sweep();
        }
        if slates.is_serving() && !served {
            inputs.sweep(); // there may be users without a slate whom nobody holds in memory
        }
        if worked {
            latency.record(started.elapsed());
        }
    }
    progress.finish().await
}

/// Forgets users who are erased now, and answers for our partitions; whether there are others than before.
async fn forget(erasing: &mut Erasing, slates: &mut Slates, ours: &[i32]) -> Result<bool, Error> {
    let news = erasing.news();
    let changed = news.as_ref().is_some_and(|erased| !erased.erasures().is_empty());
    if let Some(erased) = news {
        slates.forget_erased(erased).await?;
    }
    erasing.answer(ours).await?;
    Ok(changed)
}

/// One micro-batch, from the log to Redis and back to the group; whether Redis is not what it was.
async fn turn(progress: &mut Progress, slates: &mut Slates, mut batch: Batch) -> Result<bool, Error> {
    let behind = progress.rebalance(&mut batch).await?;
    let known = match slates.step(&batch.records, &mut progress.marks).await? {
        Step::Done => {
            progress.acknowledge(batch.end());
            progress.tell().await?
        }
        Step::Again => false,
    };
    if known {
        return Ok(behind);
    }
    slates.clear(); // what we hold may be of a Redis that is no more
    Ok(progress.go_back().await? || behind)
}
