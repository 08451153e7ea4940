//! A catalog item as applications write it: the JSON value of the topic `items`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_needs_only_its_id() {
        let item: Item = serde_json::from_str(r#"{"item_id":"i9"}"#).expect("parses");
        assert!(item.available);
        assert!(item.categories.is_empty());
    }
}
