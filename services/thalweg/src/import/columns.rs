//! Which name means what: our own, those of Google Merchant's feeds, RSS and Atom, and what shops call them.

use std::str::FromStr;

use laboratory::log::{Nothing, whole_id};
use laboratory::shown;
use schemas::item::{of_object, truth};
use schemas::vocabulary::number_as_id;
use schemas::{DeadLetter, MAX_ID_BYTES};
use serde_json::{Map, Value};

use super::{Entry, Left, Row, plain_name};

/// Our field, and the names under which it may be found: the first that has a value counts.
const NAMES: [(&str, &[&str]); 7] = [
    ("item_id", &["item_id", "id", "sku", "product_id", "article_id", "guid"]),
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
/// The item's id among [`NAMES`].
const ID: usize = 0;
/// Says that a row is an update, as a record of `items` does.
const UPDATE: &str = "update";

/// Which of a file's columns are which fields: the value of `--columns`. A field that is not named has its usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// By the place in [`NAMES`], as plain names.
    given: Vec<(usize, String)>,
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = Self::default();
        for pair in text.split(',') {
            let (field, column) = pair.split_once('=').unwrap_or((pair, ""));
            let place = NAMES.iter().position(|(name, _)| *name == field.trim());
            match place.filter(|_| !plain_name(column).is_empty()) {
                Some(place) if columns.given.iter().any(|(other, _)| *other == place) => {
                    return Err(format!("{field} is given twice"));
                }
                Some(place) => columns.given.push((place, plain_name(column))),
                None => {
                    let fields = NAMES.map(|(name, _)| name).join(", ");
                    return Err(format!("write FIELD=COLUMN,…; fields are {fields}"));
                }
            }
        }
        Ok(columns)
    }
}

impl Columns {
    /// The names under which a field may be found.
    fn names(&self, place: usize) -> impl Iterator<Item = &str> {
        let given = self.given.iter().find(|(other, _)| *other == place).map(|(_, column)| column.as_str());
        let usual = if given.is_some() { &[] } else { NAMES[place].1 };
        given.into_iter().chain(usual.iter().copied())
    }

    /// Whether this plain name is the id's.
    pub(super) fn is_id(&self, name: &str) -> bool {
        self.names(ID).any(|id| id == name)
    }

    /// The id's names, for people.
    pub(super) fn id_names(&self) -> String {
        self.names(ID).collect::<Vec<_>>().join(", ")
    }

    /// Whether anything is taken from what has this plain name.
    pub(super) fn knows(&self, name: &str) -> bool {
        name == UPDATE || (0..NAMES.len()).any(|place| self.names(place).any(|known| known == name))
    }

    /// Whether the id's column is named, as it must be where there is no header.
    pub(crate) fn names_the_id(&self) -> bool {
        self.given.iter().any(|(place, _)| *place == ID)
    }

    /// Columns that were named, by field.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given.iter().map(|(place, column)| (NAMES[*place].0, column.as_str()))
    }
}

/// What a row says of an item. In an `untyped` format nothing tells a number from a text.
pub(super) fn entry(
    row: &Row,
    columns: &Columns,
    nothing: &Nothing,
    untyped: bool,
    faults: &mut Vec<DeadLetter>,
) -> Result<Entry, Left> {
    let mut object = Map::new();
    for (place, (field, _)) in NAMES.into_iter().enumerate() {
        let mut values = columns.names(place).filter_map(|name| row.get(name));
        if let Some(value) = values.find_map(|value| present(value, nothing)) {
            object.insert(field.to_owned(), if field == "categories" { levels(&value) } else { value });
        }
    }
    let id = match object.remove(NAMES[ID].0) {
        Some(Value::String(id)) if untyped => whole_id(&id).map(str::to_owned).unwrap_or(id),
        Some(Value::String(id)) => id,
        Some(Value::Number(id)) => number_as_id(&id.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    if id.is_empty() {
        return Err(("no id", example(row)));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(("id too long", format!("{} bytes, at most {MAX_ID_BYTES}: {}", id.len(), example(row))));
    }
    let update = match row.get(UPDATE) {
        Some(Value::Bool(update)) => *update,
        Some(Value::String(update)) => truth(update).unwrap_or(false),
        Some(Value::Number(update)) => update.as_f64().is_some_and(|number| number > 0.0),
        _ => false,
    };
    Ok(Entry { item_id: id, fields: of_object(&object, faults), update })
}

/// What is there: a word for nothing is nothing, in a list, too.
fn present(value: &Value, nothing: &Nothing) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => nothing.present(text).map(|text| Value::String(text.to_owned())),
        Value::Array(list) if !list.is_empty() => {
            let list: Vec<Value> = list.iter().filter_map(|value| present(value, nothing)).collect();
            (!list.is_empty()).then_some(Value::Array(list))
        }
        other => Some(other.clone()),
    }
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
    shown::quoted(&serde_json::to_string(row).unwrap_or_default())
}
