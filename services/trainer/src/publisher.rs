//! Writes a version: chunks, then the manifest that makes it exist (I4), then the deletion of what is too old.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::counter;
use model::{Frozen, Payload, pack};
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
}

impl Publisher {
    /// Encodes, cuts and writes a version. `places` says where versions begin that may be good, and what lies before
    /// `untrained` is not trained on.
    ///
    /// Killed before the manifest is acknowledged, it leaves chunks that are no version; the next epoch deletes them.
    pub(crate) async fn publish(
        self,
        order: Order,
        frozen: Freezing,
        places: Places,
        mut untrained: BTreeMap<i32, Through>,
    ) -> Result<Published, Error> {
        let began = Instant::now();
        let (frozen, standing, contest) = frozen.await.map_err(|_| Error::LearnerGone)??;
        let now = self.ctx.now();
        let encoding = self.ctx.spawn_background("encode", move || {
            let (chunks, manifest) = encode(&order, &frozen, now)?;
            let good = standing.good.map(|version| places.of(version));
            untrained.retain(|partition, place| {
                manifest.through.get(partition).is_none_or(|through| through.next < place.next)
            });
            Ok::<_, Error>((chunks, Manifest { untrained, good, evidence: standing.evidence, contest, ..manifest }))
        });
        let (chunks, manifest) = encoding.join().await??;
        let written = self.producer.send_all(&self.topic, chunks.into_iter().map(Outgoing::from)).await?;
        let first = written.iter().map(|(_, offset)| *offset).min().unwrap_or(0);
        self.producer.send_all(&self.topic, [Outgoing::from(manifest_record(&manifest))]).await?;
        Ok(Published { manifest, took: began.elapsed(), first, candidate: standing.candidate })
    }

    /// Deletes records, in this order.
    pub(crate) async fn retire(&self, keys: Vec<String>) -> Result<(), Error> {
        self.producer.send_all(&self.topic, keys.into_iter().map(at)).await?;
        Ok(())
    }
}

/// The version's chunks and manifest. Takes time in proportion to what it holds.
pub(crate) fn encode(order: &Order, frozen: &Frozen, now: i64) -> Result<(Vec<Record>, Manifest), Error> {
    let payload = frozen.encode()?;
    let bytes = payload.len() as u64;
    if bytes > MAX_PAYLOAD_BYTES {
        return Err(Error::TooLarge { bytes, most: MAX_PAYLOAD_BYTES });
    }
    let (chunks, manifest) = split(order.version, order.parent, frozen, &pack(&payload)?, now);
    // What every reader would refuse must not become the newest version, nor let older ones be deleted.
    Payload::open(&payload).and_then(|payload| payload.verify(&manifest)).map_err(|source| {
        counter!(VERSIONS_UNFIT).increment(1);
        Error::Unfit { version: order.version, source }
    })?;
    Ok((chunks, manifest))
}

/// A record without a value, which deletes `key`.
fn at(key: String) -> Outgoing {
    Outgoing { partition: Some(0), key: Bytes::from(key), ..Outgoing::default() }
}
