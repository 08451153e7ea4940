//! The value of `recs:{user}`, `similar:{item}`, `hot` and `new`: a ranked list that says where it is from.

use prost::Message;
use serde::{Deserialize, Serialize};

use crate::RELEASE;
use crate::proto::{PackedEntry, PackedSlate};

/// How a slate is written. A reader need not know: [`Slate::decode`] tells them apart by the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The documented JSON value.
    #[default]
    Json,
    /// The same as Protobuf, less than half the bytes.
    Packed,
}

/// Bytes that are no slate.
#[derive(Debug, thiserror::Error)]
pub enum SlateError {
    /// Begins like JSON.
    #[error("the slate is not readable JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Begins otherwise.
    #[error("the slate is neither JSON nor packed: {0}")]
    Packed(#[from] prost::DecodeError),
    /// A later release wrote it.
    #[error("the slate is of format {0}, and this release, {RELEASE}, reads format {V}: use the release that wrote it", V = Slate::V)]
    Later(u32),
}

/// A ranked list as downstream services read it, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slate {
    /// The version of this format.
    pub v: u32,
    /// The model version that made the list; `none` before the first model (I5).
    pub model: String,
    /// The event it was made through: `events/3@918273`. Empty for lists that no single event made.
    pub source: String,
    /// Event time of that event, milliseconds since 1970.
    pub event_ts: i64,
    /// When the list was made, milliseconds since 1970.
    pub made_at: i64,
    /// The items, best first.
    pub items: Vec<Entry>,
}

/// One item of a slate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The item's id.
    pub id: String,
    /// Higher is better; comparable within one slate only.
    pub score: f32,
    /// The candidate source that argued most for it: `sequence`, `covisitation`, `sessions`, `content`, `popularity`,
    /// `repeat`, `new`.
    pub from: String,
    /// Items of the user's history that explain it; empty when none does.
    #[serde(default)]
    pub because: Vec<String>,
}

impl Slate {
    /// The format's version.
    pub const V: u32 = 1;

    /// The `model` field before the first model is live.
    pub const NO_MODEL: &'static str = "none";

    /// Spells the `source` field for an event's position.
    #[must_use]
    pub fn source_of(events_topic: &str, partition: i32, offset: i64) -> String {
        format!("{events_topic}/{partition}@{offset}")
    }

    /// Writes the value as downstream services read it.
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Json => serde_json::to_vec(self).expect("strings, numbers and lists are always JSON"),
            Encoding::Packed => PackedSlate::from(self).encode_to_vec(),
        }
    }

    /// Reads either encoding.
    ///
    /// # Errors
    /// When the bytes are neither, or of a later format.
    pub fn decode(bytes: &[u8]) -> Result<Self, SlateError> {
        #[derive(Deserialize)]
        struct Format {
            v: u32,
        }
        if bytes.first() != Some(&b'{') {
            let packed = PackedSlate::decode(bytes)?;
            return if packed.v > Self::V { Err(SlateError::Later(packed.v)) } else { Ok(packed.into()) };
        }
        let Format { v } = serde_json::from_slice(bytes)?;
        if v > Self::V { Err(SlateError::Later(v)) } else { Ok(serde_json::from_slice(bytes)?) }
    }
}

impl From<&Slate> for PackedSlate {
    fn from(slate: &Slate) -> Self {
        let entry = |entry: &Entry| PackedEntry {
            id: entry.id.clone(),
            score: entry.score,
            from: entry.from.clone(),
            because: entry.because.clone(),
        };
        Self {
            v: slate.v,
            model: slate.model.clone(),
            source: slate.source.clone(),
            event_ts: slate.event_ts,
            made_at: slate.made_at,
            items: slate.items.iter().map(entry).collect(),
        }
    }
}

impl From<PackedSlate> for Slate {
    fn from(packed: PackedSlate) -> Self {
        let entry = |PackedEntry { id, score, from, because }| Entry { id, score, from, because };
        Self {
            v: packed.v,
            model: packed.model,
            source: packed.source,
            event_ts: packed.event_ts,
            made_at: packed.made_at,
            items: packed.items.into_iter().map(entry).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slate_of_a_later_format_is_refused_with_what_to_do_and_a_later_field_is_passed_over() {
        let slate =
            |v| Slate { v, model: "m".into(), source: String::new(), event_ts: 1, made_at: 2, items: Vec::new() };
        for encoding in [Encoding::Json, Encoding::Packed] {
            let refusal = Slate::decode(&slate(Slate::V + 1).encode(encoding)).expect_err("is refused").to_string();
            assert!(refusal.contains("format 2") && refusal.contains("the release that wrote it"), "{refusal}");
        }
        let packed = [slate(Slate::V).encode(Encoding::Packed), vec![0xA2, 0x06, 0x02, b'h', b'i']].concat();
        let json = br#"{"v":1,"model":"m","source":"","event_ts":1,"made_at":2,"items":[],"later":{"a":1}}"#;
        for bytes in [&packed[..], json] {
            assert_eq!(Slate::decode(bytes).expect("is read"), slate(Slate::V));
        }
    }

    #[test]
    fn both_encodings_read_back_and_are_told_apart_by_themselves() {
        let slate = Slate {
            v: Slate::V,
            model: "000001-00000007".into(),
            source: Slate::source_of("events", 3, 918_273),
            event_ts: 1_700_000_000_123,
            made_at: 1_700_000_000_130,
            items: vec![Entry { id: "i9".into(), score: 0.93, from: "sequence".into(), because: vec!["i2".into()] }],
        };
        let json = slate.encode(Encoding::Json);
        assert!(json.starts_with(br#"{"v":1,"model":"000001-00000007","source":"events/3@918273","#));
        let packed = slate.encode(Encoding::Packed);
        assert!(packed.len() * 2 < json.len());
        for bytes in [json, packed] {
            assert_eq!(Slate::decode(&bytes).expect("decodes"), slate);
        }
        assert!(Slate::decode(b"hello").is_err());
    }
}
