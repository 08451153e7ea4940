//! The value of `applied:{group/partition}`: how far a group of scorers has applied a partition of `interactions` to
//! the profiles that lie in the same Redis.

use serde::Deserialize;

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
}

/// No mark is longer.
pub const MARK_BYTES: usize = 128;

impl Mark {
    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format!(r#"{{"next":{},"by":{},"seq":{},"life":{}}}"#, self.next, self.by, self.seq, self.life).into_bytes()
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
        assert_eq!(Mark::decode(later), Some(Mark { next: 7, by: 1, seq: 2, life: 3 }));
        assert_eq!(Mark::decode(br#"{"v":2,"through":{"next":7}}"#), None, "then the partition is read again");
    }

    #[test]
    fn a_mark_survives_its_encoding_and_nothing_else_is_one() {
        let mark = Mark { next: i64::MAX, by: u64::MAX, seq: u64::MAX, life: u32::MAX };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        assert!(mark.encode().len() <= MARK_BYTES);
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
