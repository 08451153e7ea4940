//! How users are named where their ids must not stand: by hashes that only who has the installation's secret can make.

use std::fmt;
use std::str::FromStr;

use crate::{UserKey, key_of};

/// What keys are derived for: <https://docs.rs/blake3/latest/blake3/fn.derive_key.html>.
const IDS: &str = "thalweg 2026-11-28 ids of users";
const MARK: &str = "thalweg 2026-11-28 mark of a secret";

/// A user, without the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserHash(u128);

impl UserHash {
    /// The key under which the model knows the user.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the upper half
    pub fn key(self) -> UserKey {
        UserKey((self.0 >> 64) as u64)
    }
}

impl fmt::Display for UserHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for UserHash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(is_hex) {
            return Err(());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ())
    }
}

/// The installation's secret, or none: then whoever has a list of ids can tell whom a hash names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Option<Box<Keyed>>);

#[derive(Clone, PartialEq, Eq)]
struct Keyed {
    key: [u8; 32],
    mark: String,
}

impl Secret {
    /// Takes the setting `privacy.secret`; empty: there is none.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        if secret.is_empty() {
            return Self::default();
        }
        let key = blake3::derive_key(IDS, secret.as_bytes());
        let mark = blake3::Hash::from(blake3::derive_key(MARK, secret.as_bytes())).to_hex()[..16].to_owned();
        Self(Some(Box::new(Keyed { key, mark })))
    }

    /// Tells this secret from another, and says nothing of it; `None` where there is none.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        self.0.as_ref().map(|keyed| keyed.mark.as_str())
    }

    /// The key under which the model knows the user of this id, as [`UserHash::key`] gives it.
    #[must_use]
    pub fn key(&self, user_id: &str) -> UserKey {
        if self.0.is_some() { self.hash(user_id).key() } else { UserKey::of(user_id) }
    }

    /// The user of this id.
    #[must_use]
    pub fn hash(&self, user_id: &str) -> UserHash {
        let bytes = user_id.as_bytes();
        match &self.0 {
            Some(keyed) => UserHash(first(blake3::keyed_hash(&keyed.key, bytes))),
            // The upper half is the key under which versions have always known users.
            None => UserHash(u128::from(key_of(user_id)) << 64 | first(blake3::hash(bytes)) >> 64),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "***" } else { "none" })
    }
}

fn first(hash: blake3::Hash) -> u128 {
    let [bytes, _] = hash.as_bytes().as_chunks::<16>().0 else { return 0 };
    u128::from_be_bytes(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_the_secret_makes_the_same_hash() {
        let [none, one, other] = ["", "a secret of one", "a secret of another"].map(Secret::new);
        assert_eq!(one.hash("u42"), Secret::new("a secret of one").hash("u42"));
        assert_ne!(one.hash("u42"), one.hash("u43"));
        assert!(none.hash("u42") != one.hash("u42") && one.hash("u42") != other.hash("u42"));
        assert!(none.mark().is_none() && one.mark().is_some() && one.mark() != other.mark());
    }

    #[test]
    fn without_a_secret_the_model_knows_users_as_it_always_has() {
        assert_eq!(Secret::default().hash("u42").key(), UserKey::of("u42"));
        assert_ne!(Secret::new("a secret").hash("u42").key(), UserKey::of("u42"));
    }

    #[test]
    fn a_hash_is_read_as_it_was_written_and_nothing_else_is() {
        let hash = Secret::default().hash("u42");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for text in ["", "u42", &"f".repeat(31), &"F".repeat(32), &"g".repeat(32), &format!("+{}", "f".repeat(31))] {
            assert_eq!(text.parse::<UserHash>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?} {:?}", Secret::new("hunter2"), Secret::default()), "*** none");
    }
}
