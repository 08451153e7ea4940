//! The log: consumers, readers, producers and topics, with librdkafka underneath and out of sight.

mod acks;
pub mod admin;
mod alone;
mod attendance;
mod bookmark;
mod bootstrap;
mod client;
mod collect;
mod commits;
mod consumer;
mod contact;
mod denial;
mod ends;
mod error;
mod flight;
mod group;
mod growth;
mod identity;
mod life;
mod link;
mod offsets;
mod producer;
mod pull;
mod reader;
mod resume;
mod roll;
mod section;
mod stream;
#[cfg(test)]
mod tests;
mod topic;
mod watch;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use attendance::Attendance;
pub use bookmark::Bookmark;
pub use commits::Commits;
pub use consumer::Consumer;
pub use contact::contact;
pub use error::KafkaError;
pub use offsets::{Done, Next};
pub use producer::{Outgoing, Producer, Stamp};
pub use reader::{Followed, Reader, StartAt};
pub use roll::Roll;
pub use stream::Stream;
pub use watch::{Expected, Watch};

/// For each partition what is next.
pub type Positions = BTreeMap<i32, Next>;

/// Offsets between two positions, over the partitions of `to`; one of which no start is named counts nothing.
pub(crate) fn distance(from: &Positions, to: &Positions) -> u64 {
    let mut distance = 0_u64;
    for (partition, end) in to {
        let start = from.get(partition).unwrap_or(end);
        distance = distance.saturating_add(start.until(*end));
    }
    distance
}

/// Which offsets a topic holds: from the beginnings up to, but without, the ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// Which life of the topic; 0 where the broker does not say.
    pub life: u32,
    /// For each partition the offset of the oldest record that is still there.
    pub beginnings: Positions,
    /// For each partition the offset of the next record to be written.
    pub ends: Positions,
}

/// One record of a topic. Key, value and header values are slices of the batch's memory: copy what is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, of the producer or of the broker as the topic has it; -1 if there is none.
    pub timestamp: i64,
    /// Whether the broker gave the timestamp (`message.timestamp.type=LogAppendTime`): then no producer's clock is in
    /// it.
    pub by_broker: bool,
    /// The key; empty if there is none.
    pub key: Bytes,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers in their order; a header without a value has an empty one.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// The value of the last header called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Records in the order of their partitions, and what happened to the assignment before them.
///
/// First forget the state of `revoked`, then build that of `assigned`, then take the records. A
/// partition in both lists was taken away and given back: it continues where it was committed.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The records.
    pub records: Vec<Record>,
    /// Partitions that are newly ours.
    pub assigned: Vec<i32>,
    /// Partitions that are no longer ours.
    pub revoked: Vec<i32>,
    /// Partitions whose log is another than before: the topic was deleted and made again, or lost its end. They are
    /// read from the beginning, from the records of this batch on.
    pub reborn: Vec<i32>,
    /// Records that were deleted before they were read.
    pub missed: u64,
}

impl Batch {
    /// For each partition of the batch the offset after its last record: what to commit.
    #[must_use]
    pub fn end(&self) -> Positions {
        self.records.iter().map(|record| (record.partition, Next::behind(record.offset))).collect()
    }

    /// Whether there is neither a record nor a change of the assignment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.assigned.is_empty()
            && self.revoked.is_empty()
            && self.reborn.is_empty()
            && self.missed == 0
    }
}
