//! CSV, and the same with tabs, semicolons or pipes: a header, and a row a line.

use std::io::BufRead;

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use serde_json::Value;

use super::columns::ID;
use super::{Row, Take, plain_name};

/// Reads every row.
pub(super) fn read(head: &[u8], text: Box<dyn BufRead>, take: Take<'_>) -> Result<(), String> {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |candidate: &u8| line.iter().filter(|byte| *byte == candidate).count();
    // The last of equals wins, so the comma stands last.
    let delimiter = *b"|;\t,".iter().max_by_key(|candidate| count(candidate)).unwrap_or(&b',');
    let mut rows = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let header = rows.headers().map_err(|error| format!("its header: {error}"))?;
    let names: Vec<String> = header.iter().map(plain_name).collect();
    if !names.iter().any(|name| ID.contains(&name.as_str())) {
        let shown: String = names.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(format!("no column is the item's id ({}); it has: {shown}", ID.join(", ")));
    }
    let mut record = StringRecord::new();
    loop {
        match rows.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) if record.len() != names.len() => {
                let line = record.position().map_or(0, csv::Position::line);
                let (got, wanted) = (record.len(), names.len());
                take(Err(format!(
                    "a row with another number of fields than the header: line {line}, {got} of {wanted}"
                )));
            }
            Ok(true) => {
                let values = record.iter().map(|value| Value::String(value.to_owned()));
                take(Ok(names.iter().cloned().zip(values).collect::<Row>()));
            }
            Err(error) => match error.kind() {
                ErrorKind::Utf8 { pos, .. } => {
                    let line = pos.as_ref().map_or(0, csv::Position::line);
                    take(Err(format!("a row that is no UTF-8: line {line}")));
                }
                _ => return Err(error.to_string()),
            },
        }
    }
}
