//! The bounded window of event ids that makes an application's retries harmless.

use std::collections::{HashSet, VecDeque};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// The newest event ids of one partition: in when first seen, out in the same order (FIFO).
///
/// Memory: at most 72 bytes per id (16 in the queue and 20 in the table, twice that just after either grew), so 7.2 MB
/// per partition at the default of 100,000 ids. An id repeated after `capacity` others is taken for a new one (I7).
#[derive(Debug, Clone)]
pub struct Window {
    capacity: usize,
    known: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Window {
    /// Keeps up to `capacity` ids; 0 remembers nothing.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, known: HashSet::new(), order: VecDeque::new() }
    }

    /// Remembers an event of a user; returns whether it is new. A repeat does not extend its stay.
    ///
    /// Two users may use the same event id. 128 bits: nobody finds two events that collide, so none is dropped wrongly.
    pub fn insert(&mut self, user_id: &str, event_id: &str) -> bool {
        if self.capacity == 0 {
            return true;
        }
        let key = xxh3_128_with_seed(event_id.as_bytes(), xxh3_64(user_id.as_bytes()));
        if !self.known.insert(key) {
            return false;
        }
        if self.order.len() == self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
        true
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_id_seen_again_is_a_repeat() {
        let mut window = Window::new(10);
        assert!(window.insert("u1", "e1"));
        assert!(window.insert("u1", "e2"));
        assert!(!window.insert("u1", "e1"));
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn two_users_may_use_the_same_event_id() {
        let mut window = Window::new(10);
        assert!(window.insert("u1", "e1"));
        assert!(window.insert("u2", "e1"));
    }

    #[test]
    fn the_oldest_id_is_forgotten_first_and_a_repeat_does_not_keep_it() {
        let mut window = Window::new(2);
        window.insert("u", "e1");
        window.insert("u", "e2");
        assert!(!window.insert("u", "e1"));
        window.insert("u", "e3");
        assert!(window.insert("u", "e1"), "e1 was the oldest");
        assert!(!window.insert("u", "e3"));
    }

    #[test]
    fn the_window_never_grows_over_its_capacity() {
        let mut window = Window::new(100);
        for event in 0..10_000 {
            window.insert("u", &event.to_string());
        }
        assert_eq!(window.len(), 100);
        assert_eq!(window.known.len(), 100);
    }

    #[test]
    fn a_capacity_of_zero_takes_every_event_for_new() {
        let mut window = Window::new(0);
        assert!(window.insert("u", "e"));
        assert!(window.insert("u", "e"));
        assert!(window.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_window_says_what_a_plain_list_of_the_newest_says(
            capacity in 0_usize..6,
            events in proptest::collection::vec((0_u8..3, 0_u8..8), 0..60),
        ) {
            let mut window = Window::new(capacity);
            let mut newest: Vec<(u8, u8)> = Vec::new();
            for (user, event) in events {
                let is_new = !newest.contains(&(user, event));
                prop_assert_eq!(window.insert(&user.to_string(), &event.to_string()), is_new);
                if is_new {
                    newest.push((user, event));
                }
                if newest.len() > capacity {
                    newest.remove(0);
                }
                prop_assert_eq!(window.len(), newest.len());
            }
        }
    }
}
