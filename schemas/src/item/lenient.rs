//! Values as catalogs have them: what is clear is read, whatever type it is written in. `null` and empty text are
//! absent.

use serde_json::Value;

use super::date;
use crate::{Reason, vocabulary};

/// What a value says; `None` is nothing. An error says what is wrong with it.
pub(super) type Read<T> = Result<Option<T>, (Reason, String)>;

/// Spaces, and characters that nobody sees.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// A value for people: short, and nothing in it steers a terminal.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut shown: String = text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn wrong<T>(value: &Value, wanted: &str) -> Read<T> {
    Err((Reason::WrongType, format!("{} is no {wanted}", shown(value))))
}

/// Ids, names and titles; a number is a name, too, `7.0` the same as 7, and a list of one is that one.
pub(super) fn text(value: &Value) -> Read<String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.contains('\u{fffd}') => {
            Err((Reason::WrongType, format!("{} holds what is no UTF-8", shown(value))))
        }
        Value::String(text) => Ok(Some(text.trim_matches(is_blank).to_owned()).filter(|text| !text.is_empty())),
        Value::Number(number) => {
            let written = number.to_string();
            Ok(Some(vocabulary::number_as_id(&written).unwrap_or(written)))
        }
        Value::Array(list) if list.len() < 2 => list.first().map_or(Ok(None), text),
        _ => wrong(value, "text"),
    }
}

/// A price.
pub(super) fn price(value: &Value) -> Read<f64> {
    let price = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim_matches(is_blank).is_empty() => return Ok(None),
        Value::String(text) => number(text),
        Value::Array(list) if list.len() < 2 => return list.first().map_or(Ok(None), self::price),
        _ => None,
    };
    match price {
        Some(price) if price < 0.0 => Err((Reason::OutOfRange, format!("{} is below 0", shown(value)))),
        Some(price) if price.is_finite() => Ok(Some(price)),
        _ => wrong(value, "number; write 79.00"),
    }
}

/// A number as people write it: `79.00`, ` 79 `, `79,00`, `1.234,50`, `1,234.50`, `79.00 EUR`, `€79`. One that could be
/// two, `1,234`, is none.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let bare = text.trim_matches(|c: char| is_blank(c) || is_currency(c));
    let code = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let bare = match bare.split_once(is_blank) {
        Some((first, rest)) if code(first) => rest,
        _ => match bare.rsplit_once(is_blank) {
            Some((rest, last)) if code(last) => rest,
            _ => bare,
        },
    };
    let bare = bare.trim_matches(|c: char| is_blank(c) || is_currency(c));
    if !bare.bytes().any(|byte| byte.is_ascii_digit()) {
        return None; // `inf`, `NaN`
    }
    bare.parse().ok().or_else(|| plain(bare)?.parse().ok()).filter(|number: &f64| number.is_finite())
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '£' | '¥' | '¢' | '\u{20a0}'..='\u{20cf}' | '円' | '元')
}

/// Takes thousands' marks out and puts a point before the decimals.
fn plain(text: &str) -> Option<String> {
    let (sign, digits) = text.strip_prefix(['-', '+']).map_or(("", text), |rest| (&text[..1], rest));
    let last = digits.rfind(['.', ',']);
    let (whole, decimals) = match last {
        Some(at) => {
            let (whole, rest) = (&digits[..at], &digits[at + 1..]);
            let mark = digits[at..].chars().next()?;
            if whole.contains(mark) {
                (digits.to_owned(), "") // 1,234,567
            } else if mark == ',' && rest.len() == 3 && !whole.contains(is_group) && whole != "0" {
                return None; // 1,234: a thousand, or one and a bit
            } else {
                (whole.to_owned(), rest)
            }
        }
        None => (digits.to_owned(), ""),
    };
    let groups: Vec<&str> = whole.split(is_group).collect();
    let (first, others) = groups.split_first()?;
    let grouped = others.is_empty() || ((1..=3).contains(&first.len()) && others.iter().all(|group| group.len() == 3));
    let number = format!("{sign}{}.{decimals}0", groups.concat());
    (grouped && decimals.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

fn is_group(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '’' | '_') || c.is_whitespace()
}

/// Yes or no.
pub(super) fn yes(value: &Value) -> Read<bool> {
    let said = match value {
        Value::Null => return Ok(None),
        Value::Bool(said) => Some(*said),
        Value::Number(number) => number.as_f64().map(|number| number > 0.0),
        Value::String(text) if text.trim_matches(is_blank).is_empty() => return Ok(None),
        Value::String(text) => truth(text),
        Value::Array(list) if list.len() < 2 => return list.first().map_or(Ok(None), yes),
        _ => None,
    };
    said.map_or_else(|| wrong(value, "true or false"), |said| Ok(Some(said)))
}

/// A word for yes or no; a number counts what is in stock, and shops' own words are known.
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    let text = text.trim_matches(is_blank);
    if let Some(stock) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return Some(stock > 0.0);
    }
    let word = text.to_lowercase().replace([' ', '-'], "_");
    let word = word.rsplit('/').next().unwrap_or_default(); // http://schema.org/InStock
    match word {
        "true"
        | "yes"
        | "y"
        | "t"
        | "on"
        | "in_stock"
        | "instock"
        | "available"
        | "limited_availability"
        | "limitedavailability"
        | "preorder"
        | "pre_order"
        | "backorder"
        | "backordered"
        | "back_order"
        | "onlineonly"
        | "instoreonly" => Some(true),
        "false" | "no" | "n" | "f" | "off" | "out_of_stock" | "outofstock" | "sold_out" | "soldout" | "unavailable"
        | "not_available" | "discontinued" => Some(false),
        _ => None,
    }
}

/// A point in time, milliseconds since 1970; the error beside it says that it is the nearest there is.
pub(super) fn moment(value: &Value) -> Result<(Option<i64>, Option<String>), (Reason, String)> {
    #[allow(clippy::cast_possible_truncation)] // it saturates
    let of_number = |number: &serde_json::Number| {
        number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)).map(date::of_whole)
    };
    let at = match value {
        Value::Null => return Ok((None, None)),
        Value::Number(number) => of_number(number),
        Value::String(text) if text.trim_matches(is_blank).is_empty() => return Ok((None, None)),
        Value::String(text) => date::of_text(text.trim_matches(is_blank)),
        Value::Array(list) if list.len() < 2 => return list.first().map_or(Ok((None, None)), moment),
        _ => None,
    };
    let Some(at) = at else {
        return wrong::<i64>(value, "date; write 2026-11-03T08:00:00Z or milliseconds since 1970").map(|at| (at, None));
    };
    let near = at.clamp(date::EARLIEST, date::LATEST);
    let far = (near != at).then(|| format!("{} lies outside the years 1 to 9999", shown(value)));
    Ok((Some(near), far))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it_and_one_that_could_be_two_is_none() {
        for (text, wanted) in [
            ("79.00", 79.0),
            (" 79 ", 79.0),
            ("79,00", 79.0),
            ("79,5", 79.5),
            ("0,999", 0.999),
            ("1.234,50", 1_234.5),
            ("1,234.50", 1_234.5),
            ("1,234,567", 1_234_567.0),
            ("1.234.567", 1_234_567.0),
            ("1 234,50", 1_234.5),
            ("1'234.50", 1_234.5),
            ("1\u{202f}234,50 €", 1_234.5),
            ("79.00 EUR", 79.0),
            ("EUR 79.00", 79.0),
            ("$1,234.50", 1_234.5),
            ("€79", 79.0),
            ("1e3", 1_000.0),
            ("-5", -5.0),
            ("7,", 7.0),
        ] {
            assert_eq!(number(text), Some(wanted), "{text}");
        }
        for text in ["1,234", "1234,567", "12,34,56", "free", "", "NaN", "inf", "7-9", "79.00 EUR USD", "1e999", "€"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn yes_and_no_are_known_in_the_words_of_shops() {
        for word in ["true", "TRUE", " yes ", "1", "in stock", "in_stock", "https://schema.org/InStock", "7"] {
            assert_eq!(truth(word), Some(true), "{word}");
        }
        for word in ["false", "False", "0", "no", "out of stock", "out_of_stock", "OutOfStock", "sold out", "-1"] {
            assert_eq!(truth(word), Some(false), "{word}");
        }
        assert_eq!([truth("maybe"), truth(""), truth("nan")], [None; 3]);
    }
}
