//! Which dead letters are meant, and where the next call goes on.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use runtime::kafka::{Next, Positions, Record};
use schemas::Reason;
use schemas::dead_letter::headers;

use super::text;

/// A place on `dead-letters`, as Kafka's own tools write it: `PARTITION:OFFSET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        let place = numbers.filter(|place| place.partition >= 0 && place.offset >= 0);
        place.ok_or("write PARTITION:OFFSET, such as 0:1500")
    }
}

/// Takes letters in the order of their partitions, up to a limit.
#[derive(Debug)]
pub(super) struct Selection {
    reason: Option<Reason>,
    limit: u64,
    /// Where the letters that were not taken begin.
    pub(super) next: Positions,
    /// Topics, places and hashes of what was refused: a letter that was written twice (I2) is one. One with the same
    /// place and other bytes is of a topic that was made again, or forged.
    seen: HashSet<(String, i64, i64, u64)>,
    /// Letters meant, taken or not.
    pub(super) total: u64,
    pub(super) taken: u64,
}

impl Selection {
    pub(super) fn new(reason: Option<Reason>, from: &[Position], limit: u64) -> Self {
        let next = from.iter().map(|place| (place.partition, Next(place.offset))).collect();
        Self { reason, limit, next, seen: HashSet::new(), total: 0, taken: 0 }
    }

    /// Whether to take the next record of the topic. Those before the start count as seen: a copy may lie after it.
    pub(super) fn takes(&mut self, letter: &Record) -> bool {
        let number = |name| text(letter.header(name)).parse::<i64>().ok();
        let topic = || text(letter.header(headers::TOPIC));
        let place = number(headers::PARTITION).zip(number(headers::OFFSET));
        let source = place.map(|(partition, offset)| (topic(), partition, offset, hash(letter)));
        let is_first = source.is_none_or(|source| self.seen.insert(source));
        let is_before = self.next.get(&letter.partition).is_some_and(|next| next.is_past(letter.offset));
        let is_meant = self.reason.is_none_or(|reason| text(letter.header(headers::REASON)) == reason.as_str());
        if !is_first || is_before || !is_meant {
            return false;
        }
        self.total += 1;
        let takes = self.taken < self.limit;
        if takes {
            self.taken += 1;
            self.next.insert(letter.partition, Next::behind(letter.offset));
        }
        takes
    }

    /// The `--from` that goes on after what was taken.
    pub(super) fn from(&self) -> String {
        let places =
            self.next.iter().map(|(partition, next)| Position { partition: *partition, offset: next.0 }.to_string());
        places.collect::<Vec<_>>().join(",")
    }
}

fn hash(letter: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&letter.key, &letter.value).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letter at `partition:offset` about the event at 3:`event`.
    fn letter(partition: i32, offset: i64, event: i64, reason: Reason) -> Record {
        let header = |name: &str, value: String| (name.to_owned(), value.into_bytes().into());
        Record {
            partition,
            offset,
            timestamp: 0,
            by_broker: false,
            key: Default::default(),
            value: None,
            headers: vec![
                header(headers::REASON, reason.to_string()),
                header(headers::TOPIC, "events".to_owned()),
                header(headers::PARTITION, "3".to_owned()),
                header(headers::OFFSET, event.to_string()),
            ],
        }
    }

    fn taken(selection: &mut Selection, letters: &[Record]) -> Vec<i64> {
        let mut taken = Vec::new();
        for letter in letters {
            if selection.takes(letter) {
                taken.push(letter.offset);
            }
        }
        taken
    }

    #[test]
    fn a_limit_is_no_secret_and_the_next_call_goes_on_where_this_one_ended() {
        let letters: Vec<_> = (0..5).map(|n| letter(0, n, n, Reason::Empty)).collect();
        let mut selection = Selection::new(None, &[], 3);
        assert_eq!(taken(&mut selection, &letters), [0, 1, 2]);
        assert_eq!((selection.taken, selection.total, &*selection.from()), (3, 5, "0:3"));
        let from: Position = selection.from().parse().expect("is a place");
        let mut selection = Selection::new(None, &[from], 3);
        assert_eq!(taken(&mut selection, &letters), [3, 4]);
        assert_eq!((selection.total, &*selection.from()), (2, "0:5"));
        let from: Position = selection.from().parse().expect("is a place");
        assert!(taken(&mut Selection::new(None, &[from], 3), &letters).is_empty());
    }

    #[test]
    fn a_letter_that_was_written_twice_is_taken_once_wherever_the_start_is() {
        let letters = [letter(0, 0, 7, Reason::Empty), letter(0, 1, 8, Reason::Empty), letter(0, 2, 7, Reason::Empty)];
        assert_eq!(taken(&mut Selection::new(None, &[], 9), &letters), [0, 1]);
        let after_the_first = Position { partition: 0, offset: 1 };
        assert_eq!(taken(&mut Selection::new(None, &[after_the_first], 9), &letters), [1]);
    }

    #[test]
    fn a_letter_of_a_topic_that_was_made_again_is_no_copy_of_one_with_the_same_place() {
        let before = letter(0, 0, 7, Reason::Empty);
        let after = Record { value: Some("another".into()), ..letter(0, 1, 7, Reason::NotJson) };
        let copy = Record { offset: 2, ..letter(0, 0, 7, Reason::Empty) };
        assert_eq!(taken(&mut Selection::new(None, &[], 9), &[before, after, copy]), [0, 1]);
    }

    #[test]
    fn partitions_have_their_own_starts_and_other_reasons_are_passed_over() {
        let letters = [
            letter(0, 4, 1, Reason::Empty),
            letter(0, 5, 2, Reason::InFuture),
            letter(1, 0, 3, Reason::Empty),
            letter(0, 6, 4, Reason::Empty),
        ];
        let start = Position { partition: 0, offset: 5 };
        let mut selection = Selection::new(Some(Reason::Empty), &[start], u64::MAX);
        assert_eq!(taken(&mut selection, &letters), [0, 6]);
        assert_eq!(selection.from(), "0:7,1:1");
    }

    #[test]
    fn a_place_is_two_numbers() {
        assert_eq!("3:1500".parse(), Ok(Position { partition: 3, offset: 1_500 }));
        assert!(["7", "-1:0", "0:-1", "a:b", ""].into_iter().all(|text| text.parse::<Position>().is_err()));
    }
}
