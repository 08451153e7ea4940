//! The scorer: swaps checkpoints under traffic and keeps Redis full of fresh slates.
//!
//! Three tasks beside the loop over `interactions`: [`checkpoints`] makes versions live in the [`Slot`], [`catalog`]
//! follows the items, [`lists`] keeps `hot`, `new`, `similar` and `model`. The loop itself is [`slates`]. Ranking, loading
//! of versions and making of lists each have a thread ([`versions::Worker`]); nothing waits for a swap. Decisions are pure
//! ([`batch`], [`profile`], [`fit`], [`known`], [`early`], [`renewals`], [`share`]).

mod age;
mod batch;
mod catalog;
mod checkpoints;
pub mod config;
mod early;
pub mod error;
mod fit;
mod foreign;
mod known;
mod lists;
mod marks;
pub mod metrics;
mod profile;
mod progress;
mod renewals;
mod script;
mod share;
mod slates;
mod summary;
mod sweep;
mod users;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use model::Model;
use runtime::Context;
use runtime::kafka::{Batch, Consumer, Expected, From, Reader, Watch, admin};
use runtime::redis::Redis;
use schemas::{Keys, Topic, Topics};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};
use versions::Slot;

use catalog::{News, SharedCatalog};
pub use config::Config;
use early::Early;
pub use error::Error;
use foreign::Foreign;
use known::Known;
use lists::Lists;
use marks::Marks;
use progress::Progress;
use share::Share;
use slates::{Events, Slates, Step};
use sweep::Sweep;

/// The embedded `config.toml`.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Batches of delistings that may wait for the loop.
const DELISTINGS: usize = 16;
/// Pages of users found in Redis that may wait for the loop.
const FOUND: usize = 4;

/// What slates and lists are made from: each part has one writer and many readers.
#[derive(Debug)]
struct Sources {
    slot: Arc<Slot>,
    catalog: Arc<SharedCatalog>,
    known: Arc<Mutex<Known>>,
    early: Mutex<Early>,
    share: ArcSwap<Share>,
    foreign: Foreign,
}

/// Runs until drained. I3: offsets are committed only after Redis acknowledged every slate of the batch.
pub async fn run(config: Config, ctx: Context) -> Result<(), Error> {
    ctx.finish(serve(config, ctx.clone()).await)
}

async fn serve(config: Config, ctx: Context) -> Result<(), Error> {
    let Config { kafka, redis, scorer: settings, .. } = config;
    ctx.set("model", Err("no version is live yet".to_owned()));
    ctx.set("caught-up", Err("reading checkpoints and the catalog".to_owned()));
    metrics::describe();
    let topics = Topics::new(&kafka.topic_prefix);
    let [events, interactions, items] =
        [Topic::Events, Topic::Interactions, Topic::Items].map(|topic| topics.name(topic));
    let mut partitions = admin::check_partitions(&kafka, &[&events, &interactions]).await?;
    let keys = Keys::new(&redis.key_prefix);
    let redis = match Redis::connect_patiently(&redis, &ctx).await {
        Err(_) if ctx.draining() => return Ok(()), // nothing was begun
        connected => connected?,
    };

    let empty = Model::serving(&settings.device, settings.table).map_err(Error::Device)?;
    let sources = Arc::new(Sources {
        slot: Arc::new(Slot::new(empty)),
        catalog: Arc::default(),
        known: Arc::new(Mutex::new(Known::new(settings.similar_items, settings.similar_ttl / 4))),
        early: Mutex::default(),
        share: ArcSwap::default(),
        foreign: Foreign::default(),
    });
    let (versions_loaded, versions) = oneshot::channel();
    let watch = Watch::start(&kafka, &ctx)?;
    let followed = |topic| Expected { topic, caught_up: None, gauges: None };
    let (log, slot) = (checkpoints::Log::open(&kafka, &ctx).await?, Arc::clone(&sources.slot));
    let follow = checkpoints::follow(log, kafka.clone(), slot, versions_loaded, watch.clone(), ctx.clone());
    ctx.spawn("checkpoints", follow);
    let (catalog_loaded, items_read) = oneshot::channel();
    let (delisted, mut delistings) = mpsc::channel(DELISTINGS);
    let reader = Reader::open(&kafka, &items, From::Beginning, &ctx).await?;
    watch.follow(reader.stream(), followed("items"));
    let news = News { delisted, loaded: catalog_loaded };
    let (catalog, known) = (Arc::clone(&sources.catalog), Arc::clone(&sources.known));
    ctx.spawn("catalog", catalog::follow(reader, catalog, known, news, ctx.clone()));
    // First what slates are made from: the newest version there is, and what must not be shown.
    tokio::select! {
        _ = async { tokio::join!(versions, items_read) } => {}
        () = ctx.drained() => return Ok(()),
    }
    let lists = Lists::new(Arc::clone(&sources), settings.clone(), redis.clone(), keys.clone(), ctx.clone());
    ctx.spawn("lists", lists.run());

    let input = Consumer::subscribe(&kafka, &settings.group, &interactions, &ctx).await?;
    let (wanted, (sender, mut found)) = (Arc::new(Notify::new()), mpsc::channel(FOUND));
    let sweep = Sweep {
        sources: Arc::clone(&sources),
        redis: redis.clone(),
        keys: keys.clone(),
        per_second: settings.sweep_per_second,
        wanted: Arc::clone(&wanted),
        found: sender,
        ctx: ctx.clone(),
    };
    ctx.spawn("sweep", sweep.run());
    let (named, ttl) = ((keys.clone(), settings.group.clone()), settings.user_ttl);
    let marks = Marks::new(redis.clone(), named, ttl, Arc::clone(&sources), ctx.clone());
    let mut progress = Progress::new(input, marks);
    let mut slates =
        Slates::new(Arc::clone(&sources), settings.clone(), redis, keys, Events { topic: events, kafka }, ctx.clone());
    let stream = Arc::clone(progress.input.stream());
    watch.follow(
        &stream,
        Expected {
            topic: "interactions",
            caught_up: Some((settings.ready_lag, settings.max_behind)),
            gauges: Some([metrics::LAG, metrics::LAG_SECONDS]),
        },
    );
    let age = age::watch(Arc::clone(&sources.slot), Arc::clone(&stream), settings.max_model_age, ctx.clone());
    ctx.spawn("version-age", age);
    let latency = ctx.latency(metrics::BATCH);

    while let Some(batch) = progress.next_batch(&settings).await? {
        let started = Instant::now();
        let grown = stream.partitions() != partitions;
        if grown || !(batch.assigned.is_empty() && batch.revoked.is_empty()) {
            partitions = stream.partitions();
            slates.forget(&batch.revoked);
            sources.share.store(Arc::new(Share::new(partitions, progress.input.partitions())));
            // What became ours was written by nobody since its owner left, and what it shows may be delisted.
            lock(&sources.known).forget_writings();
            info!(partitions = ?progress.input.partitions(), "sharing the load anew");
            wanted.notify_one();
        }
        while let Ok(keys) = delistings.try_recv() {
            slates.delisted(&keys);
            wanted.notify_one();
        }
        while slates.has_room()
            && let Ok(users) = found.try_recv()
        {
            slates.found(users);
        }
        let (worked, served) = (!batch.records.is_empty(), slates.is_serving());
        match turn(&mut progress, &mut slates, batch, settings.commit_every).await {
            Err(error) if ctx.draining() && error.is_absence() => {
                warn!(%error, "ended while a server was away; the last interactions stay uncommitted and are applied after the restart");
                return Ok(());
            }
            outcome => outcome?,
        }
        if slates.is_serving() != served {
            wanted.notify_one(); // there may be users without a slate whom nobody holds in memory
        }
        if worked {
            latency.record(started.elapsed());
        }
    }
    match progress.tell_now().await {
        Err(Error::Redis(error)) => {
            warn!(%error, "ended without Redis; what was not committed is recognised after the restart");
        }
        told => {
            told?;
        }
    }
    Ok(())
}

/// One micro-batch, from the log to Redis and back to the group.
async fn turn(
    progress: &mut Progress,
    slates: &mut Slates,
    mut batch: Batch,
    commit_every: Duration,
) -> Result<(), Error> {
    progress.rebalance(&mut batch).await?;
    let known = match slates.step(&batch.records, &mut progress.marks).await? {
        Step::Done => {
            progress.acknowledge(batch.end());
            progress.tell(commit_every).await?
        }
        Step::Again => false,
    };
    if !known {
        slates.clear(); // what we hold is of a Redis that is no more
        progress.go_back().await?;
    }
    Ok(())
}

/// Locks, whatever happened to an earlier holder: what is kept behind our locks is whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
