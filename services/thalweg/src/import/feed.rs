//! Product feeds: RSS and Atom with Google's names, or any XML whose `item`, `entry` or `product` elements hold fields.

use std::io::{self, BufRead, Read};

use laboratory::log::told;
use laboratory::shown;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use super::{MALFORMED, ROW_BYTES, Row, TOO_LONG, Take, plain_name};

/// Bytes of one item.
const ITEM_BYTES: u64 = ROW_BYTES as u64;

/// Elements that are items.
const ITEMS: [&[u8]; 3] = [b"item", b"entry", b"product"];
/// Fields that an item may have several of.
const LISTS: [&str; 3] = ["category", "product_type", "google_product_category"];
/// A field's text beyond it is left out.
const MAX_TEXT: usize = 64 * 1024;

/// An item under way: its fields, and the one that is open.
#[derive(Default)]
struct Open {
    tag: Vec<u8>,
    row: Row,
    /// Elements below the item that are open.
    depth: usize,
    name: String,
    text: String,
}

/// Reads every item.
pub(super) fn read(text: Box<dyn BufRead>, take: Take<'_>) -> Result<(), String> {
    let mut reader = Reader::from_reader(text.take(ITEM_BYTES));
    let (mut buffer, mut open, mut items) = (Vec::new(), None::<Open>, 0_u64);
    loop {
        buffer.clear();
        if open.is_none() {
            reader.get_mut().set_limit(ITEM_BYTES);
        }
        let event = reader.read_event_into(&mut buffer);
        if reader.get_ref().limit() == 0 {
            let mut text = reader.into_inner().into_inner();
            if let Some(item) = open.take() {
                items += 1;
                take(Err((MALFORMED, TOO_LONG.to_owned())));
                pass(&mut text, &item.tag).map_err(|error| told(&error))?;
            }
            reader = Reader::from_reader(text.take(ITEM_BYTES));
            reader.config_mut().allow_unmatched_ends = true; // of what was open
            continue;
        }
        let event = event.map_err(|error| {
            format!("is read up to item {items}, where its XML breaks: {}", shown::plain(&error.to_string()))
        })?;
        match (event, &mut open) {
            (Event::Eof, None) => break,
            (Event::Eof, Some(_)) => return Err(format!("breaks off in item {}", items + 1)),
            (Event::Start(start), None) if ITEMS.contains(&start.local_name().as_ref()) => {
                open = Some(Open { tag: start.name().as_ref().to_vec(), ..Open::default() });
            }
            (Event::Start(start), Some(item)) => item.start(&start),
            (Event::Empty(empty), Some(item)) => {
                item.start(&empty);
                item.end();
            }
            (Event::End(_), Some(item)) if item.depth > 0 => item.end(),
            (Event::End(_), Some(item)) => {
                items += 1;
                take(Ok(std::mem::take(&mut item.row)));
                open = None;
            }
            (Event::Text(text), Some(item)) => item.add(&text.decode().map_err(|error| error.to_string())?),
            (Event::CData(text), Some(item)) => item.add(&text.decode().map_err(|error| error.to_string())?),
            (Event::GeneralRef(reference), Some(item)) => {
                let character = reference.resolve_char_ref().ok().flatten();
                let name = reference.decode().unwrap_or_default();
                match character {
                    Some(character) => item.add(character.encode_utf8(&mut [0; 4])),
                    None => item.add(resolve_predefined_entity(&name).unwrap_or(" ")),
                }
            }
            _ => {}
        }
    }
    if items == 0 {
        return Err("holds no item: no element is called item, entry or product".to_owned());
    }
    Ok(())
}

/// Passes over the rest of an item, up to its end tag: in the middle of it no markup can be told from text.
fn pass(text: &mut impl BufRead, tag: &[u8]) -> io::Result<()> {
    let end = [b"</", tag].concat();
    let mut found = 0;
    for byte in text.by_ref().bytes() {
        let byte = byte?;
        found = if byte == end[found] { found + 1 } else { usize::from(byte == b'<') };
        if found == end.len() {
            break;
        }
    }
    text.skip_until(b'>').map(drop)
}

impl Open {
    fn start(&mut self, start: &BytesStart<'_>) {
        self.depth += 1;
        if self.depth > 1 {
            return; // what is deeper belongs to something else: the price of a shipping
        }
        self.name = plain_name(&String::from_utf8_lossy(start.local_name().as_ref()));
        self.text.clear();
        // Atom's categories say it in an attribute.
        let term = start.try_get_attribute("term").ok().flatten();
        if let Some(term) = term {
            self.text = String::from_utf8_lossy(&term.value).into_owned();
        }
    }

    fn add(&mut self, text: &str) {
        if self.depth == 1 && self.text.len() + text.len() <= MAX_TEXT {
            self.text.push_str(text);
        }
    }

    fn end(&mut self) {
        self.depth -= 1;
        let text = self.text.trim();
        if self.depth > 0 || text.is_empty() {
            return;
        }
        let value = Value::String(text.to_owned());
        if !LISTS.contains(&self.name.as_str()) {
            self.row.insert(self.name.clone(), value);
        } else if let Value::Array(list) = self.row.entry(self.name.clone()).or_insert_with(|| Value::Array(Vec::new()))
        {
            list.push(value);
        }
        self.text.clear();
    }
}
