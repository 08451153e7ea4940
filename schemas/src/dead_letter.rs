//! Why an event is refused, and how a dead letter carries it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
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

/// A refused event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which rule refused it.
    pub reason: Reason,
    /// What exactly was wrong, for people.
    pub detail: String,
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}
