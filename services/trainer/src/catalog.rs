//! The topic `items`: read whole before training, then followed. What of it cannot be taken becomes a dead letter.
//!
//! The topic is read from its beginning at every start, and a letter is written once: how far records were judged is
//! committed behind the letters, under the trainer's group. A crash in between writes some twice, with the same origin,
//! and so does a commit that the group did not take, or one of a trainer before us that came after ours.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use runtime::Context;
use runtime::kafka::{Attendance, Batch, Outgoing, Positions, Producer, Reader, Record, StartAt, Stream, contact};
use schemas::item::{Fold, read};
use schemas::{DeadLetter, Item, Reason, Source, Topic, Topics, dead_letter};
use tracing::{info, warn};

use crate::config::{Config, Role};
use crate::error::Error;
use crate::learning::Learning;
use crate::metrics::{CATALOG, CATALOG_REFUSED};

/// Records per poll.
const BATCH: usize = 5_000;

/// What the catalog says about one item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listing {
    /// The item's id.
    pub(crate) item_id: String,
    /// What its records come to; `None` delists.
    pub(crate) item: Option<Item>,
    /// When the record was written, milliseconds since 1970: an item without a date is as old as its record (I10).
    pub(crate) written_at: i64,
}

/// What a batch of records comes to.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// In the order of the log.
    pub(crate) listings: Vec<Listing>,
    /// Of what could not be taken, in the order of the log.
    pub(crate) letters: Vec<Outgoing>,
    /// How far records are judged with it, where that is news.
    through: Positions,
    /// Nothing more is on its way: the catalog may say from now on what is shown. Told once.
    pub(crate) settled: bool,
}

/// Follows the catalog.
#[derive(Debug)]
pub(crate) struct Catalog {
    reader: Reader,
    judge: Judge,
    /// Name of the topic `dead-letters`.
    dead_letters: String,
    /// A challenger's are the trainer's to write.
    buries: bool,
    settled: bool,
    /// The topic was made again, and is to be read from its beginning.
    made_again: bool,
    /// It is read from its beginning up to here; what it has not goes then.
    anew: Option<Positions>,
    ctx: Context,
}

impl Catalog {
    /// Opens `items` at its beginning.
    pub(crate) async fn open(config: &Config, ctx: &Context) -> Result<Self, Error> {
        let topics = Topics::new(&config.kafka.topic_prefix);
        let (topic, group) = (topics.name(Topic::Items), config.trainer.group());
        let reader = Reader::open_as(&config.kafka, &group, &topic, StartAt::Beginning, ctx).await?;
        let judged = contact(ctx, || reader.committed()).await?;
        let dead_letters = topics.name(Topic::DeadLetters);
        let judge = Judge { topic, judged, ..Judge::default() };
        let buries = config.trainer.role == Role::Trainer;
        Ok(Self {
            reader,
            judge,
            dead_letters,
            buries,
            settled: false,
            made_again: false,
            anew: None,
            ctx: ctx.clone(),
        })
    }

    /// Where it stands, for a watch.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        self.reader.stream()
    }

    /// Hands everything there is to the learner; false when asked to drain before the end.
    pub(crate) async fn read_whole(
        &mut self,
        learning: &Learning,
        producer: &Producer,
        attendance: &Attendance,
    ) -> Result<bool, Error> {
        let Some(end) = self.reader.wait_for_end().await? else { return Ok(false) };
        // Made anew, and shorter than what was judged: its records are others.
        self.judge.judged.retain(|partition, judged| end.get(partition).is_some_and(|end| *judged <= *end));
        let mut records = 0;
        while let Some(batch) = self.reader.replay(&end, BATCH).await? {
            let mut news = self.news(&batch);
            records += news.listings.len();
            self.bury(&mut news, producer, attendance).await?;
            learning.catalog(news.listings).await?;
        }
        if !self.reader.is_at(&end) {
            return Ok(false);
        }
        if records > 0 {
            self.settled = true;
            learning.catalog_is_whole().await?;
        }
        info!(records, "read the catalog");
        Ok(true)
    }

    /// The next records, perhaps none; `None` once draining. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Option<News>, Error> {
        if self.made_again {
            let Some(end) = self.reader.wait_for_end().await? else { return Ok(None) };
            if !self.reader.read_again().await? {
                return Ok(None);
            }
            warn!("items was made again: reading it from its beginning; what it does not list any more goes then");
            self.judge.fold.begin_anew();
            (self.made_again, self.anew) = (false, Some(end));
        }
        let batch = self.reader.next_batch(BATCH, wait).await?;
        Ok(batch.map(|batch| self.news(&batch)))
    }

    fn news(&mut self, batch: &Batch) -> News {
        self.judge.judged.retain(|partition, _| !batch.reborn.contains(partition)); // its records are others
        self.made_again |= !batch.reborn.is_empty();
        if self.made_again {
            return News::default(); // they are read again
        }
        let now = self.ctx.now();
        let mut news = self.judge.take(&batch.records, now);
        // As with a first import: one that is under way is not judged, nor is a log without an item.
        let at_rest = batch.records.is_empty() && !self.judge.fold.is_empty();
        if self.anew.take_if(|end| at_rest && self.reader.is_at(end)).is_some() {
            let left_out = self.judge.fold.left_out().into_iter();
            news.listings.extend(left_out.map(|(item_id, item)| Listing { item_id, item, written_at: now }));
        }
        news.through = self.judge.beyond(batch.end());
        counter!(CATALOG).increment(news.listings.len() as u64);
        news.settled = batch.records.is_empty() && !self.settled && !self.judge.fold.is_empty();
        self.settled |= news.settled;
        news
    }

    /// Writes dead letters, then commits how far records were judged (I3).
    pub(crate) async fn bury(
        &self,
        news: &mut News,
        producer: &Producer,
        attendance: &Attendance,
    ) -> Result<(), Error> {
        let News { letters, through, .. } = news;
        if self.buries && !letters.is_empty() {
            producer.send_all(&self.dead_letters, std::mem::take(letters)).await?;
        }
        attendance.commit(&self.judge.topic, through);
        Ok(())
    }
}

/// Reads records of the catalog; pure but for what it counts and tells.
#[derive(Debug, Default)]
struct Judge {
    /// Full name of the topic `items`.
    topic: String,
    fold: Fold,
    /// Before these offsets letters were written already.
    judged: Positions,
    /// Kinds of trouble that were told.
    told: BTreeSet<Reason>,
}

impl Judge {
    /// `now` in milliseconds since 1970: no record is from the future, whatever its writer's clock says.
    fn take(&mut self, records: &[Record], now: i64) -> News {
        let mut news = News::default();
        for record in records {
            let reading = read(&record.key, record.value.as_deref());
            let letter = reading.letter();
            let (change, fault) = self.fold.take(reading);
            let written_at = record.timestamp.clamp(0, now.max(0));
            news.listings.extend(change.map(|(item_id, item)| Listing { item_id, item, written_at }));
            if let Some(letter) = letter.or(fault) {
                news.letters.extend(self.refuse(record, letter));
            }
        }
        news
    }

    /// What of `positions` lies behind what was judged before our start: what is read again takes nothing back.
    fn beyond(&self, mut positions: Positions) -> Positions {
        positions.retain(|partition, next| self.judged.get(partition).is_none_or(|judged| *next > *judged));
        positions
    }

    fn refuse(&mut self, record: &Record, letter: DeadLetter) -> Option<Outgoing> {
        counter!(CATALOG_REFUSED, "reason" => letter.reason.as_str()).increment(1);
        if self.told.insert(letter.reason) {
            let (key, reason, detail) = (String::from_utf8_lossy(&record.key), letter.reason, &letter.detail);
            warn!(
                ?key, offset = record.offset, %reason, detail,
                "not all of a catalog record was taken; write it again as it should be. Others of this kind are counted, \
                 and lie on dead-letters as this one does"
            );
        }
        let is_told = self.judged.get(&record.partition).is_some_and(|judged| judged.is_past(record.offset));
        (!is_told).then(|| {
            let place = Source { partition: record.partition, offset: record.offset, ..Source::default() };
            let buried = dead_letter::bury(letter, &self.topic, &place, &record.key, record.value.as_ref());
            let (key, value, headers) = (buried.key, buried.value, buried.headers);
            Outgoing { partition: None, key, value, timestamp: None, headers }
        })
    }
}

#[cfg(test)]
mod tests {
    use runtime::kafka::Next;
    use schemas::dead_letter::headers;

    use super::*;

    fn record(offset: i64, key: &str, value: &str) -> Record {
        Record {
            partition: 0,
            offset,
            timestamp: 1_700_000_000_000,
            by_broker: true,
            key: key.to_owned().into(),
            value: Some(value.to_owned().into()),
            headers: Vec::new(),
        }
    }

    fn judge() -> Judge {
        Judge { topic: "shop.items".into(), ..Judge::default() }
    }

    #[test]
    fn what_of_the_catalog_cannot_be_taken_becomes_a_letter_and_the_rest_is_listed() {
        let records = [
            record(0, "a", r#"{"item_id":"a","price":"cheap"}"#),
            record(1, "b", "nonsense"),
            record(2, "c", r#"{"item_id":"c","price":"79.00"}"#),
            record(3, "d", r#"{"available":false,"price":NaN}"#),
        ];
        let News { listings, letters, .. } = judge().take(&records, 1_800_000_000_000);
        let listed: Vec<_> = listings.iter().map(|l| (&*l.item_id, l.item.is_some())).collect();
        assert_eq!(listed, [("a", true), ("c", true), ("d", false)]);
        let header = |letter: &Outgoing, name: &str| {
            letter.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).expect("is there")
        };
        let told: Vec<_> = letters.iter().map(|l| (header(l, headers::REASON), header(l, headers::OFFSET))).collect();
        let wanted = [("wrong_type", "0"), ("not_json", "1"), ("not_json", "3")].map(|(r, o)| (r.into(), o.into()));
        assert_eq!(told, wanted);
        assert_eq!(
            (header(&letters[1], headers::TOPIC), letters[1].value.as_deref()),
            ("shop.items".into(), Some(&b"nonsense"[..]))
        );
    }

    #[test]
    fn a_letter_is_written_once_however_often_the_catalog_is_read() {
        let records = [record(6, "a", "nonsense"), record(7, "b", "nonsense")];
        let mut again = Judge { judged: [(0, Next(7))].into(), ..judge() };
        assert_eq!(again.take(&records, 0).letters.len(), 1);
        assert_eq!(again.told.len(), 1);
    }

    #[test]
    fn reading_the_catalog_again_takes_back_nothing_of_what_was_judged() {
        let judge = Judge { judged: [(0, Next(7))].into(), ..judge() };
        assert_eq!(judge.beyond([(0, Next(5)), (1, Next(2))].into()), [(1, Next(2))].into());
        assert_eq!(judge.beyond([(0, Next(7))].into()), [].into());
        assert_eq!(judge.beyond([(0, Next(8))].into()), [(0, Next(8))].into());
    }

    #[test]
    fn no_record_is_from_the_future_and_none_is_from_before_1970() {
        let now = 1_700_000_000_000;
        for (timestamp, wanted) in [(i64::MAX, now), (i64::MIN, 0), (-1, 0), (now - 5, now - 5)] {
            let record = Record { timestamp, ..record(0, "a", "{}") };
            assert_eq!(judge().take(&[record], now).listings[0].written_at, wanted);
        }
    }
}
