//! The walk through the log of versions: its records in, in their order, and out what each of them led to.
//!
//! Whoever reads versions walks so: the trainer that goes on from them, the scorer that serves them, the operator who
//! looks at them. Pure: what becomes of a version is up to its reader.

use bytes::Bytes;
use runtime::kafka::Record;
use schemas::checkpoint::{CHUNK_CHECKSUM, Claim, Manifest, Part, VersionId, parse_key};
use schemas::control::Back;
use schemas::signature::{Distrust, SIGNATURE, Trust};

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
        /// Why it is not believed; `None` where it is torn or unreadable.
        distrust: Option<Distrust>,
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
    /// Whose claims and manifests are believed, and the topic's full name.
    trust: Trust,
    topic: String,
    /// The newest version that was whole: signed ones come in their order, each once.
    newest: VersionId,
}

impl Walk {
    /// Begins behind a claim, in the middle of the log; [`Walk::default`] begins with its first record.
    #[must_use]
    pub fn behind(claim: Claim) -> Self {
        Self { assembler: Assembler::behind(claim), ..Self::default() }
    }

    /// Believes only claims and manifests that `trust` does, and takes each version once.
    #[must_use]
    pub fn believing(self, trust: Trust, topic: &str) -> Self {
        Self { trust, topic: topic.to_owned(), ..self }
    }

    /// Holds at most so many bytes of versions whose manifest did not come yet.
    #[must_use]
    pub fn holding(self, most: u64) -> Self {
        Self { assembler: self.assembler.at_most(most), ..self }
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
            let is_old = version.epoch < self.epoch(); // which nobody takes, signed or not
            if !is_old && let Err(distrust) = believed(record, part, &self.trust, &self.topic) {
                return Step::Refused {
                    version: Some(version),
                    distrust: Some(distrust),
                    reason: distrust.to_string(),
                };
            }
            // What a stranger wrote far beyond is in nobody's way, nor what nobody signed, once something is signed.
            let is_signed = !matches!(part, Part::Chunk(_)) || !self.trust.is_required() || self.epoch() == 0;
            if is_signed && version.epoch <= self.assembler.reach() {
                self.highest_epoch = self.highest_epoch.max(version.epoch);
            }
        }
        let checksum = record.header(CHUNK_CHECKSUM).map(Bytes::as_ref);
        match self.assembler.push(&record.key, record.value.clone(), checksum) {
            Outcome::Nothing => Step::Kept,
            Outcome::Whole(Manifest { version, .. }, _) if self.trust.is_on() && version <= self.newest => {
                let distrust = Distrust::Replayed;
                Step::Refused { version: Some(version), distrust: Some(distrust), reason: distrust.to_string() }
            }
            Outcome::Whole(manifest, payload) => {
                self.newest = manifest.version;
                let first = self.begins.filter(|(version, _)| *version == manifest.version).map(|(_, at)| at);
                Step::Whole(Version { manifest, payload, first })
            }
            Outcome::Refused { version, reason } => Step::Refused { version, distrust: None, reason },
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
        let (trust, topic) = (self.trust.clone(), std::mem::take(&mut self.topic));
        let fresh = Self::default().holding(self.assembler.most());
        *self = Self { next: self.next, trust, topic, ..fresh };
    }

    /// Offset of the last record that counted: one that was neither refused nor of a superseded trainer.
    #[must_use]
    pub fn counted(&self) -> Option<i64> {
        self.counted
    }

    /// Bytes held of versions whose manifest did not come yet.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.assembler.held()
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

/// Checks the signature of a claim or manifest; chunks have none.
///
/// # Errors
/// Why it is not believed.
pub fn believed(record: &Record, part: Part, trust: &Trust, topic: &str) -> Result<(), Distrust> {
    match (&record.value, part) {
        (Some(value), Part::Claim | Part::Manifest) => {
            trust.check(topic, &record.key, value, record.header(SIGNATURE).map(Bytes::as_ref))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use schemas::checkpoint::key;
    use schemas::signature::SigningKey;

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

    fn signed(mut record: Record, by: &SigningKey) -> Record {
        if let (Ok((_, Part::Claim | Part::Manifest)), Some(value)) = (parse_key(&record.key), &record.value) {
            let signature = by.sign("checkpoints", &record.key, value);
            record.headers.push((SIGNATURE.to_owned(), signature.into()));
        }
        record
    }

    fn refusal(step: Step) -> Option<Distrust> {
        if let Step::Refused { distrust, .. } = step { distrust } else { None }
    }

    #[test]
    fn what_is_not_signed_by_a_trusted_key_neither_raises_an_epoch_nor_is_whole() {
        let (ours, theirs) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let trust = Trust::new(vec![ours.public()], true);
        let mut walk = Walk::default().believing(trust, "checkpoints");
        assert!(matches!(walk.take(&signed(claim(0, 1), &ours)), Step::Claimed(_)));
        let mut moved = signed(claim(1, 2), &ours);
        moved.key = key(VersionId { epoch: 3, sequence: 0 }, Part::Claim).into();
        for (forged, why) in [
            (claim(1, 2), Distrust::Unsigned),
            (signed(claim(1, 2), &theirs), Distrust::Foreign),
            (moved, Distrust::Forged),
        ] {
            assert_eq!(refusal(walk.take(&forged)), Some(why));
        }
        assert_eq!((walk.epoch(), walk.next_epoch(), walk.counted()), (1, Some(2), Some(0)));
        // A forged manifest before the true one does not take its chunks from it.
        let mut whole = Vec::new();
        for record in log(1) {
            let (_, part) = parse_key(&record.key).expect("is a key");
            if part == Part::Manifest {
                assert_eq!(refusal(walk.take(&record)), Some(Distrust::Unsigned));
            }
            if let Step::Whole(version) = walk.take(&signed(record, &ours)) {
                whole.push(version.manifest.version.sequence);
            }
        }
        assert_eq!(whole, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_signed_version_or_claim_that_is_written_again_changes_nothing() {
        let ours = SigningKey::from_seed(&[1; 32]);
        let mut walk = Walk::default().believing(Trust::new(vec![ours.public()], true), "checkpoints");
        let records: Vec<Record> =
            [claim(0, 1)].into_iter().chain(log(1)).map(|record| signed(record, &ours)).collect();
        records.iter().for_each(|record| drop(walk.take(record)));
        let again: Vec<Step> = records.iter().map(|record| walk.take(record)).collect();
        assert!(!again.iter().any(|step| matches!(step, Step::Whole(_) | Step::Claimed(_))), "{again:?}");
        assert!(matches!(again[0], Step::Stale(_)));
        assert_eq!(again.into_iter().filter_map(refusal).collect::<Vec<_>>(), [Distrust::Replayed; 5]);
        assert_eq!((walk.epoch(), walk.next_epoch()), (1, Some(2)));
    }

    #[test]
    fn a_walk_that_begins_again_holds_no_more_than_before() {
        let held = |walk: &mut Walk| {
            let records = crate::testing::log(1);
            let mut most = 0;
            for record in &records {
                walk.take(record);
                most = walk.held().max(most);
            }
            most
        };
        assert!(held(&mut Walk::default()) > 1);
        let mut walk = Walk::default().holding(1);
        assert_eq!(held(&mut walk), 0);
        walk.begin_again();
        assert_eq!(held(&mut walk), 0);
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
