//! Users from whom the trainer learns nothing for a while, as a manifest tells of them.

use serde::{Deserialize, Serialize};

use super::is_time;
use crate::UserKey;

/// The most users that a manifest names: 2 KB, of which there is one a second.
pub const MAX_GUARDED: usize = 20;

/// Users from whom nothing was learned in the last hour of event time, for they were faster than `model.guard.rate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Guarded {
    /// How many there are.
    pub users: u32,
    /// Those of most interactions, at most [`MAX_GUARDED`], the busiest first.
    pub most: Vec<GuardedUser>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedUser {
    /// Key of the user, hexadecimal: an id is personal.
    #[serde(with = "hexadecimal")]
    pub user: UserKey,
    /// Event time of the first interaction that was learned with weight 0, milliseconds since 1970.
    pub since: i64,
    /// Event time of the last.
    pub last: i64,
    /// How many there were.
    pub interactions: u64,
}

impl Guarded {
    /// Whether a manifest may say so.
    pub(super) fn can_be(&self) -> bool {
        self.most.len() <= MAX_GUARDED && self.most.iter().all(|user| is_time(user.since) && is_time(user.last))
    }
}

/// A key as text: a number of JSON is exact up to 2^53 only.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::UserKey;

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
    pub(super) fn serialize<S: Serializer>(key: &UserKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UserKey, D::Error> {
        u64::from_str_radix(&String::deserialize(deserializer)?, 16).map(UserKey).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarded_users_are_told_by_key_and_within_bounds() {
        let user = GuardedUser { user: UserKey(0xffff_0000_0000_000a), since: 5, last: 7, interactions: 900 };
        let told = Guarded { users: 1, most: vec![user] };
        let text = serde_json::to_string(&told).expect("serialises");
        assert!(text.contains(r#""user":"ffff00000000000a""#), "{text}");
        assert_eq!(serde_json::from_str::<Guarded>(&text).expect("is read"), told);
        assert!(told.can_be());
        for wrong in [vec![user; MAX_GUARDED + 1], vec![GuardedUser { last: i64::MAX, ..user }]] {
            assert!(!Guarded { users: 1, most: wrong }.can_be());
        }
        serde_json::from_str::<GuardedUser>(r#"{"user":"u42","since":0,"last":0,"interactions":1}"#)
            .expect_err("an id is no key");
    }
}
