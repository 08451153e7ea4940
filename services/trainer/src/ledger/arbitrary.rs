//! Whatever lies on the log in whatever order: what is deleted is there, is old, was read, and goes manifest first.

use proptest::prelude::*;

use super::*;

/// What a trainer meets on the log, or does.
#[derive(Debug, Clone)]
enum Step {
    Note { version: VersionId, part: Part, deleted: bool },
    Whole { version: VersionId, kind: PayloadKind, chunks: u32 },
    Superseded(VersionId),
    Retire { keep: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let version = || (1_u32..3, 1_u32..6).prop_map(|(epoch, sequence)| VersionId { epoch, sequence });
    let part = prop_oneof![Just(Part::Claim), Just(Part::Manifest), (0_u32..3).prop_map(Part::Chunk)];
    let kind = prop_oneof![Just(PayloadKind::Snapshot), Just(PayloadKind::Delta)];
    let note = (version(), part, any::<bool>());
    prop_oneof![
        4 => note.prop_map(|(version, part, deleted)| Step::Note { version, part, deleted }),
        3 => (version(), kind, 1_u32..3).prop_map(|(version, kind, chunks)| Step::Whole { version, kind, chunks }),
        1 => version().prop_map(Step::Superseded),
        2 => (0_usize..4).prop_map(|keep| Step::Retire { keep }),
    ]
}

/// The log as it is: each record by itself, and what is known of versions that have one.
#[derive(Debug, Default)]
struct Log {
    records: BTreeSet<(VersionId, String)>,
    snapshots: BTreeSet<VersionId>,
    known: BTreeSet<VersionId>,
}

impl Log {
    fn put(&mut self, version: VersionId, part: Part) {
        self.records.insert((version, key(version, part)));
    }

    fn remove(&mut self, version: VersionId, key: &str) -> bool {
        let was_there = self.records.remove(&(version, key.to_owned()));
        if !self.records.iter().any(|(other, _)| *other == version) {
            self.snapshots.remove(&version);
            self.known.remove(&version);
        }
        was_there
    }

    fn is_unread(&self, version: VersionId) -> bool {
        self.records.contains(&(version, key(version, Part::Manifest))) && !self.known.contains(&version)
    }

    /// What is to go where the newest `keep` snapshots stay.
    fn old(&self, keep: usize) -> BTreeSet<(VersionId, String)> {
        let oldest = match keep {
            0 => None,
            _ => match self.snapshots.iter().rev().nth(keep - 1) {
                Some(oldest) => Some(*oldest),
                None => return BTreeSet::new(),
            },
        };
        let goes = |version: VersionId| oldest.is_none_or(|oldest| version < oldest) && !self.is_unread(version);
        self.records.iter().filter(|(version, _)| goes(*version)).cloned().collect()
    }

    fn version_of(&self, key: &str) -> Option<VersionId> {
        self.records.iter().find(|(_, known)| known == key).map(|(version, _)| *version)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_is_what_a_plain_list_of_records_says_and_manifests_go_first(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let (mut ledger, mut log) = (Ledger::default(), Log::default());
        for step in steps {
            match step {
                Step::Note { version, part, deleted } => {
                    ledger.note(version, part, deleted);
                    match part {
                        Part::Claim => {}
                        part if deleted => {
                            log.remove(version, &key(version, part));
                        }
                        part => log.put(version, part),
                    }
                }
                Step::Whole { version, kind, chunks } => {
                    ledger.whole(version, kind, chunks, 0);
                    log.put(version, Part::Manifest);
                    (0..chunks).for_each(|n| log.put(version, Part::Chunk(n)));
                    log.known.insert(version);
                    log.snapshots.remove(&version);
                    if kind == PayloadKind::Snapshot {
                        log.snapshots.insert(version);
                    }
                }
                Step::Superseded(version) => {
                    ledger.superseded(version);
                    if log.records.iter().any(|(other, _)| *other == version) {
                        log.known.insert(version);
                    }
                }
                Step::Retire { keep } => {
                    let mut wanted = log.old(keep);
                    let mut begun = BTreeSet::new();
                    for gone in ledger.retire(&super::tests::newest(keep)) {
                        let version = log.version_of(&gone);
                        prop_assert!(version.is_some(), "{} is not there", gone);
                        let Some(version) = version else { continue };
                        let is_manifest = gone == key(version, Part::Manifest);
                        prop_assert!(begun.insert(version) || !is_manifest, "{}: chunks before their manifest", gone);
                        prop_assert!(wanted.remove(&(version, gone.clone())), "{} is to stay", gone);
                        log.remove(version, &gone);
                    }
                    prop_assert!(wanted.is_empty(), "{:?} was to go", wanted);
                }
            }
        }
    }
}
