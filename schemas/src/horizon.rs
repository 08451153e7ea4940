//! How far an interaction's source may be believed: one from nowhere, far ahead, would make its readers take all that
//! comes behind it for applied.
//!
//! Ingest alone writes what it read from `events`, so a source lies before that topic's end. Whoever reads
//! `interactions` asks for that end, but seldom: small steps from source to source are believed, up to a reach beyond
//! what was last vouched for. Where earlier lives of `events` ended nobody knows, so their sources are believed; and so
//! is everything where the broker does not tell lives apart.

use std::collections::BTreeMap;

use crate::Position;
use crate::position::life_of;

/// Source offsets grow by one, and by some more where events were refused. A larger step is looked into.
const STEP: i64 = 1_000;

/// So far small steps are believed one after another: what many forged ones together can pass over. At a thousand
/// events a second in a partition this asks every 100 s.
const REACH: i64 = 100_000;

/// What is to be thought of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Ingest may have read it.
    Within,
    /// Ask where `events` ends, after the record was read, and look again.
    Ask,
    /// It is nowhere on `events`: ingest did not write it.
    Beyond,
}

/// Where a topic ends: which life it is in (0: not known), and for each partition the next offset to be written.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// As [`life_of`] tells it.
    pub life: u32,
    /// By partition.
    pub ends: &'a BTreeMap<i32, i64>,
}

/// What one reader of `interactions` knows of `events`.
#[derive(Debug, Clone, Default)]
pub struct Horizon {
    /// The furthest source that was believed, by partition.
    last: BTreeMap<i32, Position>,
    /// Up to here, by partition, the end of `events` was asked for.
    vouched: BTreeMap<i32, Position>,
}

impl Horizon {
    /// Judges the source of the next record; `asked` is where `events` ends, if that was asked for after the record was
    /// read.
    pub fn sight(&mut self, partition: i32, place: Position, asked: Option<Ends<'_>>) -> Sight {
        let (last, vouched) = (through(&self.last, partition, place), through(&self.vouched, partition, place));
        let near = place.offset.saturating_sub(last) <= STEP && place.offset.saturating_sub(vouched) <= REACH;
        if !near && place.offset > vouched {
            let Some(Ends { life, ends }) = asked else { return Sight::Ask };
            let end = ends.get(&partition).filter(|_| life != 0 && life == life_of(place.incarnation)).copied();
            if end.is_some_and(|end| place.offset >= end) {
                return Sight::Beyond;
            }
            let offset = end.map_or(place.offset, |end| end.saturating_sub(1));
            self.vouched.insert(partition, Position { offset, ..place });
        }
        self.last.insert(partition, Position { offset: place.offset.max(last), ..place });
        Sight::Within
    }

    /// Partitions of another log: their sources begin anew.
    pub fn forget(&mut self, partitions: &[i32]) {
        for known in [&mut self.last, &mut self.vouched] {
            known.retain(|partition, _| !partitions.contains(partition));
        }
    }
}

/// How far a partition is known in the life of `place`.
fn through(known: &BTreeMap<i32, Position>, partition: i32, place: Position) -> i64 {
    known.get(&partition).filter(|known| known.incarnation == place.incarnation).map_or(-1, |known| known.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::incarnation;

    const LIFE: u32 = 7;

    fn at(offset: i64) -> Position {
        Position { incarnation: incarnation(1_700_000_000, LIFE), offset }
    }

    fn ends(end: i64) -> BTreeMap<i32, i64> {
        [(0, end)].into()
    }

    fn told(ends: &BTreeMap<i32, i64>) -> Option<Ends<'_>> {
        Some(Ends { life: LIFE, ends })
    }

    #[test]
    fn a_source_far_ahead_is_beyond_and_those_behind_it_are_not() {
        let mut horizon = Horizon::default();
        assert_eq!(horizon.sight(0, at(0), None), Sight::Within);
        assert_eq!(horizon.sight(0, at(5_000_000), None), Sight::Ask);
        assert_eq!(horizon.sight(0, at(5_000_000), told(&ends(3_000))), Sight::Beyond);
        assert_eq!(horizon.sight(0, at(1), None), Sight::Within);
        assert_eq!(horizon.sight(0, at(2_500), None), Sight::Ask, "many events were refused");
        assert_eq!(horizon.sight(0, at(2_500), told(&ends(3_000))), Sight::Within);
        assert_eq!(horizon.sight(0, at(2_999), None), Sight::Within);
        assert_eq!(horizon.sight(1, at(2_999), None), Sight::Ask, "another partition");
    }

    #[test]
    fn what_the_answer_reaches_is_not_asked_for_again() {
        let mut horizon = Horizon::default();
        assert_eq!(horizon.sight(0, at(2_000), told(&ends(900_000))), Sight::Within);
        for offset in (2_000..900_000).step_by(10_000) {
            assert_eq!(horizon.sight(0, at(offset), None), Sight::Within, "catching up, {offset}");
        }
    }

    #[test]
    fn a_ladder_of_small_steps_ends_where_events_does() {
        let mut horizon = Horizon::default();
        assert_eq!(horizon.sight(0, at(1_500), told(&ends(2_000))), Sight::Within);
        let ladder = (2_000..1_000_000).step_by(900);
        let climbed = ladder.take_while(|offset| horizon.sight(0, at(*offset), None) == Sight::Within).last();
        assert!(climbed.is_some_and(|offset| offset <= 2_000 + REACH), "{climbed:?}");
        assert_eq!(horizon.sight(0, at(2_000 + REACH + 900), told(&ends(2_500))), Sight::Beyond);
    }

    #[test]
    fn of_other_lives_of_events_nobody_knows_the_end() {
        let mut horizon = Horizon::default();
        let before = Position { incarnation: incarnation(1_600_000_000, 3), offset: 70_000 };
        assert_eq!(horizon.sight(0, before, None), Sight::Ask);
        assert_eq!(horizon.sight(0, before, told(&ends(10))), Sight::Within);
        assert_eq!(horizon.sight(0, Position { offset: 70_001, ..before }, None), Sight::Within);
        assert_eq!(horizon.sight(0, at(0), None), Sight::Within, "the life after it begins at 0");
        assert_eq!(horizon.sight(0, at(70_000), told(&ends(10))), Sight::Beyond);
        let unknown = Position { incarnation: incarnation(1_600_000_000, 0), offset: 70_000 };
        let asked = Some(Ends { life: 0, ends: &ends(10) });
        assert_eq!(horizon.sight(0, unknown, asked), Sight::Within, "it may be of an earlier one");
        horizon.forget(&[0]);
        assert_eq!(horizon.sight(0, Position { offset: 70_001, ..before }, None), Sight::Ask);
    }
}
