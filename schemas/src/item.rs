//! A catalog item as applications write it: the JSON value of the topic `items`.

mod date;
mod fields;
mod fold;
mod lenient;
mod read;
mod salvage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;
pub use fields::Fields;
pub use fold::{Change, Fold};
pub use lenient::{number, truth};
pub use read::{Reading, Says, of_object, read};

/// Categories of one item; each may have a `hot` and a `new` list of its own.
pub const MAX_CATEGORIES: usize = 32;
/// The longest name of a category or a brand, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// The longest title, in bytes; of a longer one the end goes.
pub const MAX_TITLE_BYTES: usize = 1_024;
/// Parts of one item, each under a key of its own.
pub const MAX_PARTS: usize = 16;
/// Stands between an item's id and the name of a part in the key of the part.
pub const PART: char = '#';

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
