//! Writes to `audit` what scorers refuse, so that a version or decision that somebody forged or damaged is on record.
//!
//! All scorers read the same topics, so one of them writes: the one that leads, to whom `model` and the global lists
//! belong. Of one topic and reason that is an entry a minute. Refusals of the start are not written: those who ran
//! before have refused the same records. The audit decides nothing, so a record that it does not take is counted and
//! let go, and no slate waits for it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics::counter;
use runtime::config::Kafka;
use runtime::kafka::Producer;
use runtime::{Context, lock};
use schemas::Topics;
use schemas::audit::{Chain, Deed};
use tokio::time::MissedTickBehavior;
use tracing::warn;
use versions::{Refusals, note};

use crate::metrics::AUDIT_FAILED;
use crate::sources::Sources;

/// How often it is looked for what is to be written.
const EVERY: Duration = Duration::from_secs(1);
/// The longest wait for the audit.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes until drained.
pub(crate) async fn audit(
    refusals: Arc<Mutex<Refusals>>,
    sources: Arc<Sources>,
    kafka: Kafka,
    ctx: Context,
) -> Result<(), Infallible> {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clerk = Clerk { topics: Topics::new(&kafka.topic_prefix), kafka, desk: None, ctx: ctx.clone() };
    loop {
        tokio::select! {
            () = ctx.drained() => return Ok(()),
            _ = tick.tick() => {}
        }
        let deeds = {
            let (mut refusals, now) = (lock(&refusals), Instant::now());
            if sources.share.load().leads() {
                refusals.due(now)
            } else {
                refusals.leave(now);
                Vec::new()
            }
        };
        for deed in deeds {
            clerk.write(deed).await;
        }
    }
}

struct Clerk {
    kafka: Kafka,
    topics: Topics,
    /// Connected for the first entry.
    desk: Option<(Producer, Chain)>,
    ctx: Context,
}

impl Clerk {
    async fn write(&mut self, deed: Deed) {
        let (reason, patience) = (deed.reason.clone(), PATIENCE);
        let why = match tokio::time::timeout(patience, self.try_to(deed)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("Kafka did not take it within {patience:?}"),
        };
        if let Some((_, chain)) = &mut self.desk {
            chain.begin_anew(self.ctx.now()); // it may arrive yet
        }
        counter!(AUDIT_FAILED).increment(1);
        warn!(why, reason, "audit lacks what was refused: see whether the topic is there and may be written to");
    }

    async fn try_to(&mut self, deed: Deed) -> Result<(), runtime::kafka::KafkaError> {
        let at = self.ctx.now();
        if self.desk.is_none() {
            let number = RandomState::new().hash_one(at);
            let writer = format!("{}-{}-{number:016x}-refusals", self.ctx.name(), std::process::id());
            self.desk = Some((Producer::connect(&self.kafka, &self.ctx)?, Chain::new(writer)));
        }
        let Some((producer, chain)) = &mut self.desk else { return Ok(()) };
        note(deed, at, chain, (producer, &self.topics)).await
    }
}
