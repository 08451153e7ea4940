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
use schemas::item::{Change, Fold, read};
use schemas::{Reason, key_of};
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

/// The one writer.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<SharedCatalog>,
    spare: Arc<Catalog>,
    /// What the live copy has and the spare one has not.
    late: Vec<Change>,
    /// Everything that there was has been applied.
    settled: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<SharedCatalog>) -> Self {
        Self { shared, spare: Arc::default(), late: Vec::new(), settled: false }
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
        if self.settled {
            spare.settle();
        }
        gauge!(CATALOG).set(spare.len() as f64);
        self.spare = self.shared.live.swap(Arc::clone(&self.spare));
        self.shared.edition.fetch_add(1, Ordering::Release);
        self.late = changes;
    }

    /// Nothing more is on its way: from now on the catalog may say what is shown.
    async fn settle(&mut self) {
        self.settled = true;
        self.apply(Vec::new()).await;
    }
}

/// Where news of the catalog goes.
#[derive(Debug)]
pub(crate) struct News {
    /// Keys of items that were delisted after the start; who is late holds up the reading. None at all: what is not listed
    /// must not be shown from now on.
    pub(crate) delisted: mpsc::Sender<Vec<u64>>,
    /// Told once everything that was there at the start is applied.
    pub(crate) loaded: oneshot::Sender<()>,
}

/// Lists looked through for what was delisted while slates wait.
const LISTS: usize = 2_000;

/// Reads the catalog from its beginning and follows it until drained.
pub(crate) async fn follow(
    mut reader: Reader,
    shared: Arc<SharedCatalog>,
    known: Arc<Mutex<Known>>,
    news: News,
    ctx: Context,
) -> Result<(), Error> {
    let Some(end) = reader.wait_for_end().await? else { return Ok(()) };
    let (mut writer, mut records) = (Writer::new(Arc::clone(&shared)), Records::default());
    let mut loaded = Some(news.loaded);
    while let Some(batch) = reader.next_batch(BATCH, Duration::from_millis(200)).await? {
        let decided = shared.load().decides();
        let changes: Vec<Change> = batch.records.iter().filter_map(|record| records.take(record)).collect();
        let mut delisted = Vec::new();
        if !changes.is_empty() {
            delisted = self::delisted(&changes);
            let listed: Vec<String> =
                changes.iter().filter(|(_, item)| is_listed(item)).map(|(id, _)| id.clone()).collect();
            writer.apply(changes).await;
            {
                let mut known = lock(&known);
                listed.iter().for_each(|id| known.learn(id));
                known.delist(&delisted);
            }
            let mut from = Some(0).filter(|_| !delisted.is_empty());
            while let Some(at) = from {
                from = lock(&known).delist_shown(&delisted, at, LISTS);
                tokio::task::yield_now().await;
            }
        }
        let is_at_end = loaded.is_some() && reader.is_at(&end);
        // A first import is not judged before it is whole, or lists would shrink to its first records.
        if !writer.settled && !records.fold.is_empty() && (is_at_end || (loaded.is_none() && batch.records.is_empty()))
        {
            writer.settle().await;
        }
        let decides = !decided && shared.load().decides();
        if decides {
            info!(
                items = shared.load().len(),
                "lists show only what the catalog lists; model.only_listed says whether"
            );
            lock(&known).forget_writings();
        }
        if loaded.is_none() && (decides || !delisted.is_empty()) {
            tokio::select! {
                sent = news.delisted.send(delisted) => if sent.is_err() { break },
                () = ctx.drained() => break,
            }
        }
        if is_at_end {
            info!(items = shared.load().len(), "the catalog is read");
            loaded.take().map(|loaded| loaded.send(()));
        }
    }
    Ok(())
}

fn is_listed(item: &Option<schemas::Item>) -> bool {
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

/// Reads records of the catalog.
#[derive(Debug, Default)]
struct Records {
    fold: Fold,
    /// Kinds of trouble that were told.
    told: BTreeSet<Reason>,
}

impl Records {
    /// What a record changes. What of it cannot be taken is counted, and told once of each kind; the trainer writes the
    /// dead letter.
    fn take(&mut self, record: &Record) -> Option<Change> {
        let reading = read(&record.key, record.value.as_deref());
        let letter = reading.letter();
        let (change, fault) = self.fold.take(reading);
        if let Some(letter) = letter.or(fault) {
            counter!(UNREADABLE, "from" => "items").increment(1);
            if self.told.insert(letter.reason) {
                let (key, reason, detail) = (String::from_utf8_lossy(&record.key), letter.reason, letter.detail);
                let advice = "write it again as it should be; others of this kind are only counted here, and the trainer \
                              writes a dead letter of each";
                warn!(?key, offset = record.offset, %reason, detail, advice, "not all of a catalog record was taken");
            }
        }
        change
    }
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

    #[tokio::test]
    async fn the_catalog_decides_what_is_shown_once_it_is_whole() {
        let shared = Arc::new(SharedCatalog::default());
        let mut writer = Writer::new(Arc::clone(&shared));
        writer.apply(vec![listed("a")]).await;
        assert!(!shared.load().decides());
        writer.settle().await;
        for id in ["b", "c", "d"] {
            assert!(shared.load().decides(), "{id}");
            writer.apply(vec![listed(id)]).await;
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_changes_nothing_and_one_that_says_sold_out_delists() {
        let record = |value: &str| Record {
            partition: 0,
            offset: 7,
            timestamp: 0,
            by_broker: true,
            key: "a".into(),
            value: Some(value.to_owned().into()),
            headers: Vec::new(),
        };
        let mut records = Records::default();
        assert!(records.take(&record(r#"{"title":"hat","price":"79.00"}"#)).is_some_and(|(_, item)| item.is_some()));
        assert_eq!(records.take(&record("nonsense")), None);
        assert_eq!(records.told, BTreeSet::from([Reason::NotJson]));
        let (_, item) = records.take(&record(r#"{"price":NaN,"available":false}"#)).expect("it is clear");
        assert!(item.is_some_and(|item| !item.available && item.title == "hat"), "what was known holds");
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
