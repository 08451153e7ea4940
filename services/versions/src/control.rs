//! Follows the topic `control`: what operator and gate want served, and which users are to be forgotten.

use std::sync::Arc;
use std::time::Duration;

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Expected, Followed, From, KafkaError, Reader, Watch};
use schemas::{Erasures, Releases, Topic, Topics, erasure};
use tokio::sync::watch;

use crate::told::Told;

/// Records of one read.
const BATCH: usize = 100;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(200);

/// A reader of `control` and what it has read.
#[derive(Debug)]
pub struct Control {
    reader: Reader,
    releases: Releases,
    erasures: Erasures,
    /// The same for whoever follows them beside us, once all was read that was there.
    shown: watch::Sender<Arc<Erasures>>,
    caught_up: bool,
    told: Told,
}

impl Control {
    /// Reads the topic to its end; `None` when asked to drain meanwhile. Refused records are counted under `refused`,
    /// by reason.
    ///
    /// # Errors
    /// As [`Reader::open`]; Kafka refuses something that waiting does not cure.
    pub async fn open(kafka: &Kafka, refused: &'static str, ctx: &Context) -> Result<Option<Self>, KafkaError> {
        let topic = Topics::new(&kafka.topic_prefix).name(Topic::Control);
        let reader = Reader::open(kafka, &topic, From::Beginning, ctx).await?;
        let mut control = Self {
            reader,
            releases: Releases::default(),
            erasures: Erasures::default(),
            shown: watch::Sender::default(),
            caught_up: false,
            told: Told::new(refused),
        };
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
        &self.releases
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
        let (before, mut erased) = (self.releases.clone(), false);
        if !batch.reborn.is_empty() {
            self.releases = Releases::default(); // the topic was made again: nothing is decided any more
            erased |= !self.erasures.is_empty();
            self.erasures = Erasures::default();
        }
        for record in &batch.records {
            let (key, value) = (&record.key, record.value.as_deref());
            let taken = if key.starts_with(erasure::PREFIX.as_bytes()) {
                self.erasures.take(key, value).map(|changed| erased |= changed)
            } else {
                self.releases.take(key, value, record.offset).map(|_| ())
            };
            if let Err(reason) = taken {
                self.told.refused("control", None, &reason);
            }
        }
        if caught_up || (self.caught_up && erased) {
            self.shown.send_replace(Arc::new(self.erasures.clone()));
        }
        self.caught_up |= caught_up;
        Ok(Some((erased || self.releases != before, caught_up)))
    }
}
