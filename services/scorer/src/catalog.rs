//! Follows the topic `items`, so that delisted items never appear.
//!
//! Two copies of the catalog take turns: readers have one while the other is brought up to date and then swapped in. So
//! nobody waits, and a delisting costs what it changes, not the catalog; the price is that it lies in memory twice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{counter, gauge};
use model::Catalog;
use runtime::Context;
use runtime::kafka::{Reader, Record};
use schemas::{Item, key_of};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::error::Error;
use crate::known::Known;
use crate::lock;
use crate::metrics::{CATALOG, UNREADABLE};

/// Records of one swap: a few milliseconds of work.
const BATCH: usize = 500;

/// The catalog as readers see it.
#[derive(Debug, Default)]
pub(crate) struct SharedCatalog {
    live: ArcSwap<Catalog>,
    edition: AtomicU64,
}

impl SharedCatalog {
    /// The newest edition.
    pub(crate) fn load(&self) -> Arc<Catalog> {
        self.live.load_full()
    }

    /// Counts editions: another number, another catalog.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }
}

/// A record: an item and what is said of it; `None` delists.
type Change = (String, Option<Item>);

/// The one writer.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<SharedCatalog>,
    spare: Arc<Catalog>,
    /// What the live copy has and the spare one has not.
    late: Vec<Change>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<SharedCatalog>) -> Self {
        Self { shared, spare: Arc::default(), late: Vec::new() }
    }

    /// Makes changes visible.
    pub(crate) async fn apply(&mut self, changes: Vec<Change>) {
        // Whoever loaded it before the last swap is done with it in a moment.
        while Arc::strong_count(&self.spare) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let spare = Arc::make_mut(&mut self.spare);
        for (id, item) in self.late.iter().chain(&changes) {
            spare.apply(id, item.as_ref());
        }
        gauge!(CATALOG).set(spare.len() as f64);
        self.spare = self.shared.live.swap(Arc::clone(&self.spare));
        self.shared.edition.fetch_add(1, Ordering::Release);
        self.late = changes;
    }
}

/// Where news of the catalog goes.
#[derive(Debug)]
pub(crate) struct News {
    /// Keys of items that were delisted after the start; who is late holds up the reading.
    pub(crate) delisted: mpsc::Sender<Vec<u64>>,
    /// Told once everything that was there at the start is applied.
    pub(crate) loaded: oneshot::Sender<()>,
}

/// Reads the catalog from its beginning and follows it until drained.
pub(crate) async fn follow(
    mut reader: Reader,
    shared: Arc<SharedCatalog>,
    known: Arc<Mutex<Known>>,
    news: News,
    ctx: Context,
) -> Result<(), Error> {
    let end = reader.end().await?;
    let mut writer = Writer::new(Arc::clone(&shared));
    let mut loaded = Some(news.loaded);
    while let Some(batch) = reader.next_batch(BATCH, Duration::from_millis(200)).await? {
        let changes: Vec<Change> = batch.records.iter().filter_map(read).collect();
        if !changes.is_empty() {
            let delisted = delisted(&changes);
            let listed: Vec<String> =
                changes.iter().filter(|(_, item)| is_listed(item)).map(|(id, _)| id.clone()).collect();
            writer.apply(changes).await;
            {
                let mut known = lock(&known);
                listed.iter().for_each(|id| known.learn(id));
                known.delist(&delisted);
            }
            if loaded.is_none() && !delisted.is_empty() {
                tokio::select! {
                    sent = news.delisted.send(delisted) => if sent.is_err() { break },
                    () = ctx.drained() => break,
                }
            }
        }
        if loaded.is_some() && reader.is_at(&end) {
            info!(items = shared.load().len(), "the catalog is read");
            loaded.take().map(|loaded| loaded.send(()));
        }
    }
    Ok(())
}

fn is_listed(item: &Option<Item>) -> bool {
    item.as_ref().is_some_and(|item| item.available)
}

/// Keys of what a batch leaves delisted, sorted: the last record of an item counts.
fn delisted(changes: &[Change]) -> Vec<u64> {
    let mut keys = BTreeSet::new();
    for (id, item) in changes {
        if is_listed(item) {
            keys.remove(&key_of(id))
        } else {
            keys.insert(key_of(id))
        };
    }
    keys.into_iter().collect()
}

/// `None` for what is no catalog record; it is counted and passed over.
fn read(record: &Record) -> Option<Change> {
    let change = Item::of_record(&record.key, record.value.as_deref());
    change
        .inspect_err(|reason| {
            counter!(UNREADABLE, "from" => "items").increment(1);
            warn!(
                offset = record.offset,
                reason, "skipped a record of the catalog; write it again as the contract has it"
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str) -> Change {
        (id.to_owned(), Some(serde_json::from_str(&format!(r#"{{"item_id":"{id}"}}"#)).expect("parses")))
    }

    #[tokio::test]
    async fn every_change_reaches_both_copies_and_a_reader_keeps_the_edition_it_has() {
        let shared = Arc::new(SharedCatalog::default());
        let mut writer = Writer::new(Arc::clone(&shared));
        writer.apply(vec![listed("a"), listed("b")]).await;
        let before = shared.load();
        writer.apply(vec![("a".into(), None)]).await;
        assert!(!before.is_delisted(key_of("a")) && shared.load().is_delisted(key_of("a")));
        drop(before);
        for id in ["c", "d", "e"] {
            writer.apply(vec![listed(id)]).await;
            assert!(shared.load().is_delisted(key_of("a")), "{id}");
        }
        assert_eq!((shared.load().len(), shared.edition()), (4, 5));
    }

    #[test]
    fn the_last_record_of_an_item_says_whether_it_is_delisted() {
        let mut hidden = listed("h");
        hidden.1.iter_mut().for_each(|item| item.available = false);
        let changes = [("a".into(), None), listed("a"), listed("b"), ("b".into(), None), hidden];
        let mut expected = [key_of("b"), key_of("h")];
        expected.sort_unstable();
        assert_eq!(delisted(&changes), expected);
    }
}
