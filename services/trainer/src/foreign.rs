//! Versions of our epoch on the log that we did not write: forged, or replayed. Pure.
//!
//! A client that takes over from one that has given up may write a manifest once more that was written already. Then
//! the second is the one that is acknowledged, and the first lies before it: nobody can replay what is not there yet.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use schemas::VersionId;

/// A version of ours may be read so long before its acknowledgement comes.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// Holds what was read against what was written.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    /// Versions whose manifests were read and not acknowledged so far.
    read: BTreeMap<VersionId, Read>,
    /// Where our versions lie whose manifests were not read so far: from the first chunk to the manifest.
    wrote: BTreeMap<VersionId, RangeInclusive<i64>>,
}

/// A version's manifests that were read.
#[derive(Debug)]
struct Read {
    /// The first and the last offset.
    offsets: RangeInclusive<i64>,
    since: Instant,
}

/// So many are held: beyond, somebody floods the log, and one is enough to act on.
const MOST: usize = 1_000;

impl Foreign {
    /// A manifest of our epoch was read at an offset.
    pub(crate) fn read(&mut self, version: VersionId, offset: i64, now: Instant) {
        if let Some(ours) = self.wrote.get(&version).filter(|ours| ours.contains(&offset)) {
            if offset == *ours.end() {
                self.wrote.remove(&version);
            }
            return;
        }
        if self.read.len() < MOST || self.read.contains_key(&version) {
            let read = self.read.entry(version).or_insert(Read { offsets: offset..=offset, since: now });
            read.offsets = *read.offsets.start()..=offset;
        }
    }

    /// A version of ours is acknowledged that lies there, from its first chunk to its manifest.
    pub(crate) fn wrote(&mut self, version: VersionId, ours: RangeInclusive<i64>) {
        let read = self.read.get(&version).map(|read| read.offsets.clone());
        if read.as_ref().is_some_and(|read| ours.contains(read.start()) && ours.contains(read.end())) {
            self.read.remove(&version);
        }
        if read.is_none_or(|read| read.end() < ours.end()) {
            self.wrote.insert(version, ours);
        }
    }

    /// A version that was read and that we did not write, if there is one; told once.
    pub(crate) fn found(&mut self, now: Instant) -> Option<VersionId> {
        let is_foreign = |read: &Read| now.duration_since(read.since) > ACKNOWLEDGED;
        let found = self.read.iter().find(|(_, read)| is_foreign(read)).map(|(version, _)| *version)?;
        self.read.retain(|_, read| !is_foreign(read));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u32) -> VersionId {
        VersionId { epoch: 3, sequence }
    }

    #[test]
    fn what_we_wrote_is_not_foreign_whether_it_is_read_or_acknowledged_first() {
        let (mut foreign, now) = (Foreign::default(), Instant::now());
        foreign.read(id(1), 4, now);
        assert_eq!(foreign.found(now + Duration::from_secs(1)), None, "the acknowledgement may come yet");
        foreign.wrote(id(1), 3..=4);
        foreign.wrote(id(2), 7..=8);
        foreign.read(id(2), 8, now);
        assert_eq!(foreign.found(now + Duration::from_secs(60)), None);
        assert!(foreign.read.is_empty() && foreign.wrote.is_empty());
    }

    #[test]
    fn what_a_client_wrote_twice_is_ours_both_times_whenever_it_is_read_and_a_replay_behind_it_is_not() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3);
        for read_before in 0..3 {
            let mut foreign = Foreign::default();
            let offsets = [4, 6]; // the first one's acknowledgement was lost
            offsets[..read_before].iter().for_each(|offset| foreign.read(id(1), *offset, now));
            foreign.wrote(id(1), 3..=6);
            offsets[read_before..].iter().for_each(|offset| foreign.read(id(1), *offset, now));
            assert_eq!(foreign.found(later), None, "{read_before} were read before the acknowledgement");
            foreign.read(id(1), 9, now);
            assert_eq!(foreign.found(later), Some(id(1)));
            assert!(foreign.read.is_empty() && foreign.wrote.is_empty());
        }
    }

    #[test]
    fn a_forged_and_a_replayed_version_are_found_once() {
        let (mut foreign, now) = (Foreign::default(), Instant::now());
        let later = now + Duration::from_secs(3);
        foreign.wrote(id(1), 3..=4);
        foreign.read(id(1), 4, now);
        foreign.read(id(1), 5, now); // replayed
        assert_eq!((foreign.found(later), foreign.found(later)), (Some(id(1)), None));
        foreign.read(id(2), 6, now); // before we write it
        foreign.read(id(2), 8, now);
        foreign.wrote(id(2), 7..=8);
        assert_eq!((foreign.found(later), foreign.found(later)), (Some(id(2)), None));
        (10..20_000).for_each(|n| foreign.read(id(n), i64::from(n), now));
        assert!(foreign.read.len() <= MOST);
        assert_eq!((foreign.found(later), foreign.found(later)), (Some(id(10)), None));
    }
}
