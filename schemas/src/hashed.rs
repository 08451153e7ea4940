//! The 64-bit keys under which tables know users: hashes of their ids.

use std::fmt;

use crate::key_of;

/// The key of a user; in tensors and files its number, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct UserKey(pub u64);

impl UserKey {
    /// Nobody in particular: no user has this key.
    pub const NOBODY: Self = Self(0);

    /// The key of the user of this id where the installation has no secret; with one, [`Secret::key`] gives it.
    ///
    /// [`Secret::key`]: crate::Secret::key
    #[must_use]
    pub fn of(user_id: &str) -> Self {
        Self(key_of(user_id))
    }

    /// As tensors hold it.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// As tensors hold it.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

/// Hexadecimal, as operators see it.
impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
