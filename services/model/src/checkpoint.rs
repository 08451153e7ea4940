//! The checkpoint log: cuts payloads into records under 1 MB and puts them together again.
//!
//! Pure: records in, verdicts out. A version exists only when its manifest is there and every checksum
//! holds (I4); records of a trainer that has been superseded are ignored by everyone (I9).

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::checkpoint::{CHUNK_BYTES, Claim, Manifest, Part, PayloadKind, VersionId, key, parse_key};

use crate::payload::Frozen;

/// The most bytes of a payload that an assembler holds; a larger version is refused.
pub const MAX_PAYLOAD_BYTES: u64 = 8 << 30;

/// A record for the topic `checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `version/part`.
    pub key: String,
    /// The record's value.
    pub value: Vec<u8>,
    /// BLAKE3 of the value, for the header.
    pub checksum: String,
}

/// Cuts a payload into chunks and writes the manifest that makes them a version: `(chunks, manifest)`.
#[must_use]
pub fn split(
    version: VersionId,
    parent: Option<VersionId>,
    frozen: &Frozen,
    payload: &[u8],
    made_at: i64,
) -> (Vec<Record>, Manifest) {
    let chunks: Vec<Record> = (0..)
        .zip(payload.chunks(CHUNK_BYTES))
        .map(|(n, chunk)| Record {
            key: key(version, Part::Chunk(n)),
            value: chunk.to_vec(),
            checksum: blake3::hash(chunk).to_hex().to_string(),
        })
        .collect();
    let manifest = Manifest {
        v: Manifest::V,
        version,
        kind: frozen.kind(),
        parent: if frozen.kind() == PayloadKind::Snapshot { None } else { parent },
        chunks: u32::try_from(chunks.len()).expect("a payload has far fewer chunks"),
        bytes: payload.len() as u64,
        checksum: blake3::hash(payload).to_hex().to_string(),
        through: frozen.through().clone(),
        interactions: frozen.interactions(),
        event_ts: frozen.event_ts(),
        made_at,
        arrivals: frozen.arrivals(),
        quality: frozen.recent_quality().clone(),
        quality_overall: frozen.overall_quality().clone(),
    };
    (chunks, manifest)
}

/// The record that makes a version exist.
#[must_use]
pub fn manifest_record(manifest: &Manifest) -> Record {
    let value = serde_json::to_vec(manifest).expect("a manifest has nothing that JSON has not");
    let checksum = blake3::hash(&value).to_hex().to_string();
    Record { key: key(manifest.version, Part::Manifest), value, checksum }
}

/// What a record on `checkpoints` led to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing yet: a chunk was kept, or the record was deleted since.
    Nothing,
    /// A version is whole.
    Whole(Manifest, Vec<u8>),
    /// A version is torn, truncated or bit-flipped; it must not be used.
    Refused {
        /// Which one; `None` when not even its key is readable.
        version: Option<VersionId>,
        /// Why.
        reason: String,
    },
    /// A trainer claimed an epoch.
    Claimed(Claim),
    /// A record of a superseded trainer.
    Stale(VersionId),
}

/// Puts records together, in log order.
#[derive(Debug, Default)]
pub struct Assembler {
    epoch: u32,
    claimed_by: Option<String>,
    version: VersionId,
    chunks: BTreeMap<u32, Bytes>,
    bytes: u64,
    fault: Option<String>,
}

impl Assembler {
    /// The highest epoch claimed so far.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Who holds the highest epoch.
    #[must_use]
    pub fn claimed_by(&self) -> Option<&str> {
        self.claimed_by.as_deref()
    }

    /// Takes the next record; `value` is `None` for a deleted one, `checksum` the header's.
    pub fn push(&mut self, record_key: &[u8], value: Option<Bytes>, checksum: Option<&[u8]>) -> Outcome {
        let (version, part) = match parse_key(record_key) {
            Ok(parsed) => parsed,
            Err(reason) => return Outcome::Refused { version: None, reason },
        };
        let Some(value) = value else { return Outcome::Nothing };
        if version.epoch < self.epoch {
            return Outcome::Stale(version); // I9
        }
        match part {
            Part::Claim => self.claim(version, &value),
            Part::Chunk(n) => {
                self.chunk(version, n, value, checksum);
                Outcome::Nothing
            }
            Part::Manifest => self.manifest(version, &value, checksum),
        }
    }

    fn claim(&mut self, version: VersionId, value: &[u8]) -> Outcome {
        match serde_json::from_slice::<Claim>(value) {
            // Two trainers may claim the same epoch: the first on the log has it.
            Ok(claim) if version.epoch > self.epoch => {
                self.epoch = version.epoch;
                self.claimed_by = Some(claim.trainer.clone());
                self.start(VersionId::default());
                Outcome::Claimed(claim)
            }
            Ok(_) => Outcome::Stale(version),
            Err(e) => Outcome::Refused { version: Some(version), reason: format!("the claim is not readable: {e}") },
        }
    }

    fn start(&mut self, version: VersionId) {
        self.version = version;
        self.chunks.clear();
        self.bytes = 0;
        self.fault = None;
    }

    fn chunk(&mut self, version: VersionId, n: u32, value: Bytes, checksum: Option<&[u8]>) {
        if version != self.version {
            self.start(version); // one trainer writes one version after the other
        }
        let expected = blake3::hash(&value).to_hex();
        if checksum != Some(expected.as_bytes()) {
            self.fault.get_or_insert_with(|| format!("chunk {n} does not have the checksum of its header"));
            return;
        }
        self.bytes += value.len() as u64;
        if self.bytes > MAX_PAYLOAD_BYTES {
            self.fault.get_or_insert_with(|| format!("it is larger than {MAX_PAYLOAD_BYTES} bytes"));
            self.chunks.clear();
            return;
        }
        self.chunks.insert(n, value);
    }

    fn manifest(&mut self, version: VersionId, value: &[u8], checksum: Option<&[u8]>) -> Outcome {
        let refused = |reason: String| Outcome::Refused { version: Some(version), reason };
        if checksum != Some(blake3::hash(value).to_hex().as_bytes()) {
            return refused("its manifest does not have the checksum of its header".into());
        }
        let manifest: Manifest = match serde_json::from_slice(value) {
            Ok(manifest) => manifest,
            Err(e) => return refused(format!("the manifest is not readable: {e}")),
        };
        if version != self.version {
            self.start(version);
        }
        let chunks = std::mem::take(&mut self.chunks);
        if let Some(fault) = self.fault.take() {
            return refused(fault);
        }
        if manifest.v != Manifest::V {
            return refused(format!("its manifest is of format {}, this program reads {}", manifest.v, Manifest::V));
        }
        if manifest.version != version {
            return refused(format!("its manifest names version {}", manifest.version));
        }
        if chunks.len() as u64 != u64::from(manifest.chunks) {
            return refused(format!("{} of its {} chunks are there", chunks.len(), manifest.chunks));
        }
        let payload: Vec<u8> = chunks.values().flat_map(|chunk| chunk.iter().copied()).collect();
        if payload.len() as u64 != manifest.bytes {
            return refused(format!("it has {} of {} bytes", payload.len(), manifest.bytes));
        }
        if blake3::hash(&payload).to_hex().as_str() != manifest.checksum {
            return refused("it does not have the checksum of its manifest".into());
        }
        Outcome::Whole(manifest, payload)
    }
}

#[cfg(test)]
mod tests;
