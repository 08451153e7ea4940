//! Which version is gone on from, whatever lies on the log.

use schemas::checkpoint::{EPOCH_REACH, LAST, Part, PayloadKind, key};
use schemas::control::Place;

use super::*;
use crate::testing;

fn restored(records: &[Record]) -> Restorer {
    Restorer::new(Model::empty("flex").expect("opens"), Walk::default()).take(records).settle()
}

#[test]
fn the_newest_whole_version_is_restored_and_a_torn_one_is_not() {
    let mut log = testing::Log::default();
    log.claim(4);
    log.publish(PayloadKind::Snapshot, 3);
    log.publish(PayloadKind::Delta, 2);
    log.publish(PayloadKind::Delta, 5);
    log.records.pop(); // the manifest: killed before it was written
    let restorer = restored(&log.records);
    let manifest = restorer.model().manifest().expect("a version is there");
    assert_eq!(manifest.version, VersionId { epoch: 4, sequence: 2 });
    assert_eq!((manifest.interactions, manifest.through[&0].next), (5, 5), "offsets and weights agree");
    assert_eq!(restorer.next_epoch(None), Some(5));
}

#[test]
fn who_begins_at_the_bookmark_of_a_snapshot_restores_the_same_and_claims_the_same_epoch() {
    let mut log = testing::Log::default();
    log.claim(4);
    for n in [3, 2, 5] {
        log.publish(PayloadKind::Snapshot, n);
        log.publish(PayloadKind::Delta, n);
    }
    (0..).zip(&mut log.records).for_each(|(offset, record)| record.offset = offset);
    let whole = restored(&log.records);
    let (at, claim) = whole.snapshot().expect("there is one").clone();
    let from = log.records.iter().position(|record| record.offset == at).expect("it is there");
    assert!(from > 4, "{from}");
    let empty = Model::empty("flex").expect("opens");
    let short = Restorer::new(empty, Walk::behind(claim)).take(&log.records[from..]).settle();
    assert_eq!(short.model().version(), whole.model().version());
    assert_eq!((short.next_epoch(None), short.leadership()), (Some(5), (4, Some("test"))));
}

#[test]
fn deltas_before_the_newest_snapshot_are_only_looked_at_and_may_go_all_the_same() {
    let mut log = testing::Log::default();
    log.claim(4);
    for n in [3, 2] {
        log.publish(PayloadKind::Snapshot, n);
        log.publish(PayloadKind::Delta, n);
    }
    let restorer = Restorer::new(Model::empty("flex").expect("opens"), Walk::default()).take(&log.records);
    let version = |sequence| VersionId { epoch: 4, sequence };
    assert_eq!(restorer.model().version(), Some(version(3)), "the last delta waits");
    let (model, mut ledger) = restorer.settle().into_parts();
    assert_eq!(model.version(), Some(version(4)));
    let retired = ledger.retire(&crate::ledger::tests::newest(1));
    assert!(retired.contains(&key(version(2), Part::Manifest)), "{retired:?}");
    assert!(!retired.contains(&key(version(3), Part::Manifest)), "{retired:?}");
}

#[test]
fn after_a_rollback_it_goes_on_from_the_version_gone_back_to_and_knows_where_the_others_stood() {
    let mut log = testing::Log::default();
    log.claim(4);
    for (kind, n) in [(PayloadKind::Snapshot, 3), (PayloadKind::Delta, 2), (PayloadKind::Snapshot, 5)] {
        log.publish(kind, n);
    }
    let id = |sequence| VersionId { epoch: 4, sequence };
    let back = |to| Back { to: Place { version: to, begins: None }, epoch: 4, at: 0 };
    let restored = |to, records: &[Record]| {
        let restorer = Restorer::new(Model::empty("flex").expect("opens"), Walk::default()).back(back(to));
        restorer.take(records).settle()
    };
    for (to, interactions) in [(id(1), 3), (id(2), 5)] {
        let restorer = restored(to, &log.records);
        let manifest = restorer.model().manifest().expect("a version is there");
        assert_eq!((manifest.version, manifest.interactions), (to, interactions));
        assert_eq!((restorer.rolled_back()[&0].next, restorer.next_epoch(None)), (10, Some(5)));
        let reaching_further = Some(Back { epoch: 5, ..back(to) });
        assert_eq!(restorer.next_epoch(reaching_further), Some(6), "what nobody would serve is not claimed");
    }
    // What went on from there is not rolled back.
    log.claim(5);
    log.publish(PayloadKind::Snapshot, 1);
    assert_eq!(restored(id(1), &log.records).model().version(), Some(VersionId { epoch: 5, sequence: 1 }));
}

/// A version of five items and two of 301 of epoch 4, and behind a claim of epoch 5 what knows five again.
fn far_fewer_items(anew: bool) -> Vec<Record> {
    let (mut log, mut on) = (testing::Log::default(), testing::Log::default());
    log.claim(4);
    log.publish(PayloadKind::Snapshot, 10);
    log.items = 301; // no multiple of three: several users view each
    log.publish(PayloadKind::Snapshot, 903);
    log.publish(PayloadKind::Snapshot, 3); // somebody went on from it
    on.claim(5);
    let claim = Claim { epoch: 5, trainer: "test".into(), claimed_at: 0, anew };
    on.records[0].value = Some(serde_json::to_vec(&claim).expect("serialises").into());
    on.publish(PayloadKind::Snapshot, 10);
    on.publish(PayloadKind::Delta, 10);
    [log.records, on.records].concat()
}

#[test]
fn what_went_on_from_a_version_of_half_the_items_that_was_gone_back_to_is_gone_on_from_at_every_later_start() {
    let (first, many, last) =
        (VersionId { epoch: 4, sequence: 1 }, VersionId { epoch: 4, sequence: 3 }, VersionId { epoch: 5, sequence: 2 });
    let records = far_fewer_items(false);
    assert_eq!(restored(&records).model().version(), Some(many), "nobody decided it: it is doubted");
    let back = Back { to: Place { version: first, begins: None }, epoch: 4, at: 0 };
    let empty = || Restorer::new(Model::empty("flex").expect("opens"), Walk::default());
    for restorer in [empty().decided(Some(back)), empty().decided(Some(back)).back(back)] {
        assert_eq!(restorer.take(&records).settle().model().version(), Some(last));
    }
}

#[test]
fn what_a_promoted_challenger_wrote_follows_nothing_and_is_gone_on_from_at_every_later_start() {
    let promoted = restored(&far_fewer_items(true));
    assert_eq!(promoted.model().version(), Some(VersionId { epoch: 5, sequence: 2 }));
}

#[test]
fn after_a_flipped_bit_what_builds_on_it_is_an_orphan_until_the_next_snapshot() {
    let mut log = testing::Log::default();
    log.claim(1);
    log.publish(PayloadKind::Snapshot, 3);
    log.publish(PayloadKind::Delta, 2);
    log.corrupt_last_chunk();
    log.publish(PayloadKind::Delta, 2);
    let mut restorer = restored(&log.records);
    assert_eq!(restorer.model().version(), Some(VersionId { epoch: 1, sequence: 1 }));
    let orphans: Vec<bool> = restorer.refusals().iter().map(|refusal| refusal.orphan).collect();
    assert_eq!(orphans, [false, true]);
    log.publish(PayloadKind::Snapshot, 1);
    assert_eq!(restored(&log.records).model().manifest().map(|manifest| manifest.interactions), Some(8));
}

#[test]
fn records_of_a_superseded_trainer_are_ignored() {
    let mut log = testing::Log::default();
    log.claim(1);
    log.publish(PayloadKind::Snapshot, 3);
    log.records.push(testing::claim(2, "another"));
    log.publish(PayloadKind::Delta, 2);
    let restorer = restored(&log.records);
    assert_eq!(restorer.model().version(), Some(VersionId { epoch: 1, sequence: 1 }));
    assert_eq!(restorer.leadership(), (2, Some("another")));
}

#[test]
fn the_next_epoch_is_above_every_record_even_when_the_claim_was_deleted() {
    let mut record = testing::claim(9, "gone");
    record.key = key(VersionId { epoch: 9, sequence: 3 }, Part::Chunk(0)).into();
    assert_eq!(restored(&[record]).next_epoch(None), Some(10));
    assert_eq!(restored(&[]).next_epoch(None), Some(1));
}

#[test]
fn a_strangers_claim_of_the_last_epoch_locks_no_trainer_out() {
    let mut log = testing::Log::default();
    log.claim(4);
    log.publish(PayloadKind::Snapshot, 3);
    for epoch in [u32::MAX, u32::MAX - 1, LAST, 5 + EPOCH_REACH] {
        log.records.push(testing::claim(epoch, "stranger"));
        let mut record = testing::claim(epoch, "stranger");
        record.key = key(VersionId { epoch, sequence: u32::MAX }, Part::Chunk(0)).into();
        log.records.push(record);
    }
    let restorer = restored(&log.records);
    assert_eq!(restorer.next_epoch(None), Some(5));
    assert_eq!(restorer.leadership(), (4, Some("test")));
    // As far as a claim reaches it counts, and the next one is still within reach of everyone.
    log.records.push(testing::claim(4 + EPOCH_REACH, "stranger"));
    assert_eq!(restored(&log.records).next_epoch(None), Some(5 + EPOCH_REACH));
}

#[test]
fn versions_of_which_none_is_usable_are_named_and_an_empty_topic_has_none() {
    assert_eq!(restored(&[]).unusable(), None);
    let mut log = testing::Log::default();
    log.claim(1);
    assert_eq!(restored(&log.records).unusable(), None, "a new shop whose trainer was killed before its first version");
    log.publish(PayloadKind::Snapshot, 3);
    assert_eq!(restored(&log.records).unusable(), None);
    let newest = Some(VersionId { epoch: 1, sequence: 1 });
    let chunks_are_gone = [&log.records[..1], &log.records[log.records.len() - 1..]].concat();
    assert_eq!(restored(&chunks_are_gone).unusable(), newest);
    log.corrupt_last_chunk();
    assert_eq!(restored(&log.records).unusable(), newest);
}
