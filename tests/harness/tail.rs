//! Reads topics back: everything that is on them now, and again when there is more.

use std::time::Duration;

use runtime::kafka::{Reader, Record, StartAt};
use schemas::checkpoint::{Part, PayloadKind, key, parse_key};
use schemas::{Interaction, Manifest, Message, Topic};

use crate::world::World;

const BATCH: usize = 5_000;

/// Every record of a topic, from the first.
#[derive(Debug)]
pub struct Tail {
    reader: Reader,
    records: Vec<Record>,
}

impl Tail {
    /// Opens a topic.
    ///
    /// # Panics
    /// When Kafka does not answer.
    pub async fn open(world: &World, topic: Topic) -> Self {
        let reader = Reader::open(&world.kafka, &world.topics.name(topic), StartAt::Beginning, &world.ctx).await;
        Self { reader: reader.expect("the topic opens"), records: Vec::new() }
    }

    /// Reads up to the end that the topic has now; gives everything read so far.
    ///
    /// # Panics
    /// When Kafka does not answer.
    pub async fn read(&mut self) -> &[Record] {
        // A broker that is only starting may not know its partitions yet.
        let mut asked = self.reader.end().await;
        for _ in 0..60 {
            if asked.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            asked = self.reader.end().await;
        }
        let end = asked.expect("the topic has an end");
        while let Some(batch) = self.reader.replay(&end, BATCH).await.expect("the topic is readable") {
            self.records.extend(batch.records);
        }
        assert!(self.reader.is_at(&end), "the test does not drain");
        &self.records
    }
}

/// Decodes records of `interactions`, each with the partition it lies in; what is none is passed over, as services do.
#[must_use]
pub fn interactions(records: &[Record]) -> Vec<(i32, Interaction)> {
    let decode = |record: &Record| Some((record.partition, Interaction::decode(record.value.clone()?).ok()?));
    records.iter().filter_map(decode).collect()
}

/// The manifests among records of `checkpoints`, in the order of the log.
#[must_use]
pub fn manifests(records: &[Record]) -> Vec<Manifest> {
    let manifest = |record: &Record| {
        let (_, Part::Manifest) = parse_key(&record.key).ok()? else { return None };
        serde_json::from_slice(record.value.as_deref()?).ok()
    };
    records.iter().filter_map(manifest).collect()
}

/// The newest snapshot on a log of versions: its manifest, and its payload as it lies there, packed.
///
/// # Panics
/// When there is none, or when chunks of it are missing.
pub async fn newest_snapshot(checkpoints: &mut Tail) -> (Manifest, Vec<u8>) {
    let records = checkpoints.read().await;
    let manifest = manifests(records).into_iter().rfind(|manifest| manifest.kind == PayloadKind::Snapshot);
    let manifest = manifest.expect("an epoch begins with a snapshot");
    let chunk = |n| {
        let key = key(manifest.version, Part::Chunk(n));
        let record = |record: &&Record| record.key == key && record.value.is_some();
        records.iter().rfind(record).and_then(|record| record.value.clone()).expect("its chunks are there")
    };
    let payload: Vec<u8> = (0..manifest.chunks).flat_map(chunk).collect();
    assert_eq!(payload.len() as u64, manifest.bytes);
    (manifest, payload)
}

/// The manifest of the version published last, if there is one.
pub async fn latest_manifest(checkpoints: &mut Tail) -> Option<Manifest> {
    manifests(checkpoints.read().await).pop()
}
