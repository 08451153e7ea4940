//! Versions of a small shop for the unit tests, alone and as records of `checkpoints`.

use model::{Learner, Positioned, Settings};
use runtime::kafka::Record;
use schemas::checkpoint::{CHUNK_CHECKSUM, Claim, Part, PayloadKind, VersionId, key};
use schemas::{Interaction, Kind, Source};

use crate::records::{manifest_record, split};
use crate::walk::Version;

/// A snapshot and four deltas of epoch 1.
pub(crate) fn versions() -> Vec<Version> {
    of(1).into_iter().map(|(version, _)| version).collect()
}

/// The same of an epoch as they lie on the log, from offset 1 on.
pub(crate) fn log(epoch: u32) -> Vec<Record> {
    let mut records: Vec<Record> = of(epoch).into_iter().flat_map(|(_, records)| records).collect();
    (1..).zip(&mut records).for_each(|(offset, record)| record.offset = offset);
    records
}

/// A snapshot of a learner that knows no item.
pub(crate) fn empty(version: VersionId) -> Version {
    let frozen = Learner::new(settings()).expect("opens").freeze(PayloadKind::Snapshot).expect("freezes");
    let payload = frozen.encode().expect("encodes");
    let (_, manifest) = split(version, None, &frozen, &payload, 0);
    Version { manifest, payload, first: None }
}

/// A trainer's claim.
pub(crate) fn claim(offset: i64, epoch: u32) -> Record {
    claim_of(offset, epoch, false)
}

/// The same of a trainer that was told to begin anew, or was not.
pub(crate) fn claim_of(offset: i64, epoch: u32, anew: bool) -> Record {
    let claim = Claim { epoch, trainer: "a trainer".into(), claimed_at: 0, anew };
    let value = serde_json::to_vec(&claim).expect("serialises");
    let key = key(VersionId { epoch, sequence: 0 }, Part::Claim);
    Record { value: Some(value.into()), ..deleted(offset, &key) }
}

/// A record without a value.
pub(crate) fn deleted(offset: i64, key: &str) -> Record {
    Record {
        partition: 0,
        offset,
        timestamp: 0,
        by_broker: false,
        key: key.to_owned().into(),
        value: None,
        headers: Vec::new(),
    }
}

fn settings() -> Settings {
    Settings { dim: 16, negatives: 16, retrieval_items: 64, ..Settings::default() }
}

fn of(epoch: u32) -> Vec<(Version, Vec<Record>)> {
    let mut learner = Learner::new(settings()).expect("opens");
    let mut made = Vec::new();
    for sequence in 1..6 {
        let kind = if sequence == 1 { PayloadKind::Snapshot } else { PayloadKind::Delta };
        let first = i64::from(sequence) * 10;
        learner.observe(&(first..first + 10).map(view).collect::<Vec<_>>());
        let frozen = learner.freeze(kind).expect("freezes");
        let payload = frozen.encode().expect("encodes");
        let (id, parent) = (VersionId { epoch, sequence }, VersionId { epoch, sequence: sequence - 1 });
        let (mut parts, manifest) = split(id, Some(parent), &frozen, &payload, 0);
        parts.push(manifest_record(&manifest));
        let mut records = Vec::new();
        for part in parts {
            let headers = vec![(CHUNK_CHECKSUM.to_owned(), part.checksum.into())];
            records.push(Record { value: Some(part.value.into()), headers, ..deleted(0, &part.key) });
        }
        made.push((Version { manifest, payload, first: None }, records));
    }
    made
}

fn view(offset: i64) -> Positioned {
    Positioned {
        partition: 0,
        offset,
        interaction: Interaction {
            user_id: format!("u{}", offset % 3),
            item_id: format!("i{}", offset % 5),
            kind: Kind::View.into(),
            ts: 1_700_000_000_000 + offset * 1_000,
            source: Some(Source { offset, ..Source::default() }),
            ..Interaction::default()
        },
    }
}
