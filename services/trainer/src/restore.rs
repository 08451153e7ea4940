//! Where the model stands: puts the versions on `checkpoints` together, in the order of the log.
//!
//! A version holds weights, optimiser states, counters and the offsets trained through, and it is there as a whole or
//! not at all (I4). So a trainer that was killed at any moment continues from a model and offsets that agree: what it
//! had learned since is in no version, and is read and learned again. `manifest.interactions` is the number of distinct
//! interactions before `manifest.through`, whatever happened; the crash tests count them.

use bytes::Bytes;
use model::Model;
use model::checkpoint::{Assembler, Outcome};
use runtime::kafka::Record;
use schemas::checkpoint::{CHUNK_CHECKSUM, Manifest, VersionId, parse_key};

use crate::ledger::Ledger;

/// A record or version that is not usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Which version; `None` when not even its key is readable.
    pub(crate) version: Option<VersionId>,
    /// Why.
    pub(crate) reason: String,
    /// It is itself sound, but builds on a version that is not there: refused before, or deleted since.
    pub(crate) orphan: bool,
}

/// Takes the records of `checkpoints` and keeps the newest whole version.
#[derive(Debug)]
pub(crate) struct Restorer {
    assembler: Assembler,
    model: Model,
    ledger: Ledger,
    highest_epoch: u32,
    refusals: Vec<Refusal>,
}

impl Restorer {
    /// Starts before the first record.
    pub(crate) fn new(model: Model) -> Self {
        let (assembler, ledger) = (Assembler::default(), Ledger::default());
        Self { assembler, model, ledger, highest_epoch: 0, refusals: Vec::new() }
    }

    /// Takes records in the order of the log. Applying a snapshot takes time: call it off the async threads.
    pub(crate) fn take(mut self, records: &[Record]) -> Self {
        records.iter().for_each(|record| self.push(record));
        self
    }

    fn push(&mut self, record: &Record) {
        if let Ok((version, part)) = parse_key(&record.key) {
            self.ledger.note(version, part, record.value.is_none());
            if record.value.is_some() {
                self.highest_epoch = self.highest_epoch.max(version.epoch);
            }
        }
        let checksum = record.header(CHUNK_CHECKSUM).map(Bytes::as_ref);
        match self.assembler.push(&record.key, record.value.clone(), checksum) {
            Outcome::Whole(manifest, payload) => self.apply(&manifest, &payload),
            Outcome::Refused { version, reason } => {
                self.refusals.push(Refusal { version, reason, orphan: false });
            }
            Outcome::Nothing | Outcome::Claimed(_) | Outcome::Stale(_) => {}
        }
    }

    fn apply(&mut self, manifest: &Manifest, payload: &[u8]) {
        match self.model.apply(manifest, payload) {
            Ok(model) => {
                self.model = model;
                self.ledger.whole(manifest.version, manifest.kind, manifest.chunks);
            }
            Err(error) => self.refusals.push(Refusal {
                version: Some(manifest.version),
                orphan: matches!(error, model::Error::Parent { .. }),
                reason: error.to_string(),
            }),
        }
    }

    /// The newest whole version.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// What was refused since this was asked last.
    pub(crate) fn refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }

    /// An epoch above every other on the topic.
    pub(crate) fn next_epoch(&self) -> u32 {
        self.highest_epoch.max(self.assembler.epoch()) + 1
    }

    /// The highest epoch claimed, and by whom.
    pub(crate) fn reign(&self) -> (u32, Option<&str>) {
        (self.assembler.epoch(), self.assembler.claimed_by())
    }

    /// The newest whole version and what lies on the topic.
    pub(crate) fn into_parts(self) -> (Model, Ledger) {
        (self.model, self.ledger)
    }
}

#[cfg(test)]
mod tests {
    use schemas::checkpoint::{Part, PayloadKind, key};

    use super::*;
    use crate::testing;

    fn restored(records: &[Record]) -> Restorer {
        Restorer::new(Model::empty("flex").expect("opens")).take(records)
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
        assert_eq!(restorer.next_epoch(), 5);
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
        assert_eq!(restorer.reign(), (2, Some("another")));
    }

    #[test]
    fn the_next_epoch_is_above_every_record_even_when_the_claim_was_deleted() {
        let mut record = testing::claim(9, "gone");
        record.key = key(VersionId { epoch: 9, sequence: 3 }, Part::Chunk(0)).into();
        assert_eq!(restored(&[record]).next_epoch(), 10);
        assert_eq!(restored(&[]).next_epoch(), 1);
    }
}
