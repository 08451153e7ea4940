//! What differs between two settings, by their keys in `[model]`.

use model::Settings;
use serde_json::{Map, Value};

use crate::error::Error;

/// One setting that differs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
}

/// A value as TOML has it: numbers, texts and lists of numbers are in JSON but for the space between them.
pub(crate) fn spell(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(spell).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

/// Everything that differs.
///
/// # Errors
/// When settings cannot be written as JSON.
pub(crate) fn changes(before: &Settings, after: &Settings) -> Result<Vec<Change>, Error> {
    let (mut before, after) = (table(before)?, table(after)?);
    let change = |(key, after): (String, Value)| {
        let before = before.remove(&key)?;
        (before != after).then_some(Change { key, before, after })
    };
    Ok(after.into_iter().filter_map(change).collect())
}

/// By way of text: as a value an `f32` of 0.1 would be 0.10000000149011612.
fn table(settings: &Settings) -> Result<Map<String, Value>, Error> {
    Ok(serde_json::from_str(&serde_json::to_string(settings)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_named_with_the_digits_that_people_wrote() {
        let before = Settings::default();
        let after = Settings { temperature: 0.3, history: 8, ..before.clone() };
        let change = |key: &str, before, after| Change { key: key.to_owned(), before, after };
        let expected = [change("history", json!(16), json!(8)), change("temperature", json!(0.12), json!(0.3))];
        assert_eq!(changes(&before, &after).expect("JSON"), expected);
        assert_eq!(spell(&json!([0.5, 300.0])), "[0.5, 300.0]");
        assert_eq!(changes(&before, &before).expect("JSON"), []);
    }
}
