//! Every way in which a version can be damaged, and who is believed when trainers compete.

use model::{Learner, Settings};
use proptest::prelude::*;
use schemas::checkpoint::{PayloadKind, key};

use super::*;
use crate::records::{Record, manifest_record, split};

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
    let claim = Claim { epoch, trainer: trainer.into(), claimed_at: 0, anew: false };
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
    let last = records.remove(2);
    assert_eq!(refusal(&records), "2 of its 3 chunks are there");
    records.insert(2, last);
    records.remove(1);
    assert_eq!(refusal(&records), "chunk 1 is missing");
    assert_eq!(refusal(&records[2..]), "0 of its 3 chunks are there", "the log begins in the middle of it");
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
    assert_eq!(assembler.claim().map(|claim| claim.trainer.as_str()), Some("a"));
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

#[test]
fn claims_near_the_last_epoch_are_refused_by_everyone_and_use_no_epochs_up() {
    let mut assembler = Assembler::default();
    assert!(matches!(push(&mut assembler, &claim(3, "ours")), Outcome::Claimed(_)));
    for epoch in [3 + EPOCH_REACH + 1, LAST, LAST + 1, u32::MAX - 1, u32::MAX] {
        assert!(matches!(push(&mut assembler, &claim(epoch, "stranger")), Outcome::Refused { .. }), "{epoch}");
    }
    assert_eq!((assembler.epoch(), assembler.claim().map(|claim| claim.trainer.as_str())), (3, Some("ours")));
    assert!(matches!(push(&mut assembler, &claim(4, "ours")), Outcome::Claimed(_)));
    assert!(matches!(push(&mut assembler, &claim(4 + EPOCH_REACH, "far")), Outcome::Claimed(_)));

    // On a log of which nothing is known yet the first claim sets the count, and leaves more epochs than can be used
    // up.
    let mut first = Assembler::default();
    assert!(matches!(push(&mut first, &claim(FIRST_REACH + 1, "stranger")), Outcome::Refused { .. }));
    assert!(matches!(push(&mut first, &claim(FIRST_REACH, "stranger")), Outcome::Claimed(_)));
    assert!(first.reach() < LAST);
}

#[test]
fn a_version_of_an_epoch_that_nobody_claimed_is_refused() {
    let mut assembler = Assembler::default();
    push(&mut assembler, &claim(3, "ours"));
    assert!(records(version(4, 1)).iter().all(|r| matches!(push(&mut assembler, r), Outcome::Refused { .. })));
    let ours = records(version(3, 1));
    let outcomes: Vec<Outcome> = ours.iter().map(|record| push(&mut assembler, record)).collect();
    assert!(matches!(outcomes.last(), Some(Outcome::Whole(..))), "{outcomes:?}");
}

#[test]
fn a_log_that_begins_in_its_middle_counts_from_its_first_whole_version() {
    let mut assembler = Assembler::default();
    let all = records(version(700, 9));
    let outcomes: Vec<Outcome> = all.iter().map(|record| push(&mut assembler, record)).collect();
    assert!(matches!(outcomes.last(), Some(Outcome::Whole(..))), "{outcomes:?}");
    assert_eq!(assembler.epoch(), 700);
    assert!(matches!(push(&mut assembler, &claim(1, "late")), Outcome::Stale(_)));
}

#[test]
fn chunks_of_several_versions_may_be_interleaved() {
    let mut assembler = Assembler::default();
    let all = [records(version(1, 1)), records(version(1, 2)), records(version(1, 900))];
    let mut whole = 0;
    for n in 0..all[0].len() {
        for records in &all {
            whole += usize::from(matches!(push(&mut assembler, &records[n]), Outcome::Whole(..)));
        }
    }
    assert_eq!((whole, assembler.held()), (3, 0));
}

#[test]
fn chunks_without_a_manifest_are_bounded_and_letting_them_go_is_told() {
    let most = 3 * CHUNK_BYTES as u64;
    let mut assembler = Assembler::holding(most);
    let mut told = 0;
    for sequence in 1..40 {
        for record in records(version(1, sequence)).iter().take(2) {
            told += usize::from(matches!(push(&mut assembler, record), Outcome::Refused { .. }));
            assert!(assembler.held() <= most && assembler.pending.len() <= MAX_PENDING);
        }
    }
    assert_eq!(told, 38, "each version but the last was let go, and named once");
    // One that is too large by itself is refused with its manifest.
    let mut assembler = Assembler::holding(most / 2);
    let outcomes: Vec<Outcome> = records(version(1, 1)).iter().map(|record| push(&mut assembler, record)).collect();
    assert!(
        matches!(outcomes.last(), Some(Outcome::Refused { reason, .. }) if reason.contains("larger")),
        "{outcomes:?}"
    );
    assert_eq!(assembler.held(), 0);
    // Tiny ones are bounded by their number.
    let mut assembler = Assembler::default();
    for sequence in 1..1_000 {
        let value = vec![1];
        let checksum = blake3::hash(&value).to_hex().to_string();
        push(&mut assembler, &Record { key: key(version(1, sequence), Part::Chunk(0)), value, checksum });
    }
    assert_eq!(assembler.pending.len(), MAX_PENDING);
}

#[test]
fn chunks_without_a_manifest_take_no_more_than_a_quarter_of_the_memory_that_the_process_may_take() {
    let gib = 1_u64 << 30;
    assert_eq!(room(Some(gib)), gib / 4);
    assert_eq!([room(Some(64 * gib)), room(None)], [MAX_PAYLOAD_BYTES; 2], "as much as a version may have");
    assert_eq!(room(Some(1)), LEAST_ROOM);
}

#[test]
fn chunks_out_of_their_order_hold_nothing() {
    let mut assembler = Assembler::default();
    for n in [9_999, 5, 7, 0] {
        let value = vec![0; CHUNK_BYTES];
        let checksum = blake3::hash(&value).to_hex().to_string();
        push(&mut assembler, &Record { key: key(version(1, 1), Part::Chunk(n)), value, checksum });
    }
    assert_eq!(assembler.held(), 0);
}

/// What may come next on the log.
#[derive(Debug, Clone)]
enum Step {
    Claim(u32),
    Chunk(VersionId, u32, u8),
    Manifest(VersionId, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || (1_u32..4, 1_u32..4).prop_map(|(epoch, sequence)| version(epoch, sequence));
    let step = prop_oneof![
        1 => (0_u32..5).prop_map(Step::Claim),
        6 => (id(), 0_u32..3, any::<u8>()).prop_map(|(id, n, byte)| Step::Chunk(id, n, byte)),
        3 => (id(), 0_u32..4).prop_map(|(id, chunks)| Step::Manifest(id, chunks)),
    ];
    proptest::collection::vec(step, 0..60)
}

/// The rules once more, plainly: every chunk that came, and a version is whole when they are just those of its
/// manifest.
#[derive(Default)]
struct Plain {
    epoch: u32,
    chunks: std::collections::BTreeMap<VersionId, Vec<(u32, u8)>>,
}

impl Plain {
    /// Whether it makes a version whole.
    fn step(&mut self, step: &Step) -> bool {
        let counts = |id: VersionId, epoch: u32| id.epoch == epoch || (epoch == 0 && id.epoch > 0);
        match *step {
            Step::Claim(epoch) if epoch > self.epoch => {
                (self.epoch, self.chunks) = (epoch, Default::default());
                false
            }
            Step::Chunk(id, n, byte) if counts(id, self.epoch) => {
                self.chunks.entry(id).or_default().push((n, byte));
                false
            }
            Step::Manifest(id, count) if counts(id, self.epoch) => {
                let came = self.chunks.remove(&id).unwrap_or_default();
                let whole = count > 0 && came.iter().map(|(n, _)| *n).eq(0..count);
                if whole {
                    self.epoch = id.epoch;
                    self.chunks.retain(|other, _| *other > id);
                }
                whole
            }
            _ => false,
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_order_a_version_is_whole_when_the_plain_rules_say_so(steps in steps()) {
        let like = {
            static LIKE: std::sync::OnceLock<Manifest> = std::sync::OnceLock::new();
            LIKE.get_or_init(|| {
                let id = version(1, 1);
                Manifest::read(id, &records(id).pop().expect("a manifest").value).expect("is sound")
            })
        };
        let (mut assembler, mut plain) = (Assembler::default(), Plain::default());
        for step in &steps {
            let record = match *step {
                Step::Claim(epoch) => claim(epoch, "a trainer"),
                Step::Chunk(id, n, byte) => {
                    let value = vec![byte; 3];
                    let checksum = blake3::hash(&value).to_hex().to_string();
                    Record { key: key(id, Part::Chunk(n)), value, checksum }
                }
                Step::Manifest(id, chunks) => {
                    let came = plain.chunks.get(&id).map_or(&[][..], Vec::as_slice);
                    let payload: Vec<u8> = came.iter().flat_map(|(_, byte)| [*byte; 3]).collect();
                    manifest_record(&Manifest {
                        version: id,
                        chunks,
                        bytes: payload.len() as u64,
                        checksum: blake3::hash(&payload).to_hex().to_string(),
                        ..like.clone()
                    })
                }
            };
            let expected = plain.step(step);
            let outcome = push(&mut assembler, &record);
            prop_assert_eq!(matches!(outcome, Outcome::Whole(..)), expected, "{:?}: {:?}", step, outcome);
            prop_assert_eq!(assembler.epoch(), plain.epoch);
        }
    }
}
