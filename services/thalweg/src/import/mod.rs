//! Reads files of items as shops have them: CSV and its cousins, JSON, and the XML of product feeds.
//!
//! What compression, header, delimiter, quotation marks, words for nothing and ids are is read as in recorded logs, by
//! the laboratory's readers. Every format gives rows of named values; [`columns`] makes items of them, by the same
//! rules as a record of `items` is read. What cannot be read is counted, with an example.

mod columns;
mod delimited;
mod feed;
mod json;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use laboratory::log::{Form, LogError, Nothing, Skip, Text, is_rounded, told};
use laboratory::shown;
use schemas::DeadLetter;
use schemas::item::Fields;
use serde_json::{Map, Value};

use crate::error::Error;
pub(crate) use columns::Columns;
pub(crate) use write::Meant;

/// A row: values by their plain names.
type Row = Map<String, Value>;
/// Why a row is left out, and what stands there.
type Left = (&'static str, String);
/// Where readers put rows, and what they cannot read.
type Take<'t> = &'t mut dyn FnMut(Result<Row, Left>);

const MALFORMED: &str = Skip::Malformed.as_str();
const BLANK: &str = Skip::Blank.as_str();
const NOT_UTF8: &str = Skip::NotUtf8.as_str();

/// I7: a row is no longer, as in a recorded log; Kafka takes no larger record by default either. A longer one is left
/// out.
const ROW_BYTES: usize = 1 << 20;
/// Why.
const TOO_LONG: &str = "longer than 1 MiB";

/// How a file is to be read where it does not tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Which column is which field.
    pub(crate) columns: Columns,
    /// Header and delimiter of a table.
    pub(crate) form: Form,
    /// Which words stand for nothing.
    pub(crate) nothing: Nothing,
}

/// What a row says of an item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) item_id: String,
    /// What it says, and what it leaves open.
    pub(crate) fields: Fields,
    /// The row itself says that it is no whole record.
    pub(crate) update: bool,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// In the order of the file.
    pub(crate) entries: Vec<Entry>,
    /// Lines as written, values or elements that were read; a quoted field over several lines is of one.
    pub(crate) rows: u64,
    /// Why rows were left out: how many, and an example.
    pub(crate) left_out: BTreeMap<String, (u64, String)>,
    /// Why fields of items were left out.
    pub(crate) fields: BTreeMap<String, (u64, String)>,
    /// What else is odd about the file.
    pub(crate) remarks: Vec<String>,
}

impl Import {
    /// Reads a file; `.gz` and `.zst` are seen through, by what is in them.
    ///
    /// # Errors
    /// The file cannot be opened, is of no format that is known, or breaks off.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let refuse = |what: String| Error::Other(format!("the file {} {what}", shown::plain(&path.to_string_lossy())));
        if options.form.no_header && !options.columns.names_the_id() {
            let way_out =
                "with --no-header columns have numbers: name them, such as --columns item_id=1,title=2,price=4";
            return Err(Error::Other(way_out.to_owned()));
        }
        let mut import = Self::default();
        import.read(path, options).map_err(refuse)?;
        import.tell();
        Ok(import)
    }

    fn read(&mut self, path: &Path, options: &Options) -> Result<(), String> {
        let mut text = Text::open(path).map_err(why)?;
        let first = text.head().map_err(|error| told(&error))?.trim_ascii_start().first().copied();
        let (is_json, is_xml) = (matches!(first, Some(b'{' | b'[')), first == Some(b'<'));
        if (is_json || is_xml) && (options.form.no_header || options.form.delimiter.is_some()) {
            return Err("is no table: leave --no-header and --delimiter out".to_owned());
        }
        let (mut unmet, mut read): (Vec<(&str, &str)>, bool) = (options.columns.given().collect(), false);
        let mut take = |row: Result<Row, Left>| {
            if let Ok(row) = &row {
                read = true;
                unmet.retain(|(_, column)| !row.contains_key(*column));
            }
            self.take(row, options, !is_json);
        };
        let above = if is_xml {
            feed::read(Box::new(text.into_reader()), &mut take).map(|()| 0)
        } else if is_json {
            json::read(text, &options.columns, &mut take).map(|()| 0)
        } else {
            delimited::read(path, text, options, &mut take).map_err(why)
        }?;
        if let (Some((field, column)), true) = (unmet.first(), read) {
            let column = shown::quoted(column);
            return Err(format!("has no column {column} (for {field}): change --columns"));
        }
        if above > 0 {
            self.remarks.push(format!("{above} lines above the header were passed over"));
        }
        Ok(())
    }

    fn take(&mut self, row: Result<Row, Left>, options: &Options, untyped: bool) {
        self.rows += 1;
        let mut faults = Vec::new();
        let entry = row.and_then(|row| columns::entry(&row, &options.columns, &options.nothing, untyped, &mut faults));
        match entry {
            Ok(entry) => {
                self.entries.push(entry);
                faults.into_iter().for_each(|fault| self.lacks(fault));
            }
            Err((kind, example)) => {
                let row = self.rows;
                let first = || (0, format!("row {row}: {example}"));
                self.left_out.entry(kind.to_owned()).or_insert_with(first).0 += 1;
            }
        }
    }

    fn lacks(&mut self, DeadLetter { reason, detail }: DeadLetter) {
        let (field, example) = detail.split_once(": ").unwrap_or(("", &detail));
        self.fields.entry(format!("{field} ({reason})")).or_insert_with(|| (0, example.to_owned())).0 += 1;
    }

    /// Says what only the whole file tells.
    fn tell(&mut self) {
        let rounded: Vec<&str> = self.entries.iter().map(|entry| &*entry.item_id).filter(|id| is_rounded(id)).collect();
        if let Some(first) = rounded.first() {
            self.remarks.push(format!(
                "warning: {} ids look like numbers that a spreadsheet has rounded, such as {}: several may have become \
                 one; write them as text",
                rounded.len(),
                shown::quoted(first)
            ));
        }
    }
}

/// What a file of items comes to, in numbers: rows, items, and rows left out.
///
/// # Errors
/// Why it is refused, in a sentence.
pub fn count(path: &Path) -> Result<[u64; 3], String> {
    let import = Import::open(path, &Options::default()).map_err(|error| error.to_string())?;
    let left_out = import.left_out.values().map(|(count, _)| count).sum();
    Ok([import.rows, import.entries.len() as u64, left_out])
}

/// What is wrong with a file, without its name.
fn why(error: LogError) -> String {
    match error {
        LogError::Open { source, .. } => format!("cannot be opened: {source}"),
        LogError::Read { rows, detail, .. } => format!("cannot be read past row {rows}: {detail}"),
        LogError::Empty { .. } => "is empty".to_owned(),
        LogError::Refused { why, .. } => why,
        other => other.to_string(),
    }
}

/// A name as it is looked for: `g:Product Type` is `product_type`.
fn plain_name(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix('#').unwrap_or(&name).trim();
    let name = name.rsplit(':').next().unwrap_or_default();
    name.replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests;
