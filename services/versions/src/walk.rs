//! The walk through the log of versions: its records in, in their order, and out what each of them led to.
//!
//! Whoever reads versions walks so: the trainer that goes on from them, the scorer that serves them, the operator who
//! looks at them. Pure: what becomes of a version is up to its reader.

use bytes::Bytes;
use runtime::kafka::Record;
use schemas::checkpoint::{CHUNK_CHECKSUM, Claim, Manifest, Part, VersionId, parse_key};
use schemas::control::Back;

use crate::assembler::{Assembler, Outcome};

/// A version that is whole: its manifest and every chunk are there, and the checksums hold (I4).
#[derive(Debug, Clone)]
pub struct Version {
    /// What makes it exist.
    pub manifest: Manifest,
    /// The payload, packed as it lay on the log.
    pub payload: Vec<u8>,
    /// Offset of its first chunk; `None` where that of another version came behind it.
    pub first: Option<i64>,
}

/// What a record led to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // there is one at a time, and its reader takes it apart at once
pub enum Step {
    /// Nothing yet: a chunk was kept.
    Kept,
    /// What the record was is deleted; Kafka keeps the record itself until it compacts the topic.
    Deleted(VersionId, Part),
    /// A version is whole. Whether a model can be made of it is another question.
    Whole(Version),
    /// A record or version that must not be used.
    Refused {
        /// Which version; `None` when not even the record's key is readable.
        version: Option<VersionId>,
        /// Why.
        reason: String,
    },
    /// A trainer claimed an epoch.
    Claimed(Claim),
    /// A record of a superseded trainer (I9).
    Stale(VersionId),
}

/// Goes through the log of versions.
#[derive(Debug, Default)]
pub struct Walk {
    assembler: Assembler,
    /// The version whose first chunk came last, and where that lies.
    begins: Option<(VersionId, i64)>,
    /// The highest epoch of any record within reach of a claim.
    highest_epoch: u32,
    /// Offset after the last record.
    next: i64,
    /// Offset of the last record that counted.
    counted: Option<i64>,
}

impl Walk {
    /// Begins behind a claim, in the middle of the log; [`Walk::default`] begins with its first record.
    #[must_use]
    pub fn behind(claim: Claim) -> Self {
        Self { assembler: Assembler::behind(claim), ..Self::default() }
    }

    /// Takes the next record of the log.
    pub fn take(&mut self, record: &Record) -> Step {
        self.next = record.offset.saturating_add(1);
        let step = self.step(record);
        if !matches!(step, Step::Refused { .. } | Step::Stale(_)) {
            self.counted = Some(record.offset);
        }
        step
    }

    fn step(&mut self, record: &Record) -> Step {
        if let Ok((version, part)) = parse_key(&record.key) {
            if record.value.is_none() {
                return Step::Deleted(version, part);
            }
            if part == Part::Chunk(0) {
                self.begins = Some((version, record.offset));
            }
            // What a stranger wrote far beyond is in nobody's way.
            if version.epoch <= self.assembler.reach() {
                self.highest_epoch = self.highest_epoch.max(version.epoch);
            }
        }
        let checksum = record.header(CHUNK_CHECKSUM).map(Bytes::as_ref);
        match self.assembler.push(&record.key, record.value.clone(), checksum) {
            Outcome::Nothing => Step::Kept,
            Outcome::Whole(manifest, payload) => {
                let first = self.begins.filter(|(version, _)| *version == manifest.version).map(|(_, at)| at);
                Step::Whole(Version { manifest, payload, first })
            }
            Outcome::Refused { version, reason } => Step::Refused { version, reason },
            Outcome::Claimed(claim) => Step::Claimed(claim),
            Outcome::Stale(version) => Step::Stale(version),
        }
    }

    /// Whether a record lies where others lay before it: the topic was deleted and made again.
    #[must_use]
    pub fn is_made_anew(&self, record: &Record) -> bool {
        record.offset < self.next
    }

    /// Forgets what was read, for it is gone from the topic. By its epochs, everything that was written since would be
    /// a superseded trainer's.
    pub fn begin_again(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    /// Offset of the last record that counted: one that was neither refused nor of a superseded trainer.
    #[must_use]
    pub fn counted(&self) -> Option<i64> {
        self.counted
    }

    /// The highest epoch that counts so far; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.assembler.epoch()
    }

    /// Who claimed it, where that was read.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        self.assembler.claim()
    }

    /// The highest epoch that a claim may name.
    #[must_use]
    pub fn reach(&self) -> u32 {
        self.assembler.reach()
    }

    /// An epoch above every other on the log that everyone else will take; `None` where none is left.
    #[must_use]
    pub fn next_epoch(&self) -> Option<u32> {
        let next = self.highest_epoch.max(self.epoch()).saturating_add(1).min(self.assembler.reach());
        Some(next).filter(|next| *next > self.epoch())
    }

    /// The same, above those that went back with `back` as well: what nobody would serve is not claimed.
    #[must_use]
    pub fn next_epoch_above(&self, back: Option<Back>) -> Option<u32> {
        let next = self.next_epoch()?;
        let reached = back.filter(|back| (next..self.reach()).contains(&back.epoch));
        Some(reached.map_or(next, |back| back.epoch.saturating_add(1)).min(self.reach()))
    }
}

#[cfg(test)]
mod tests {
    use schemas::checkpoint::key;

    use super::*;
    use crate::testing::{claim, deleted, log};

    #[test]
    fn a_version_comes_with_the_place_where_it_begins() {
        let mut walk = Walk::default();
        let mut whole = Vec::new();
        for record in log(1) {
            if let Step::Whole(Version { manifest, first, .. }) = walk.take(&record) {
                assert_eq!(first.map(|at| at + i64::from(manifest.chunks)), Some(record.offset));
                whole.push(manifest.version.sequence);
            }
        }
        assert_eq!((whole, walk.epoch(), walk.next_epoch()), (vec![1, 2, 3, 4, 5], 1, Some(2)));
    }

    #[test]
    fn what_was_deleted_is_named_whoever_wrote_it() {
        let version = VersionId { epoch: 1, sequence: 3 };
        let mut walk = Walk::default();
        walk.take(&claim(0, 2));
        let step = walk.take(&deleted(1, &key(version, Part::Manifest)));
        assert!(matches!(step, Step::Deleted(id, Part::Manifest) if id == version), "{step:?}");
        assert!(matches!(walk.take(&deleted(2, "junk")), Step::Refused { version: None, .. }));
    }

    #[test]
    fn a_topic_that_was_made_again_is_noticed_and_its_first_claim_counts() {
        let mut walk = Walk::default();
        walk.take(&claim(0, 7));
        log(7).iter().for_each(|record| drop(walk.take(record)));
        let first = claim(0, 1);
        assert!(walk.is_made_anew(&first) && !walk.is_made_anew(&claim(99, 1)));
        assert!(matches!(walk.take(&first), Step::Stale(_)), "by the old topic's epochs");
        walk.begin_again();
        assert!(matches!(walk.take(&first), Step::Claimed(_)));
        assert_eq!((walk.epoch(), walk.next_epoch(), walk.counted()), (1, Some(2), Some(0)));
    }

    #[test]
    fn only_what_is_neither_refused_nor_stale_counts() {
        let mut walk = Walk::default();
        assert_eq!(walk.counted(), None);
        walk.take(&claim(4, 2));
        walk.take(&claim(5, 1));
        walk.take(&claim(6, u32::MAX));
        assert_eq!(walk.counted(), Some(4));
        walk.take(&claim(7, 3));
        assert_eq!(walk.counted(), Some(7));
    }
}
