//! Reads files of items as shops have them: CSV and its cousins, JSON, and the XML of product feeds.
//!
//! Every format gives rows of named values; [`columns`] makes items of them, by the same rules as a record of `items`
//! is read. What cannot be read is counted, with an example.

mod columns;
mod delimited;
mod feed;
mod json;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use schemas::{DeadLetter, Item};
use serde_json::{Map, Value};

use crate::error::Error;

/// A row: values by their plain names.
type Row = Map<String, Value>;
/// Where readers put rows, and what they cannot read.
type Take<'t> = &'t mut dyn FnMut(Result<Row, String>);

/// So much of a file is looked at to tell its format.
const LOOKED_AT: u64 = 64 * 1024;

/// I7: a row is no longer, as in a recorded log; Kafka takes no larger record by default either. A longer one is left
/// out.
const ROW_BYTES: u64 = 1 << 20;

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// In the order of the file.
    pub(crate) items: Vec<Item>,
    /// Rows, items or elements that were read.
    pub(crate) rows: u64,
    /// Why rows were left out: how many, and an example.
    pub(crate) left_out: BTreeMap<String, (u64, String)>,
    /// Why fields of items were left out.
    pub(crate) fields: BTreeMap<String, (u64, String)>,
}

impl Import {
    /// Reads a file; `.gz` and `.zst` are seen through, by what is in them.
    ///
    /// # Errors
    /// The file cannot be opened, is of no format that is known, or breaks off.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |what: String| Error::Other(format!("cannot import {}: {what}", path.display()));
        let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
        let mut import = Self::default();
        import.read(file).map_err(refuse)?;
        Ok(import)
    }

    fn read(&mut self, file: impl Read + 'static) -> Result<(), String> {
        let (head, text) = head(plain(file)?)?;
        let start = head.trim_ascii_start();
        let mut take = |row: Result<Row, String>| self.take(row);
        match start.first() {
            None => Err("it is empty".to_owned()),
            Some(b'<') => feed::read(text, &mut take),
            Some(b'{' | b'[') => json::read(text, &mut take),
            Some(_) if head.contains(&0) => {
                Err("it is no text in UTF-8: write it as UTF-8, and unpack a zip or a spreadsheet".to_owned())
            }
            Some(_) => delimited::read(&head, text, &mut take),
        }
    }

    fn take(&mut self, row: Result<Row, String>) {
        self.rows += 1;
        let mut faults = Vec::new();
        match row.and_then(|row| columns::item(&row, &mut faults)) {
            Ok(item) => {
                self.items.push(item);
                faults.into_iter().for_each(|fault| self.lacks(fault));
            }
            Err(reason) => {
                let (kind, example) = reason.split_once(": ").unwrap_or((&reason, ""));
                let known = self.left_out.entry(kind.to_owned()).or_insert_with(|| (0, example.to_owned()));
                known.0 += 1;
            }
        }
    }

    fn lacks(&mut self, DeadLetter { reason, detail }: DeadLetter) {
        let (field, example) = detail.split_once(": ").unwrap_or(("", &detail));
        self.fields.entry(format!("{field} ({reason})")).or_insert_with(|| (0, example.to_owned())).0 += 1;
    }
}

/// Sees through compression.
fn plain(file: impl Read + 'static) -> Result<Box<dyn BufRead>, String> {
    let mut file = BufReader::new(file);
    let magic = file.fill_buf().map_err(|error| error.to_string())?;
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::Decoder::with_buffer(file).map_err(|error| error.to_string())?;
            Box::new(BufReader::new(decoder))
        }
        _ => Box::new(file),
    })
}

/// The beginning of a text, without a byte order mark, and all of it.
fn head(mut text: Box<dyn BufRead>) -> Result<(Vec<u8>, Box<dyn BufRead>), String> {
    let mut head = Vec::new();
    text.by_ref().take(LOOKED_AT).read_to_end(&mut head).map_err(|error| error.to_string())?;
    if let Some(rest) = head.strip_prefix(b"\xef\xbb\xbf") {
        head = rest.to_vec();
    }
    Ok((head.clone(), Box::new(BufReader::new(Cursor::new(head).chain(text)))))
}

/// Why a row is left out that is longer than a row may be.
fn too_long(place: impl Display) -> String {
    format!("a row longer than 1 MiB: {place}")
}

/// A name as it is looked for: `g:Product Type` is `product_type`.
fn plain_name(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.rsplit(':').next().unwrap_or_default();
    name.replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests;
