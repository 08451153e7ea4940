//! Keys in Redis that hold what is not ours: counted, named once, passed over, and never changed.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Mutex;

use metrics::counter;
use tracing::{debug, warn};

use crate::lock;
use crate::metrics::FOREIGN_KEYS;

/// Keys that are named; what comes later is only counted.
const NAMED: usize = 100;

/// Bytes of a name that are kept and shown: one of ours has a few hundred, a stranger's may have 512 MB.
const NAME_BYTES: usize = 512;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    named: Mutex<HashSet<Box<[u8]>>>,
}

impl Foreign {
    /// Takes note of a key that was passed over.
    pub(crate) fn found(&self, key: impl AsRef<[u8]>, why: impl Display) {
        counter!(FOREIGN_KEYS).increment(1);
        let key = key.as_ref();
        let key = &key[..key.len().min(NAME_BYTES)];
        let mut named = lock(&self.named);
        let shown = key.escape_ascii();
        if named.len() >= NAMED || !named.insert(key.into()) {
            debug!(key = %shown, %why, "passed over a key that holds what is not ours");
            return;
        }
        let more = if named.len() == NAMED { "; further ones are only counted" } else { "" };
        warn!(
            key = %shown, %why,
            "passed over a key that holds what is not ours: delete it, or give the scorers a redis.key_prefix of their own{more}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_key_is_named_once_and_no_more_than_a_hundred_are() {
        let foreign = Foreign::default();
        for n in 0..1_000 {
            (0..2).for_each(|_| foreign.found(format!("user:{{{n}}}"), "a list"));
        }
        assert_eq!(lock(&foreign.named).len(), NAMED);
    }

    #[test]
    fn of_a_name_however_long_only_its_beginning_is_kept() {
        let foreign = Foreign::default();
        foreign.found("x".repeat(1 << 20), "too long");
        assert_eq!(lock(&foreign.named).iter().map(|name| name.len()).collect::<Vec<_>>(), [NAME_BYTES]);
    }
}
