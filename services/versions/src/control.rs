//! Follows the topic `control`: what operator and gate want served, and which users are to be forgotten.

mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Expected, Followed, KafkaError, Reader, StartAt, Watch};
use schemas::{Erasures, Releases, Topic, Topics};
use tokio::sync::watch;

use crate::signing;
use crate::told::Told;
use words::Words;

/// Records of one read.
const BATCH: usize = 100;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(200);

/// A reader of `control` and what it has read.
#[derive(Debug)]
pub struct Control {
    reader: Reader,
    words: Words,
    /// The erasures, for whoever follows them beside us, once all was read that was there.
    shown: watch::Sender<Arc<Erasures>>,
    caught_up: bool,
    told: Told,
    /// Records that were refused and that nobody asked for yet.
    refused: BTreeMap<&'static str, (u64, String)>,
}

impl Control {
    /// Reads the topic to its end; `None` when asked to drain meanwhile. Refused records are counted under `refused`,
    /// by reason.
    ///
    /// # Errors
    /// As [`Reader::open`]; Kafka refuses something that waiting does not cure.
    pub async fn open(kafka: &Kafka, refused: &'static str, ctx: &Context) -> Result<Option<Self>, KafkaError> {
        let topic = Topics::new(&kafka.topic_prefix).name(Topic::Control);
        let reader = Reader::open(kafka, &topic, StartAt::Beginning, ctx).await?;
        let words = Words::new(signing::trust(kafka), topic);
        let shown = watch::Sender::default();
        let mut control =
            Self { reader, words, shown, caught_up: false, told: Told::new(refused), refused: BTreeMap::new() };
        loop {
            match control.read().await? {
                None => return Ok(None),
                Some((_, true)) => return Ok(Some(control)),
                Some((_, false)) => {}
            }
        }
    }

    /// Has the reader watched, so that one that stands still shows.
    pub fn watched(&self, watch: &Watch) {
        watch.follow(self.reader.stream(), Expected { topic: "control", caught_up: None, gauges: None });
    }

    /// What is decided, as far as it was read.
    #[must_use]
    pub fn releases(&self) -> &Releases {
        &self.words.releases
    }

    /// Words that stand though the last record under their key was refused: once Kafka compacts the topic, who starts
    /// does not find them, unless somebody writes them again. Each with its key, a hundred at most. Where nothing is
    /// signed, erasures alone.
    #[must_use]
    pub fn overwritten(&self) -> Vec<(String, Vec<u8>)> {
        self.words.to_be_written_again()
    }

    /// How many records were refused since this was asked last, by the kind of reason, and why the last of them was.
    pub fn refused(&mut self) -> BTreeMap<&'static str, (u64, String)> {
        std::mem::take(&mut self.refused)
    }

    /// Which users are erased, now and as that changes. The sender lives as long as this does.
    #[must_use]
    pub fn erasures(&self) -> watch::Receiver<Arc<Erasures>> {
        self.shown.subscribe()
    }

    /// Waits until something else is decided; false once the service drains. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Kafka refuses something that waiting does not cure.
    pub async fn changed(&mut self) -> Result<bool, KafkaError> {
        loop {
            match self.read().await? {
                None => return Ok(false),
                Some((true, _)) => return Ok(true),
                Some((false, _)) => {}
            }
        }
    }

    /// Takes the next records, perhaps none: whether something changed, and whether all was read that was there.
    async fn read(&mut self) -> Result<Option<(bool, bool)>, KafkaError> {
        let Some(Followed { batch, caught_up }) = self.reader.follow(BATCH, WAIT).await? else { return Ok(None) };
        let before = (self.words.releases.clone(), self.words.erasures_changed);
        if batch.reborn.contains(&0) {
            self.words.begin_anew();
        }
        for record in &batch.records {
            if let Err((why, reason)) = self.words.take(record) {
                self.told.refused(&self.words.topic, why, None, &reason);
                let seen = self.refused.entry(why).or_default();
                *seen = (seen.0.saturating_add(1), reason);
            }
        }
        let erased = self.words.erasures_changed != before.1;
        if caught_up || (self.caught_up && erased) {
            self.shown.send_replace(Arc::new(self.words.erasures.clone()));
        }
        self.caught_up |= caught_up;
        Ok(Some((erased || self.words.releases != before.0, caught_up)))
    }
}
