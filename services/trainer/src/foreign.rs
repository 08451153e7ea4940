//! Versions of our epoch on the log that we did not write: forged, or replayed. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::VersionId;

/// A version of ours may be read so long before its acknowledgement comes.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// Holds what was read against what was written.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    /// By version, how often its manifest was read less how often we wrote it, where that is not 0; and since when.
    open: BTreeMap<VersionId, (i64, Instant)>,
}

/// So many are held: beyond, somebody floods the log, and one is enough to act on.
const MOST: usize = 1_000;

impl Foreign {
    /// A manifest of our epoch was read.
    pub(crate) fn read(&mut self, version: VersionId, now: Instant) {
        if self.open.len() < MOST || self.open.contains_key(&version) {
            self.add(version, 1, now);
        }
    }

    /// A manifest of ours is acknowledged.
    pub(crate) fn wrote(&mut self, version: VersionId, now: Instant) {
        self.add(version, -1, now);
    }

    /// A version that was read and that we did not write, if there is one; told once.
    pub(crate) fn found(&mut self, now: Instant) -> Option<VersionId> {
        let is_foreign = |(n, since): &(i64, Instant)| *n > 0 && now.duration_since(*since) > ACKNOWLEDGED;
        let found = self.open.iter().find(|(_, open)| is_foreign(open)).map(|(version, _)| *version)?;
        self.open.retain(|_, open| !is_foreign(open));
        Some(found)
    }

    fn add(&mut self, version: VersionId, n: i64, now: Instant) {
        let (open, _) = self.open.entry(version).or_insert((0, now));
        *open += n;
        if *open == 0 {
            self.open.remove(&version);
        }
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
        foreign.read(id(1), now);
        assert_eq!(foreign.found(now + Duration::from_secs(1)), None, "the acknowledgement may come yet");
        foreign.wrote(id(1), now);
        foreign.wrote(id(2), now);
        foreign.read(id(2), now);
        assert_eq!(foreign.found(now + Duration::from_secs(60)), None);
        assert!(foreign.open.is_empty());
    }

    #[test]
    fn a_forged_and_a_replayed_version_are_found_once() {
        let (mut foreign, now) = (Foreign::default(), Instant::now());
        let later = now + Duration::from_secs(3);
        foreign.wrote(id(1), now);
        foreign.read(id(1), now);
        foreign.read(id(1), now); // replayed
        assert_eq!((foreign.found(later), foreign.found(later)), (Some(id(1)), None));
        (10..20_000).for_each(|n| foreign.read(id(n), now));
        assert!(foreign.open.len() <= MOST);
        assert_eq!((foreign.found(later), foreign.found(later)), (Some(id(10)), None));
    }
}
