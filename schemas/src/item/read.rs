//! Reads a record of the topic `items`: what is clear in it, and what is wrong with the rest.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::lenient::{shown, text, yes};
use super::{Fields, PART, salvage};
use crate::{DeadLetter, MAX_ID_BYTES, Reason, literal, vocabulary};

/// The longest name of a part of an item, in bytes.
const MAX_PART_BYTES: usize = 64;

/// A record, read. Nothing that a topic can hold is an error here: what cannot be read stands in `faults`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The item that it is about; empty when even that is not clear.
    pub item_id: String,
    /// What it says.
    pub says: Says,
    /// What of it cannot be taken, and why.
    pub faults: Vec<DeadLetter>,
}

/// What a record says of its item.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// An empty value: this key's record is gone.
    Gone,
    /// Everything: it takes the place of the record before.
    Whole(Fields),
    /// Some fields (`"update": true`), under the part of this name; an empty name is the item's own key.
    Part(String, Fields),
    /// Nothing that can be read; what was known holds.
    Nothing,
}

impl Reading {
    /// Why a dead letter is written: the first fault's reason, and all their details.
    #[must_use]
    pub fn letter(&self) -> Option<DeadLetter> {
        let first = self.faults.first()?;
        let details: Vec<&str> = self.faults.iter().map(|fault| fault.detail.as_str()).collect();
        Some(DeadLetter { reason: first.reason, detail: details.join("; ") })
    }
}

/// Reads a record of `items`.
#[must_use]
pub fn read(key: &[u8], value: Option<&[u8]>) -> Reading {
    let key = of_key(key);
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return match key {
            Ok(key) => Reading { item_id: key, says: Says::Gone, faults: Vec::new() },
            Err(fault) => Reading { item_id: String::new(), says: Says::Nothing, faults: vec![fault] },
        };
    };
    let value = String::from_utf8_lossy(value);
    let value = value.trim_start_matches('\u{feff}');
    let (object, text) = match object(value) {
        Ok(object) => object,
        Err(fault) => {
            let gone = salvage::says_unavailable(value);
            return refused(key.clone().unwrap_or_default(), gone, key.err().into_iter().chain([fault]).collect());
        }
    };
    let mut faults: Vec<DeadLetter> = Vec::new();
    let fields = Fields::of(&object, &mut faults);
    match about(key, &object, &text) {
        Ok((item_id, None)) => Reading { item_id, says: Says::Whole(fields), faults },
        Ok((item_id, Some(part))) => Reading { item_id, says: Says::Part(part, fields), faults },
        Err((item_id, fault)) => {
            faults.insert(0, fault);
            refused(item_id, fields.available == Some(false), faults)
        }
    }
}

/// `available: false` binds, whatever else is wrong.
fn refused(item_id: String, is_gone: bool, faults: Vec<DeadLetter>) -> Reading {
    let says = if is_gone && !item_id.is_empty() {
        Says::Part(String::new(), Fields { available: Some(false), ..Fields::default() })
    } else {
        Says::Nothing
    };
    Reading { item_id, says, faults }
}

/// The fields of an application's object, for tools that make records of what they read.
#[must_use]
pub fn of_object(object: &Map<String, Value>, faults: &mut Vec<DeadLetter>) -> Fields {
    Fields::of(object, faults)
}

fn of_key(key: &[u8]) -> Result<String, DeadLetter> {
    let fault = |reason, detail| Err(DeadLetter { reason, detail });
    let Ok(text) = std::str::from_utf8(key) else {
        return fault(Reason::NotJson, "the key is no UTF-8; it is the item's id".to_owned());
    };
    let id = text.rsplit_once(PART).map_or(text, |(id, _)| id);
    match text.len() {
        0 => fault(Reason::EmptyField, "the key is empty; it is the item's id".to_owned()),
        length if id.len() > MAX_ID_BYTES || length > MAX_ID_BYTES + 1 + MAX_PART_BYTES => {
            fault(Reason::IdTooLong, format!("the key has {length} bytes; an item's id has at most {MAX_ID_BYTES}"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// The object that a value is, and as it is written; one that was encoded twice is read, too.
fn object(value: &str) -> Result<(Map<String, Value>, Cow<'_, str>), DeadLetter> {
    let fault = |reason, detail| Err(DeadLetter { reason, detail });
    match serde_json::from_str(value) {
        Ok(Value::Object(object)) => Ok((object, value.into())),
        Ok(Value::String(inner)) if inner.trim_start().starts_with('{') => match serde_json::from_str(&inner) {
            Ok(Value::Object(object)) => Ok((object, inner.into())),
            _ => fault(Reason::WrongType, "it is a text, and no object".to_owned()),
        },
        Ok(Value::Null) => fault(Reason::WrongType, "it is `null`; an empty value delists".to_owned()),
        Ok(other) => fault(Reason::WrongType, format!("{} is no object", shown(&other))),
        Err(error) => fault(Reason::NotJson, format!("it is no JSON: {error}")),
    }
}

/// The item that a record is about, and the part; an error has the item, too, where the key says which.
fn about(
    key: Result<String, DeadLetter>,
    object: &Map<String, Value>,
    written: &str,
) -> Result<(String, Option<String>), (String, DeadLetter)> {
    let id = match object.get("item_id").unwrap_or(&Value::Null) {
        // As a number of 64 bits a long id would lose digits.
        Value::Number(number) if number.is_f64() => {
            let id = literal(written, "item_id").and_then(vocabulary::number_as_id);
            id.map(Some).ok_or_else(|| (Reason::WrongType, format!("{number} is no id; write it as text")))
        }
        other => text(other),
    };
    let key = match key {
        Ok(key) => key,
        Err(fault) => {
            let id = id.ok().flatten().filter(|id| id.len() <= MAX_ID_BYTES);
            return Err((id.unwrap_or_default(), fault));
        }
    };
    let refuse = |reason, detail| Err((key.clone(), DeadLetter { reason, detail }));
    let update = match yes(object.get("update").unwrap_or(&Value::Null)) {
        Ok(update) => update.unwrap_or(false),
        Err((reason, detail)) => return refuse(reason, format!("update: {detail}")),
    };
    let id = match id {
        Ok(id) => id,
        Err((reason, detail)) => return refuse(reason, format!("item_id: {detail}")),
    };
    if id.as_ref().is_none_or(|id| *id == key) && !(update && id.is_none() && key.contains(PART)) {
        return Ok(if key.len() > MAX_ID_BYTES {
            return refuse(Reason::IdTooLong, format!("an item's id has at most {MAX_ID_BYTES} bytes"));
        } else {
            (key.clone(), update.then(String::new))
        });
    }
    if update {
        let part = match &id {
            Some(id) => {
                key.strip_prefix(id.as_str()).and_then(|rest| rest.strip_prefix(PART)).map(|part| (&**id, part))
            }
            None => key.rsplit_once(PART),
        };
        if let Some((id, part)) = part.filter(|(id, part)| !id.is_empty() && !part.is_empty()) {
            return Ok((id.to_owned(), Some(part.to_owned())));
        }
    }
    let id = id.map_or_else(String::new, |id| shown(&Value::String(id)));
    let wanted =
        if update { "the key of an update is the item's id, `#` and a name" } else { "the key is the item's id" };
    refuse(Reason::KeyMismatch, format!("item_id: {id} does not belong to the key; {wanted}"))
}
