//! Persistent maps by key: a clone is a version and costs nothing, a write copies one small node.

use std::hash::{BuildHasherDefault, Hasher};

/// Passes a 64-bit xxh3 key through: it is uniform already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A map whose clone shares everything with its origin.
pub(crate) type KeyMap<K, V> =
    imbl::GenericHashMap<K, V, BuildHasherDefault<Identity>, imbl::shared_ptr::DefaultSharedPtr>;

/// A plain map by key, for what is never versioned.
pub(crate) type Plain<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Identity>>;

/// A plain set of keys.
pub(crate) type KeySet<K> = std::collections::HashSet<K, BuildHasherDefault<Identity>>;
