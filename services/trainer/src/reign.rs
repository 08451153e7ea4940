//! One trainer at a time: reads `checkpoints`, claims an epoch, and notices when another claims a higher one (I9).

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use metrics::{counter, gauge};
use model::Model;
use runtime::Context;
use runtime::kafka::{From, Outgoing, Producer, Reader, Record};
use schemas::checkpoint::{Claim, Part, VersionId, key, parse_key};
use schemas::{Topic, Topics};
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::metrics::{EPOCH, VERSIONS_REFUSED};
use crate::restore::{Refusal, Restorer};

/// Records per poll; a batch ends at 8 MB anyway.
const BATCH: usize = 1_000;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(100);

/// What is known before the claim: the topic, read to its end.
#[derive(Debug)]
pub(crate) struct Candidate {
    restorer: Restorer,
    log: Reader,
    topic: String,
}

/// An epoch that is ours.
#[derive(Debug)]
pub(crate) struct Reign {
    /// The epoch.
    pub(crate) epoch: u32,
    /// The newest whole version before our claim.
    pub(crate) model: Model,
    /// What lies on `checkpoints`.
    pub(crate) ledger: Ledger,
    /// Continues behind our claim.
    pub(crate) log: Reader,
}

impl Candidate {
    /// Reads `checkpoints` to its end; `None` when asked to drain meanwhile.
    pub(crate) async fn read(config: &Config, ctx: &Context) -> Result<Option<Self>, Error> {
        let topic = Topics::new(&config.kafka.topic_prefix).name(Topic::Checkpoints);
        let log = Reader::open(&config.kafka, &topic, From::Beginning, ctx).await?;
        let end = log.end().await?;
        if end.len() != 1 {
            return Err(Error::Partitions { topic, partitions: end.len() });
        }
        let restorer = Restorer::new(Model::empty(&config.model.device)?);
        let candidate = Self { restorer, log, topic };
        let Some(candidate) = candidate.read_until(|log| log.is_at(&end), ctx).await? else { return Ok(None) };
        match candidate.model().manifest() {
            Some(manifest) => info!(
                version = %manifest.version, interactions = manifest.interactions, through = ?manifest.through,
                "read the newest version back"
            ),
            None if candidate.restorer.next_epoch() > 1 => error!(
                topic = candidate.topic,
                "no version on the topic is usable; starting anew from the oldest interaction that is still there"
            ),
            None => info!(topic = candidate.topic, "no version is there; starting from the first interaction"),
        }
        Ok(Some(candidate))
    }

    /// The newest whole version.
    pub(crate) fn model(&self) -> &Model {
        self.restorer.model()
    }

    /// Claims an epoch above every other; `None` when asked to drain meanwhile.
    ///
    /// Until our claim is on the log, the trainer before us may still publish: its versions are taken in. From our claim
    /// on, they are ignored by everyone.
    pub(crate) async fn claim(mut self, producer: &Producer, ctx: &Context) -> Result<Option<Reign>, Error> {
        // The process id tells an operator which one; the number tells apart what restarts under the same id.
        let trainer = format!("{}-{}-{:016x}", ctx.name(), std::process::id(), RandomState::new().hash_one(ctx.now()));
        loop {
            let epoch = self.restorer.next_epoch();
            let claim = Claim { epoch, trainer: trainer.clone(), claimed_at: ctx.now() };
            let record = Outgoing {
                partition: Some(0),
                key: key(VersionId { epoch, sequence: 0 }, Part::Claim).into(),
                value: Some(serde_json::to_vec(&claim)?.into()),
                ..Outgoing::default()
            };
            let written = producer.send_all(&self.topic, [record]).await?;
            let seen = |log: &Reader| written.iter().all(|(p, at)| log.position().get(p).is_some_and(|next| next > at));
            let Some(read) = self.read_until(seen, ctx).await? else { return Ok(None) };
            self = read;
            if self.restorer.reign() == (epoch, Some(trainer.as_str())) {
                info!(epoch, trainer, "claimed an epoch");
                gauge!(EPOCH).set(f64::from(epoch));
                let (model, ledger) = self.restorer.into_parts();
                return Ok(Some(Reign { epoch, model, ledger, log: self.log }));
            }
            warn!(epoch, winner = ?self.restorer.reign(), "another trainer claimed first; claiming a higher epoch");
        }
    }

    /// Takes records until `done`; `None` when asked to drain before. Applying versions is work for a thread.
    async fn read_until(mut self, done: impl Fn(&Reader) -> bool, ctx: &Context) -> Result<Option<Self>, Error> {
        while !done(&self.log) {
            let Some(batch) = self.log.next_batch(BATCH, WAIT).await? else { return Ok(None) };
            if batch.records.is_empty() {
                continue;
            }
            let restorer = self.restorer;
            self.restorer = ctx.spawn_thread("restore", move || restorer.take(&batch.records)).join().await?;
            self.restorer.refusals().iter().for_each(tell);
        }
        Ok(Some(self))
    }
}

/// Counts and logs a version that is skipped.
fn tell(Refusal { version, reason, orphan }: &Refusal) {
    counter!(VERSIONS_REFUSED).increment(1);
    let version = version.map(|version| version.to_string());
    if *orphan {
        debug!(version, reason, "skipped a version");
    } else {
        warn!(version, reason, "refused a version; continuing from an older one");
    }
}

/// The first claim among `records` that ends epoch `own`.
pub(crate) fn superseded(own: u32, records: &[Record]) -> Option<Claim> {
    records.iter().find_map(|record| {
        let (version, part) = parse_key(&record.key).ok()?;
        let value = record.value.as_ref()?;
        if version.epoch <= own || part != Part::Claim {
            return None;
        }
        // A claim that is not readable is nobody's: every other reader refuses it, too.
        serde_json::from_slice(value).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn only_a_claim_of_a_higher_epoch_ends_ours() {
        let superseded = |records: &[Record]| superseded(3, records).map(|claim| claim.trainer);
        assert_eq!(superseded(&[testing::claim(3, "ours"), testing::claim(2, "older")]), None);
        assert_eq!(superseded(&[testing::claim(3, "ours"), testing::claim(4, "newer")]), Some("newer".into()));
        let mut deleted = testing::claim(4, "newer");
        deleted.value = None;
        assert_eq!(superseded(&[deleted]), None);
    }
}
