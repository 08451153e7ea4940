//! The stream of `interactions`, in micro-batches. The trainer is one logical writer: it reads every partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use runtime::Context;
use runtime::kafka::{From, Positions, Reader, Record, Stream};
use schemas::checkpoint::Through;
use schemas::{Topic, Topics};
use tracing::{debug, warn};

use crate::config::Config;
use crate::error::Error;
use crate::histories;
use crate::metrics::MISSED;

/// An idle reader is asked again this often.
const IDLE: Duration = Duration::from_secs(1);
/// How long a question to Kafka may hold up training. While Kafka is away there is nothing to train on either.
const QUESTION: Duration = Duration::from_secs(2);

/// Reads micro-batches. Dropping the future of [`Intake::next`] loses nothing.
#[derive(Debug)]
pub(crate) struct Intake {
    reader: Reader,
    group: String,
    most: usize,
    linger: Duration,
    pending: Vec<Record>,
    first: Option<Instant>,
    /// Where the topic ended at our start.
    start: Positions,
}

impl Intake {
    /// Opens `interactions` a window before where the version stands.
    pub(crate) async fn open(config: &Config, through: &BTreeMap<i32, Through>, ctx: &Context) -> Result<Self, Error> {
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Interactions);
        let probe = Reader::open(&config.kafka, &topic, From::End, ctx).await?;
        let (beginnings, ends) = (probe.beginning().await?, probe.end().await?);
        drop(probe);
        let start = histories::start(through, &beginnings, &ends, config.trainer.history_window)
            .map_err(|(partition, next, end)| Error::Recreated { topic: topic.clone(), partition, next, end })?;
        if start.missed > 0 {
            counter!(MISSED).increment(start.missed.unsigned_abs());
            warn!(
                topic,
                interactions = start.missed,
                "retention deleted interactions before they were trained on; raise the topic's retention.ms"
            );
        }
        let trainer = &config.trainer;
        let reader = Reader::open_as(&config.kafka, &trainer.group, &topic, From::At(start.positions), ctx).await?;
        Ok(Self {
            reader,
            group: trainer.group.clone(),
            most: trainer.max_batch,
            linger: trainer.linger,
            pending: Vec::new(),
            first: None,
            start: ends,
        })
    }

    /// The next micro-batch: full, or as large as it became while lingering. `None` once draining and empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>, Error> {
        loop {
            let wait = self.first.map_or(IDLE, |first| self.linger.saturating_sub(first.elapsed()));
            if self.pending.len() >= self.most || (self.first.is_some() && wait.is_zero()) {
                return Ok(Some(self.take()));
            }
            match self.reader.next_batch(self.most - self.pending.len(), wait).await? {
                Some(batch) if batch.records.is_empty() => {}
                Some(batch) => {
                    self.first.get_or_insert_with(Instant::now);
                    self.pending.extend(batch.records);
                }
                None if self.pending.is_empty() => return Ok(None),
                None => return Ok(Some(self.take())),
            }
        }
    }

    fn take(&mut self) -> Vec<Record> {
        self.first = None;
        std::mem::take(&mut self.pending)
    }

    /// Whether all that was there at our start was handed out.
    pub(crate) fn is_past_start(&self) -> bool {
        self.pending.is_empty() && self.reader.is_at(&self.start)
    }

    /// Where it stands, for a watch. Partitions that are added are read by and by, like any others.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        self.reader.stream()
    }

    /// Commits where a published version stands. Only tools for lag read it (a version carries its own offsets), so a
    /// failure is no error: the next version's commit makes it good.
    pub(crate) async fn commit(&self, through: &BTreeMap<i32, Through>) {
        let positions = through.iter().map(|(partition, through)| (*partition, through.next)).collect();
        match tokio::time::timeout(QUESTION, self.reader.commit_as(&self.group, &positions)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(group = self.group, %error, "lag tools do not see the progress"),
            Err(_) => debug!(group = self.group, "the commit takes long; going on"),
        }
    }
}
