//! Where a reader stands, for whoever watches it from beside its loop.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;

use super::error::KafkaError;
use super::{Next, Positions};
use crate::lock::lock;

/// Asks where a group continues on these partitions; blocks. Partitions of which nothing was committed are left out.
pub(super) type Committed = Box<dyn Fn(&[i32]) -> Result<Positions, KafkaError> + Send + Sync>;

/// The partitions of a topic that one reader has, and what of them was applied.
pub struct Stream {
    topic: String,
    committed: Committed,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ours: BTreeSet<i32>,
    /// We were given our share, which may be no partition.
    joined: bool,
    /// The next offset to be applied, where it is known.
    applied: Positions,
    /// How many partitions the topic has.
    count: usize,
}

impl Stream {
    pub(super) fn new(topic: &str, count: usize, committed: Committed) -> Self {
        let state = State { count, ..State::default() };
        Self { topic: topic.to_owned(), committed, state: Mutex::new(state) }
    }

    /// The topic's full name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// How many partitions the topic has, to within seconds of a change.
    #[must_use]
    pub fn partitions(&self) -> usize {
        lock(&self.state).count
    }

    /// The next offset to be applied, for each partition that is ours and of which it is known.
    #[must_use]
    pub fn applied(&self) -> Positions {
        lock(&self.state).applied.clone()
    }

    /// The topic has so many partitions now. Of one that was made again with fewer those beyond are nobody's, whatever
    /// a group says of them, and at once: who waits for an end asks for what is ours, and polls nothing meanwhile.
    pub(super) fn counted(&self, count: usize) {
        let mut state = lock(&self.state);
        let is_there = |partition: &i32| usize::try_from(*partition).is_ok_and(|partition| partition < count);
        state.count = count;
        state.ours.retain(is_there);
        state.applied.retain(|partition, _| is_there(partition));
    }

    pub(super) fn assigned(&self, partitions: &[i32]) {
        let mut state = lock(&self.state);
        state.ours.extend(partitions);
        state.joined = true;
    }

    pub(super) fn revoked(&self, partitions: &[i32]) {
        let mut state = lock(&self.state);
        state.ours.retain(|partition| !partitions.contains(partition));
        state.applied.retain(|partition, _| !partitions.contains(partition));
        // Who goes on without one is given none next, and who was thrown out hears nothing more.
        state.joined &= !state.ours.is_empty();
    }

    /// Whether we were given our share of the partitions, be it none; else nobody counts on us.
    pub(super) fn joined(&self) -> bool {
        lock(&self.state).joined
    }

    /// Whoever took records came back for more: those are applied.
    pub(super) fn apply(&self, through: &mut Positions) {
        let mut state = lock(&self.state);
        for (partition, next) in std::mem::take(through) {
            if state.ours.contains(&partition) {
                state.applied.insert(partition, next);
            }
        }
    }

    /// Reading goes on elsewhere: what lies behind is to be applied, again or for the first time.
    pub(super) fn sought(&self, partition: i32, next: Next) {
        let mut state = lock(&self.state);
        if state.ours.contains(&partition) {
            state.applied.insert(partition, next);
        }
    }

    /// Where reading begins, unless something was applied or the partition left meanwhile.
    pub(super) fn begins(&self, starts: &Positions) {
        let mut state = lock(&self.state);
        for (partition, start) in starts {
            if state.ours.contains(partition) {
                state.applied.entry(*partition).or_insert(*start);
            }
        }
    }

    pub(super) fn has(&self, partition: i32) -> bool {
        lock(&self.state).ours.contains(&partition)
    }

    pub(super) fn ours(&self) -> Vec<i32> {
        lock(&self.state).ours.iter().copied().collect()
    }

    /// Partitions of ours of which it is not known where they stand.
    pub(super) fn unknown(&self) -> Vec<i32> {
        let state = lock(&self.state);
        state.ours.iter().copied().filter(|partition| !state.applied.contains_key(partition)).collect()
    }

    pub(super) fn committed(&self, partitions: &[i32]) -> Result<Positions, KafkaError> {
        (self.committed)(partitions)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("topic", &self.topic).field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_instance_has_now_is_not_ours_to_count() {
        let stream = Stream::new("events", 4, Box::new(|_| Ok(Positions::new())));
        stream.assigned(&[0, 1]);
        assert_eq!((stream.ours(), stream.unknown()), (vec![0, 1], vec![0, 1]));
        stream.apply(&mut Positions::from([(0, Next(7)), (3, Next(9))]));
        stream.begins(&Positions::from([(0, Next(1)), (1, Next(2)), (2, Next(3))]));
        assert_eq!(stream.applied(), Positions::from([(0, Next(7)), (1, Next(2))]), "what was applied counts more");
        stream.revoked(&[0]);
        stream.apply(&mut Positions::from([(0, Next(8))]));
        assert!(stream.joined());
        assert_eq!((stream.applied(), stream.unknown()), (Positions::from([(1, Next(2))]), vec![]));
    }

    #[test]
    fn of_a_topic_that_was_made_again_with_fewer_partitions_those_beyond_are_nobodys() {
        let stream = Stream::new("events", 6, Box::new(|_| Ok(Positions::new())));
        stream.assigned(&[0, 3, 5]);
        stream.apply(&mut Positions::from([(3, Next(7)), (5, Next(9))]));
        stream.counted(4);
        assert_eq!((stream.partitions(), stream.ours(), stream.unknown()), (4, vec![0, 3], vec![0]));
        assert_eq!(stream.applied(), Positions::from([(3, Next(7))]));
        assert!(stream.has(3) && !stream.has(5));
    }

    #[test]
    fn who_has_no_partition_any_more_is_a_standby_only_once_it_is_given_none() {
        let stream = Stream::new("events", 1, Box::new(|_| Ok(Positions::new())));
        assert!(!stream.joined());
        stream.assigned(&[0]);
        stream.revoked(&[0]);
        assert!(!stream.joined(), "its session ran out, or it waits for what comes next");
        stream.assigned(&[]);
        assert!(stream.joined());
    }
}
