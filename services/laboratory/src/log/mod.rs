//! Opens a recorded log (CSV, JSON lines or Parquet; plain, gz or zst) as a stream of events in time order.
//!
//! The file is read once; its rows are held compactly (40 bytes a row beside each distinct id once), sorted
//! by time and then handed out as events. Bad rows are counted by reason, never fatal, never silent (I6).

mod column;
mod columns;
mod content;
mod delimited;
mod dialect;
mod error;
mod gzip;
mod header;
mod ids;
mod json_lines;
mod json_row;
mod kind;
mod nothing;
mod parquet;
mod rows;
mod sheet;
mod skip;
mod source;
mod table;
mod time;
mod time_format;

use std::collections::BTreeMap;
use std::path::Path;

use schemas::{Event, EventType, Item, key_of};

pub use column::is_rounded;
pub use columns::{Columns, Role};
pub use delimited::whole_id;
pub use dialect::Delimiter;
pub use error::LogError;
pub use json_row::{Members, whole_json, why_not};
pub use nothing::Nothing;
pub use sheet::{Form, Line, Sheet};
pub use skip::by_name;
pub use skip::{Example, Skip, Unread, event_type};
pub use source::{Lines, Text, told};
pub(crate) use table::YEAR_2000;
pub use time::parse as parse_time;
pub use time_format::TimeFormat;

use source::Source;
use table::Table;

/// How a log is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which column plays which role.
    pub columns: Columns,
    /// What a row is when no column says it: `view` for clicks, `purchase` for order lines.
    pub default_type: EventType,
    /// Keep the first rows in time order, this many.
    pub limit: Option<usize>,
    /// The first line is a row, and columns are named by number.
    pub no_header: bool,
    /// What separates columns, if the file is not to tell it.
    pub delimiter: Option<Delimiter>,
    /// Which words stand for nothing.
    pub nothing: Nothing,
    /// The form of times, if it is none of those that are known.
    pub time_format: Option<TimeFormat>,
}

impl Options {
    /// Reads `columns`, takes every row for a view, and keeps all.
    #[must_use]
    pub fn new(columns: Columns) -> Self {
        Self {
            columns,
            default_type: EventType::View,
            limit: None,
            no_header: false,
            delimiter: None,
            nothing: Nothing::default(),
            time_format: None,
        }
    }
}

/// How far reading has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Rows read so far.
    pub rows: u64,
    /// Share of the file read so far, 0 to 1.
    pub share: f64,
}

/// An event, and what the log says about its item.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// The item's record so far, with each event whose row adds to it; `None` with every other.
    pub record: Option<Item>,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self { event, record: None }
    }
}

/// A recorded log in time order.
#[derive(Debug)]
pub struct Log {
    /// Rows read, usable or not.
    pub rows: u64,
    /// Rows that gave no event, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// One of them for each reason.
    pub examples: BTreeMap<Skip, Example>,
    /// What rows of events say about their items and cannot be read, by reason.
    pub unread: BTreeMap<Unread, u64>,
    /// One of them for each reason.
    pub unread_examples: BTreeMap<Unread, Example>,
    /// What else is odd about the log, in words for whoever reads it.
    pub remarks: Vec<String>,
    table: Table,
    label: String,
}

impl Log {
    /// Reads and sorts the log at `path`; `progress` is told every 16,384 rows.
    ///
    /// # Errors
    /// When the file cannot be opened or decompressed, when a named column is not in it, or when no row is usable.
    pub fn open(path: &Path, options: &Options, mut progress: impl FnMut(Progress)) -> Result<Self, LogError> {
        let mut table = Table::new(options);
        match Source::open(path)? {
            Source::Parquet(file) => parquet::read(path, file, options, &mut table, &mut progress)?,
            Source::JsonLines(text) => json_lines::read(path, text, options, &mut table, &mut progress)?,
            Source::Delimited(text) => delimited::read(path, text, options, &mut table, &mut progress)?,
        }
        table.settle();
        if table.rows == 0 {
            return Err(LogError::refused(path, "has no row: there is nothing below its header"));
        }
        if table.is_empty() {
            return Err(LogError::NothingUsable {
                path: path.to_owned(),
                rows: table.rows,
                skipped: skip::list(&table.skipped, &table.examples),
                advice: advice(&table),
            });
        }
        if let Some(words) = table.unknown_words() {
            table.remarks.push(format!("types that are not known: {words}"));
        }
        let (rows, skipped, examples) =
            (table.rows, std::mem::take(&mut table.skipped), std::mem::take(&mut table.examples));
        let ((unread, unread_examples), remarks) = (table.take_unread(), std::mem::take(&mut table.remarks));
        table.sort(options.limit);
        let label = label(path, options);
        Ok(Self { rows, skipped, examples, unread, unread_examples, remarks, table, label })
    }

    /// How many events the log holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it holds none; [`Log::open`] never returns such a log unless the limit is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Distinct users of the events; counted anew at every call.
    #[must_use]
    pub fn users(&self) -> usize {
        self.table.count_users()
    }

    /// Distinct items of the events; counted anew at every call.
    #[must_use]
    pub fn items(&self) -> usize {
        self.table.count_items()
    }

    /// Times of the first and the last event, milliseconds since 1970.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        self.table.span()
    }

    /// Numbers of the rows of the first and the last event.
    #[must_use]
    pub fn ends(&self) -> Option<(u32, u32)> {
        self.table.ends()
    }

    /// The events, oldest first; rows of the same time in the file's order.
    ///
    /// An event's id names the file, the columns and the row, so that a replay of the same log is idempotent.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        (0..self.len()).map(|index| self.table.event(index, &self.label))
    }

    /// The events, each with its item's record where its row adds to it.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry> + '_ {
        (0..self.len()).map(|index| self.entry(index))
    }

    /// The same as [`Log::events`], owning the log: for a task of its own.
    pub fn into_events(self) -> impl ExactSizeIterator<Item = Event> + Send + 'static {
        (0..self.len()).map(move |index| self.table.event(index, &self.label))
    }

    /// The record in the end of each item that has one, in an order that tells nothing of when the items occur.
    #[must_use]
    pub fn records(&self) -> Vec<Item> {
        let mut records: Vec<Item> = self.table.records().collect();
        records.sort_by_cached_key(|record| key_of(&record.item_id));
        records
    }

    /// Whether there is a record of any item.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.table.records().next().is_some()
    }

    fn entry(&self, index: usize) -> Entry {
        Entry { event: self.table.event(index, &self.label), record: self.table.record(index) }
    }
}

/// What to look at when no row is usable.
fn advice(table: &Table) -> String {
    let most = table.skipped.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| *reason);
    match most {
        Some(Skip::UnknownType) => format!("types met: {}", table.unknown_words().unwrap_or_default()),
        Some(Skip::BadTime) => {
            "name another column for time=…, or give --time-format, such as '%d.%m.%Y %H:%M'".to_owned()
        }
        Some(Skip::NotUtf8) => "convert the file to UTF-8".to_owned(),
        Some(Skip::Malformed) => "look at --columns, --delimiter and --no-header".to_owned(),
        _ => "check --columns".to_owned(),
    }
}

/// What event ids start with: the file's name and a hash of how events are read from it, because the same row read with
/// another user column is another event.
fn label(path: &Path, options: &Options) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem: String = name.split('.').next().unwrap_or_default().chars().take(48).collect();
    let how = schemas::key_of(&format!("{name} {} {:?}", options.columns.of_events(), options.default_type));
    format!("{stem}.{:08x}", how >> 32)
}

#[cfg(test)]
mod tests;
