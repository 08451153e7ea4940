//! Every way in which a version can be damaged, and who is believed when trainers compete.

use super::*;
use crate::{Learner, Settings};

fn version(epoch: u32, sequence: u32) -> VersionId {
    VersionId { epoch, sequence }
}

/// A whole version in three chunks or more: its records in order, the manifest last.
fn records(id: VersionId) -> Vec<Record> {
    let frozen = Learner::new(Settings::default())
        .and_then(|mut learner| learner.freeze(PayloadKind::Snapshot))
        .expect("freezes");
    let payload: Vec<u8> = (0..2 * CHUNK_BYTES + 77).map(|n| (n % 251) as u8).collect();
    let (mut records, manifest) = split(id, None, &frozen, &payload, 0);
    records.push(manifest_record(&manifest));
    records
}

fn claim(epoch: u32, trainer: &str) -> Record {
    let claim = Claim { epoch, trainer: trainer.into(), claimed_at: 0 };
    let value = serde_json::to_vec(&claim).expect("serialises");
    Record { key: key(version(epoch, 0), Part::Claim), value, checksum: String::new() }
}

fn push(assembler: &mut Assembler, record: &Record) -> Outcome {
    let value = Some(Bytes::from(record.value.clone()));
    assembler.push(record.key.as_bytes(), value, Some(record.checksum.as_bytes()))
}

fn last(records: &[Record]) -> Outcome {
    let mut assembler = Assembler::default();
    let outcomes: Vec<Outcome> = records.iter().map(|record| push(&mut assembler, record)).collect();
    outcomes.into_iter().next_back().expect("there is a manifest")
}

fn refusal(records: &[Record]) -> String {
    match last(records) {
        Outcome::Refused { reason, .. } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_whole_version_comes_out_as_it_went_in_and_every_message_is_under_a_megabyte() {
    let records = records(version(1, 1));
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.value.len() <= CHUNK_BYTES));
    match last(&records) {
        Outcome::Whole(manifest, payload) => {
            assert_eq!(manifest.version, version(1, 1));
            assert_eq!(payload.len(), 2 * CHUNK_BYTES + 77);
        }
        other => panic!("not whole: {other:?}"),
    }
}

#[test]
fn a_torn_version_is_refused() {
    let mut records = records(version(1, 1));
    records.remove(1);
    assert_eq!(refusal(&records), "2 of its 3 chunks are there");
}

#[test]
fn a_flipped_bit_is_refused() {
    let mut records = records(version(1, 1));
    records[1].value[500] ^= 1;
    assert!(refusal(&records).contains("checksum"));
}

#[test]
fn a_chunk_exchanged_together_with_its_checksum_is_refused() {
    let mut records = records(version(1, 1));
    records[1].value[500] ^= 1;
    records[1].checksum = blake3::hash(&records[1].value).to_hex().to_string();
    assert!(refusal(&records).contains("checksum of its manifest"));
}

#[test]
fn a_truncated_chunk_is_refused() {
    let mut records = records(version(1, 1));
    records[2].value.truncate(10);
    assert!(refusal(&records).contains("checksum"));
}

#[test]
fn a_broken_version_does_not_spoil_the_next() {
    let mut assembler = Assembler::default();
    let mut broken = records(version(1, 1));
    broken.pop();
    let all = broken.into_iter().chain(records(version(1, 2)));
    let outcomes: Vec<Outcome> = all.map(|record| push(&mut assembler, &record)).collect();
    assert!(matches!(outcomes.last(), Some(Outcome::Whole(manifest, _)) if manifest.version == version(1, 2)));
}

#[test]
fn a_superseded_trainer_is_ignored_and_the_first_claim_of_an_epoch_holds() {
    let mut assembler = Assembler::default();
    assert!(matches!(push(&mut assembler, &claim(2, "a")), Outcome::Claimed(_)));
    assert!(matches!(push(&mut assembler, &claim(2, "b")), Outcome::Stale(_)));
    assert_eq!(assembler.claimed_by(), Some("a"));
    for record in records(version(1, 7)) {
        assert!(matches!(push(&mut assembler, &record), Outcome::Stale(id) if id == version(1, 7)));
    }
    let newer = records(version(2, 1));
    let outcomes: Vec<Outcome> = newer.iter().map(|record| push(&mut assembler, record)).collect();
    assert!(matches!(outcomes.last(), Some(Outcome::Whole(..))));
}

#[test]
fn a_foreign_record_is_refused_and_a_deleted_one_is_nothing() {
    let mut assembler = Assembler::default();
    assert!(matches!(assembler.push(b"junk", Some(Bytes::new()), None), Outcome::Refused { version: None, .. }));
    assert!(matches!(assembler.push(b"000001-00000001/0000", None, None), Outcome::Nothing));
}
