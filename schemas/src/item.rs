//! A catalog item as applications write it: the JSON value of the topic `items`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::MAX_ID_BYTES;
use crate::event::Timestamp;

/// A catalog record. An empty Kafka value, not an `Item`, delists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The item's id; equal to the record's key.
    pub item_id: String,
    /// Shown to people; hashed words of it are content features.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// From general to special; each has its own `hot` and `new` list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// The maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// In the shop's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// When it appeared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// `false` keeps it out of every list.
    #[serde(default = "available")]
    pub available: bool,
    /// Anything else worth learning from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

const fn available() -> bool {
    true
}

impl Item {
    /// What a record of the topic `items` says: an item's id, and the item; `None` delists it.
    ///
    /// # Errors
    /// The record is not as the contract has it; in words.
    pub fn of_record(key: &[u8], value: Option<&[u8]>) -> Result<(String, Option<Self>), String> {
        let item_id = std::str::from_utf8(key).map_err(|_| "its key is not UTF-8".to_owned())?;
        if item_id.is_empty() || item_id.len() > MAX_ID_BYTES {
            return Err(format!("its key has {} bytes; an item's id has 1 to {MAX_ID_BYTES}", item_id.len()));
        }
        let item = match value {
            None | Some([]) => None,
            Some(value) => {
                let item: Self = serde_json::from_slice(value).map_err(|error| format!("it is no item: {error}"))?;
                // A tombstone names only the key: an item under another id could never be delisted.
                if item.item_id != item_id {
                    return Err(format!("its item_id is `{}`; it must be equal to the key", item.item_id));
                }
                Some(item)
            }
        };
        Ok((item_id.to_owned(), item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_needs_only_its_id() {
        let item: Item = serde_json::from_str(r#"{"item_id":"i9"}"#).expect("parses");
        assert!(item.available);
        assert!(item.categories.is_empty());
    }

    #[test]
    fn an_empty_value_and_a_tombstone_delist() {
        for value in [None, Some(&b""[..])] {
            assert_eq!(Item::of_record(b"i9", value), Ok(("i9".into(), None)));
        }
    }

    #[test]
    fn an_item_is_listed_under_its_key_and_another_id_is_refused() {
        let value = Some(br#"{"item_id":"i9"}"#.as_slice());
        assert!(Item::of_record(b"i9", value).is_ok_and(|(id, item)| id == "i9" && item.is_some()));
        assert!(Item::of_record(b"i8", value).is_err_and(|reason| reason.contains("equal to the key")));
        let long = [b'i'; MAX_ID_BYTES + 1];
        for (key, value) in [(&b""[..], None), (&long, None), (b"\xff", None), (b"i9", Some(&b"nonsense"[..]))] {
            assert!(Item::of_record(key, value).is_err(), "{key:?}");
        }
    }
}
