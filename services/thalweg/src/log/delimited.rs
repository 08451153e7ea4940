//! Reads CSV and its cousins (tab, semicolon, pipe), with a header line.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use super::columns::{Columns, ROLES, Role};
use super::quotes::{Closed, NO_ROW};
use super::source::Text;
use super::table::{Moment, Raw, Table};
use super::{LogError, Progress};

/// Reads every row of `text` into `table`.
pub(super) fn read(
    path: &Path,
    text: Text,
    columns: &Columns,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    let broken = |rows, error: csv::Error| LogError::Read { path: path.to_owned(), rows, detail: error.to_string() };
    let mut tell = text.teller(progress);
    let delimiter = delimiter(&text.first);
    let closed = Closed::new(text.all, delimiter);
    let mut rows = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(closed);

    let header = rows.byte_headers().map_err(|error| broken(0, error))?.clone();
    if header.iter().eq([NO_ROW]) {
        return Err(LogError::NoHeader { path: path.to_owned() });
    }
    let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
    let at = columns.resolve(names.iter().map(AsRef::as_ref)).map_err(|(role, column)| LogError::UnknownColumn {
        path: path.to_owned(),
        role,
        column,
        have: names.join(", "),
    })?;

    let mut record = ByteRecord::new();
    while rows.read_byte_record(&mut record).map_err(|error| broken(table.rows, error))? {
        // With more or fewer columns than the header, no column can be trusted.
        table.push((record.len() == header.len()).then(|| raw(&record, &at)).flatten());
        tell(table.rows);
    }
    Ok(())
}

/// The columns that were asked for, if they are text; the others may be in any encoding.
fn raw<'r>(record: &'r ByteRecord, at: &[Option<usize>; ROLES]) -> Option<Raw<'r>> {
    let mut texts: [Option<&str>; ROLES] = [None; ROLES];
    for role in Role::ALL {
        let Some(at) = at[role as usize] else { continue };
        texts[role as usize] = match std::str::from_utf8(record.get(at)?) {
            Ok(text) => Some(text),
            Err(_) if role.is_content() => None, // a title in another encoding spoils no event
            Err(_) => return None,
        };
    }
    let text = |role: Role| texts[role as usize];
    Some(Raw {
        user: text(Role::User)?,
        item: text(Role::Item)?,
        time: text(Role::Time).map_or(Moment::Place, Moment::Text),
        session: text(Role::Session),
        kind: text(Role::Type),
        value: text(Role::Value),
        content: Role::CONTENT.map(text),
    })
}

/// What separates the header's columns: the candidate that occurs most.
fn delimiter(header: &[u8]) -> u8 {
    let count = |candidate: &u8| header.iter().filter(|byte| *byte == candidate).count();
    // The last of equals wins, so the comma stands last.
    *b"|;\t,".iter().max_by_key(|candidate| count(candidate)).unwrap_or(&b',')
}
