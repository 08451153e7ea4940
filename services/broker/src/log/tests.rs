//! What is appended, found, and refused.

use super::*;
use crate::batch::tests::{Packed, sent};

const PLACE: Place = (Uuid::from_bytes([7; 16]), 2);

fn batch(sequence: i32, records: usize) -> Batch {
    batch_of(0, sequence, records)
}

fn batch_of(epoch: i16, sequence: i32, records: usize) -> Batch {
    let bytes = sent((1, epoch, sequence), &vec![1000 + i64::from(sequence); records], Packed::Not);
    Batch::split(&bytes).expect("is whole").remove(0)
}

fn offsets(log: &Log, from: i64, max_bytes: usize) -> Vec<i64> {
    let (batches, _) = log.read(PLACE, from, max_bytes).expect("is in range");
    batches.iter().map(|batch| batch.base_offset).collect()
}

#[test]
fn a_fetch_from_the_middle_of_a_batch_gets_that_batch() {
    let log = Log::default();
    for sequence in [0, 10, 20] {
        log.append(PLACE, batch(sequence, 10)).expect("is appended");
    }
    assert_eq!(offsets(&log, 15, 10_000), [10, 20]);
    assert_eq!(offsets(&log, 20, 10_000), [20]);
    assert!(offsets(&log, 30, 10_000).is_empty());
    assert_eq!(log.bounds(PLACE).end, 30);
    assert_eq!(log.read(PLACE, 31, 10_000).expect_err("is beyond"), ResponseError::OffsetOutOfRange);
}

#[test]
fn a_fetch_gets_as_many_batches_as_fit_and_at_least_one() {
    let log = Log::default();
    for sequence in [0, 10, 20] {
        log.append(PLACE, batch(sequence, 10)).expect("is appended");
    }
    let size = batch(0, 10).bytes().len();
    assert_eq!(offsets(&log, 0, 2 * size), [0, 10]);
    assert_eq!(offsets(&log, 0, 2 * size - 1), [0]);
    assert_eq!(offsets(&log, 0, 1), [0]);
    assert!(offsets(&log, 0, 0).is_empty());
}

#[test]
fn a_retry_gets_its_old_offset_and_is_not_written_again() {
    let log = Log::default();
    assert_eq!(log.append(PLACE, batch(0, 10)), Ok(0));
    assert_eq!(log.append(PLACE, batch(10, 10)), Ok(10));
    assert_eq!(log.append(PLACE, batch(0, 10)), Ok(0));
    assert_eq!(log.bounds(PLACE).end, 20);
}

#[test]
fn a_gap_in_the_sequence_numbers_is_refused() {
    let log = Log::default();
    log.append(PLACE, batch(0, 10)).expect("is appended");
    assert_eq!(log.append(PLACE, batch(20, 10)), Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(log.append((Uuid::from_bytes([7; 16]), 3), batch(0, 10)), Ok(0), "each partition counts for itself");
}

#[test]
fn a_newer_epoch_starts_at_zero_and_shuts_the_older_one_out() {
    let log = Log::default();
    log.append(PLACE, batch(0, 10)).expect("is appended");
    assert_eq!(log.append(PLACE, batch_of(1, 0, 10)), Ok(10));
    assert_eq!(log.append(PLACE, batch(10, 10)), Err(ResponseError::InvalidProducerEpoch));
}

#[test]
fn a_time_is_found_where_its_record_is_and_the_newest_likewise() {
    let log = Log::default();
    assert_eq!((log.first_since(PLACE, 0), log.newest(PLACE)), (None, None));
    for times in [[1000, 1010], [1030, 1020]] {
        let bytes = sent((-1, -1, -1), &times, Packed::Lz4);
        log.append(PLACE, Batch::split(&bytes).expect("is whole").remove(0)).expect("is appended");
    }
    assert_eq!(log.first_since(PLACE, 1005), Some((1, 1010)));
    assert_eq!(log.first_since(PLACE, 1011), Some((2, 1030)));
    assert_eq!(log.first_since(PLACE, 1031), None);
    assert_eq!(log.newest(PLACE), Some((2, 1030)));
}

#[test]
fn deleted_records_are_out_of_range_and_those_behind_them_stay() {
    let log = Log::default();
    for sequence in [0, 10, 20] {
        log.append(PLACE, batch(sequence, 10)).expect("is appended");
    }
    assert_eq!(log.delete_before(PLACE, 15), Ok(15));
    assert_eq!(log.bounds(PLACE), Bounds { start: 15, end: 30 });
    assert_eq!(log.read(PLACE, 14, 10_000).expect_err("is gone"), ResponseError::OffsetOutOfRange);
    assert_eq!(offsets(&log, 15, 10_000), [10, 20], "a batch goes as a whole or not at all");
    assert_eq!(log.delete_before(PLACE, 3), Ok(15), "nothing comes back");
    assert_eq!(log.delete_before(PLACE, 31), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.delete_before(PLACE, -1), Ok(30));
    assert_eq!(log.append(PLACE, batch(30, 10)), Ok(30));
}

#[test]
fn a_topic_that_is_forgotten_leaves_the_others() {
    let (log, other) = (Log::default(), (Uuid::from_bytes([8; 16]), 2));
    for place in [PLACE, other] {
        log.append(place, batch(0, 10)).expect("is appended");
    }
    log.forget(PLACE.0);
    assert_eq!((log.bounds(PLACE).end, log.bounds(other).end), (0, 10));
}
