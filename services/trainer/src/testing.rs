//! Records for the unit tests: interactions, claims, and a `checkpoints` log written by a real learner.

use bytes::Bytes;
use model::{Learner, Positioned, Sample, Settings};
use runtime::kafka::Record;
use schemas::checkpoint::{CHUNK_CHECKSUM, Claim, Part, PayloadKind, VersionId, key};
use schemas::{Interaction, Kind, Message, Source};
use versions::manifest_record;

use crate::publisher::{self, Encoded};
use crate::schedule::Order;

/// A record at offset 0.
pub(crate) fn record(key: &str, value: Option<Bytes>) -> Record {
    Record {
        partition: 0,
        offset: 0,
        timestamp: 0,
        by_broker: false,
        key: key.to_owned().into(),
        value,
        headers: Vec::new(),
    }
}

/// A claim as it lies on the topic.
pub(crate) fn claim(epoch: u32, trainer: &str) -> Record {
    let claim = Claim { epoch, trainer: trainer.into(), claimed_at: 0, anew: false };
    let value = serde_json::to_vec(&claim).expect("serialises").into();
    record(&key(VersionId { epoch, sequence: 0 }, Part::Claim), Some(value))
}

/// One of three users views one of five items.
pub(crate) fn interaction(partition: i32, offset: i64) -> Record {
    let value = viewed(partition, offset, ITEMS).encode_to_vec().into();
    Record { partition, offset, ..record("u", Some(value)) }
}

/// The value of an interaction that comes from another life of `events`.
pub(crate) fn viewed_at(partition: i32, offset: i64, incarnation: u64) -> Bytes {
    let source = Some(Source { partition, offset, topic: 0, incarnation });
    Interaction { source, ..viewed(partition, offset, ITEMS) }.encode_to_vec().into()
}

const ITEMS: i64 = 5;

fn viewed(partition: i32, offset: i64, items: i64) -> Interaction {
    Interaction {
        user_id: format!("u{}", offset % 3),
        item_id: format!("i{}", offset % items),
        kind: Kind::View.into(),
        ts: 1_700_000_000_000 + offset.min(100_000) * 1_000,
        source: Some(Source { partition, offset, ..Source::default() }),
        ..Interaction::default()
    }
}

/// A `checkpoints` log in the making.
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    /// Of so many items one is viewed.
    pub(crate) items: i64,
    learner: Learner,
    newest: VersionId,
    next: i64,
}

impl Default for Log {
    fn default() -> Self {
        let learner = Learner::new(Settings { dim: 16, negatives: 16, ..Settings::default() }).expect("opens");
        Self { records: Vec::new(), items: ITEMS, learner, newest: VersionId::default(), next: 0 }
    }
}

impl Log {
    /// Begins an epoch.
    pub(crate) fn claim(&mut self, epoch: u32) {
        self.newest = VersionId { epoch, sequence: 0 };
        self.records.push(claim(epoch, "test"));
    }

    /// Learns from `interactions` more and publishes.
    pub(crate) fn publish(&mut self, kind: PayloadKind, interactions: i64) {
        let (partition, offsets) = (0, self.next..self.next + interactions);
        let items = self.items;
        let positioned = |offset| Positioned { partition, offset, interaction: viewed(partition, offset, items) };
        self.next = offsets.end;
        let observed = self.learner.observe(&offsets.map(positioned).collect::<Vec<_>>());
        assert_eq!(observed.dropped, 0);
        let frozen = self.learner.freeze(kind).expect("freezes");
        let version = VersionId { sequence: self.newest.sequence + 1, ..self.newest };
        let parent = Some(self.newest).filter(|_| kind == PayloadKind::Delta);
        let order = Order { version, parent, kind };
        let Encoded { chunks, manifest, .. } =
            publisher::encode(&order, &frozen, &Sample::default(), 0).expect("encodes");
        self.newest = version;
        for part in chunks.into_iter().chain([manifest_record(&manifest)]) {
            let headers = vec![(CHUNK_CHECKSUM.to_owned(), part.checksum.into())];
            self.records.push(Record { headers, ..record(&part.key, Some(part.value.into())) });
        }
    }

    /// Flips a bit in the chunk before the last manifest.
    pub(crate) fn corrupt_last_chunk(&mut self) {
        let at = self.records.len() - 2;
        let mut value = self.records[at].value.as_ref().expect("is a chunk").to_vec();
        value[100] ^= 1;
        self.records[at].value = Some(value.into());
    }
}
