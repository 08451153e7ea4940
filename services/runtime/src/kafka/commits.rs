//! Which offsets are ready to be committed, and when it is time to.
//!
//! A commit per batch would be hundreds a second, each a replicated write. Waiting is safe: what was written is recognised
//! by its source offset when it is read again (I2).

use std::time::{Duration, Instant};

use super::Positions;

/// Offsets whose outputs are acknowledged (I3).
#[derive(Debug)]
pub struct Commits {
    every: Duration,
    last: Instant,
    ready: Positions,
}

impl Commits {
    /// Commits at most once per `every`.
    #[must_use]
    pub fn new(every: Duration, now: Instant) -> Self {
        Self { every, last: now, ready: Positions::new() }
    }

    /// Takes note of a batch whose outputs are acknowledged.
    pub fn acknowledged(&mut self, end: impl IntoIterator<Item = (i32, i64)>) {
        self.ready.extend(end);
    }

    /// Leaves a partition to its new owner.
    pub fn forget(&mut self, partition: i32) {
        self.ready.remove(&partition);
    }

    /// What to commit now, if it is time. `urgent`: do not wait.
    pub fn due(&mut self, now: Instant, urgent: bool) -> Option<Positions> {
        if self.ready.is_empty() || !(urgent || now.duration_since(self.last) >= self.every) {
            return None;
        }
        self.last = now;
        Some(std::mem::take(&mut self.ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    #[test]
    fn offsets_wait_for_the_interval_and_the_newest_is_committed() {
        let start = Instant::now();
        let mut commits = Commits::new(EVERY, start);
        commits.acknowledged(Positions::from([(0, 10), (1, 5)]));
        commits.acknowledged(Positions::from([(0, 20)]));
        assert_eq!(commits.due(start, false), None);
        assert_eq!(commits.due(start + EVERY, false), Some(Positions::from([(0, 20), (1, 5)])));
        assert_eq!(commits.due(start + EVERY * 9, false), None, "nothing new");
    }

    #[test]
    fn what_is_urgent_does_not_wait() {
        let start = Instant::now();
        let mut commits = Commits::new(EVERY, start);
        commits.acknowledged(Positions::from([(0, 10)]));
        assert!(commits.due(start, true).is_some());
    }

    #[test]
    fn the_offsets_of_a_partition_that_left_are_not_committed() {
        let start = Instant::now();
        let mut commits = Commits::new(EVERY, start);
        commits.acknowledged(Positions::from([(0, 10), (1, 5)]));
        commits.forget(0);
        assert_eq!(commits.due(start, true), Some(Positions::from([(1, 5)])));
    }
}
