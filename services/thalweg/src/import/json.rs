//! JSON: an object a line, objects one after the other, or one array of them.

use std::io::{BufRead, Read};

use serde_json::Value;

use super::{ROW_BYTES, Row, Take, plain_name, too_long};

/// Reads every object. JSON that breaks off or is none ends the reading: what follows cannot be told apart.
pub(super) fn read(text: Box<dyn BufRead>, take: Take<'_>) -> Result<(), String> {
    let (mut rows, mut in_array) = (Rows { take, read: 0, row: Vec::new() }, false);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        let byte = byte.map_err(|error| error.to_string())?;
        let outside = depth == 0 && !quoted;
        let parts = outside && (byte.is_ascii_whitespace() || (in_array && matches!(byte, b',' | b']')));
        if parts || (outside && byte == b'{') {
            rows.end()?; // a value that no mark ends, such as a number
        }
        if parts && byte == b']' {
            return Ok(());
        }
        if parts {
            continue;
        }
        if outside && byte == b'[' && !in_array && rows.read == 0 && rows.row.is_empty() {
            in_array = true;
            continue;
        }
        rows.push(byte);
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !quoted && matches!(byte, b'}' | b']' | b'"') {
            rows.end()?;
        }
    }
    rows.end()?;
    if in_array { Err("it breaks off: EOF in its array".to_owned()) } else { Ok(()) }
}

/// Hands rows over, and holds no more of one than a row may have.
struct Rows<'t> {
    take: Take<'t>,
    read: u64,
    row: Vec<u8>,
}

impl Rows<'_> {
    fn push(&mut self, byte: u8) {
        if self.row.len() as u64 <= ROW_BYTES {
            self.row.push(byte);
        }
    }

    fn end(&mut self) -> Result<(), String> {
        if self.row.is_empty() {
            return Ok(());
        }
        self.read += 1;
        (self.take)(if self.row.len() as u64 > ROW_BYTES {
            Err(too_long(format!("row {}", self.read)))
        } else {
            let value = serde_json::from_slice(&self.row).map_err(|error| format!("row {}: {error}", self.read))?;
            row(value)
        });
        self.row.clear();
        Ok(())
    }
}

fn row(value: Value) -> Result<Row, String> {
    match value {
        Value::Object(object) => Ok(object.into_iter().map(|(name, value)| (plain_name(&name), value)).collect()),
        other => Err(format!("a value that is no object: {}", other.to_string().chars().take(40).collect::<String>())),
    }
}
