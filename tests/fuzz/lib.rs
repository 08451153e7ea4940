//! What the fuzz targets share with the program that writes their seeds.

use std::io::Write;

use schemas::Manifest;
use schemas::checkpoint::PayloadKind;

/// A manifest of a first snapshot, but for what depends on the payload.
#[must_use]
pub fn manifest() -> Manifest {
    Manifest {
        v: Manifest::V,
        version: schemas::VersionId { epoch: 1, sequence: 1 },
        kind: PayloadKind::Snapshot,
        parent: None,
        chunks: 1,
        bytes: 0,
        checksum: String::new(),
        through: [].into(),
        interactions: 0,
        event_ts: 1_700_000_000_000,
        made_at: 1_700_000_000_000,
        arrivals: Vec::new(),
        quality: [].into(),
        quality_overall: [].into(),
        release: String::new(),
        untrained: [].into(),
        good: None,
        evidence: 0.0,
        guarded: None,
        contest: None,
    }
}

/// Whether `text` is a configuration of the service whose first word it begins with.
///
/// # Panics
/// When a refusal says nothing.
pub fn config(text: &str) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file opens");
    file.write_all(text.as_bytes()).expect("there is room");
    let path = Some(file.path());
    let refusals = [
        runtime::config::load::<ingest::Config>(ingest::DEFAULTS, path, &[], false).err(),
        runtime::config::load::<trainer::Config>(trainer::DEFAULTS, path, &[], false).err(),
        runtime::config::load::<scorer::Config>(scorer::DEFAULTS, path, &[], false).err(),
    ];
    for refusal in refusals.into_iter().flatten() {
        assert!(!refusal.to_string().trim().is_empty(), "a refusal says what to change");
    }
}
