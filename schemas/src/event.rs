//! An event as applications write it: the JSON value of the topic `events`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::proto::Kind;

/// 2000-01-01T00:00:00Z in milliseconds. Anything before is a clock that was never set, or seconds.
pub const OLDEST_TS: i64 = 946_684_800_000;

/// A clickstream event. Unknown fields are left out, never an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Makes the application's retries idempotent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// What the user did.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Who did it.
    pub user_id: String,
    /// The visit it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What it was done to.
    pub item_id: String,
    /// When: milliseconds since 1970, also as text, or RFC 3339.
    pub ts: Timestamp,
    /// Money, rating or whatever the application counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What an impression showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
}

/// The kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// The item was shown.
    Impression,
    /// The item's page was opened.
    View,
    /// The item was put into the cart.
    Cart,
    /// The item was bought.
    Purchase,
    /// The item was liked.
    Like,
    /// The item was disliked: it leaves the user's slate.
    Dislike,
    /// The dislike is taken back; so does a like or a purchase.
    Undislike,
}

impl From<EventType> for Kind {
    fn from(kind: EventType) -> Self {
        match kind {
            EventType::Impression => Self::Impression,
            EventType::View => Self::View,
            EventType::Cart => Self::Cart,
            EventType::Purchase => Self::Purchase,
            EventType::Like => Self::Like,
            EventType::Dislike => Self::Dislike,
            EventType::Undislike => Self::Undislike,
        }
    }
}

impl Kind {
    /// Whether the user chose the item, so that it is worth predicting.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::View | Self::Cart | Self::Purchase | Self::Like)
    }

    /// What it says of an earlier dislike of the same item: `Some(true)` that the user wants none of it, `Some(false)`
    /// that the user does. A look at it, or into the cart, says nothing: people look at what they are shown.
    #[must_use]
    pub const fn dislikes(self) -> Option<bool> {
        match self {
            Self::Dislike => Some(true),
            Self::Like | Self::Purchase | Self::Undislike => Some(false),
            _ => None,
        }
    }
}

/// A point in time, milliseconds since 1970 (UTC); reads numbers and RFC 3339, writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(ts) => ts.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("milliseconds since 1970 or an RFC 3339 time")
            }
            fn visit_i64<E: serde::de::Error>(self, ms: i64) -> Result<Timestamp, E> {
                Ok(Timestamp(ms))
            }
            fn visit_u64<E: serde::de::Error>(self, ms: u64) -> Result<Timestamp, E> {
                i64::try_from(ms).map(Timestamp).map_err(|_| E::custom("a time beyond 64 bits"))
            }
            /// To JSON 1.7e12 is a whole number, too; what is beyond 64 bits becomes the farthest time.
            #[allow(clippy::cast_possible_truncation)] // it saturates
            fn visit_f64<E: serde::de::Error>(self, ms: f64) -> Result<Timestamp, E> {
                if ms.fract() == 0.0 { Ok(Timestamp(ms as i64)) } else { Err(E::custom("not a whole number")) }
            }
            /// Digits are the number that they spell; what is beyond 64 bits becomes the farthest time.
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let text = text.trim();
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Ok(Timestamp(text.parse().unwrap_or(i64::MAX)));
                }
                let ts: jiff::Timestamp = text.parse().map_err(E::custom)?;
                Ok(Timestamp(ts.as_millisecond()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_of_the_contract_parses() {
        let event: Event = serde_json::from_str(
            r#"{"event_id":"01J9","type":"view","user_id":"u42","session_id":"s7","item_id":"i9",
                "ts":1700000000123,"value":19.9,"properties":{"surface":"home"}}"#,
        )
        .expect("parses");
        assert_eq!(event.kind, EventType::View);
        assert_eq!(event.ts, Timestamp(1_700_000_000_123));
    }

    #[test]
    fn a_time_may_be_written_as_rfc_3339() {
        let ts: Timestamp = serde_json::from_str(r#""2023-11-14T22:13:20.123Z""#).expect("parses");
        assert_eq!(ts, Timestamp(1_700_000_000_123));
        assert!(serde_json::from_str::<Timestamp>(r#""yesterday""#).is_err());
    }

    #[test]
    fn digits_as_text_are_the_number_that_they_spell() {
        for (text, ms) in [("1700000000123", 1_700_000_000_123), (" 0 ", 0), ("99999999999999999999", i64::MAX)] {
            assert_eq!(serde_json::from_str::<Timestamp>(&format!("\"{text}\"")).expect("parses"), Timestamp(ms));
        }
        assert!(
            ["", "17e11", "-5", "1700000000123.5"]
                .iter()
                .all(|text| { serde_json::from_str::<Timestamp>(&format!("\"{text}\"")).is_err() })
        );
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        assert_eq!(serde_json::from_str::<Timestamp>("1.7e12").expect("parses"), Timestamp(1_700_000_000_000));
        assert!(serde_json::from_str::<Timestamp>("1700000000.5").is_err());
    }
}
