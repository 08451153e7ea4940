//! CSV, and the same with tabs, semicolons or pipes: a header, and a row a line.

use std::io::{self, BufRead, Read};

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use serde_json::Value;

use super::columns::ID;
use super::{ROW_BYTES, Row, Take, plain_name, too_long};

/// Reads every row.
pub(super) fn read(head: &[u8], text: Box<dyn BufRead>, take: Take<'_>) -> Result<(), String> {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |candidate: &u8| line.iter().filter(|byte| *byte == candidate).count();
    // The last of equals wins, so the comma stands last.
    let delimiter = *b"|;\t,".iter().max_by_key(|candidate| count(candidate)).unwrap_or(&b',');
    let text = Rows { text: text.bytes(), delimiter, row: Vec::new(), given: 0, line: 1, next: 1, long: Vec::new() };
    let mut rows = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let header = rows.headers().map_err(|error| format!("its header: {error}"))?;
    let names: Vec<String> = header.iter().map(plain_name).collect();
    if !rows.get_ref().long.is_empty() {
        return Err(too_long("its header"));
    }
    if !names.iter().any(|name| ID.contains(&name.as_str())) {
        let shown: String = names.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(format!("no column is the item's id ({}); it has: {shown}", ID.join(", ")));
    }
    let mut record = StringRecord::new();
    loop {
        let read = rows.read_record(&mut record);
        let line = rows.get_ref().line;
        rows.get_mut().long.drain(..).for_each(|line| take(Err(too_long(format!("line {line}")))));
        match read {
            Ok(false) => return Ok(()),
            Ok(true) if record.len() != names.len() => {
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
                ErrorKind::Utf8 { .. } => take(Err(format!("a row that is no UTF-8: line {line}"))),
                _ => return Err(error.to_string()),
            },
        }
    }
}

/// A text by rows, without those that are too long. Who reads it has one row at a time.
struct Rows<R> {
    text: io::Bytes<R>,
    delimiter: u8,
    row: Vec<u8>,
    /// How much of the row was handed on.
    given: usize,
    /// The line that the row begins with.
    line: u64,
    /// The line behind it.
    next: u64,
    /// Lines that rows begin with which were left out.
    long: Vec<u64>,
}

/// Where in a row: a line ends none within a quoted field.
#[derive(Clone, Copy)]
enum At {
    Field,
    Plain,
    Quoted,
    /// Behind a quotation mark that closes a field, unless another one follows.
    Closed,
}

impl<R: Read> Rows<R> {
    /// Reads the next row that is not too long; none is left at the end.
    fn read_row(&mut self) -> io::Result<()> {
        (self.given, self.line) = (0, self.next);
        self.row.clear();
        let mut at = At::Field;
        while let Some(byte) = self.text.next().transpose()? {
            if self.row.len() as u64 <= ROW_BYTES {
                self.row.push(byte);
            }
            self.next += u64::from(byte == b'\n');
            at = match (at, byte) {
                (At::Field | At::Closed, b'"') => At::Quoted,
                (At::Quoted, b'"') => At::Closed,
                (At::Quoted, _) => At::Quoted,
                (_, b'\n' | b'\r') if self.row.len() as u64 <= ROW_BYTES => return Ok(()),
                (_, b'\n' | b'\r') => {
                    self.leave_out();
                    At::Field
                }
                (_, byte) if byte == self.delimiter => At::Field,
                _ => At::Plain,
            };
        }
        if self.row.len() as u64 > ROW_BYTES {
            self.leave_out();
        }
        Ok(())
    }

    fn leave_out(&mut self) {
        self.row.clear();
        self.long.push(std::mem::replace(&mut self.line, self.next));
    }
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.row.len() {
            self.read_row()?;
        }
        let read = (&self.row[self.given..]).read(into)?;
        self.given += read;
        Ok(read)
    }
}
