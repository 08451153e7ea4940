//! What of a file goes to the topic `items`: whole records, or parts that leave the rest of an item as it is.

use runtime::kafka::Outgoing;
use schemas::item::{Fields, PART};
use serde_json::{Value, json};

use super::{Entry, Import};
use crate::error::Error;
use crate::traffic;

/// What a file is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant {
    /// A whole catalog; refused where no row has a title.
    Catalog,
    /// Whole records all the same: what the catalog says of these items goes.
    Replacement,
    /// Only what it says: what the catalog says otherwise stays.
    Update,
}

impl Import {
    /// The records to be written.
    ///
    /// A whole record takes the place of the one before, so one that has no title wipes it. A file without any is
    /// mostly one of stock or of prices, which comes every hour: nobody would see where the titles went.
    ///
    /// # Errors
    /// When whole records are meant, and none has a title.
    pub(crate) fn records(&self, meant: Meant) -> Result<Vec<Outgoing>, Error> {
        let mut whole = self.entries.iter().filter(|entry| !entry.update).peekable();
        if meant == Meant::Catalog && whole.peek().is_some() && whole.all(|entry| entry.fields.title.is_none()) {
            return Err(Error::Other(
                "no row has a title: whole records would take away the titles and all else that the catalog says of \
                 these items; give --update to write only what the file says, or --replace if that is all there is"
                    .to_owned(),
            ));
        }
        let mut records = Vec::new();
        for entry in &self.entries {
            if meant == Meant::Update || entry.update {
                records.extend(parts(entry)?);
            } else {
                records.push(traffic::listing(&entry.fields.clone().item(entry.item_id.clone()))?);
            }
        }
        Ok(records)
    }
}

/// A part for each field, under a key of its own: of two files of which one has prices and the other has the stock,
/// neither takes away what the other said.
fn parts(entry: &Entry) -> Result<Vec<Outgoing>, Error> {
    let part = |(field, value): (&str, Value)| {
        let record = json!({"update": true, "item_id": entry.item_id, field: value});
        Ok(Outgoing {
            partition: None,
            key: format!("{}{PART}{field}", entry.item_id).into_bytes().into(),
            value: Some(serde_json::to_vec(&record)?.into()),
            timestamp: None,
            headers: Vec::new(),
        })
    };
    said(&entry.fields).map(part).collect()
}

/// Fields that the file says something of, by their names in a record.
fn said(fields: &Fields) -> impl Iterator<Item = (&'static str, Value)> {
    let Fields { title, categories, brand, price, published_at, available } = fields;
    let all = [
        ("title", title.as_ref().map(|title| json!(title))),
        ("categories", categories.as_ref().map(|categories| json!(categories))),
        ("brand", brand.as_ref().map(|brand| json!(brand))),
        ("price", price.map(|price| json!(price))),
        ("published_at", published_at.map(|at| json!(at))),
        ("available", available.map(|available| json!(available))),
    ];
    all.into_iter().filter_map(|(field, value)| Some((field, value?)))
}
