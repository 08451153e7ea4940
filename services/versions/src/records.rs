//! Cuts a version into records under 1 MB: chunks, and the manifest that makes them a version.

use model::Frozen;
use runtime::kafka::Outgoing;
use schemas::checkpoint::{CHUNK_BYTES, CHUNK_CHECKSUM, Claim, Manifest, Part, VersionId, key};

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
    cut(frozen.manifest(version, parent, made_at), payload)
}

/// The same for a payload that is there already; `manifest` names its version, and is told what it says of the payload.
#[must_use]
pub fn cut(manifest: Manifest, payload: &[u8]) -> (Vec<Record>, Manifest) {
    let version = manifest.version;
    let chunks: Vec<Record> = (0..)
        .zip(payload.chunks(CHUNK_BYTES))
        .map(|(n, chunk)| Record {
            key: key(version, Part::Chunk(n)),
            value: chunk.to_vec(),
            checksum: blake3::hash(chunk).to_hex().to_string(),
        })
        .collect();
    let manifest = Manifest {
        chunks: u32::try_from(chunks.len()).expect("a payload has far fewer chunks"),
        bytes: payload.len() as u64,
        checksum: blake3::hash(payload).to_hex().to_string(),
        ..manifest
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

/// A claim as it lies on the topic.
#[must_use]
pub fn claim_record(claim: &Claim) -> Outgoing {
    let value = serde_json::to_vec(claim).expect("a claim has nothing that JSON has not");
    let key = key(VersionId { epoch: claim.epoch, sequence: 0 }, Part::Claim);
    Outgoing { partition: Some(0), key: key.into(), value: Some(value.into()), ..Outgoing::default() }
}

impl From<Record> for Outgoing {
    fn from(Record { key, value, checksum }: Record) -> Self {
        let headers = vec![(CHUNK_CHECKSUM, checksum)];
        Self { partition: Some(0), key: key.into(), value: Some(value.into()), headers, ..Self::default() }
    }
}
