//! Reads JSON lines; a column name may reach into nested objects by dots: `properties.surface`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{Columns, ROLES, Role};
use super::source::{ROW_BYTES, Text};
use super::table::{Moment, Raw, Table};
use super::{LogError, Progress};

/// A column that none of the first so many rows has is taken for a mistake.
const LOOK_ROWS: u64 = 10_000;

/// Reads every row of `text` into `table`.
pub(super) fn read(
    path: &Path,
    mut text: Text,
    columns: &Columns,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    let mut tell = text.teller(progress);
    let mut met = Met::default();
    let mut line = Vec::new();
    loop {
        let broken = |rows, error: io::Error| LogError::Read { path: path.to_owned(), rows, detail: error.to_string() };
        if !next_line(&mut text.all, &mut line).map_err(|error| broken(table.rows, error))? {
            return met.check(path, columns);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Map<String, Value>>(&line) {
            Ok(row) => {
                let found = Role::ALL.map(|role| columns.get(role).map(|name| find(&row, name)));
                let texts = found.map(|named| named.map(plain));
                met.look(&row, &found, &texts, table.rows);
                let text = |role: Role| texts[role as usize].as_deref();
                table.push(Some(Raw {
                    user: text(Role::User).unwrap_or_default(),
                    item: text(Role::Item).unwrap_or_default(),
                    time: text(Role::Time).map_or(Moment::Place, Moment::Text),
                    session: text(Role::Session),
                    kind: text(Role::Type),
                    value: text(Role::Value),
                    content: Role::CONTENT.map(text),
                }));
            }
            Err(_) => table.push(None),
        }
        if table.rows == LOOK_ROWS {
            met.check(path, columns)?;
        }
        tell(table.rows);
    }
}

/// Reads the next line; one that is too long is passed over, and what is no JSON stands for it. `false` at the end.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    from.by_ref().take(ROW_BYTES as u64 + 1).read_until(b'\n', line)?;
    if line.len() > ROW_BYTES && !line.ends_with(b"\n") {
        from.skip_until(b'\n')?;
        line.clear();
        line.push(b'{');
    }
    Ok(!line.is_empty())
}

/// The value under `name`, which may be a path.
fn find<'v>(row: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    row.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        find(row.get(outer)?.as_object()?, inner)
    })
}

/// A value as the text a CSV would have; lists and objects are nothing.
fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    }
}

/// Which columns were ever met: JSON lines have no header that could be asked.
#[derive(Default)]
struct Met {
    names: BTreeSet<String>,
    roles: [bool; ROLES],
}

impl Met {
    fn look(
        &mut self,
        row: &Map<String, Value>,
        found: &[Option<Option<&Value>>; ROLES],
        texts: &[Option<String>; ROLES],
        rows: u64,
    ) {
        for role in Role::ALL {
            let n = role as usize;
            let is_text = texts[n].as_ref().is_some_and(|text| !text.is_empty());
            // Content may be nothing for long: that the column is there is enough.
            self.roles[n] |= is_text || role.is_content() && matches!(found[n], Some(Some(_)));
        }
        if rows < 100 {
            self.names.extend(row.keys().cloned());
        }
    }

    fn check(&self, path: &Path, columns: &Columns) -> Result<(), LogError> {
        for role in Role::ALL {
            if let (Some(column), false) = (columns.get(role), self.roles[role as usize]) {
                return Err(LogError::UnknownColumn {
                    path: path.to_owned(),
                    role,
                    column: column.to_owned(),
                    have: self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
                });
            }
        }
        Ok(())
    }
}
