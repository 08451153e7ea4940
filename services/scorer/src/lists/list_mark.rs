//! Shows whether the lists that we wrote still lie in Redis: a key of ours, moved before and behind every writing.
//! Pure.
//!
//! What Redis loses it loses from the end. So where the mark that we wrote last still lies, every list before it does,
//! too, and it is moved only over that one. Marks of partitions ([`crate::marks`]) show it of profiles; between two of
//! them lists may be written that Redis then loses alone.
#![warn(clippy::disallowed_methods)]

use std::time::Duration;

use runtime::redis::Answer;
use schemas::{Keys, Mark};

use crate::script;

/// The mark of one instance's lists.
#[derive(Debug)]
pub(super) struct ListMark {
    key: String,
    by: u64,
    seq: u64,
    /// As it lies in Redis; empty: none of ours does.
    lies: Vec<u8>,
    ttl: Duration,
}

impl ListMark {
    /// A mark that nobody has written: `by` is this instance's alone.
    pub(super) fn new(keys: &Keys, by: u64, ttl: Duration) -> Self {
        Self { key: keys.lists(by), by, seq: 0, lies: Vec::new(), ttl }
    }

    /// The next mark, and the call that writes it over the one that lies there.
    pub(super) fn next(&mut self) -> (Vec<u8>, script::Call) {
        self.seq += 1;
        let next = Mark { next: 0, by: self.by, seq: self.seq, life: 0, gone: None }.encode();
        let call = script::mark(self.key.clone(), &self.lies, next.clone(), self.ttl);
        (next, call)
    }

    /// Takes Redis' answer to that call; false: it has lost what we wrote, and from now on nothing of ours lies there.
    pub(super) fn moved(&mut self, next: Vec<u8>, answer: Option<&Answer<i64>>, keys: &Keys) -> bool {
        let moved = answer.is_some_and(|answer| answer.as_ref().is_ok_and(|answer| *answer != script::REFUSED));
        if moved {
            self.lies = next;
        } else {
            // What lies there is of then: it expires under a name that we use no more.
            *self = Self::new(keys, self.by.wrapping_add(1), self.ttl);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_moved_over_the_last_one_only_and_begins_anew_where_redis_has_another() {
        let keys = Keys::new("shop:");
        let mut mark = ListMark::new(&keys, 7, Duration::from_secs(600));
        let (first, (names, arguments)) = mark.next();
        assert_eq!((names, arguments[0].len()), (vec![keys.lists(7)], 0), "over none");
        assert!(mark.moved(first.clone(), Some(&Ok(1)), &keys));
        let (second, (names, arguments)) = mark.next();
        assert_eq!((names, &arguments[0]), (vec![keys.lists(7)], &first));
        assert_ne!(first, second);
        assert!(!mark.moved(second, Some(&Ok(script::REFUSED)), &keys));
        let (_, (names, arguments)) = mark.next();
        assert_eq!((names, arguments[0].len()), (vec![keys.lists(8)], 0), "under another name, over none");
    }
}
