//! What slates and lists are made from: the live version, the catalog, and what is told about both.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use model::Model;
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Expected, From, Reader, Watch};
use schemas::{Topic, Topics};
use tokio::sync::{mpsc, oneshot};
use tracing::info;
use versions::Slot;

use crate::catalog::{self, News, SharedCatalog};
use crate::checkpoints;
use crate::config::Scorer;
use crate::early::Early;
use crate::error::Error;
use crate::foreign::Foreign;
use crate::lock;
use crate::share::Share;
use crate::similar_due::SimilarDue;

/// Batches of delistings that may wait for the loop.
const DELISTINGS: usize = 16;

/// Keys of items that were delisted, batch by batch.
pub(crate) type Delistings = mpsc::Receiver<Vec<u64>>;

/// Each part has one writer and many readers.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) slot: Arc<Slot>,
    pub(crate) catalog: Arc<SharedCatalog>,
    pub(crate) known: Arc<Mutex<SimilarDue>>,
    pub(crate) early: Mutex<Early>,
    pub(crate) share: ArcSwap<Share>,
    pub(crate) foreign: Foreign,
    /// Keys of `hot` and `new` lists that lie in Redis, whoever wrote them: who leads deletes those of categories that
    /// are no more.
    pub(crate) tops: Mutex<BTreeSet<String>>,
    /// Counts the times that Redis was not what it had been: what we wrote since it was that may be gone, or back.
    pub(crate) fallbacks: AtomicU64,
}

impl Sources {
    /// Starts the tasks that follow versions and the catalog, and waits for what is there: the newest version, and what
    /// must not be shown. `None` when asked to drain meanwhile.
    ///
    /// # Errors
    /// The device does not open, or Kafka refuses.
    pub(crate) async fn start(
        kafka: &Kafka,
        settings: &Scorer,
        watch: &Watch,
        ctx: &Context,
    ) -> Result<Option<(Arc<Self>, Delistings)>, Error> {
        let empty = Model::serving(&settings.device, settings.table).map_err(Error::Device)?;
        let sources = Arc::new(Self {
            slot: Arc::new(Slot::new(empty)),
            catalog: Arc::default(),
            known: Arc::new(Mutex::new(SimilarDue::new(settings.similar_items, settings.similar_ttl / 4))),
            early: Mutex::default(),
            share: ArcSwap::default(),
            foreign: Foreign::default(),
            tops: Mutex::default(),
            fallbacks: AtomicU64::new(0),
        });

        let (versions_loaded, versions) = oneshot::channel();
        let (log, slot) = (checkpoints::Log::open(kafka, ctx).await?, Arc::clone(&sources.slot));
        let follow = checkpoints::follow(log, kafka.clone(), slot, versions_loaded, watch.clone(), ctx.clone());
        ctx.spawn("checkpoints", follow);

        let (catalog_loaded, items_read) = oneshot::channel();
        let (delisted, delistings) = mpsc::channel(DELISTINGS);
        let items = Topics::new(&kafka.topic_prefix).name(Topic::Items);
        let reader = Reader::open(kafka, &items, From::Beginning, ctx).await?;
        watch.follow(reader.stream(), Expected { topic: "items", caught_up: None, gauges: None });
        let news = News { delisted, loaded: catalog_loaded };
        let (catalog, known) = (Arc::clone(&sources.catalog), Arc::clone(&sources.known));
        ctx.spawn("catalog", catalog::follow(reader, catalog, known, news, ctx.clone()));

        tokio::select! {
            _ = async { tokio::join!(versions, items_read) } => Ok(Some((sources, delistings))),
            () = ctx.drained() => Ok(None),
        }
    }

    /// Instances share the load by partitions: of `partitions` these are `ours` from now on.
    pub(crate) fn share_anew(&self, partitions: usize, ours: Vec<i32>) {
        info!(partitions = ?ours, "sharing the load anew");
        self.share.store(Arc::new(Share::new(partitions, ours)));
        // What became ours was written by nobody since its owner left, and what it shows may be delisted.
        lock(&self.known).forget_writings();
    }

    /// Redis holds what it once held: every list in it may be of then, and show what was delisted since.
    pub(crate) fn fell_back(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
    }
}
