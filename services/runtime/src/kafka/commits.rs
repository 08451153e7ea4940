//! Which offsets are ready to be committed, and when it is time to (I3). Pure.
//!
//! A commit per batch would be hundreds a second, each a replicated write. Waiting is safe: what was written is
//! recognised by its source offset when it is read again (I2).

use std::time::{Duration, Instant};

use super::{Next, Positions};

/// Offsets whose outputs are acknowledged.
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
    pub fn acknowledged(&mut self, end: impl IntoIterator<Item = (i32, Next)>) {
        self.ready.extend(end);
    }

    /// Leaves partitions to their new owners, or lets go of what was said of another log.
    pub fn forget<'a>(&mut self, partitions: impl IntoIterator<Item = &'a i32>) {
        for partition in partitions {
            self.ready.remove(partition);
        }
    }

    /// Lets go of everything: it is to be applied again.
    pub fn clear(&mut self) {
        self.ready.clear();
    }

    /// Whether nothing is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// How long ago something was last taken.
    #[must_use]
    pub fn waited(&self, now: Instant) -> Duration {
        now.duration_since(self.last)
    }

    /// What to commit now, if it is time. `urgent`: do not wait.
    pub fn due(&mut self, now: Instant, urgent: bool) -> Option<Positions> {
        let is_time = urgent || self.waited(now) >= self.every;
        (is_time && !self.ready.is_empty()).then(|| self.take(now))
    }

    /// What is ready, perhaps nothing, whether it is time or not.
    pub fn take(&mut self, now: Instant) -> Positions {
        self.last = now;
        std::mem::take(&mut self.ready)
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
        commits.acknowledged(Positions::from([(0, Next(10)), (1, Next(5))]));
        commits.acknowledged(Positions::from([(0, Next(20))]));
        assert_eq!(commits.due(start, false), None);
        assert_eq!(commits.due(start + EVERY, false), Some(Positions::from([(0, Next(20)), (1, Next(5))])));
        assert_eq!(commits.due(start + EVERY * 9, false), None, "nothing new");
    }

    #[test]
    fn what_is_urgent_does_not_wait() {
        let start = Instant::now();
        let mut commits = Commits::new(EVERY, start);
        commits.acknowledged(Positions::from([(0, Next(10))]));
        assert!(commits.due(start, true).is_some());
    }

    #[test]
    fn the_offsets_of_a_partition_that_left_are_not_committed() {
        let start = Instant::now();
        let mut commits = Commits::new(EVERY, start);
        commits.acknowledged(Positions::from([(0, Next(10)), (1, Next(5))]));
        commits.forget(&[0]);
        assert_eq!(commits.due(start, true), Some(Positions::from([(1, Next(5))])));
    }

    #[test]
    fn what_is_to_be_applied_again_is_not_committed() {
        let start = Instant::now();
        let mut commits = Commits::new(EVERY, start);
        commits.acknowledged(Positions::from([(0, Next(10))]));
        commits.clear();
        assert_eq!(commits.due(start, true), None);
        assert_eq!(commits.waited(start + EVERY), EVERY, "nothing was taken");
    }
}
