//! Which name means what: our own, those of Google Merchant's feeds, RSS and Atom, and what shops call them.

use schemas::item::of_object;
use schemas::{DeadLetter, Item, MAX_ID_BYTES};
use serde_json::{Map, Value};

use super::Row;

/// Our field, and the names under which it may be found: the first that has a value counts.
const NAMES: [(&str, &[&str]); 7] = [
    ("item_id", ID),
    ("title", &["title", "name", "product_name", "headline"]),
    ("categories", &["categories", "category", "product_type", "google_product_category"]),
    ("brand", &["brand", "manufacturer", "vendor"]),
    ("price", &["price", "sale_price"]),
    ("available", &["available", "availability", "in_stock", "is_in_stock", "stock"]),
    (
        "published_at",
        &[
            "published_at",
            "published",
            "pubdate",
            "publication_date",
            "release_date",
            "created_at",
            "availability_date",
        ],
    ),
];

/// Names of the item's id.
pub(super) const ID: &[&str] = &["item_id", "id", "sku", "product_id", "article_id", "guid"];

/// The item of a row; an error is `kind: example`.
pub(super) fn item(row: &Row, faults: &mut Vec<DeadLetter>) -> Result<Item, String> {
    let mut object = Map::new();
    for (field, names) in NAMES {
        let value = names.iter().filter_map(|name| row.get(*name)).find(|value| !is_empty(value));
        if let Some(value) = value {
            let value = if field == "categories" { levels(value) } else { value.clone() };
            object.insert(field.to_owned(), value);
        }
    }
    let id = match object.remove("item_id") {
        Some(Value::String(id)) => id.trim().to_owned(),
        Some(Value::Number(id)) => id.to_string(),
        _ => return Err(format!("no id: {}", example(row))),
    };
    if id.len() > MAX_ID_BYTES {
        return Err(format!("an id of more than {MAX_ID_BYTES} bytes: {}", example(row)));
    }
    Ok(of_object(&object, faults).item(id))
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// A path such as `Apparel > Shoes` is a category a level, general to special. A number is one of Google's, and no
/// name.
fn levels(value: &Value) -> Value {
    let paths = match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let levels = paths.into_iter().flat_map(|path| match path {
        Value::String(path) => path.split('>').map(|level| Value::String(level.trim().to_owned())).collect(),
        other => vec![other],
    });
    Value::Array(levels.collect())
}

/// A row for people: short, and nothing in it steers a terminal.
fn example(row: &Row) -> String {
    let text = serde_json::to_string(row).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
