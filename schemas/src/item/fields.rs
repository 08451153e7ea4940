//! What one record says of an item: each field, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::lenient::{self, Read, shown};
use super::{Item, MAX_CATEGORIES, MAX_NAME_BYTES, MAX_TITLE_BYTES};
use crate::event::Timestamp;
use crate::{DeadLetter, Reason};

/// The fields of a record; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields {
    /// Shown to people.
    pub title: Option<String>,
    /// Trimmed, each once, none empty.
    pub categories: Option<Vec<String>>,
    /// The maker.
    pub brand: Option<String>,
    /// Finite, 0 or more.
    pub price: Option<f64>,
    /// Within the years 1 to 9999.
    pub published_at: Option<Timestamp>,
    /// Whether it is to be had.
    pub available: Option<bool>,
}

impl Fields {
    /// Reads what is clear; what is not, or lies beyond a bound, is left out and named in `faults`.
    #[must_use]
    pub fn of(object: &Map<String, Value>, faults: &mut Vec<DeadLetter>) -> Self {
        let field = |name: &str| object.get(name).unwrap_or(&Value::Null);
        let mut fault = |name: &str, (reason, detail): (Reason, String)| {
            faults.push(DeadLetter { reason, detail: format!("{name}: {detail}") });
        };
        let available = lenient::yes(field("available")).unwrap_or_else(|wrong| {
            fault("available", wrong);
            None
        });
        let published = lenient::moment(field("published_at")).map(|(at, far)| {
            far.into_iter().for_each(|detail| fault("published_at", (Reason::OutOfRange, detail)));
            at.map(Timestamp)
        });
        let mut fields = Self { available, ..Self::default() };
        fields.title = name(field("title"), MAX_TITLE_BYTES).unwrap_or_else(|(reason, detail)| {
            fault("title", (reason, detail));
            // A title that is too long still says what it is about.
            lenient::text(field("title")).ok().flatten().map(|title| cut(&title, MAX_TITLE_BYTES).to_owned())
        });
        fields.brand = name(field("brand"), MAX_NAME_BYTES).unwrap_or_else(|wrong| {
            fault("brand", wrong);
            None
        });
        fields.categories = categories(field("categories"), |wrong| fault("categories", wrong));
        fields.price = lenient::price(field("price")).unwrap_or_else(|wrong| {
            fault("price", wrong);
            None
        });
        fields.published_at = published.unwrap_or_else(|wrong| {
            fault("published_at", wrong);
            None
        });
        fields
    }

    /// Takes over what a later record says.
    pub(super) fn overlay(&mut self, later: &Self) {
        let Self { title, categories, brand, price, published_at, available } = later;
        fn take<T: Clone>(own: &mut Option<T>, later: &Option<T>) {
            if later.is_some() {
                own.clone_from(later);
            }
        }
        take(&mut self.title, title);
        take(&mut self.categories, categories);
        take(&mut self.brand, brand);
        take(&mut self.price, price);
        take(&mut self.published_at, published_at);
        take(&mut self.available, available);
    }

    /// The item of this id that the fields describe.
    #[must_use]
    pub fn item(self, item_id: String) -> Item {
        Item {
            item_id,
            title: self.title.unwrap_or_default(),
            categories: self.categories.unwrap_or_default(),
            brand: self.brand,
            price: self.price,
            published_at: self.published_at,
            available: self.available.unwrap_or(true),
            attributes: BTreeMap::new(),
        }
    }
}

/// Text of at most `most` bytes.
fn name(value: &Value, most: usize) -> Read<String> {
    match lenient::text(value)? {
        Some(text) if text.len() > most => {
            Err((Reason::TooLong, format!("{} has {} bytes; at most {most} are taken", shown(value), text.len())))
        }
        text => Ok(text),
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// One name or a list of them.
fn categories(value: &Value, mut fault: impl FnMut((Reason, String))) -> Option<Vec<String>> {
    let list = match value {
        Value::Null => return None,
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let (mut names, mut known, mut wrong) = (Vec::new(), BTreeSet::new(), None);
    for entry in list {
        match name(entry, MAX_NAME_BYTES) {
            Ok(None) => {}
            Ok(Some(name)) if known.contains(&name) => {}
            Ok(Some(_)) if names.len() == MAX_CATEGORIES => {
                let detail = format!("an item has at most {MAX_CATEGORIES}; {} were given", list.len());
                wrong = Some((Reason::TooMany, detail));
                break;
            }
            Ok(Some(name)) => {
                known.insert(name.clone());
                names.push(name);
            }
            Err(refused) => wrong = wrong.or(Some(refused)),
        }
    }
    wrong.into_iter().for_each(&mut fault);
    Some(names)
}
