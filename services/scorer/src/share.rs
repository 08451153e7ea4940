//! What an instance answers for, besides the users of its partitions: which items, and the global lists.

use std::collections::BTreeSet;

/// The partitions of `interactions` that are this instance's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Share {
    partitions: u64,
    assigned: BTreeSet<i32>,
}

impl Share {
    /// `assigned` out of `partitions`.
    pub(crate) fn new(partitions: usize, assigned: impl IntoIterator<Item = i32>) -> Self {
        Self { partitions: partitions as u64, assigned: assigned.into_iter().collect() }
    }

    /// Whether `similar` of the item with this key is ours: items are dealt out to partitions by their keys.
    pub(crate) fn owns(&self, key: u64) -> bool {
        let partition = key.checked_rem(self.partitions).and_then(|n| i32::try_from(n).ok());
        partition.is_some_and(|partition| self.assigned.contains(&partition))
    }

    /// Whether users of `partition` are ours.
    pub(crate) fn holds(&self, partition: i32) -> bool {
        self.assigned.contains(&partition)
    }

    /// Our partitions.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.assigned.iter().copied()
    }

    /// Whether `hot`, `new` and `model` are ours: they go with partition 0.
    pub(crate) fn leads(&self) -> bool {
        self.assigned.contains(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_and_the_global_lists_have_exactly_one_owner() {
        let shares = [Share::new(4, [0, 2]), Share::new(4, [1]), Share::new(4, [3])];
        for key in (0..100).map(|n| schemas::key_of(&format!("i{n}"))) {
            assert_eq!(shares.iter().filter(|share| share.owns(key)).count(), 1);
        }
        assert_eq!(shares.iter().filter(|share| share.leads()).count(), 1);
    }

    #[test]
    fn an_instance_without_partitions_owns_nothing() {
        assert!(!Share::default().owns(7));
        assert!(!Share::new(4, []).leads());
    }
}
