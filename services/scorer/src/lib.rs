//! The scorer: swaps checkpoints under traffic and keeps Redis full of fresh slates.
//!
//! Three tasks beside the loop over `interactions`: [`checkpoints`] makes versions live in the [`slot`], [`catalog`]
//! follows the items, [`lists`] keeps `hot`, `new`, `similar` and `model`. The loop itself is [`slates`]. Ranking, loading
//! of versions and making of lists each have a thread ([`worker`]); nothing waits for a swap. Decisions are pure
//! ([`batch`], [`profile`], [`fit`], [`known`], [`early`], [`renewals`], [`share`]).

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
pub mod metrics;
mod profile;
mod renewals;
mod script;
mod share;
mod slates;
mod slot;
mod summary;
mod sweep;
mod users;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ::metrics::gauge;
use arc_swap::ArcSwap;
use model::Model;
use runtime::kafka::{Consumer, From, Positions, Reader, admin};
use runtime::redis::Redis;
use runtime::{CaughtUp, Context};
use schemas::{Keys, Topic, Topics};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};

use catalog::{News, SharedCatalog};
pub use config::Config;
use early::Early;
pub use error::Error;
use foreign::Foreign;
use known::Known;
use lists::Lists;
use share::Share;
use slates::Slates;
use slot::Slot;
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
    let Config { kafka, redis, scorer: settings, .. } = config;
    ctx.set("model", Err("no version is live yet".to_owned()));
    ctx.set("caught-up", Err("reading checkpoints and the catalog".to_owned()));
    metrics::describe();
    let topics = Topics::new(&kafka.topic_prefix);
    let [events, interactions, items] =
        [Topic::Events, Topic::Interactions, Topic::Items].map(|topic| topics.name(topic));
    let partitions = admin::check_equal_partitions(&kafka, &[&events, &interactions]).await?;
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
    let (log, slot) = (checkpoints::Log::open(&kafka, &ctx).await?, Arc::clone(&sources.slot));
    ctx.spawn("checkpoints", checkpoints::follow(log, kafka.clone(), slot, versions_loaded, ctx.clone()));
    let (catalog_loaded, items_read) = oneshot::channel();
    let (delisted, mut delistings) = mpsc::channel(DELISTINGS);
    let reader = Reader::open(&kafka, &items, From::Beginning, &ctx).await?;
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

    let mut input = Consumer::subscribe(&kafka, &settings.group, &interactions, &ctx).await?;
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
    let mut slates = Slates::new(Arc::clone(&sources), settings.clone(), redis, keys, events, ctx.clone());
    let mut caught_up = CaughtUp::new("interactions", settings.ready_lag, Instant::now());
    let latency = ctx.latency(metrics::BATCH);
    let (mut acknowledged, mut committed) = (Positions::new(), Instant::now());

    while let Some(batch) = input.next_batch(settings.max_batch, settings.linger).await? {
        let started = Instant::now();
        if !(batch.assigned.is_empty() && batch.revoked.is_empty()) {
            slates.forget(&batch.revoked);
            acknowledged.retain(|partition, _| !batch.revoked.contains(partition));
            sources.share.store(Arc::new(Share::new(partitions, input.partitions())));
            // What became ours was written by nobody since its owner left, and what it shows may be delisted.
            lock(&sources.known).forget_writings();
            info!(partitions = ?input.partitions(), "sharing the load anew");
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
        let look = caught_up.is_due(started);
        // The question to the broker is asked while the slates are made.
        let lag = async { if look { input.lag().await } else { None } };
        let (outcome, lag) = tokio::join!(slates.step(&batch.records), lag);
        match outcome {
            Err(Error::Redis(error)) if ctx.draining() => {
                warn!(%error, "ended without Redis; the last interactions stay uncommitted and are applied after the restart");
                break;
            }
            outcome => outcome?,
        }
        acknowledged.extend(batch.end());
        if committed.elapsed() >= settings.commit_every && !acknowledged.is_empty() {
            input.commit(&std::mem::take(&mut acknowledged)).await?;
            committed = Instant::now();
        }
        if !batch.records.is_empty() {
            latency.record(started.elapsed());
        }
        if let Some(lag) = lag {
            gauge!(metrics::LAG).set(lag as f64);
            ctx.set("caught-up", caught_up.state(input.partitions().len(), lag, Instant::now()));
        }
    }
    input.commit(&acknowledged).await?;
    Ok(())
}

/// Locks, whatever happened to an earlier holder: what is kept behind our locks is whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
