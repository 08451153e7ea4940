//! Reads JSON lines; a column name may reach into nested objects by dots: `properties.surface`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::columns::{Columns, ROLES, Role};
use super::json_row::{Found, Row, whole_json, why_not};
use super::skip::Skip;
use super::source::{ROW_BYTES, Text, next_line, told};
use super::table::{Raw, Table};
use super::{LogError, Options, Progress};
use crate::shown;

/// A column that none of the first so many rows has is taken for a mistake.
const LOOK_ROWS: u64 = 10_000;
/// When none of the first so many lines is an object, none of the others will be.
const TRY_ROWS: u64 = 100;
/// Rows whose names are remembered, and how many names.
const NAMED: (u64, usize) = (100, 1_000);

/// Reads every row of `text` into `table`.
pub(super) fn read(
    path: &Path,
    mut text: Text,
    options: &Options,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    let columns = &options.columns;
    if options.no_header || options.delimiter.is_some() {
        let why = "is JSON lines, which have names and no delimiter: leave --no-header and --delimiter out";
        return Err(LogError::refused(path, why));
    }
    let broken = |rows, error: &io::Error| LogError::Read { path: path.to_owned(), rows, detail: told(error) };
    let mut tell = text.teller(progress);
    let mut met = Met::default();
    let mut line = Vec::new();
    while next_line(&mut text.all, text.ends, &mut line).map_err(|error| broken(table.rows, &error))? {
        take(&line, columns, table, &mut met);
        line.clear();
        if table.rows == LOOK_ROWS || table.rows == TRY_ROWS && met.objects == 0 {
            met.check(path, columns)?;
        }
        tell(table.rows);
    }
    met.check(path, columns)
}

fn take(line: &[u8], columns: &Columns, table: &mut Table, met: &mut Met) {
    if line.len() > ROW_BYTES {
        return table.skip(Skip::Malformed, || "longer than 1 MiB; an event needs a line of its own".to_owned());
    }
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"\x1e").unwrap_or(line); // RFC 7464
    if line.trim_ascii().is_empty() {
        return table.skip(Skip::Blank, || "nothing in it".to_owned());
    }
    match whole_json(line) {
        Ok(whole) => objects(&Row::whole(&whole), columns, table, met),
        Err(error) => {
            let why = why_not(line, error.as_ref());
            table.skip(Skip::Malformed, || format!("{why}; {}", shown::quoted_bytes(line)));
            met.no_json.get_or_insert(why);
        }
    }
}

fn objects(row: &Row<'_>, columns: &Columns, table: &mut Table, met: &mut Met) {
    let counts = |role: Role| matches!(role, Role::Time | Role::Value | Role::Price);
    let found = Role::ALL.map(|role| columns.get(role).map(|name| row.find(name, counts(role))));
    met.look(row, &found, table.rows);
    let mut texts: [Option<&str>; ROLES] = [None; ROLES];
    for role in Role::ALL {
        let n = role as usize;
        match &found[n] {
            Some(Found::Text(text)) => texts[n] = Some(text),
            Some(Found::NotUtf8(_)) if role.is_content() => {}
            Some(Found::NotUtf8(bytes)) => return table.skip(Skip::NotUtf8, || shown::quoted_bytes(bytes)),
            Some(Found::Twice) => {
                let name = shown::quoted(columns.get(role).unwrap_or_default());
                return table.skip(Skip::Malformed, || format!("the name {name} is there twice"));
            }
            Some(_) => texts[n] = Some(""),
            None => {}
        }
    }
    table.take(Raw::of_text(|role| texts[role as usize]));
}

/// What was ever met: JSON lines have no header that could be asked.
#[derive(Default)]
struct Met {
    objects: u64,
    /// Why the first line that is no object is none.
    no_json: Option<String>,
    names: BTreeSet<String>,
    roles: [bool; ROLES],
    /// The list where a role's value should be, or in which it lies.
    lists: [Option<String>; ROLES],
    /// Lists of objects in the rows.
    events: Option<String>,
    /// Roles whose name stands twice in a row.
    twice: [bool; ROLES],
}

impl Met {
    fn look(&mut self, row: &Row<'_>, found: &[Option<Found>; ROLES], rows: u64) {
        self.objects += 1;
        for role in Role::ALL {
            let n = role as usize;
            match &found[n] {
                Some(Found::Text(text)) => self.roles[n] |= role.is_content() || !text.is_empty(),
                Some(Found::List(name)) if self.lists[n].is_none() => self.lists[n] = Some(name.clone()),
                Some(Found::Twice) => (self.roles[n], self.twice[n]) = (true, true),
                Some(Found::NotUtf8(_)) => self.roles[n] = true,
                _ => {}
            }
        }
        if rows < NAMED.0 && self.names.len() < NAMED.1 {
            self.names.extend(row.names().take(NAMED.1));
            // Content may be nothing for long: that the column is there is enough.
            self.events = self.events.take().or_else(|| row.lists().into_iter().next());
        }
    }

    fn check(&self, path: &Path, columns: &Columns) -> Result<(), LogError> {
        if let (0, Some(why)) = (self.objects, &self.no_json) {
            return Err(LogError::refused(path, format!("is not read: {why}")));
        }
        for role in Role::ALL {
            let n = role as usize;
            let Some(column) = columns.get(role) else { continue };
            let outer = column.split('.').next().unwrap_or_default();
            let is_there = self.names.contains(column) || self.names.contains(outer);
            if self.roles[n] || role.is_content() && is_there && self.lists[n].is_none() {
                continue;
            }
            let list = self.lists[n].as_ref().or(self.events.as_ref().filter(|_| !self.names.contains(column)));
            if let Some(list) = list {
                let (column, list) = (shown::quoted(column), shown::quoted(list));
                let bare = list.trim_matches('`');
                return Err(LogError::refused(
                    path,
                    format!(
                        "has lists inside its lines ({list}), and {role}={column} is wanted of single events: write one \
                         event a line, such as by `jq -c 'del(.{bare}) + .{bare}[]' FILE`"
                    ),
                ));
            }
            return Err(LogError::UnknownColumn {
                path: path.to_owned(),
                role,
                column: shown::quoted(column),
                have: shown::some(self.names.iter().map(String::as_str)),
            });
        }
        Ok(())
    }
}
