//! The topic `items`: read whole before training, then followed.

use std::time::Duration;

use metrics::counter;
use runtime::Context;
use runtime::kafka::{From, Reader, Record};
use schemas::{Item, Topic, Topics};
use tracing::{info, warn};

use crate::config::Config;
use crate::error::Error;
use crate::learning::Learning;
use crate::metrics::{CATALOG, CATALOG_REFUSED};

/// Records per poll.
const BATCH: usize = 5_000;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(100);

/// What the catalog says about one item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listing {
    /// The item's id.
    pub(crate) item_id: String,
    /// Its record; `None` delists.
    pub(crate) item: Option<Item>,
    /// When the record was written, milliseconds since 1970: an item without a date is as old as its record (I10).
    pub(crate) written_at: i64,
}

/// Follows the catalog.
#[derive(Debug)]
pub(crate) struct Catalog {
    reader: Reader,
}

impl Catalog {
    /// Opens `items` at its beginning.
    pub(crate) async fn open(config: &Config, ctx: &Context) -> Result<Self, Error> {
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Items);
        Ok(Self { reader: Reader::open(&config.kafka, &topic, From::Beginning, ctx).await? })
    }

    /// Hands everything there is to the learner; false when asked to drain before the end.
    pub(crate) async fn read_whole(&mut self, learning: &Learning) -> Result<bool, Error> {
        let end = self.reader.end().await?;
        let mut records = 0;
        while !self.reader.is_at(&end) {
            let Some(listings) = self.next(WAIT).await? else { return Ok(false) };
            records += listings.len();
            learning.catalog(listings).await?;
        }
        info!(records, "read the catalog");
        Ok(true)
    }

    /// The next records, perhaps none; `None` once draining. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Option<Vec<Listing>>, Error> {
        let Some(batch) = self.reader.next_batch(BATCH, wait).await? else { return Ok(None) };
        let mut listings = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            match listing(record) {
                Ok(listing) => listings.push(listing),
                Err(reason) => {
                    counter!(CATALOG_REFUSED).increment(1);
                    let key = String::from_utf8_lossy(&record.key);
                    warn!(%key, offset = record.offset, reason, "skipped a record of the catalog");
                }
            }
        }
        counter!(CATALOG).increment(listings.len() as u64);
        Ok(Some(listings))
    }
}

fn listing(record: &Record) -> Result<Listing, String> {
    let (item_id, item) = Item::of_record(&record.key, record.value.as_deref())?;
    Ok(Listing { item_id, item, written_at: record.timestamp.max(0) })
}
