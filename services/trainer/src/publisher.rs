//! Writes a version: chunks, then the manifest that makes it exist (I4), then the deletion of what is too old.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::counter;
use model::{Doubt, Frozen, Payload, Sample, pack};
use runtime::Context;
use runtime::kafka::{Outgoing, Producer};
use schemas::checkpoint::{MAX_PAYLOAD_BYTES, Manifest, Through, VersionId};
use schemas::control::Place;
use versions::{Record, manifest_record, split};

use crate::error::Error;
use crate::learning::Freezing;
use crate::metrics::VERSIONS_UNFIT;
use crate::schedule::Order;

/// Writes versions to `checkpoints`; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    /// Acknowledged by every replica, once, in order.
    pub(crate) producer: Producer,
    /// The topic `checkpoints`.
    pub(crate) topic: String,
    /// Clock and threads.
    pub(crate) ctx: Context,
}

/// Where snapshots begin on the topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(BTreeMap<VersionId, i64>);

/// So many snapshots are known; the oldest go. One is good within the next few, or never.
const MOST_PLACES: usize = 64;

impl Places {
    /// Takes note of a snapshot.
    pub(crate) fn note(&mut self, version: VersionId, begins: Option<i64>) {
        self.0.extend(begins.map(|at| (version, at)));
        while self.0.len() > MOST_PLACES {
            self.0.pop_first();
        }
    }

    /// Where a version is read again.
    pub(crate) fn of(&self, version: VersionId) -> Place {
        Place { version, begins: self.0.get(&version).copied() }
    }
}

/// A version that exists.
#[derive(Debug)]
pub(crate) struct Published {
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// From the order to the manifest acknowledged.
    pub(crate) took: Duration,
    /// The snapshot that may become good next.
    pub(crate) candidate: Option<VersionId>,
    /// Offset of its first chunk.
    pub(crate) first: i64,
    /// Offset of its manifest.
    pub(crate) at: i64,
    /// What the next one is held against.
    pub(crate) sample: Arc<Sample>,
}

/// A version on its way.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) chunks: Vec<Record>,
    pub(crate) manifest: Manifest,
    pub(crate) sample: Sample,
}

impl Publisher {
    /// Encodes, cuts and writes a version that follows `before`. `places` says where versions begin that may be good,
    /// and what lies before `untrained` is not trained on.
    ///
    /// Killed before the manifest is acknowledged, it leaves chunks that are no version; the next epoch deletes them.
    pub(crate) async fn publish(
        self,
        order: Order,
        frozen: Freezing,
        places: Places,
        mut untrained: BTreeMap<i32, Through>,
        before: Arc<Sample>,
    ) -> Result<Published, Error> {
        let began = Instant::now();
        let (frozen, standing, contest) = frozen.await.map_err(|_| Error::LearnerGone)??;
        let now = self.ctx.now();
        let encoding = self.ctx.spawn_background("encode", move || {
            let Encoded { chunks, manifest, sample } = encode(&order, &frozen, &before, now)?;
            let good = standing.good.map(|version| places.of(version));
            untrained.retain(|partition, place| {
                manifest.through.get(partition).is_none_or(|through| through.next < place.next)
            });
            let manifest = Manifest { untrained, good, evidence: standing.evidence, contest, ..manifest };
            Ok::<_, Error>(Encoded { chunks, manifest, sample })
        });
        let Encoded { chunks, manifest, sample } = encoding.join().await??;
        let written = self.producer.send_all(&self.topic, chunks.into_iter().map(Outgoing::from)).await?;
        let first = written.iter().map(|(_, offset)| *offset).min().unwrap_or(0);
        let written = self.producer.send_all(&self.topic, [Outgoing::from(manifest_record(&manifest))]).await?;
        let at = written.first().map_or(0, |(_, offset)| *offset);
        let (took, sample) = (began.elapsed(), Arc::new(sample));
        Ok(Published { manifest, took, first, at, candidate: standing.candidate, sample })
    }

    /// Deletes records, in this order.
    pub(crate) async fn retire(&self, keys: Vec<String>) -> Result<(), Error> {
        self.producer.send_all(&self.topic, keys.into_iter().map(at)).await?;
        Ok(())
    }
}

/// The version's chunks and manifest, if it follows `before` as a version of an honest learner does. Takes time in
/// proportion to what it holds.
pub(crate) fn encode(order: &Order, frozen: &Frozen, before: &Sample, now: i64) -> Result<Encoded, Error> {
    let payload = frozen.encode()?;
    let bytes = payload.len() as u64;
    if bytes > MAX_PAYLOAD_BYTES {
        return Err(Error::TooLarge { bytes, most: MAX_PAYLOAD_BYTES });
    }
    let (chunks, manifest) = split(order.version, order.parent, frozen, &pack(&payload)?, now);
    // What every reader would refuse must not become the newest version, nor let older ones be deleted.
    let looked_at = Payload::open(&payload).and_then(|payload| {
        payload.verify(&manifest)?;
        let sample = payload.sample(&manifest, before)?;
        // That many items go at once is for others to doubt, until the next snapshot says the same: the trainer knows
        // that they expired, or were delisted.
        let doubt = sample.doubt(before).filter(|doubt| !matches!(doubt, Doubt::Items(..)));
        doubt.map_or(Ok(sample), |doubt| Err(model::Error::Doubted(doubt)))
    });
    match looked_at {
        Ok(sample) => Ok(Encoded { chunks, manifest, sample }),
        Err(source) => {
            counter!(VERSIONS_UNFIT).increment(1);
            Err(Error::Unfit { version: order.version, through: manifest.through, source })
        }
    }
}

/// A record without a value, which deletes `key`.
fn at(key: String) -> Outgoing {
    Outgoing { partition: Some(0), key: Bytes::from(key), ..Outgoing::default() }
}

#[cfg(test)]
mod tests {
    use model::{Doubt, Learner, Positioned, Settings};
    use schemas::checkpoint::PayloadKind;
    use schemas::{Interaction, Kind, Source};

    use super::*;

    fn choice(offset: i64) -> Positioned {
        let interaction = Interaction {
            user_id: "u".into(),
            item_id: format!("i{}", offset % 5),
            kind: Kind::View.into(),
            ts: 1_700_000_000_000 + offset * 1_000,
            source: Some(Source { offset, ..Source::default() }),
            ..Interaction::default()
        };
        Positioned { partition: 0, offset, interaction }
    }

    #[test]
    fn items_that_expire_at_once_are_for_others_to_doubt_and_keep_no_version_from_being_published() {
        let settings = Settings { dim: 16, negatives: 16, expire_after_s: 3_600, ..Settings::default() };
        let mut learner = Learner::new(settings).expect("opens");
        let of = |n: i64, items: i64, later: i64| {
            let Positioned { interaction, .. } = choice(n);
            let (item_id, ts) = (format!("i{}", n % items), interaction.ts + later);
            let interaction = Interaction { user_id: format!("u{}", n % 50), item_id, ts, ..interaction };
            Positioned { partition: 0, offset: n, interaction }
        };
        let order =
            |sequence| Order { version: VersionId { epoch: 1, sequence }, parent: None, kind: PayloadKind::Snapshot };
        learner.observe(&(0..600).map(|n| of(n, 300, 0)).collect::<Vec<_>>());
        let before = learner.freeze(PayloadKind::Snapshot).expect("freezes");
        let before = encode(&order(1), &before, &Sample::default(), 0).expect("is the first");
        // A block of the table is looked through with every step.
        for first in (600..1_400).step_by(8) {
            learner.observe(&(first..first + 8).map(|n| of(n, 5, 36_000_000)).collect::<Vec<_>>());
        }
        let after = learner.freeze(PayloadKind::Snapshot).expect("freezes");
        let after = encode(&order(2), &after, &before.sample, 0).expect("the trainer knows that they expired");
        let doubt = after.sample.doubt(&before.sample);
        assert!(matches!(doubt, Some(Doubt::Items(left, 300)) if left < 150), "{doubt:?}");
    }

    #[test]
    fn a_version_that_does_not_follow_the_one_before_is_not_published_and_says_where_it_stood() {
        let settings = Settings { dim: 16, negatives: 16, ..Settings::default() };
        let mut learner = Learner::new(settings).expect("opens");
        let order =
            |sequence| Order { version: VersionId { epoch: 1, sequence }, parent: None, kind: PayloadKind::Snapshot };
        let mut frozen = |offsets: std::ops::Range<i64>| {
            learner.observe(&offsets.map(choice).collect::<Vec<_>>());
            learner.freeze(PayloadKind::Snapshot).expect("freezes")
        };
        let (early, late) = (frozen(0..5), frozen(5..9));
        let first = encode(&order(1), &early, &Sample::default(), 0).expect("is the first");
        let second = encode(&order(2), &late, &first.sample, 0).expect("follows");
        let error = encode(&order(3), &early, &second.sample, 0).expect_err("stands before the second");
        let Error::Unfit { through, source: model::Error::Doubted(doubt), .. } = error else { panic!("{error}") };
        assert_eq!((doubt, through[&0].next), (Doubt::Offsets, 5));
    }
}
