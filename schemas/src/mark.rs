//! The value of `applied:{group/partition}`: how far a group of scorers has applied a partition of `interactions` to
//! the profiles that lie in the same Redis.

use serde::{Deserialize, Deserializer};

/// How far a partition was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Mark {
    /// Every record before this offset of `interactions` is in the profiles.
    pub next: i64,
    /// Tells marks of one instance from those of another.
    pub by: u64,
    /// Counts the marks of an instance: no two are alike.
    pub seq: u64,
    /// Which life of `interactions` the offset counts in: another number after the topic was deleted and made again; 0
    /// where it was not known.
    pub life: u32,
    /// What is known of keys that Redis has evicted; `None`: nothing, as in marks of earlier releases.
    #[serde(default, deserialize_with = "evictions")]
    pub gone: Option<Gone>,
}

/// Whether Redis may have evicted profiles that are behind a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// None is gone of what Redis held when it had evicted so many keys, as it counts them itself since it started.
    NoneSince(u64),
    /// Some may be, and were not made anew yet.
    Perhaps,
}

/// Encoded as a number: a count, or one below 0.
fn evictions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Gone>, D::Error> {
    let count = Option::<i64>::deserialize(deserializer)?;
    Ok(count.map(|count| u64::try_from(count).map_or(Gone::Perhaps, Gone::NoneSince)))
}

/// No mark is longer.
pub const MARK_BYTES: usize = 128;

impl Mark {
    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { next, by, seq, life, gone } = self;
        let gone = gone.map_or_else(String::new, |gone| {
            let count = match gone {
                Gone::NoneSince(count) => i64::try_from(count).unwrap_or(i64::MAX),
                Gone::Perhaps => -1,
            };
            format!(r#","gone":{count}"#)
        });
        format!(r#"{{"next":{next},"by":{by},"seq":{seq},"life":{life}{gone}}}"#).into_bytes()
    }

    /// Reads a mark; `None` where the bytes are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|mark: &Self| mark.next >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_later_release_is_passed_over_and_without_one_of_ours_it_is_no_mark() {
        let later = br#"{"next":7,"by":1,"seq":2,"life":3,"later":{"a":[1]}}"#;
        assert_eq!(Mark::decode(later), Some(Mark { next: 7, by: 1, seq: 2, life: 3, gone: None }));
        assert_eq!(Mark::decode(br#"{"v":2,"through":{"next":7}}"#), None, "then the partition is read again");
    }

    #[test]
    fn a_mark_survives_its_encoding_and_nothing_else_is_one() {
        for gone in [None, Some(Gone::Perhaps), Some(Gone::NoneSince(0)), Some(Gone::NoneSince(i64::MAX as u64))] {
            let mark = Mark { next: i64::MAX, by: u64::MAX, seq: u64::MAX, life: u32::MAX, gone };
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
            assert!(mark.encode().len() <= MARK_BYTES, "{}", mark.encode().len());
        }
        let ours = Mark { next: 7, by: 1, seq: 2, life: 3, gone: None }.encode();
        assert_eq!(ours, br#"{"next":7,"by":1,"seq":2,"life":3}"#, "as releases wrote it that know nothing of it");
        for odd in [
            &b""[..],
            b"{}",
            b"\xff\xfe",
            br#"{"next":-1,"by":0,"seq":0,"life":0}"#,
            br#"{"next":1e99,"by":0,"seq":0,"life":0}"#,
        ] {
            assert_eq!(Mark::decode(odd), None, "{odd:?}");
        }
    }
}
