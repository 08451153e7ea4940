//! An event as it lies on the wire: every field with whatever type it has, so that a refusal can name it.
//!
//! `schemas::Event` says only that an event is wrong; this says what is wrong, in the same single pass over the bytes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The fields of the contract, unchecked. Unknown ones are passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Wire<'a> {
    #[serde(borrow, default)]
    pub(crate) event_id: Field<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Field<'a>,
    #[serde(borrow, default)]
    pub(crate) user_id: Field<'a>,
    #[serde(borrow, default)]
    pub(crate) session_id: Field<'a>,
    #[serde(borrow, default)]
    pub(crate) item_id: Field<'a>,
    #[serde(borrow, default)]
    pub(crate) ts: Field<'a>,
    #[serde(borrow, default)]
    pub(crate) value: Field<'a>,
    #[serde(borrow, default)]
    pub(crate) items: Field<'a>,
}

/// A JSON value, as far as an event needs to know it. `null` is the same as absent.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Field<'a> {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A string; borrowed unless it holds an escape.
    Text(Cow<'a, str>),
    /// A whole number of 64 bits.
    Whole(i64),
    /// Any other number.
    Number(f64),
    /// `true` or `false`.
    Truth,
    /// An array.
    List(Vec<Field<'a>>),
    /// An object, whatever is in it.
    Object,
}

impl Field<'_> {
    /// What it is, for people.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Text(_) => "a string",
            Self::Whole(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Truth => "a boolean",
            Self::List(_) => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType)
    }
}

struct AnyType;

impl<'de> Visitor<'de> for AnyType {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Field<'de>, E> {
        Ok(Field::Absent)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Field<'de>, E> {
        Ok(Field::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(i64::try_from(number).map_or(Field::Number(number as f64), Field::Whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Truth)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field<'de>, A::Error> {
        // Bounded by the message's size, and in depth by serde_json's limit of 128.
        let mut fields = Vec::new();
        while let Some(field) = list.next_element()? {
            fields.push(field);
        }
        Ok(Field::List(fields))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Field<'de>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Object)
    }
}
