//! Why an event or a record of the catalog is refused, and how a dead letter carries it.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::proto::Source;

/// Names of the headers on a dead letter. The value is the original bytes, the key the original key, unless they had
/// to be cut.
pub mod headers {
    /// A [`super::Reason`].
    pub const REASON: &str = "reason";
    /// What exactly was wrong, for people.
    pub const DETAIL: &str = "detail";
    /// The topic the record was read from.
    pub const TOPIC: &str = "source-topic";
    /// Its partition, decimal.
    pub const PARTITION: &str = "source-partition";
    /// Its offset, decimal.
    pub const OFFSET: &str = "source-offset";
    /// Which life of the topic the offset is of, decimal: a topic that is made again counts from 0. Only of events.
    pub const INCARNATION: &str = "source-incarnation";
    /// There, with the length in bytes that the original had, where it would not fit into a record and was cut.
    pub const CUT: &str = "cut-from-bytes";
}

/// The closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The value is empty.
    Empty,
    /// Larger than the limit.
    TooLarge,
    /// Not JSON, or not UTF-8.
    NotJson,
    /// A required field is missing.
    MissingField,
    /// A required field is empty.
    EmptyField,
    /// An id is a word for nothing, such as `undefined`.
    Nobody,
    /// A field has the wrong type.
    WrongType,
    /// `type` is none of the known ones.
    UnknownType,
    /// An id is over 256 bytes.
    IdTooLong,
    /// More items in one impression than the limit.
    TooManyItems,
    /// `ts` is further in the future than the limit.
    InFuture,
    /// `ts` is before the year 2000.
    TooOld,
    /// Of items: the key is not that of the record's `item_id`.
    KeyMismatch,
    /// Of items: more categories, or parts, than the limit.
    TooMany,
    /// Of items: a text over its limit.
    TooLong,
    /// Of items: a price or a date that cannot be.
    OutOfRange,
    /// Of items: an update under the item's own key, where compaction takes away what it changes.
    UpdateKey,
}

impl Reason {
    /// Those that events are refused for.
    pub const OF_EVENTS: [Self; 12] = [
        Self::Empty,
        Self::TooLarge,
        Self::NotJson,
        Self::MissingField,
        Self::EmptyField,
        Self::Nobody,
        Self::WrongType,
        Self::UnknownType,
        Self::IdTooLong,
        Self::TooManyItems,
        Self::InFuture,
        Self::TooOld,
    ];

    /// Those that only records of `items` are refused for.
    pub const OF_ITEMS: [Self; 5] =
        [Self::KeyMismatch, Self::TooMany, Self::TooLong, Self::OutOfRange, Self::UpdateKey];

    /// Every reason.
    pub const ALL: [Self; Self::OF_EVENTS.len() + Self::OF_ITEMS.len()] = {
        let (events, items) = (Self::OF_EVENTS, Self::OF_ITEMS);
        let mut all = [Self::Empty; Self::OF_EVENTS.len() + Self::OF_ITEMS.len()];
        let mut n = 0;
        while n < all.len() {
            all[n] = if n < events.len() { events[n] } else { items[n - events.len()] };
            n += 1;
        }
        all
    };

    /// The name in headers, metrics and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::MissingField => "missing_field",
            Self::EmptyField => "empty_field",
            Self::Nobody => "nobody",
            Self::WrongType => "wrong_type",
            Self::UnknownType => "unknown_type",
            Self::IdTooLong => "id_too_long",
            Self::TooManyItems => "too_many_items",
            Self::InFuture => "in_future",
            Self::TooOld => "too_old",
            Self::KeyMismatch => "key_mismatch",
            Self::TooMany => "too_many",
            Self::TooLong => "too_long",
            Self::OutOfRange => "out_of_range",
            Self::UpdateKey => "update_key",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no reason for a dead letter"))
    }
}

/// A refused event, or what of a catalog record was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which rule refused it.
    pub reason: Reason,
    /// What exactly was wrong, for people.
    pub detail: String,
}

/// Kafka's default limit is 1 MB for a whole message; a larger original is cut to fit beside its headers.
pub const MAX_BYTES: usize = 900_000;

/// What is left of a key when a dead letter has to be cut.
const MAX_CUT_KEY_BYTES: usize = 1024;

/// A dead letter as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    /// The original key, perhaps cut.
    pub key: Bytes,
    /// The original value, perhaps cut.
    pub value: Option<Bytes>,
    /// Why, and where from.
    pub headers: Vec<(&'static str, String)>,
}

/// Makes a dead letter of a record of `topic`, at its place there. What the broker would refuse is cut, so that one
/// huge record cannot stop the flow.
#[must_use]
pub fn bury(letter: DeadLetter, topic: &str, place: &Source, key: &Bytes, value: Option<&Bytes>) -> Buried {
    let mut headers = vec![
        (headers::REASON, letter.reason.to_string()),
        (headers::DETAIL, letter.detail),
        (headers::TOPIC, topic.to_owned()),
        (headers::PARTITION, place.partition.to_string()),
        (headers::OFFSET, place.offset.to_string()),
    ];
    if place.incarnation > 0 {
        headers.push((headers::INCARNATION, place.incarnation.to_string()));
    }
    let size = key.len() + value.map_or(0, Bytes::len);
    if size <= MAX_BYTES {
        return Buried { key: key.clone(), value: value.cloned(), headers };
    }
    headers.push((headers::CUT, size.to_string()));
    let key = key.slice(..key.len().min(MAX_CUT_KEY_BYTES));
    let room = MAX_BYTES - key.len();
    let value = value.map(|value| value.slice(..value.len().min(room)));
    Buried { key, value, headers }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}
