//! Users who are to be forgotten: what is held and stored of them goes, nothing more is made of what they did, and that
//! is answered for.
//!
//! All that is written of a user goes through the loop, so once it has taken an erasure in, nothing of the user is on
//! its way to Redis. Whoever wrote the user before and takes it in later finds the user in memory and deletes it then.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{KafkaError, Producer};
use schemas::erasure::Given;
use schemas::{Erased, Erasures, Secret, Topic, Topics};
use tokio::sync::watch;
use tracing::{info, warn};
use versions::audit::Chain;
use versions::receipts;

/// The longest wait for the audit, and the pause after it.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(30);

/// Follows the erasures and gives receipts for our partitions.
#[derive(Debug)]
pub(crate) struct Erasing {
    secret: Secret,
    news: watch::Receiver<Arc<Erasures>>,
    erased: Erased,
    given: Given,
    chain: Chain,
    kafka: Kafka,
    topics: Topics,
    /// Connected for the first receipt.
    producer: Option<Producer>,
    /// When a receipt that was not taken is tried again.
    again: Option<Instant>,
    ctx: Context,
}

impl Erasing {
    pub(crate) fn new(secret: Secret, mut news: watch::Receiver<Arc<Erasures>>, kafka: &Kafka, ctx: &Context) -> Self {
        news.mark_changed(); // what stands is news to the loop
        if secret.mark().is_none() {
            info!("privacy.secret is not set: whoever has a list of user ids can tell whom a hash of one names");
        }
        let name = format!("{}-{}-{:016x}", ctx.name(), std::process::id(), RandomState::new().hash_one(ctx.now()));
        Self {
            secret,
            news,
            erased: Erased::default(),
            given: Given::default(),
            chain: Chain::new(format!("{name}-erasures")),
            kafka: kafka.clone(),
            topics: Topics::new(&kafka.topic_prefix),
            producer: None,
            again: None,
            ctx: ctx.clone(),
        }
    }

    /// Who is erased, if that changed.
    pub(crate) fn news(&mut self) -> Option<Erased> {
        if !self.news.has_changed().unwrap_or(false) {
            return None;
        }
        let erasures = Arc::clone(&self.news.borrow_and_update());
        self.erased = Erased::new(self.secret.clone(), erasures);
        let unknown = self.erased.unknown();
        if unknown > 0 {
            warn!(
                users = unknown,
                "erasures made under another privacy.secret are not followed here: set the same one"
            );
        }
        Some(self.erased.clone())
    }

    /// Answers for partitions that are ours: nothing of those users is held or on its way. An audit that takes no
    /// record holds nothing up for long, and is tried again.
    pub(crate) async fn answer(&mut self, ours: &[i32]) -> Result<(), KafkaError> {
        if self.again.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let due = self.given.due(&self.erased, ours);
        if due.is_empty() {
            return Ok(());
        }
        info!(users = due.len(), "forgot users that are erased");
        let producer = match &self.producer {
            Some(producer) => producer,
            None => self.producer.insert(Producer::connect(&self.kafka, &self.ctx)?),
        };
        let at = (None, self.ctx.now());
        let written = receipts("scorer", due, at, &mut self.chain, (producer, &self.topics));
        if let Ok(written) = tokio::time::timeout(PATIENCE, written).await {
            self.again = None;
            return written;
        }
        self.given = Given::default(); // a receipt given twice does no harm
        self.chain.break_off();
        self.again = Some(Instant::now() + AGAIN);
        warn!(topic = self.topics.name(Topic::Audit), "the audit takes no receipt; `thalweg erase` waits for it");
        Ok(())
    }
}
