//! CSV and its cousins: the laboratory's reader of logs finds header, delimiter and rows.

use std::path::Path;

use laboratory::log::{Line, LogError, Sheet, Text};
use laboratory::shown;
use serde_json::Value;

use super::{NOT_UTF8, Options, Row, Take, plain_name};

/// Reads every row; tells how many lines above the header were passed over.
pub(super) fn read(path: &Path, text: Text, options: &Options, take: Take<'_>) -> Result<usize, LogError> {
    let refuse = |why: String| Err(LogError::Refused { path: path.to_owned(), why });
    let columns = &options.columns;
    let wanted = format!(
        "that is the item's id ({}): name it, such as --columns item_id=NAME; if the first line is an item, give \
         --no-header and the columns by number, such as --columns item_id=1,title=2 (--delimiter sets what separates \
         them)",
        columns.id_names()
    );
    let is_header = |names: &[String]| names.iter().any(|name| columns.is_id(&plain_name(name)));
    let mut sheet = Sheet::open(path, text, &options.form, is_header, &wanted)?;
    let names: Vec<String> = sheet.names().iter().map(|name| plain_name(name)).collect();
    for (n, name) in names.iter().enumerate().filter(|(_, name)| columns.knows(name)) {
        if let Some(first) = names[..n].iter().position(|other| other == name) {
            let (first, second) = (first + 1, n + 1);
            let name = shown::quoted(name);
            return refuse(format!(
                "has two columns of the name {name}, the {first}. and the {second}.: rename one of them in the header"
            ));
        }
    }
    while let Some(line) = sheet.read()? {
        take(match line {
            Line::Unfit(reason, text) => Err((reason.as_str(), text)),
            Line::Cells(cells) => row(&names, cells, options),
        });
    }
    Ok(sheet.above())
}

/// The cells that are asked for; the others may be in any encoding.
fn row(names: &[String], cells: Vec<Vec<u8>>, options: &Options) -> Result<Row, super::Left> {
    let mut row = Row::new();
    for (name, cell) in names.iter().zip(cells).filter(|(name, _)| options.columns.knows(name)) {
        match String::from_utf8(cell) {
            Ok(text) => row.insert(name.clone(), Value::String(text)),
            Err(error) => {
                let cell = shown::quoted_bytes(error.as_bytes());
                return Err((NOT_UTF8, format!("{cell}; convert the file, such as by `iconv -f LATIN1 -t UTF-8`")));
            }
        };
    }
    Ok(row)
}
