//! The stream of `interactions`, in micro-batches. The trainer is one logical writer: it reads every partition.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use runtime::Context;
use runtime::kafka::{Batch, Positions, Reader, Record, StartAt, Stream};
use schemas::checkpoint::Through;
use schemas::{Topic, Topics};
use tracing::warn;

use crate::config::Config;
use crate::error::Error;
use crate::histories;
use crate::metrics::MISSED;

/// An idle reader is asked again this often.
const IDLE: Duration = Duration::from_secs(1);

/// Reads micro-batches. Dropping the future of [`Intake::next`] loses nothing.
#[derive(Debug)]
pub(crate) struct Intake {
    reader: Reader,
    most: usize,
    linger: Duration,
    pending: Vec<Record>,
    first: Option<Instant>,
    /// Where the topic ended at our start.
    start: Positions,
    /// What `pending` is to tell.
    reborn: Vec<i32>,
    /// The first batch of another log, which waits until `pending` was taken.
    held: Option<Batch>,
}

/// A micro-batch, and before which partitions' records the log changed.
#[derive(Debug, Default)]
pub(crate) struct Handful {
    /// These partitions are read from the beginning of another log: the topic was deleted and made again, or lost its
    /// end.
    pub(crate) reborn: Vec<i32>,
    /// The records.
    pub(crate) records: Vec<Record>,
}

impl Intake {
    /// Opens `interactions` a window before where the version stands; `None` when asked to drain meanwhile.
    pub(crate) async fn open(
        config: &Config,
        through: &BTreeMap<i32, Through>,
        ctx: &Context,
    ) -> Result<Option<Self>, Error> {
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Interactions);
        let probe = Reader::open(&config.kafka, &topic, StartAt::End, ctx).await?;
        let Some(span) = probe.span().await? else { return Ok(None) };
        drop(probe);
        let start = histories::start(through, &span, config.trainer.history_window);
        if !start.reborn.is_empty() {
            let partitions = &start.reborn;
            warn!(
                topic,
                ?partitions,
                "the topic is another than the model was trained on: reading it from its beginning; what the model has of it \
                 already is not learned twice"
            );
        }
        if start.missed > 0 {
            counter!(MISSED).increment(start.missed.unsigned_abs());
            warn!(
                topic,
                interactions = start.missed,
                "retention deleted interactions before they were trained on; raise the topic's retention.ms"
            );
        }
        let trainer = &config.trainer;
        let reader = Reader::open(&config.kafka, &topic, StartAt::Offsets(start.positions), ctx).await?;
        Ok(Some(Self {
            reader,
            most: trainer.max_batch,
            linger: trainer.linger,
            pending: Vec::new(),
            first: None,
            start: span.ends,
            reborn: start.reborn,
            held: None,
        }))
    }

    /// The next micro-batch: full, or as large as it became while lingering. `None` once draining and empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Handful>, Error> {
        loop {
            if self.pending.is_empty()
                && let Some(batch) = self.held.take()
            {
                (self.reborn, self.pending, self.first) = (batch.reborn, batch.records, Some(Instant::now()));
            }
            let wait = self.first.map_or(IDLE, |first| self.linger.saturating_sub(first.elapsed()));
            let whole = self.pending.len() >= self.most || self.held.is_some();
            if whole || (self.first.is_some() && wait.is_zero()) {
                return Ok(Some(self.take()));
            }
            let Some(batch) = self.reader.next_batch(self.most - self.pending.len(), wait).await? else {
                return Ok(if self.pending.is_empty() { None } else { Some(self.take()) });
            };
            counter!(MISSED).increment(batch.missed);
            if !batch.reborn.is_empty() {
                self.held = Some(batch);
            } else if !batch.records.is_empty() {
                self.first.get_or_insert_with(Instant::now);
                self.pending.extend(batch.records);
            }
        }
    }

    fn take(&mut self) -> Handful {
        self.first = None;
        Handful { reborn: std::mem::take(&mut self.reborn), records: std::mem::take(&mut self.pending) }
    }

    /// Which life of the topic is read; 0 where it is not known.
    pub(crate) fn life(&self) -> u32 {
        self.reader.life()
    }

    /// Whether all that was there at our start was handed out.
    pub(crate) fn is_past_start(&self) -> bool {
        self.pending.is_empty() && self.held.is_none() && self.reader.is_at(&self.start)
    }

    /// Where it stands, for a watch. Partitions that are added are read by and by, like any others.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        self.reader.stream()
    }
}
