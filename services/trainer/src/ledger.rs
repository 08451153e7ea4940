//! What lies on `checkpoints`, and which of it may go.

use std::collections::{BTreeMap, BTreeSet};

use schemas::checkpoint::{Part, PayloadKind, VersionId, key};

use crate::retention::Retention;

/// I7: versions that are known at once. A trainer leaves a few hundred; what lies on the topic beyond it, under names
/// that anybody may have invented, is not taken note of and so is never deleted. What we made or read ourselves, and
/// what has a manifest up to twice as many, is noted in any case.
const MOST_VERSIONS: usize = 50_000;

/// The records of every version, as far as they were not deleted since. Claims are left to the topic's retention.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    versions: BTreeMap<VersionId, Records>,
}

#[derive(Debug, Default)]
struct Records {
    chunks: BTreeSet<u32>,
    manifest: bool,
    /// A whole snapshot, which a reader can start from, and when it was made.
    snapshot: Option<i64>,
    /// It was read, or is of a superseded trainer. What has a manifest and could not be read is never deleted: another
    /// program may have written it, and be started again.
    known: bool,
}

impl Records {
    fn may_go(&self) -> bool {
        self.known || !self.manifest
    }
}

/// What stays on the topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep<'a> {
    /// So many of the newest snapshots, and all behind the oldest of them.
    pub(crate) newest: usize,
    /// Older snapshots.
    pub(crate) retention: &'a Retention,
    /// Versions that operator or gate named, each with what it builds on.
    pub(crate) wanted: &'a [VersionId],
    /// Milliseconds since 1970.
    pub(crate) now: i64,
}

impl Ledger {
    /// Takes note of a record, or of its deletion.
    pub(crate) fn note(&mut self, version: VersionId, part: Part, deleted: bool) {
        let most = if part == Part::Manifest { 2 * MOST_VERSIONS } else { MOST_VERSIONS };
        if self.versions.len() >= most && !self.versions.contains_key(&version) {
            return;
        }
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

    /// Takes note that a version is whole and usable; `made_at` in milliseconds since 1970.
    pub(crate) fn whole(&mut self, version: VersionId, kind: PayloadKind, chunks: u32, made_at: i64) {
        let records = self.versions.entry(version).or_default();
        records.manifest = true;
        records.chunks.extend(0..chunks);
        records.snapshot = (kind == PayloadKind::Snapshot).then_some(made_at);
        records.known = true;
    }

    /// Takes over what is known of versions older than all of these: of what lies before the place where a reader
    /// began.
    pub(crate) fn adopt(&mut self, older: Self) {
        let Some(oldest) = self.versions.first_key_value().map(|(version, _)| *version) else { return };
        self.versions.extend(older.versions.into_iter().filter(|(version, _)| *version < oldest));
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

    /// Forgets what need not be kept and gives the keys to delete: of each version first the manifest, so that no
    /// reader sees one whose chunks are gone. Chunks that old without a manifest go as well; what has one and could not
    /// be read stays.
    pub(crate) fn retire(&mut self, keep: &Keep<'_>) -> Vec<String> {
        let mut retired = std::mem::take(&mut self.versions);
        let snapshots = |versions: &BTreeMap<VersionId, Records>| {
            versions.iter().filter_map(|(version, records)| Some((*version, records.snapshot?))).collect::<Vec<_>>()
        };
        if let Some(n) = keep.newest.checked_sub(1) {
            let Some((oldest, _)) = snapshots(&retired).into_iter().rev().nth(n) else {
                self.versions = retired;
                return Vec::new();
            };
            self.versions = retired.split_off(&oldest);
        }
        let snapshots = snapshots(&retired);
        let kept = keep.retention.keeps(&snapshots, keep.now);
        let chains = keep.wanted.iter().filter_map(|wanted| {
            let begins = snapshots.iter().rev().find(|(snapshot, _)| snapshot <= wanted)?.0;
            Some(begins..=*wanted)
        });
        let chains: Vec<_> = chains.collect();
        let stays = |version: &VersionId| kept.contains(version) || chains.iter().any(|chain| chain.contains(version));
        let staying = retired.extract_if(.., |version, records| !records.may_go() || stays(version));
        self.versions.extend(staying.collect::<Vec<_>>());
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
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::retention::Age;

    pub(crate) fn newest(newest: usize) -> Keep<'static> {
        static NONE: Retention = Retention { ages: Vec::new() };
        Keep { newest, retention: &NONE, wanted: &[], now: 0 }
    }

    fn id(epoch: u32, sequence: u32) -> VersionId {
        VersionId { epoch, sequence }
    }

    fn ledger(versions: &[(VersionId, PayloadKind)]) -> Ledger {
        let mut ledger = Ledger::default();
        versions.iter().for_each(|(version, kind)| ledger.whole(*version, *kind, 1, 0));
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
        assert_eq!(ledger.retire(&newest(2)), keys);
        assert!(ledger.retire(&newest(2)).is_empty(), "they went already");
    }

    #[test]
    fn what_somebody_wants_stays_with_all_it_builds_on_and_so_do_older_snapshots() {
        use PayloadKind::{Delta, Snapshot};
        let made = [Snapshot, Delta, Delta, Snapshot, Delta, Snapshot, Snapshot];
        let mut ledger = Ledger::default();
        for (n, kind) in (1..).zip(made) {
            ledger.whole(id(1, n), kind, 1, i64::from(n) * 60_000);
        }
        let retention = Retention { ages: vec![Age(Duration::from_secs(240))] };
        let keep = Keep { newest: 1, retention: &retention, wanted: &[id(1, 2)], now: 7 * 60_000 };
        let gone = ledger.retire(&keep);
        let manifests: Vec<&String> = gone.iter().filter(|key| key.ends_with("manifest")).collect();
        assert_eq!(manifests, ["000001-00000003/manifest", "000001-00000005/manifest"], "deltas that nobody wants");
        let keep = Keep { wanted: &[], now: 70 * 60_000, ..keep };
        assert_eq!(ledger.retire(&keep).len(), 2 * 4, "they are too old, and wanted no more");
    }

    #[test]
    fn what_lies_before_the_place_where_a_reader_began_is_known_later() {
        let mut late = ledger(&[(id(2, 1), PayloadKind::Snapshot), (id(2, 2), PayloadKind::Snapshot)]);
        late.adopt(ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(2, 2), PayloadKind::Delta)]));
        assert_eq!(late.retire(&newest(1)).len(), 4, "1-1 and 2-1, and 2-2 is as it was known before");
    }

    #[test]
    fn nothing_goes_before_there_are_enough_snapshots() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(1, 2), PayloadKind::Delta)]);
        assert!(ledger.retire(&newest(2)).is_empty());
        assert!(ledger.retire(&newest(1)).is_empty());
        assert_eq!(ledger.retire(&newest(0)).len(), 4);
    }

    #[test]
    fn chunks_of_a_version_without_a_manifest_go_too() {
        let mut ledger = ledger(&[(id(2, 1), PayloadKind::Snapshot)]);
        ledger.note(id(1, 7), Part::Chunk(0), false);
        ledger.note(id(1, 7), Part::Chunk(1), false);
        assert_eq!(ledger.retire(&newest(1)), ["000001-00000007/0000", "000001-00000007/0001"]);
    }

    #[test]
    fn of_versions_that_strangers_invent_no_more_are_noted_than_the_bound_and_our_own_always_are() {
        let mut ledger = Ledger::default();
        let most = u32::try_from(MOST_VERSIONS).expect("is small");
        for sequence in 1..=3 * most {
            ledger.note(id(1, sequence), Part::Chunk(0), false);
        }
        assert_eq!(ledger.versions.len(), MOST_VERSIONS);
        for sequence in 1..=3 * most {
            ledger.note(id(2, sequence), Part::Manifest, false);
        }
        assert_eq!(ledger.versions.len(), 2 * MOST_VERSIONS);
        ledger.note(id(1, 1), Part::Chunk(1), false);
        ledger.whole(id(3, 1), PayloadKind::Snapshot, 1, 0);
        let gone = ledger.retire(&newest(1));
        assert_eq!((gone.len(), gone[1].as_str()), (MOST_VERSIONS + 1, "000001-00000001/0001"), "one of two chunks");
    }

    #[test]
    fn what_was_deleted_is_not_deleted_again() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(2, 1), PayloadKind::Snapshot)]);
        ledger.note(id(1, 1), Part::Manifest, true);
        assert_eq!(ledger.retire(&newest(1)), ["000001-00000001/0000"], "a trainer was killed while it deleted");
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
        (1..4).for_each(|n| ledger.whole(id(2, n), PayloadKind::Snapshot, 1, 0));
        let gone = ledger.retire(&newest(2));
        assert!(!gone.iter().any(|key| key.starts_with("000001-00000002")), "{gone:?}");
        assert!(gone.iter().any(|key| key.starts_with("000001-00000003")), "a superseded trainer's goes: {gone:?}");
        assert!(ledger.retire(&newest(0)).iter().all(|key| !key.starts_with("000001")));
    }

    #[test]
    fn a_snapshot_that_is_not_whole_does_not_count_as_kept() {
        let mut ledger = ledger(&[(id(1, 1), PayloadKind::Snapshot), (id(1, 9), PayloadKind::Delta)]);
        ledger.note(id(1, 5), Part::Chunk(0), false);
        ledger.note(id(1, 5), Part::Manifest, false);
        assert!(ledger.retire(&newest(1)).is_empty());
    }
}
