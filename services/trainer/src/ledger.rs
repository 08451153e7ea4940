//! What lies on `checkpoints`, and which of it may go.

use std::collections::{BTreeMap, BTreeSet};

use schemas::checkpoint::{Part, PayloadKind, VersionId, key};

/// The records of every version, as far as they were not deleted since. Claims are left to the topic's retention.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    versions: BTreeMap<VersionId, Records>,
}

#[derive(Debug, Default)]
struct Records {
    chunks: BTreeSet<u32>,
    manifest: bool,
    /// A whole snapshot, which a reader can start from.
    snapshot: bool,
    /// It was read, or is of a superseded trainer. What has a manifest and could not be read is never deleted: another
    /// program may have written it, and be started again.
    known: bool,
}

impl Records {
    fn may_go(&self) -> bool {
        self.known || !self.manifest
    }
}

impl Ledger {
    /// Takes note of a record, or of its deletion.
    pub(crate) fn note(&mut self, version: VersionId, part: Part, deleted: bool) {
        let records = self.versions.entry(version).or_default();
        match part {
            Part::Claim => {}
            Part::Manifest => records.manifest = !deleted,
            Part::Chunk(n) if deleted => {
                records.chunks.remove(&n);
            }
            Part::Chunk(n) => {
                records.chunks.insert(n);
            }
        }
        if !records.manifest && records.chunks.is_empty() {
            self.versions.remove(&version);
        }
    }

    /// Takes note that a version is whole and usable.
    pub(crate) fn whole(&mut self, version: VersionId, kind: PayloadKind, chunks: u32) {
        let records = self.versions.entry(version).or_default();
        records.manifest = true;
        records.chunks.extend(0..chunks);
        records.snapshot = kind == PayloadKind::Snapshot;
        records.known = true;
    }

    /// Takes note that nobody will ever use a version: its trainer was superseded.
    pub(crate) fn superseded(&mut self, version: VersionId) {
        if let Some(records) = self.versions.get_mut(&version) {
            records.known = true;
        }
    }

    /// The newest version that has a manifest and is of an epoch up to this one.
    pub(crate) fn newest(&self, epoch: u32) -> Option<VersionId> {
        let versions = self.versions.iter().rev().filter(|(version, _)| version.epoch <= epoch);
        versions.filter(|(_, records)| records.manifest).map(|(version, _)| *version).next()
    }

    /// Forgets what is older than the newest `keep` snapshots and gives the keys to delete: of each version first the
    /// manifest, so that no reader sees one whose chunks are gone. Chunks that old without a manifest go as well; what
    /// has one and could not be read stays.
    pub(crate) fn retire(&mut self, keep: usize) -> Vec<String> {
        let mut retired = std::mem::take(&mut self.versions);
        if let Some(n) = keep.checked_sub(1) {
            let mut snapshots = retired.iter().rev().filter(|(_, records)| records.snapshot);
            let Some(oldest) = snapshots.nth(n).map(|(version, _)| *version) else {
                self.versions = retired;
                return Vec::new();
            };
            self.versions = retired.split_off(&oldest);
        }
        let unread = retired.extract_if(.., |_, records| !records.may_go()).collect::<Vec<_>>();
        self.versions.extend(unread);
        let keys = |(version, records): (VersionId, Records)| {
            let manifest = records.manifest.then(|| key(version, Part::Manifest));
            manifest.into_iter().chain(records.chunks.into_iter().map(move |n| key(version, Part::Chunk(n))))
        };
        retired.into_iter().flat_map(keys).collect()
    }
}

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: u32, sequence: u32) -> VersionId {
        VersionId { epoch, sequence }
    }

    fn ledger(versions: &[(VersionId, PayloadKind)]) -> Ledger {
        let mut ledger = Ledger::default();
        versions.iter().for_each(|(version, kind)| ledger.whole(*version, *kind, 1));
        ledger
    }

    #[test]
    fn what_is_older_than_the_last_two_snapshots_goes_manifest_first() {
        use PayloadKind::{Delta, Snapshot};
        let mut ledger = ledger(&[
            (id(1, 1), Snapshot),
            (id(1, 2), Delta),
            (id(1, 3), Snapshot),
            (id(1, 4), Delta),
            (id(2, 1), Snapshot),
        ]);
        let keys =
            ["000001-00000001/manifest", "000001-00000001/0000", "000001-00000002/manifest", "000001-00000002/0000"];
        assert_eq!(ledger.retire(2), keys);
        assert!(ledger.retire(2).is_empty(), "they went already");
    }

    #[test]
    fn nothing_goes_before_there_are_enough_snapshots() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(1, 2), PayloadKind::Delta)]);
        assert!(ledger.retire(2).is_empty());
        assert!(ledger.retire(1).is_empty());
        assert_eq!(ledger.retire(0).len(), 4);
    }

    #[test]
    fn chunks_of_a_version_without_a_manifest_go_too() {
        let mut ledger = ledger(&[(id(2, 1), PayloadKind::Snapshot)]);
        ledger.note(id(1, 7), Part::Chunk(0), false);
        ledger.note(id(1, 7), Part::Chunk(1), false);
        assert_eq!(ledger.retire(1), ["000001-00000007/0000", "000001-00000007/0001"]);
    }

    #[test]
    fn what_was_deleted_is_not_deleted_again() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(2, 1), PayloadKind::Snapshot)]);
        ledger.note(id(1, 1), Part::Manifest, true);
        assert_eq!(ledger.retire(1), ["000001-00000001/0000"], "a trainer was killed while it deleted");
    }

    #[test]
    fn what_could_not_be_read_is_never_deleted() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot)]);
        for n in 2..4 {
            ledger.note(id(1, n), Part::Chunk(0), false);
            ledger.note(id(1, n), Part::Manifest, false);
        }
        ledger.superseded(id(1, 3));
        assert_eq!(ledger.newest(1), Some(id(1, 3)));
        assert_eq!(ledger.newest(0), None, "nobody claimed it");
        (1..4).for_each(|n| ledger.whole(id(2, n), PayloadKind::Snapshot, 1));
        let gone = ledger.retire(2);
        assert!(!gone.iter().any(|key| key.starts_with("000001-00000002")), "{gone:?}");
        assert!(gone.iter().any(|key| key.starts_with("000001-00000003")), "a superseded trainer's goes: {gone:?}");
        assert!(ledger.retire(0).iter().all(|key| !key.starts_with("000001")));
    }

    #[test]
    fn a_snapshot_that_is_not_whole_does_not_count_as_kept() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(1, 9), PayloadKind::Delta)]);
        ledger.note(id(1, 5), Part::Chunk(0), false);
        ledger.note(id(1, 5), Part::Manifest, false);
        assert!(ledger.retire(1).is_empty());
    }
}
