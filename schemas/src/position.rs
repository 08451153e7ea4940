//! Where a record lies in its partition, over all lives of its topic.
//!
//! A topic that is deleted and made again counts its offsets from 0, and one that lost its end counts some of them
//! twice. So an offset alone names no record; together with the topic's incarnation it does.

use crate::proto::Source;

/// A place in one partition of a source topic. Later places are larger, over all lives of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which life of the topic; 0 before there were incarnations.
    pub incarnation: u64,
    /// The offset in that life.
    pub offset: i64,
}

impl Position {
    /// Before every record.
    pub const START: Self = Self { incarnation: 0, offset: -1 };
}

impl Source {
    /// The place in its partition.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { incarnation: self.incarnation, offset: self.offset }
    }
}

/// The incarnation of a topic whose life began at `seconds` since 1970 and has the id `life` (0: not known).
#[must_use]
pub const fn incarnation(seconds: u32, life: u32) -> u64 {
    (seconds as u64) << 32 | life as u64
}

/// When a life began, seconds since 1970.
#[must_use]
pub const fn began_at(incarnation: u64) -> u32 {
    (incarnation >> 32) as u32
}

/// Tells the lives of a topic apart: the low half of a hash of Kafka's topic id (KIP-516); 0 where it is not known.
#[must_use]
pub const fn life_of(incarnation: u64) -> u32 {
    incarnation as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_life_comes_after_every_offset_of_an_earlier_one() {
        let old = Position { incarnation: incarnation(1_700_000_000, u32::MAX), offset: i64::MAX };
        let new = Position { incarnation: incarnation(1_700_000_001, 0), offset: 0 };
        assert!(Position::START < old && old < new);
        assert_eq!((began_at(old.incarnation), life_of(old.incarnation)), (1_700_000_000, u32::MAX));
    }

    #[test]
    fn records_of_before_come_before_all_lives() {
        let before = Source { partition: 3, offset: 900, ..Source::default() };
        assert!(before.position() < Position { incarnation: incarnation(1, 0), offset: 0 });
    }
}
