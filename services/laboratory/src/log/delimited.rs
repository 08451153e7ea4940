//! Reads CSV and its cousins, with a header or without.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use super::columns::{ROLES, Role};
use super::dialect::Fields;
use super::header;
use super::rows::{Row, Rows};
use super::skip::Skip;
use super::source::{Text, told};
use super::table::{Raw, Table};
use super::{LogError, Options, Progress};
use crate::shown;

/// Reads every row of `text` into `table`.
pub(super) fn read(
    path: &Path,
    text: Text,
    options: &Options,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    let broken = |rows, error: &io::Error| LogError::Read { path: path.to_owned(), rows, detail: told(error) };
    let mut tell = text.teller(progress);
    let mut rows = Rows::new(text.all, text.ends);
    rows.ahead(header::LINES).map_err(|error| broken(0, &error))?;
    let head = header::find(path, &rows.lines().collect::<Vec<_>>(), options)?;
    let above = head.lines.saturating_sub(1);
    if !options.no_header && rows.lines().take(above).any(|line| !line.trim_ascii().is_empty()) {
        table.remarks.push(format!("{above} lines above the header were passed over"));
    }
    rows.pass(head.lines);

    let mut fields = Fields::default();
    while let Some((row, lines)) = rows.next(&head.width, &mut fields).map_err(|error| broken(table.rows, &error))? {
        if let Row::Fields(at) = &row {
            take(rows.text(at.clone()), &fields, &head.at, table);
        } else if let Some((reason, text)) = row.unfit(rows.lines().next().unwrap_or_default(), head.width.columns) {
            table.skip(reason, || text);
        }
        rows.pass(lines);
        tell(table.rows);
    }
    Ok(())
}

/// Takes the columns that were asked for, if they are text; the others may be in any encoding.
fn take(row: &[u8], fields: &Fields, at: &[Option<usize>; ROLES], table: &mut Table) {
    let mut texts: [Option<Cow<'_, str>>; ROLES] = Default::default();
    for role in Role::ALL {
        let Some(at) = at[role as usize] else { continue };
        let text = match fields.get(at, row).unwrap_or_default() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| bytes.to_vec()),
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(std::string::FromUtf8Error::into_bytes)
            }
        };
        texts[role as usize] = match text {
            Ok(text) => Some(text),
            Err(_) if role.is_content() => None, // a title in another encoding spoils no event
            Err(bytes) => {
                return table.skip(Skip::NotUtf8, || {
                    format!("{}; convert the file, such as by `iconv -f LATIN1 -t UTF-8`", shown::quoted_bytes(&bytes))
                });
            }
        };
    }
    for role in [Role::User, Role::Item, Role::Session] {
        if let Some(text) = texts[role as usize].as_mut() {
            whole(text);
        }
    }
    table.take(Raw::of_text(|role| texts[role as usize].as_deref()));
}

/// A number that a program has made a fraction because another row had none (`7.0`) is a whole one: here nothing tells
/// a number from a text.
fn whole(id: &mut Cow<'_, str>) {
    if let Some(digits) = whole_id(id).map(str::to_owned) {
        *id = Cow::Owned(digits);
    }
}

/// The digits of an id that is a whole number written as a fraction, in a format that has nothing but text; `None` for
/// any other.
#[must_use]
pub fn whole_id(id: &str) -> Option<&str> {
    let (digits, zeros) = id.trim().split_once('.')?;
    let is_whole = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !zeros.is_empty()
        && zeros.bytes().all(|byte| byte == b'0');
    is_whole.then_some(digits)
}
