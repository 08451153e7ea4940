//! Follows the topic `items`, so that delisted items never appear.
//!
//! Two copies of the catalog take turns: readers have one while the other is brought up to date and then swapped in.
//! So nobody waits, and a delisting costs what it changes, not the catalog; the price is that it lies in memory twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use model::Catalog;
use runtime::kafka::{Followed, KafkaError, Reader, Record};
use schemas::item::{Change, Fold, read};
use schemas::{Reason, key_of};
use tracing::{info, warn};

/// Records of one swap: a few milliseconds of work.
const BATCH: usize = 500;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(200);

/// The catalog as readers see it.
#[derive(Debug, Default)]
pub struct SharedCatalog {
    live: ArcSwap<Catalog>,
    edition: AtomicU64,
}

impl SharedCatalog {
    /// The newest edition.
    #[must_use]
    pub fn load(&self) -> Arc<Catalog> {
        self.live.load_full()
    }

    /// Counts editions: another number, another catalog.
    #[must_use]
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }
}

/// The one writer.
#[derive(Debug)]
struct Writer {
    shared: Arc<SharedCatalog>,
    spare: Arc<Catalog>,
    /// What the live copy has and the spare one has not.
    late: Vec<Change>,
    /// Everything that there was has been applied.
    settled: bool,
}

impl Writer {
    fn new(shared: Arc<SharedCatalog>) -> Self {
        Self { shared, spare: Arc::default(), late: Vec::new(), settled: false }
    }

    /// Makes changes visible.
    async fn apply(&mut self, changes: Vec<Change>) {
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

/// What one read of the topic changed; the catalog has it already.
#[derive(Debug, Default)]
pub struct Applied {
    /// Ids of items that were listed, in the order of their records.
    pub listed: Vec<String>,
    /// Keys of what the records leave delisted, sorted.
    pub delisted: Vec<u64>,
    /// The catalog became whole with it: from now on what is not listed must not be shown.
    pub decides: bool,
    /// Everything that was there at the start is applied with it; told once, and again when the topic was made again.
    pub is_read: bool,
    /// Records of which not all could be taken.
    pub unreadable: u64,
}

/// Reads the catalog from its beginning and follows it.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    /// Everything that was there at the start, or when the topic was made again, is applied.
    is_read: bool,
    /// The topic was made again: what it has not goes once it is read and nothing more comes.
    anew: bool,
    records: Records,
    writer: Writer,
}

impl Follower {
    /// Keeps `shared` by a reader of `items` that was opened at its beginning.
    #[must_use]
    pub fn new(reader: Reader, shared: Arc<SharedCatalog>) -> Self {
        Self { reader, is_read: false, anew: false, records: Records::default(), writer: Writer::new(shared) }
    }

    /// Takes the next records; `None` once the service drains. What it gives may be nothing.
    ///
    /// # Errors
    /// Kafka refuses something that waiting does not cure.
    pub async fn next(&mut self) -> Result<Option<Applied>, KafkaError> {
        let Some(followed) = self.reader.follow(BATCH, WAIT).await? else { return Ok(None) };
        let Followed { mut batch, caught_up } = followed;
        if !batch.reborn.is_empty() {
            if !self.reader.read_again().await? {
                return Ok(None);
            }
            warn!("items was made again: reading it from its beginning; what it does not list any more goes then");
            self.records.fold.begin_anew();
            (self.is_read, self.anew) = (false, true);
            batch.records.clear(); // they are read again
        }
        let shared = Arc::clone(&self.writer.shared);
        let decided = shared.load().decides();
        let mut changes: Vec<Change> = batch.records.iter().filter_map(|record| self.records.take(record)).collect();
        // As with a first import: one that is under way is not judged, nor is a log without an item.
        if self.anew && self.is_read && batch.records.is_empty() && !self.records.fold.is_empty() {
            self.anew = false;
            changes.extend(self.records.fold.left_out());
        }
        let mut applied = Applied { unreadable: std::mem::take(&mut self.records.unreadable), ..Applied::default() };
        if !changes.is_empty() {
            applied.delisted = delisted(&changes);
            let listed = changes.iter().filter(|(_, item)| is_listed(item));
            applied.listed = listed.map(|(id, _)| id.clone()).collect();
            self.writer.apply(changes).await;
        }
        applied.is_read = caught_up && batch.reborn.is_empty();
        // A first import is not judged before it is whole, or lists would shrink to its first records.
        let came_to_rest = applied.is_read || (self.is_read && batch.records.is_empty());
        if !self.writer.settled && !self.records.fold.is_empty() && came_to_rest {
            self.writer.settle().await;
        }
        let items = shared.load().len();
        applied.decides = !decided && shared.load().decides();
        if applied.decides {
            info!(items, "lists show only what the catalog lists; model.only_listed says whether");
        }
        if applied.is_read {
            info!(items, "the catalog is read");
            self.is_read = true;
        }
        Ok(Some(applied))
    }
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
    /// Records of which not all could be taken, since this was asked last.
    unreadable: u64,
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
            self.unreadable += 1;
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
