//! Cuts a version into records under 1 MB: chunks, and the manifest that makes them a version.

use model::Frozen;
use schemas::checkpoint::{CHUNK_BYTES, Manifest, Part, VersionId, key};

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
        chunks: u32::try_from(chunks.len()).expect("a payload has far fewer chunks"),
        bytes: payload.len() as u64,
        checksum: blake3::hash(payload).to_hex().to_string(),
        ..frozen.manifest(version, parent, made_at)
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
