//! What slates and lists are made from: the live version, the catalog, and what is told about both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use model::{Catalog, Model};
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Expected, Reader, StartAt, Watch};
use schemas::checkpoint::Through;
use schemas::{Erased, Erasures, Topic, Topics, key_of};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::info;
use versions::{Live, Refusals, Slot};

use crate::catalog::{self, News, SharedCatalog};
use crate::checkpoints;
use crate::config::Scorer;
use crate::early::Early;
use crate::error::Error;
use crate::evictions::Evictions;
use crate::foreign::Foreign;
use crate::lock;
use crate::refused;
use crate::service::Service;
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
    pub(crate) service: Service,
    /// Keys of `hot` and `new` lists that lie in Redis, whoever wrote them: who leads deletes those of categories that
    /// are no more.
    pub(crate) tops: Mutex<BTreeSet<String>>,
    /// Which life of `interactions` is read; 0: not known.
    pub(crate) life: AtomicU32,
    /// Counts the times that Redis was not what it had been: what we wrote since it was that may be gone, or back.
    pub(crate) fallbacks: AtomicU64,
    /// Of whom nothing is made.
    pub(crate) erased: ArcSwap<Erased>,
    /// What is known of keys that Redis evicted; the marks say it to whoever comes after us.
    pub(crate) evictions: Mutex<Evictions>,
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
    ) -> Result<Option<(Arc<Self>, Delistings, watch::Receiver<Arc<Erasures>>)>, Error> {
        let empty = Model::serving(&settings.device, settings.table).map_err(Error::Device)?;
        let sources = Arc::new(Self {
            slot: Arc::new(Slot::new(empty)),
            catalog: Arc::default(),
            known: Arc::new(Mutex::new(SimilarDue::new(settings.similar_items, settings.similar_ttl / 4))),
            early: Mutex::default(),
            share: ArcSwap::default(),
            foreign: Foreign::default(),
            service: Service::default(),
            tops: Mutex::default(),
            life: AtomicU32::new(0),
            fallbacks: AtomicU64::new(0),
            erased: ArcSwap::default(),
            evictions: Mutex::default(),
        });

        let (versions_loaded, versions) = oneshot::channel();
        let Some(logs) = checkpoints::open(kafka, ctx).await? else { return Ok(None) };
        let erasures = logs.1.erasures();
        let slot = Arc::clone(&sources.slot);
        let refusals = Arc::new(Mutex::new(Refusals::new("scorer")));
        let (noting, loaded) = (Arc::clone(&refusals), versions_loaded);
        let follow = checkpoints::follow(logs, kafka.clone(), slot, loaded, watch.clone(), noting, ctx.clone());
        ctx.spawn("checkpoints", follow);
        ctx.spawn("refusals", refused::audit(refusals, Arc::clone(&sources), kafka.clone(), ctx.clone()));

        let (catalog_loaded, items_read) = oneshot::channel();
        let (delisted, delistings) = mpsc::channel(DELISTINGS);
        let items = Topics::new(&kafka.topic_prefix).name(Topic::Items);
        let reader = Reader::open(kafka, &items, StartAt::Beginning, ctx).await?;
        watch.follow(reader.stream(), Expected { topic: "items", caught_up: None, gauges: None });
        let news = News { delisted, loaded: catalog_loaded };
        let (catalog, known) = (Arc::clone(&sources.catalog), Arc::clone(&sources.known));
        ctx.spawn("catalog", catalog::follow(reader, catalog, known, news, ctx.clone()));

        tokio::select! {
            _ = async { tokio::join!(versions, items_read) } => Ok(Some((sources, delistings, erasures))),
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

    /// The shop as it is now.
    pub(crate) fn shop(&self) -> Shop {
        Shop { live: self.slot.load(), catalog: self.catalog.load() }
    }

    /// How far a version was trained on the life of `interactions` that is read: of another life, on nothing of it.
    pub(crate) fn trained<'t>(
        &self,
        through: &'t BTreeMap<i32, Through>,
    ) -> impl Iterator<Item = (&'t i32, &'t Through)> + Clone + use<'t> {
        of_life(through, self.life.load(Ordering::Relaxed))
    }

    /// Redis holds what it once held: every list in it may be of then, and show what was delisted since.
    pub(crate) fn fell_back(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
    }
}

/// The shop by one version and one edition of the catalog. Whoever keeps it holds up the catalog's writer.
#[derive(Debug)]
pub(crate) struct Shop {
    live: Arc<Live>,
    catalog: Arc<Catalog>,
}

impl Shop {
    /// Whether lists can be made.
    pub(crate) fn serves(&self) -> bool {
        self.live.serves()
    }

    /// Whether what lies in Redis must not show the item. While no version is usable nobody knows whether the shop
    /// shows only what the catalog lists: what is not delisted stays.
    pub(crate) fn hides(&self, item: &str) -> bool {
        let (model, key) = (&self.live.model, key_of(item));
        if model.version().is_some() { !model.shows(&self.catalog, key) } else { self.catalog.is_delisted(key) }
    }
}

/// What is of this life of the topic, as far as both are known.
fn of_life(through: &BTreeMap<i32, Through>, life: u32) -> impl Iterator<Item = (&i32, &Through)> + Clone {
    through.iter().filter(move |(_, through)| life == 0 || through.log == 0 || through.log == life)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_another_life_of_interactions_was_trained_on_nothing_of_this_one() {
        let through = BTreeMap::from([(0, Through { next: 1_000_000, log: 7, ..Through::NOTHING })]);
        assert_eq!([0, 7, 8].map(|life| of_life(&through, life).count()), [1, 1, 0]);
    }
}
