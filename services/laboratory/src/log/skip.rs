//! Why a row gives no event or no content, and how logs spell the types of event.

use std::collections::BTreeMap;
use std::fmt;

use schemas::{EventType, vocabulary};
use serde::{Deserialize, Serialize};

/// The closed list of reasons why a row gives no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Skip {
    /// Another number of columns than the header, not JSON, longer than 1 MiB, or with a quotation mark that is not
    /// closed.
    #[serde(rename = "malformed row")]
    Malformed,
    /// Nothing in the line.
    #[serde(rename = "blank line")]
    Blank,
    /// A column that was asked for is in another encoding.
    #[serde(rename = "not UTF-8")]
    NotUtf8,
    /// The user column is empty.
    #[serde(rename = "missing user")]
    MissingUser,
    /// The item column is empty.
    #[serde(rename = "missing item")]
    MissingItem,
    /// The time column is empty.
    #[serde(rename = "missing time")]
    MissingTime,
    /// The type column is empty.
    #[serde(rename = "missing type")]
    MissingType,
    /// The time is in none of the known forms.
    #[serde(rename = "bad time")]
    BadTime,
    /// The time is that of few others: before 1990, or from 2100 on. Something stands there for nothing.
    #[serde(rename = "no real time")]
    NoRealTime,
    /// An id is longer than the contract allows.
    #[serde(rename = "id too long")]
    LongId,
    /// The type is none of the known ones.
    #[serde(rename = "unknown type")]
    UnknownType,
    /// The value is no finite number.
    #[serde(rename = "bad value")]
    BadValue,
    /// A cart or purchase of nothing or less: it was taken back.
    #[serde(rename = "cancelled")]
    Cancelled,
}

impl Skip {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed row",
            Self::Blank => "blank line",
            Self::NotUtf8 => "not UTF-8",
            Self::MissingUser => "missing user",
            Self::MissingItem => "missing item",
            Self::MissingTime => "missing time",
            Self::MissingType => "missing type",
            Self::BadTime => "bad time",
            Self::NoRealTime => "no real time",
            Self::LongId => "id too long",
            Self::UnknownType => "unknown type",
            Self::BadValue => "bad value",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The closed list of reasons why what a row says about its item is left out; the row is an event all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unread {
    /// The price is no finite number.
    #[serde(rename = "bad price")]
    BadPrice,
    /// The price is below 0.
    #[serde(rename = "negative price")]
    NegativePrice,
}

impl Unread {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadPrice => "bad price",
            Self::NegativePrice => "negative price",
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Counts by the reason's name, for reports.
pub fn by_name(counts: &BTreeMap<impl fmt::Display, u64>) -> BTreeMap<String, u64> {
    counts.iter().map(|(reason, count)| (reason.to_string(), *count)).collect()
}

/// One of the rows that were left out for a reason, for whoever has to mend them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its number, from 1: that of its line below the header, where no row goes over several.
    pub row: u64,
    /// What stands there, short, on one line and with no control character.
    pub text: String,
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row, self.text)
    }
}

/// Counts with an example of each, for people: `missing user 12 (row 3: nothing), bad time 3 (row 7: `yesterday`)`.
pub(super) fn list(skipped: &BTreeMap<Skip, u64>, examples: &BTreeMap<Skip, Example>) -> String {
    let one = |(reason, count): (&Skip, &u64)| match examples.get(reason) {
        Some(example) => format!("{reason} {count} ({example})"),
        None => format!("{reason} {count}"),
    };
    skipped.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Reads a type of event as public logs spell it; see [`schemas::vocabulary`].
///
/// # Errors
/// With the types there are, when it is none of them.
pub fn event_type(text: &str) -> Result<EventType, String> {
    vocabulary::event_type(text)
        .ok_or_else(|| format!("`{text}` is no type of event; there are {}", vocabulary::TYPE_NAMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_as_public_logs_spell_them() {
        assert_eq!(event_type("addtocart"), Ok(EventType::Cart));
        assert_eq!(event_type("Add-To-Cart"), Ok(EventType::Cart));
        assert_eq!(event_type("transaction"), Ok(EventType::Purchase));
        assert!(event_type("remove_from_cart").expect_err("is none").contains("there are view, cart"));
    }

    #[test]
    fn a_reason_has_one_name_everywhere() {
        let json = serde_json::to_string(&Skip::MissingUser).expect("serialises");
        assert_eq!(json, format!("\"{}\"", Skip::MissingUser));
        for reason in [Unread::BadPrice, Unread::NegativePrice] {
            let json = serde_json::to_string(&reason).expect("serialises");
            assert_eq!(json, format!("\"{reason}\""));
        }
    }
}
