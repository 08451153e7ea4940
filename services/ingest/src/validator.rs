//! Judges one event: raw bytes in, an `Interaction` or a dead letter out. No I/O, no clock, no state.

use std::borrow::Cow;

use schemas::event::OLDEST_TS;
use schemas::{DeadLetter, Interaction, Kind, MAX_ID_BYTES, Reason, Source, Timestamp, vocabulary};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{IgnoredAny, IntoDeserializer};

use crate::config::Limits;
use crate::wire::{Field, Wire};

/// A detail quotes the event; this much of it is enough to find the mistake.
const MAX_DETAIL_BYTES: usize = 300;

/// What Kafka knows about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Partition of `events`.
    pub partition: i32,
    /// Offset there.
    pub offset: i64,
    /// The life of the topic in which it counts.
    pub incarnation: u64,
    /// When it arrived, by a clock that its sender has no say in; milliseconds since 1970.
    pub arrived_at: i64,
}

/// The rules of the contract, with their limits.
#[derive(Debug, Clone)]
pub struct Validator {
    limits: Limits,
}

impl Validator {
    /// Takes the limits from the configuration.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Judges the value of a record; `now` in milliseconds since 1970, by the later of our clock and the record's.
    ///
    /// Rules are tried in a fixed order, the whole message before its fields; the first that fails is the reason.
    pub fn judge(&self, value: Option<&[u8]>, origin: Origin, now: i64) -> Result<Interaction, DeadLetter> {
        let (text, wire) = self.parse(value.unwrap_or_default())?;
        let kind = kind(&wire.kind)?;
        let user_id = self.id("user_id", wire.user_id, text)?;
        let item_id = self.id("item_id", wire.item_id, text)?;
        let ts = self.time(&wire.ts, now)?;
        Ok(Interaction {
            kind: kind.into(),
            user_id,
            item_id,
            ts,
            session_id: self.optional_id("session_id", wire.session_id, text)?,
            value: amount(&wire.value)?,
            // On any other type `items` is an unknown field: left out.
            shown: if kind == Kind::Impression { self.shown(wire.items)? } else { Vec::new() },
            event_id: self.optional_id("event_id", wire.event_id, text)?,
            source: Some(Source {
                partition: origin.partition,
                offset: origin.offset,
                topic: 0,
                incarnation: origin.incarnation,
            }),
            arrived_at: origin.arrived_at,
        })
    }

    fn parse<'a>(&self, value: &'a [u8]) -> Result<(&'a str, Wire<'a>), DeadLetter> {
        if value.is_empty() {
            return refuse(Reason::Empty, "the record has no value");
        }
        let limit = self.limits.max_message_bytes;
        if value.len() > limit {
            return refuse(Reason::TooLarge, format!("{} bytes, the limit is {limit}", value.len()));
        }
        let text =
            std::str::from_utf8(value).or_else(|error| refuse(Reason::NotJson, format!("not UTF-8: {error}")))?;
        // serde would take an array for a struct, field by field.
        if !text.trim_start().starts_with('{') {
            serde_json::from_str::<IgnoredAny>(text).or_else(not_json)?;
            return refuse(Reason::WrongType, "an event is a JSON object");
        }
        let wire = serde_json::from_str(text).or_else(not_json)?;
        Ok((text, wire))
    }

    #[allow(clippy::cast_possible_truncation)] // it saturates
    fn time(&self, field: &Field<'_>, now: i64) -> Result<i64, DeadLetter> {
        let ts = match field {
            Field::Absent => return missing("ts"),
            Field::Whole(ms) => *ms,
            Field::Text(text) if text.trim().is_empty() => return empty("ts"),
            Field::Text(text) => match Timestamp::deserialize(deserializer(text)) {
                Ok(ts) => ts.0,
                Err(error) => {
                    return refuse(
                        Reason::WrongType,
                        format!("`ts` \"{text}\" is neither milliseconds nor an RFC 3339 time: {error}"),
                    );
                }
            },
            // To JSON 1.7e12 is a whole number, too; what is beyond 64 bits becomes the farthest future.
            Field::Number(ms) if ms.fract() == 0.0 => *ms as i64,
            other => return wrong_type("ts", other, "a whole number of milliseconds since 1970 or an RFC 3339 string"),
        };
        if ts < OLDEST_TS {
            let advice = if ts > OLDEST_TS / 1000 { "; these look like seconds, milliseconds are wanted" } else { "" };
            return refuse(Reason::TooOld, format!("`ts` is {}, before the year 2000{advice}", Timestamp(ts)));
        }
        if ts > now.saturating_add(self.limits.max_future_ms()) {
            let advice = "check the clock of the sender, or whether these are microseconds";
            return refuse(Reason::InFuture, format!("`ts` is {}, now is {}; {advice}", Timestamp(ts), Timestamp(now)));
        }
        Ok(ts)
    }

    /// An id that must be there.
    fn id(&self, name: &str, field: Field<'_>, text: &str) -> Result<String, DeadLetter> {
        if field == Field::Absent {
            return missing(name);
        }
        let id = any_id(name, field, text)?;
        if id.is_empty() {
            return empty(name);
        }
        if self.limits.is_nobody(&id) {
            return refuse(
                Reason::Nobody,
                format!("`{name}` is \"{id}\", a word for nothing: the application does not know it (ingest.nobody)"),
            );
        }
        Ok(id)
    }

    /// An id that may be missing. Empty, or a word for nothing, it is the same as none: a thousand events called `null`
    /// are no repeats of one.
    fn optional_id(&self, name: &str, field: Field<'_>, text: &str) -> Result<String, DeadLetter> {
        let id = any_id(name, field, text)?;
        Ok(if self.limits.is_nobody(&id) { String::new() } else { id })
    }

    fn shown(&self, field: Field<'_>) -> Result<Vec<String>, DeadLetter> {
        let items = match field {
            Field::Absent => return Ok(Vec::new()),
            Field::List(items) => items,
            other => return wrong_type("items", &other, "an array of item ids"),
        };
        let limit = self.limits.max_items;
        if items.len() > limit {
            return refuse(Reason::TooManyItems, format!("`items` has {}, the limit is {limit}", items.len()));
        }
        items
            .into_iter()
            // Absent inside an array is `null`: a wrong type, for nothing is missing.
            .map(|item| match item {
                Field::Absent => refuse(Reason::WrongType, "`items` holds null; item ids are wanted"),
                item => self.id("items", item, ""),
            })
            .collect()
    }
}

fn kind(field: &Field<'_>) -> Result<Kind, DeadLetter> {
    match field {
        Field::Absent => missing("type"),
        Field::Text(text) if text.is_empty() => empty("type"),
        Field::Text(text) => vocabulary::event_type(text).map_or_else(
            || refuse(Reason::UnknownType, format!("`type` \"{text}\" is none of {}", vocabulary::TYPE_NAMES)),
            |kind| Ok(kind.into()),
        ),
        other => wrong_type("type", other, "a string"),
    }
}

/// An id, which is empty where there is none. A number is the id that it spells.
fn any_id(name: &str, field: Field<'_>, text: &str) -> Result<String, DeadLetter> {
    let id = match field {
        Field::Absent => String::new(),
        Field::Text(text) if text.trim().is_empty() => String::new(),
        Field::Text(text) => text.into_owned(),
        Field::Whole(number) => number.to_string(),
        Field::Number(number) => match number_as_id(name, number, text) {
            Some(id) => id,
            None => return wrong_type(name, &field, "a string"),
        },
        other => return wrong_type(name, &other, "a string or a number"),
    };
    if id.len() > MAX_ID_BYTES {
        return refuse(Reason::IdTooLong, format!("`{name}` has {} bytes, the limit is {MAX_ID_BYTES}", id.len()));
    }
    Ok(id)
}

/// Spells a number that is none of 64 bits: from its literal, for else digits would be lost.
fn number_as_id(name: &str, number: f64, text: &str) -> Option<String> {
    match schemas::literal(text, name) {
        Some(literal) => vocabulary::number_as_id(literal),
        None if number.abs() < EXACT => vocabulary::number_as_id(&number.to_string()),
        None => None,
    }
}

/// Up to here a number of 64 bits holds every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn amount(field: &Field<'_>) -> Result<Option<f64>, DeadLetter> {
    match field {
        Field::Absent => Ok(None),
        Field::Whole(number) => Ok(Some(*number as f64)),
        Field::Number(number) => Ok(Some(*number)),
        Field::Text(text) if vocabulary::is_nothing(text) => Ok(None),
        Field::Text(text) => match schemas::item::number(text) {
            Some(number) => Ok(Some(number)),
            None => refuse(Reason::WrongType, format!("`value` \"{text}\" is no number; one such as 19.90 is wanted")),
        },
        other => wrong_type("value", other, "a number"),
    }
}

/// Reads contract types from a string, so that their spelling stays in `schemas`.
fn deserializer(text: &str) -> StrDeserializer<'_, ValueError> {
    text.into_deserializer()
}

fn not_json<T>(error: serde_json::Error) -> Result<T, DeadLetter> {
    refuse(Reason::NotJson, error.to_string())
}

fn missing<T>(name: &str) -> Result<T, DeadLetter> {
    refuse(Reason::MissingField, format!("`{name}` is missing"))
}

fn empty<T>(name: &str) -> Result<T, DeadLetter> {
    refuse(Reason::EmptyField, format!("`{name}` is empty"))
}

fn wrong_type<T>(name: &str, field: &Field<'_>, wanted: &str) -> Result<T, DeadLetter> {
    refuse(Reason::WrongType, format!("`{name}` is {}; {wanted} is wanted", field.type_name()))
}

fn refuse<'a, T>(reason: Reason, detail: impl Into<Cow<'a, str>>) -> Result<T, DeadLetter> {
    let mut detail = detail.into().into_owned();
    if detail.len() > MAX_DETAIL_BYTES {
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
        detail.push('…');
    }
    Err(DeadLetter { reason, detail })
}

#[cfg(test)]
mod tests;
