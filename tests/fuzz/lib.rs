//! What the fuzz targets share with the program that writes their seeds.

use std::error::Error;
use std::io::Write;

use bytes::Bytes;
use model::{Learner, Positioned, Settings};
use schemas::checkpoint::PayloadKind;
use schemas::{Interaction, Kind, Manifest, Source, VersionId};
use versions::{Record, manifest_record, split};

const NOW: i64 = 1_700_000_000_000;

/// A version of a small learner.
#[derive(Debug)]
pub struct Version {
    /// What makes it exist.
    pub manifest: Manifest,
    /// Its payload, packed.
    pub payload: Vec<u8>,
    /// Both as records of `checkpoints`.
    pub records: Vec<Record>,
}

/// A snapshot and the delta behind it: the same at every call.
///
/// # Errors
/// When the processor does not open.
pub fn versions() -> Result<Vec<Version>, Box<dyn Error>> {
    let settings = Settings { dim: 8, negatives: 16, ..Settings::default() };
    let mut learner = Learner::new(settings)?;
    let mut made = Vec::new();
    let mut parent = None;
    for (sequence, kind) in [(1, PayloadKind::Snapshot), (2, PayloadKind::Delta)] {
        let batch: Vec<_> = (0..40).map(|n| view(i64::from(sequence) * 40 + n)).collect();
        learner.observe(&batch);
        let frozen = learner.freeze(kind)?;
        let payload = frozen.encode()?;
        let version = VersionId { epoch: 1, sequence };
        let (mut records, manifest) = split(version, parent.replace(version), &frozen, &payload, NOW);
        records.push(manifest_record(&manifest));
        made.push(Version { manifest, payload, records });
    }
    Ok(made)
}

fn view(offset: i64) -> Positioned {
    let ts = NOW + offset * 1_000;
    let interaction = Interaction {
        user_id: format!("u{}", offset % 5),
        item_id: format!("i{}", offset % 7),
        kind: Kind::View.into(),
        ts,
        arrived_at: ts,
        source: Some(Source { offset, ..Source::default() }),
        ..Interaction::default()
    };
    Positioned { partition: 0, offset, interaction }
}

/// A record of `checkpoints`: key, value, and the checksum of its header.
pub type Line<'l> = (&'l [u8], Option<Bytes>, Option<String>);

/// Lines `key TAB value` are records in their order; a line that begins with `!` has the right checksum.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    bytes.split(|byte| *byte == b'\n').map(|line| {
        let (sealed, line) = line.strip_prefix(b"!").map_or((false, line), |line| (true, line));
        let at = line.iter().position(|byte| *byte == b'\t');
        let (key, value) = at.map_or((line, None), |at| (&line[..at], Some(Bytes::copy_from_slice(&line[at + 1..]))));
        let checksum = value.as_ref().filter(|_| sealed).map(|value| blake3::hash(value).to_hex().to_string());
        (key, value, checksum)
    })
}

/// The manifest that a payload came with, by what it says itself: what is refused is refused for what it holds. `None`
/// where not even that is readable.
#[must_use]
pub fn manifest(packed: &[u8], version: VersionId) -> Option<Manifest> {
    let plain = model::unpack(packed).ok()?;
    let payload = model::Payload::open(&plain).ok()?;
    Some(Manifest { bytes: packed.len() as u64, ..payload.manifest(version, NOW) })
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
