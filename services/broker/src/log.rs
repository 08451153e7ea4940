//! The records: batches in memory, found by offset, with what makes a producer's retries harmless.
//!
//! `tansu-broker` has a store in memory, and three things it does (0.6) made ours necessary: a fetch from the middle of a
//! batch goes on with the next batch, so whoever resumes at a committed offset loses records; the end of a partition is
//! told as the last batch's first offset + 1; and every fetch lists all batches of a partition.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tansu_sans_io::ErrorCode;
use tansu_sans_io::record::deflated::Batch;
use tansu_sans_io::record::inflated;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A topic by its id, so that a topic made again starts empty, and a partition.
pub(crate) type Place = ([u8; 16], i32);

/// Bytes of a batch besides its records.
const HEADER_BYTES: usize = 61;

/// As many batches of a producer are under way at most (`max.in.flight.requests.per.connection`).
const IN_FLIGHT: usize = 5;

/// All records of the broker. Grows until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Log {
    partitions: Mutex<HashMap<Place, Partition>>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Partition {
    /// By base offset, without gaps.
    batches: Vec<Batch>,
    end: i64,
    producers: HashMap<i64, Written>,
}

/// What an idempotent producer wrote last.
#[derive(Debug)]
struct Written {
    epoch: i16,
    next_sequence: i32,
    /// First sequence number and offset of its newest batches.
    recent: VecDeque<(i32, i64)>,
}

impl Log {
    /// Appends a batch; returns its offset, the old one if it is a retry of a batch that is there already.
    pub(crate) fn append(&self, place: Place, mut batch: Batch) -> Result<i64, ErrorCode> {
        let mut partitions = self.lock();
        let partition = partitions.entry(place).or_default();
        if batch.is_idempotent()
            && let Some(offset) = partition.retried(&batch)?
        {
            return Ok(offset);
        }
        let offset = partition.end;
        batch.base_offset = offset;
        partition.end = last_offset(&batch) + 1;
        partition.batches.push(batch);
        drop(partitions);
        self.grown.notify_waiters();
        Ok(offset)
    }

    /// The batches from the one that holds offset `from` on, at most `max_bytes` of them but at least one if there is any
    /// and `max_bytes` is not 0; and the end of the partition.
    pub(crate) fn read(&self, place: Place, from: i64, max_bytes: usize) -> Result<(Vec<Batch>, i64), ErrorCode> {
        let partitions = self.lock();
        let (batches, end) = partitions.get(&place).map_or((&[][..], 0), |found| (&found.batches[..], found.end));
        if !(0..=end).contains(&from) {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let first = batches.partition_point(|batch| last_offset(batch) < from);
        let mut bytes = 0;
        let fitting = batches[first..].iter().take_while(|batch| {
            let fits = bytes < max_bytes && (bytes == 0 || bytes + size(batch) <= max_bytes);
            bytes += size(batch);
            fits
        });
        Ok((fitting.cloned().collect(), end))
    }

    /// The offset of the next record.
    pub(crate) fn end(&self, place: Place) -> i64 {
        self.lock().get(&place).map_or(0, |partition| partition.end)
    }

    /// Offset and time of the first record at `time` or later, milliseconds since 1970.
    pub(crate) fn first_since(&self, place: Place, time: i64) -> Option<(i64, i64)> {
        let partitions = self.lock();
        let batch = partitions.get(&place)?.batches.iter().find(|batch| batch.max_timestamp >= time)?;
        let whole = || (batch.base_offset, batch.max_timestamp);
        let Ok(inflated) = inflated::Batch::try_from(batch) else { return Some(whole()) };
        let times = inflated.records.iter().map(|record| inflated.base_timestamp + record.timestamp_delta);
        Some((batch.base_offset..).zip(times).find(|(_, found)| *found >= time).unwrap_or_else(whole))
    }

    /// Resolves at the next append anywhere; enable it before looking.
    pub(crate) fn grown(&self) -> Notified<'_> {
        self.grown.notified()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// The offset of a batch that was written before; otherwise takes note of it.
    fn retried(&mut self, batch: &Batch) -> Result<Option<i64>, ErrorCode> {
        let count = batch.last_offset_delta + 1;
        let next_sequence = wrap(batch.base_sequence, count);
        let Some(written) = self.producers.get_mut(&batch.producer_id) else {
            let recent = VecDeque::from([(batch.base_sequence, self.end)]);
            let written = Written { epoch: batch.producer_epoch, next_sequence, recent };
            self.producers.insert(batch.producer_id, written);
            return Ok(None);
        };
        if batch.producer_epoch < written.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if batch.producer_epoch > written.epoch {
            *written = Written { epoch: batch.producer_epoch, next_sequence: 0, recent: VecDeque::new() };
        }
        if let Some((_, offset)) = written.recent.iter().find(|(sequence, _)| *sequence == batch.base_sequence) {
            return Ok(Some(*offset));
        }
        if batch.base_sequence != written.next_sequence {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        written.next_sequence = next_sequence;
        written.recent.push_back((batch.base_sequence, self.end));
        if written.recent.len() > IN_FLIGHT {
            written.recent.pop_front();
        }
        Ok(None)
    }
}

fn last_offset(batch: &Batch) -> i64 {
    batch.base_offset + i64::from(batch.last_offset_delta)
}

fn size(batch: &Batch) -> usize {
    HEADER_BYTES + batch.record_data.len()
}

/// Sequence numbers start again at 0 after the largest.
fn wrap(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = ([7; 16], 2);

    fn batch(sequence: i32, records: i32) -> Batch {
        Batch {
            last_offset_delta: records - 1,
            producer_id: 1,
            base_sequence: sequence,
            record_data: vec![0; 39].into(),
            ..Batch::default()
        }
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
        assert_eq!(log.end(PLACE), 30);
        assert_eq!(log.read(PLACE, 31, 10_000).expect_err("is beyond"), ErrorCode::OffsetOutOfRange);
    }

    #[test]
    fn a_fetch_gets_as_many_batches_as_fit_and_at_least_one() {
        let log = Log::default();
        for sequence in [0, 10, 20] {
            log.append(PLACE, batch(sequence, 10)).expect("is appended");
        }
        assert_eq!(offsets(&log, 0, 200), [0, 10], "100 bytes each");
        assert_eq!(offsets(&log, 0, 1), [0]);
        assert!(offsets(&log, 0, 0).is_empty());
    }

    #[test]
    fn a_retry_gets_its_old_offset_and_is_not_written_again() {
        let log = Log::default();
        assert_eq!(log.append(PLACE, batch(0, 10)), Ok(0));
        assert_eq!(log.append(PLACE, batch(10, 10)), Ok(10));
        assert_eq!(log.append(PLACE, batch(0, 10)), Ok(0));
        assert_eq!(log.end(PLACE), 20);
    }

    #[test]
    fn a_gap_in_the_sequence_numbers_is_refused() {
        let log = Log::default();
        log.append(PLACE, batch(0, 10)).expect("is appended");
        assert_eq!(log.append(PLACE, batch(20, 10)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(log.append(([7; 16], 3), batch(0, 10)), Ok(0), "each partition counts for itself");
    }

    #[test]
    fn a_newer_epoch_starts_at_zero_and_shuts_the_older_one_out() {
        let log = Log::default();
        log.append(PLACE, batch(0, 10)).expect("is appended");
        let newer = Batch { producer_epoch: 1, ..batch(0, 10) };
        assert_eq!(log.append(PLACE, newer), Ok(10));
        assert_eq!(log.append(PLACE, batch(10, 10)), Err(ErrorCode::InvalidProducerEpoch));
    }
}
