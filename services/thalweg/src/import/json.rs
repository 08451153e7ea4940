//! JSON: an object a line, objects one after the other, or one array of them.

use std::io::Read;

use laboratory::log::{Members, Text, told, whole_json, why_not};
use laboratory::shown;
use schemas::vocabulary::number_as_id;
use serde_json::Value;

use super::columns::Columns;
use super::{BLANK, Left, MALFORMED, NOT_UTF8, ROW_BYTES, Row, TOO_LONG, Take, plain_name};

/// Reads every object. What is none is left out, and the reading goes on: in lines with the next line, else behind the
/// brace that closes it.
///
/// # Errors
/// When the text breaks off, or cannot be read.
pub(super) fn read(mut text: Text, columns: &Columns, take: Take<'_>) -> Result<(), String> {
    let head = text.head().map_err(|error| told(&error))?.trim_ascii_start();
    let mut lines = head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let of_lines = head.starts_with(b"{") && lines.by_ref().take(2).any(|line| whole_json(line).is_ok());
    if of_lines { by_line(text, columns, take) } else { by_brace(text, columns, take) }
}

fn by_line(text: Text, columns: &Columns, take: Take<'_>) -> Result<(), String> {
    let (mut lines, mut line) = (text.into_lines(), Vec::new());
    while lines.read(&mut line).map_err(|error| told(&error))? {
        take(if line.len() > ROW_BYTES {
            Err((MALFORMED, TOO_LONG.to_owned()))
        } else if line.trim_ascii().is_empty() {
            Err((BLANK, "nothing in it".to_owned()))
        } else {
            row(&line, columns)
        });
    }
    Ok(())
}

fn by_brace(text: Text, columns: &Columns, take: Take<'_>) -> Result<(), String> {
    let (mut values, mut in_array) = (Values { take, columns, read: 0, value: Vec::new() }, false);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.into_reader().bytes() {
        let byte = byte.map_err(|error| told(&error))?;
        let outside = depth == 0 && !quoted;
        let parts = outside && (byte.is_ascii_whitespace() || (in_array && matches!(byte, b',' | b']')));
        if parts || (outside && byte == b'{') {
            values.end(); // a value that no mark ends, such as a number
        }
        if parts && byte == b']' {
            return Ok(());
        }
        if parts {
            continue;
        }
        if outside && byte == b'[' && !in_array && values.read == 0 && values.value.is_empty() {
            in_array = true;
            continue;
        }
        values.push(byte);
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !quoted && matches!(byte, b'}' | b']' | b'"') {
            values.end();
        }
    }
    if in_array || depth > 0 || quoted {
        return Err(format!("breaks off behind row {}: look for what is not closed there", values.read));
    }
    values.end();
    Ok(())
}

/// Hands values over, and holds no more of one than a row may have.
struct Values<'t> {
    take: Take<'t>,
    columns: &'t Columns,
    read: u64,
    value: Vec<u8>,
}

impl Values<'_> {
    fn push(&mut self, byte: u8) {
        if self.value.len() <= ROW_BYTES {
            self.value.push(byte);
        }
    }

    fn end(&mut self) {
        if self.value.is_empty() {
            return;
        }
        self.read += 1;
        let too_long = self.value.len() > ROW_BYTES;
        (self.take)(if too_long { Err((MALFORMED, TOO_LONG.to_owned())) } else { row(&self.value, self.columns) });
        self.value.clear();
    }
}

/// The members of an object that are asked for. A number that is an id keeps every digit.
fn row(json: &[u8], columns: &Columns) -> Result<Row, Left> {
    let malformed = |why: String| (MALFORMED, format!("{why}; {}", shown::quoted_bytes(json)));
    let object = whole_json(json).map_err(|error| malformed(why_not(json, error.as_ref())))?;
    let mut row = Row::new();
    for (key, value) in Members::of(&object) {
        let Ok(key) = serde_json::from_slice::<String>(key) else { continue };
        let name = plain_name(&key);
        if !columns.knows(&name) {
            continue;
        }
        let mut read: Value = serde_json::from_slice(value).map_err(|_| (NOT_UTF8, shown::quoted_bytes(value)))?;
        if read.is_number() && columns.is_id(&name) {
            let literal = std::str::from_utf8(value).unwrap_or_default();
            read = number_as_id(literal).map_or(Value::Null, Value::String);
        }
        match row.get(&name) {
            Some(other) if *other != read => {
                return Err(malformed(format!("the name {} is there twice", shown::quoted(&name))));
            }
            _ => row.insert(name, read),
        };
    }
    Ok(row)
}
