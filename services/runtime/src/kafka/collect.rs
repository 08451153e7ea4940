//! Gathers the records of a batch into one block of memory.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use super::{Batch, Record};

/// I7: a batch ends when its records reach this many bytes, however few they are.
const MOST_BYTES: usize = 8 << 20;

/// A batch in the making. Lives in the consumer, not in a future: dropping `next_batch` loses nothing.
#[derive(Debug, Default)]
pub(super) struct Collector {
    block: BytesMut,
    rows: Vec<Row>,
    assigned: Vec<i32>,
    revoked: Vec<i32>,
}

#[derive(Debug)]
struct Row {
    partition: i32,
    offset: i64,
    timestamp: i64,
    by_broker: bool,
    key: Range<usize>,
    value: Option<Range<usize>>,
    headers: Vec<(String, Range<usize>)>,
}

impl Collector {
    pub(super) fn has_records(&self) -> bool {
        !self.rows.is_empty()
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.assigned.is_empty() || !self.revoked.is_empty()
    }

    pub(super) fn is_full(&self, most: usize) -> bool {
        self.rows.len() >= most || self.block.len() >= MOST_BYTES
    }

    /// Adds a record, copying it out of librdkafka's memory.
    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let key = self.copy(message.key().unwrap_or_default());
        let value = message.payload().map(|value| self.copy(value));
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let copied = headers.iter().map(|header| (header.key.to_owned(), self.copy(header.value.unwrap_or(&[]))));
            copied.collect()
        });
        self.rows.push(Row {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(-1),
            by_broker: matches!(message.timestamp(), Timestamp::LogAppendTime(_)),
            key,
            value,
            headers,
        });
    }

    /// Notes partitions that came; see [`Batch`] for what the two lists mean together.
    pub(super) fn assign(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if !self.assigned.contains(partition) {
                self.assigned.push(*partition);
            }
        }
    }

    /// Notes partitions that went, and forgets that they came, and their records: the new owner reads those.
    pub(super) fn revoke(&mut self, partitions: &[i32]) {
        self.rows.retain(|row| !partitions.contains(&row.partition));
        for partition in partitions {
            self.assigned.retain(|assigned| assigned != partition);
            if !self.revoked.contains(partition) {
                self.revoked.push(*partition);
            }
        }
    }

    /// Forgets the records of a partition that is read from elsewhere.
    pub(super) fn drop_records(&mut self, partition: i32) {
        self.rows.retain(|row| row.partition != partition);
    }

    /// Hands the batch out and starts the next one.
    pub(super) fn take(&mut self) -> Batch {
        let block = self.block.split().freeze();
        let records = self.rows.drain(..).map(|row| row.finish(&block)).collect();
        Batch {
            records,
            assigned: std::mem::take(&mut self.assigned),
            revoked: std::mem::take(&mut self.revoked),
            ..Batch::default()
        }
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.block.len();
        self.block.extend_from_slice(bytes);
        start..self.block.len()
    }
}

impl Row {
    fn finish(self, block: &Bytes) -> Record {
        let headers = self.headers.into_iter().map(|(key, range)| (key, block.slice(range))).collect();
        Record {
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            by_broker: self.by_broker,
            key: block.slice(self.key),
            value: self.value.map(|range| block.slice(range)),
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_went_and_came_back_is_in_both_lists() {
        let mut collector = Collector::default();
        collector.revoke(&[0, 1]);
        collector.assign(&[1, 2]);
        let batch = collector.take();
        assert_eq!((batch.revoked, batch.assigned), (vec![0, 1], vec![1, 2]));
        assert!(!collector.has_changes());
    }

    #[test]
    fn a_batch_is_full_at_its_records_or_at_eight_megabytes_and_the_next_begins_empty() {
        let mut collector = Collector::default();
        let row =
            |key| Row { partition: 0, offset: 0, timestamp: 0, by_broker: false, key, value: None, headers: vec![] };
        let key = collector.copy(b"k");
        collector.rows.push(row(key));
        assert!(collector.is_full(1) && !collector.is_full(2));
        let key = collector.copy(&vec![b'k'; MOST_BYTES - 1]);
        collector.rows.push(row(key));
        assert!(collector.is_full(2_000), "however few they are");
        assert_eq!(collector.take().records.len(), 2);
        assert!(!collector.is_full(1));
    }

    #[test]
    fn a_partition_that_came_and_went_is_only_revoked() {
        let mut collector = Collector::default();
        collector.assign(&[3]);
        collector.revoke(&[3]);
        let batch = collector.take();
        assert_eq!((batch.revoked, batch.assigned), (vec![3], vec![]));
    }
}
