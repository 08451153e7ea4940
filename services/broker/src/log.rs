//! The records: batches in memory, found by offset, with what makes a producer's retries harmless.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_protocol::ResponseError;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use uuid::Uuid;

use crate::batch::Batch;

/// A topic by its id, so that a topic made again starts empty, and a partition.
pub(crate) type Place = (Uuid, i32);

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
    batches: VecDeque<Batch>,
    /// Records before it were deleted.
    start: i64,
    end: i64,
    producers: HashMap<i64, Written>,
}

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The offset of the first record.
    pub(crate) start: i64,
    /// The offset of the next record.
    pub(crate) end: i64,
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
    /// Appends a batch; tells its offset, the old one if it is a retry of a batch that is there already.
    pub(crate) fn append(&self, place: Place, batch: Batch) -> Result<i64, ResponseError> {
        let mut partitions = self.lock();
        let partition = partitions.entry(place).or_default();
        if batch.producer_id >= 0
            && let Some(offset) = partition.retried(&batch)?
        {
            return Ok(offset);
        }
        let offset = partition.end;
        let batch = batch.at(offset);
        partition.end = batch.last_offset() + 1;
        partition.batches.push_back(batch);
        drop(partitions);
        self.grown.notify_waiters();
        Ok(offset)
    }

    /// The batches from the one that holds offset `from` on, at most `max_bytes` of them but at least one if there is
    /// any and `max_bytes` is not 0; and the bounds of the partition.
    pub(crate) fn read(
        &self,
        place: Place,
        from: i64,
        max_bytes: usize,
    ) -> Result<(Vec<Batch>, Bounds), ResponseError> {
        let partitions = self.lock();
        let Some(partition) = partitions.get(&place) else {
            return if from == 0 { Ok((Vec::new(), Bounds::default())) } else { Err(ResponseError::OffsetOutOfRange) };
        };
        if !(partition.start..=partition.end).contains(&from) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let first = partition.batches.partition_point(|batch| batch.last_offset() < from);
        let mut bytes = 0;
        let fitting = partition.batches.range(first..).take_while(|batch| {
            let size = batch.bytes().len();
            let fits = bytes < max_bytes && (bytes == 0 || bytes + size <= max_bytes);
            bytes += size;
            fits
        });
        Ok((fitting.cloned().collect(), partition.bounds()))
    }

    /// The offsets of the first record and of the next one to be written.
    pub(crate) fn bounds(&self, place: Place) -> Bounds {
        self.lock().get(&place).map(Partition::bounds).unwrap_or_default()
    }

    /// Offset and time of the first record at `time` or later, milliseconds since 1970.
    pub(crate) fn first_since(&self, place: Place, time: i64) -> Option<(i64, i64)> {
        let (batch, start) = {
            let partitions = self.lock();
            let partition = partitions.get(&place)?;
            let found = partition.batches.iter().find(|batch| batch.max_timestamp >= time)?;
            (found.clone(), partition.start)
        };
        // Unpacked outside the lock.
        let (offset, found) = batch.first_since(time);
        Some((offset.max(start), found))
    }

    /// Offset and time of the first of the newest records.
    pub(crate) fn newest(&self, place: Place) -> Option<(i64, i64)> {
        let newest = self.lock().get(&place)?.batches.iter().map(|batch| batch.max_timestamp).max()?;
        self.first_since(place, newest)
    }

    /// Deletes the records before `offset`, or all if it is -1; the offset of the first one left.
    pub(crate) fn delete_before(&self, place: Place, offset: i64) -> Result<i64, ResponseError> {
        let mut partitions = self.lock();
        let partition = partitions.entry(place).or_default();
        let offset = if offset == -1 { partition.end } else { offset };
        if !(0..=partition.end).contains(&offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        partition.start = partition.start.max(offset);
        let gone = partition.batches.partition_point(|batch| batch.last_offset() < partition.start);
        partition.batches.drain(..gone);
        Ok(partition.start)
    }

    /// Forgets a topic, and wakes who waits for its records.
    pub(crate) fn forget(&self, topic: Uuid) {
        self.lock().retain(|(id, _), _| *id != topic);
        self.grown.notify_waiters();
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
    fn bounds(&self) -> Bounds {
        Bounds { start: self.start, end: self.end }
    }

    /// The offset of a batch that was written before; otherwise takes note of it.
    fn retried(&mut self, batch: &Batch) -> Result<Option<i64>, ResponseError> {
        let count = batch.last_offset_delta + 1;
        let next_sequence = wrap(batch.base_sequence, count);
        let Some(written) = self.producers.get_mut(&batch.producer_id) else {
            let recent = VecDeque::from([(batch.base_sequence, self.end)]);
            let written = Written { epoch: batch.producer_epoch, next_sequence, recent };
            self.producers.insert(batch.producer_id, written);
            return Ok(None);
        };
        if batch.producer_epoch < written.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if batch.producer_epoch > written.epoch {
            *written = Written { epoch: batch.producer_epoch, next_sequence: 0, recent: VecDeque::new() };
        }
        if let Some((_, offset)) = written.recent.iter().find(|(sequence, _)| *sequence == batch.base_sequence) {
            return Ok(Some(*offset));
        }
        if batch.base_sequence != written.next_sequence {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        written.next_sequence = next_sequence;
        written.recent.push_back((batch.base_sequence, self.end));
        if written.recent.len() > IN_FLIGHT {
            written.recent.pop_front();
        }
        Ok(None)
    }
}

/// Sequence numbers start again at 0 after the largest.
fn wrap(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

#[cfg(test)]
mod tests;
