//! What the stream has shown of each item so far: the evaluation's own record, kept apart from the learner's.

use std::collections::HashMap;

/// Younger than this is new.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// An item is young while so few events lie behind its first one.
pub(crate) const YOUNG_EVENTS: u64 = 1_000;

/// An item's first sighting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct First {
    /// The item's number, by first sighting.
    pub(crate) number: u32,
    /// Event time, milliseconds since 1970.
    pub(crate) ts: i64,
    /// Place in the stream.
    pub(crate) offset: u64,
}

impl First {
    /// Whether fewer than [`YOUNG_EVENTS`] lie between it and a place in the stream.
    pub(crate) fn is_few_events_before(self, offset: u64) -> bool {
        offset - self.offset < YOUNG_EVENTS
    }

    /// Whether it is less than a day before `ts`.
    pub(crate) fn is_within_a_day_of(self, ts: i64) -> bool {
        ts - self.ts < DAY_MS
    }
}

/// Every item met, by key.
#[derive(Debug, Default)]
pub(crate) struct Items {
    first: HashMap<u64, First>,
    /// Event time of the first sighting of all.
    opening: Option<i64>,
}

impl Items {
    pub(crate) fn get(&self, key: u64) -> Option<First> {
        self.first.get(&key).copied()
    }

    pub(crate) fn meet(&mut self, key: u64, ts: i64, offset: u64) {
        self.opening.get_or_insert(ts);
        let number = u32::try_from(self.first.len()).unwrap_or(u32::MAX);
        self.first.entry(key).or_insert(First { number, ts, offset });
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether an item is younger than a day at `ts`; one never met was listed before the first sighting of all.
    pub(crate) fn is_new(&self, key: u64, ts: i64) -> bool {
        let since = self.get(key).map(|first| first.ts).or(self.opening);
        since.is_none_or(|since| ts - since < DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_was_never_met_is_as_old_as_the_stream() {
        let mut items = Items::default();
        assert!(items.is_new(9, DAY_MS));
        items.meet(1, 0, 0);
        items.meet(2, DAY_MS, 1);
        assert_eq!([1, 2, 9].map(|key| items.is_new(key, DAY_MS - 1)), [true, true, true]);
        assert_eq!([1, 2, 9].map(|key| items.is_new(key, DAY_MS)), [false, true, false]);
    }
}
