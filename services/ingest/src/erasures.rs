//! Users who are erased: follows the topic `control`, and answers on `audit` for our partitions.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::{counter, gauge};
use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Expected, Followed, KafkaError, Outgoing, Producer, Reader, StartAt, Watch};
use schemas::audit::{Chain, Deed};
use schemas::erasure::{self, ERASED, Given};
use schemas::signature::{SIGNATURE, Trust};
use schemas::{Erased, Erasures, Secret, Topic, Topics};
use tracing::{info, warn};

use crate::metrics::{CONTROL_REFUSED, ERASURES};

/// Records of one read.
const BATCH: usize = 500;
/// The longest wait for the audit, and the pause after it.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(30);
/// Longest wait for a record at the start. Later the loop asks each turn, and does not wait.
const WAIT: Duration = Duration::from_millis(200);

/// A reader of `control`, and our chain of receipts.
#[derive(Debug)]
pub(crate) struct Erasing {
    reader: Reader,
    erasures: Erasures,
    /// Whose word counts.
    trust: Trust,
    control: String,
    secret: Secret,
    erased: Erased,
    given: Given,
    audit: String,
    chain: Chain,
    /// When a receipt that was not taken is tried again.
    again: Option<Instant>,
    /// Whether a record that is not readable was told.
    told: bool,
    ctx: Context,
}

impl Erasing {
    /// Reads the topic to its end, so that no event is judged before it is known who is erased; `None` when asked to
    /// drain meanwhile.
    ///
    /// # Errors
    /// As [`Reader::open`]; Kafka refuses something that waiting does not cure.
    pub(crate) async fn open(kafka: &Kafka, secret: Secret, ctx: &Context) -> Result<Option<Self>, KafkaError> {
        if secret.mark().is_none() {
            info!("privacy.secret is not set: whoever has a list of user ids can tell whom a hash of one names");
        }
        let topics = Topics::new(&kafka.topic_prefix);
        let control = topics.name(Topic::Control);
        let reader = Reader::open(kafka, &control, StartAt::Beginning, ctx).await?;
        let trust = Trust::by(&kafka.signatures.trust, kafka.signatures.required());
        let number = RandomState::new().hash_one(ctx.now());
        let mut erasing = Self {
            reader,
            erasures: Erasures::default(),
            trust,
            control,
            secret,
            erased: Erased::default(),
            given: Given::default(),
            audit: topics.name(Topic::Audit),
            chain: Chain::new(format!("{}-{}-{number:016x}", ctx.name(), std::process::id())),
            again: None,
            told: false,
            ctx: ctx.clone(),
        };
        let mut changed = false;
        loop {
            let Some(Followed { caught_up, batch }) = erasing.reader.follow(BATCH, WAIT).await? else {
                return Ok(None);
            };
            changed |= erasing.take(batch);
            if caught_up {
                if changed {
                    erasing.settle();
                }
                return Ok(Some(erasing));
            }
        }
    }

    /// Has the reader watched, so that one that stands still shows.
    pub(crate) fn watched(&self, watch: &Watch) {
        watch.follow(self.reader.stream(), Expected { topic: "control", caught_up: None, gauges: None });
    }

    /// Who is erased, as far as it was read.
    pub(crate) fn erased(&self) -> &Erased {
        &self.erased
    }

    /// Takes what has come, without waiting for more; true: somebody else is erased than before.
    ///
    /// # Errors
    /// Kafka refuses something that waiting does not cure.
    pub(crate) async fn news(&mut self) -> Result<bool, KafkaError> {
        let Some(batch) = self.reader.next_batch(BATCH, Duration::ZERO).await? else { return Ok(false) };
        let changed = self.take(batch);
        if changed {
            self.settle();
        }
        Ok(changed)
    }

    /// Answers for partitions that are ours: from now on events of those users are dropped. An audit that takes no
    /// record holds nothing up for long, and is tried again.
    ///
    /// # Errors
    /// Kafka refuses.
    pub(crate) async fn answer(&mut self, ours: &[i32], output: &Producer) -> Result<(), KafkaError> {
        if self.again.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let due = self.given.due(&self.erased, ours);
        if due.is_empty() {
            return Ok(());
        }
        let at = self.ctx.now();
        let mut records = Vec::with_capacity(due.len());
        for (user, evidence) in due {
            let (actor, action, subject) = ("ingest".to_owned(), ERASED.to_owned(), user.to_string());
            let (writer, value) = self.chain.next(Deed { actor, action, subject, evidence, ..Deed::default() }, at);
            let key = writer.into();
            records.push(Outgoing { partition: Some(0), key, value: Some(value.into()), ..Outgoing::default() });
        }
        if let Ok(written) = tokio::time::timeout(PATIENCE, output.send_all(&self.audit, records)).await {
            self.again = None;
            return written.map(|_| ());
        }
        self.given = Given::default(); // a receipt given twice does no harm
        self.chain.begin_anew(at);
        self.again = Some(Instant::now() + AGAIN);
        warn!(topic = self.audit, "the audit takes no receipt; `thalweg erase` waits for it");
        Ok(())
    }

    fn take(&mut self, batch: runtime::kafka::Batch) -> bool {
        let mut changed = false;
        if batch.reborn.contains(&0) && !self.erasures.is_empty() {
            let erased = self.erasures.len();
            warn!(erased, "control was made again: who was erased stays so, and the trainer writes it again");
        }
        for record in &batch.records {
            // We write to the first partition, and about users under this prefix.
            if record.partition != 0 || !record.key.starts_with(erasure::PREFIX.as_bytes()) {
                continue;
            }
            let (value, signature) = (record.value.as_deref(), record.header(SIGNATURE).map(Bytes::as_ref));
            let believed = self.erasures.believed(&self.trust, &self.control, (&record.key, value, signature));
            let taken = believed.map_err(|distrust| distrust.to_string());
            match taken.and_then(|()| self.erasures.take(&record.key, value)) {
                Ok(other) => changed |= other,
                Err(reason) => {
                    counter!(CONTROL_REFUSED).increment(1);
                    if !std::mem::replace(&mut self.told, true) {
                        warn!(reason, offset = record.offset, "refused a record on control; others are only counted");
                    }
                }
            }
        }
        changed
    }

    fn settle(&mut self) {
        self.erased = Erased::new(self.secret.clone(), Arc::new(self.erasures.clone()));
        gauge!(ERASURES).set(self.erasures.len() as f64);
        let unknown = self.erased.unknown();
        if unknown > 0 {
            warn!(
                users = unknown,
                "erasures made under another privacy.secret are not followed here: set the same one"
            );
        }
    }
}
