//! JSON: an object a line, objects one after the other, or one array of them.

use std::io::BufRead;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::{Row, Take, plain_name};

/// Reads every object. JSON that breaks off or is none ends the reading: what follows cannot be told apart.
pub(super) fn read(mut text: Box<dyn BufRead>, take: Take<'_>) -> Result<(), String> {
    let is_array = loop {
        let buffer = text.fill_buf().map_err(|error| error.to_string())?;
        match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => break buffer[at] == b'[',
            None if buffer.is_empty() => return Ok(()),
            None => {
                let blank = buffer.len();
                text.consume(blank);
            }
        }
    };
    if is_array {
        let mut reader = serde_json::Deserializer::from_reader(text);
        return reader.deserialize_seq(All(take)).map_err(|error| error.to_string());
    }
    for value in serde_json::Deserializer::from_reader(text).into_iter::<Value>() {
        take(row(value.map_err(|error| error.to_string())?));
    }
    Ok(())
}

fn row(value: Value) -> Result<Row, String> {
    match value {
        Value::Object(object) => Ok(object.into_iter().map(|(name, value)| (plain_name(&name), value)).collect()),
        other => Err(format!("a value that is no object: {}", other.to_string().chars().take(40).collect::<String>())),
    }
}

/// Hands the elements of an array over, one after the other.
struct All<'t>(Take<'t>);

impl<'de> Visitor<'de> for All<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<Value>()? {
            (self.0)(row(value));
        }
        Ok(())
    }
}
