//! Reads a delimited text with all its columns, by the rules that logs keep, for files that are none: a shop's items.

use std::fmt;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use super::dialect::{Delimiter, Fields};
use super::rows::{Row, Rows, Width};
use super::skip::Skip;
use super::source::{Text, told};
use super::{LogError, header};
use crate::shown;

/// How a sheet is to be read where it does not tell.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The first line is a row, and columns are named by number, from 1.
    pub no_header: bool,
    /// What separates columns.
    pub delimiter: Option<Delimiter>,
}

/// A row of a sheet, or a line that is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// As many cells as the header has names, as bytes, for a cell may be in another encoding.
    Cells(Vec<Vec<u8>>),
    /// Why it is no row, and what stands there instead.
    Unfit(Skip, String),
}

/// A delimited text, behind its header.
pub struct Sheet {
    path: PathBuf,
    rows: Rows<Box<dyn BufRead>>,
    fields: Fields,
    width: Width,
    names: Vec<String>,
    above: usize,
    read: u64,
}

impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sheet").field("names", &self.names).field("read", &self.read).finish_non_exhaustive()
    }
}

impl Sheet {
    /// Finds the header: the first line of which `is_header` says so, within those that may stand above one.
    ///
    /// # Errors
    /// When there is none; `wanted` says what was looked for, and what to do. When the file at `path` cannot be read.
    pub fn open(
        path: &Path,
        text: Text,
        form: &Form,
        is_header: impl Fn(&[String]) -> bool,
        wanted: &str,
    ) -> Result<Self, LogError> {
        let broken = |error: io::Error| LogError::Read { path: path.to_owned(), rows: 0, detail: told(&error) };
        let ends = text.ends;
        let from: Box<dyn BufRead> = Box::new(text.into_reader());
        let mut rows = Rows::new(from, ends);
        rows.ahead(header::LINES).map_err(broken)?;
        let lines: Vec<&[u8]> = rows.lines().collect();
        let found = header::of_sheet(&lines, form.delimiter.as_ref(), form.no_header, is_header);
        let header::Named { lines: passed, names, width } = match found {
            Ok(found) => found,
            Err(header::Headless::Names(names)) => {
                let have = shown::some(names.iter().map(String::as_str));
                return Err(LogError::refused(path, format!("has no column {wanted}; it has: {have}")));
            }
            Err(header::Headless::Unreadable(why)) => return Err(LogError::refused(path, why)),
        };
        let above = passed.saturating_sub(1);
        let above = if form.no_header { 0 } else { lines[..above].iter().filter(|line| !is_blank(line)).count() };
        rows.pass(passed);
        Ok(Self { path: path.to_owned(), rows, fields: Fields::default(), width, names, above, read: 0 })
    }

    /// The names of the columns, or their numbers.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Lines above the header that were passed over.
    #[must_use]
    pub const fn above(&self) -> usize {
        self.above
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read or unpacked any further.
    pub fn read(&mut self) -> Result<Option<Line>, LogError> {
        let next = self.rows.next(&self.width, &mut self.fields);
        let broken =
            |error: io::Error| LogError::Read { path: self.path.clone(), rows: self.read, detail: told(&error) };
        let Some((row, lines)) = next.map_err(broken)? else { return Ok(None) };
        self.read += 1;
        let line = match row.unfit(self.rows.lines().next().unwrap_or_default(), self.width.columns) {
            Some((reason, text)) => Line::Unfit(reason, text),
            None => Line::Cells(self.cells(row)),
        };
        self.rows.pass(lines);
        Ok(Some(line))
    }

    fn cells(&self, row: Row) -> Vec<Vec<u8>> {
        let Row::Fields(at) = row else { return Vec::new() };
        let text = self.rows.text(at);
        (0..self.width.columns).map(|n| self.fields.get(n, text).unwrap_or_default().into_owned()).collect()
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}
