//! Finds values in a line of JSON as they are written: a number keeps every digit.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A value of a row, as far as a log needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Not there, or `null`.
    Nothing,
    /// A string, a number as an id is spelled, or a boolean.
    Text(String),
    /// A list, or below one: its name.
    List(String),
    /// An object.
    Object,
    /// A string that is no UTF-8.
    NotUtf8(Vec<u8>),
    /// The name is there twice.
    Twice,
}

/// A line that is one JSON object.
#[derive(Debug)]
pub(super) struct Row<'j> {
    json: &'j [u8],
}

impl<'j> Row<'j> {
    /// Checks that `json` is one object.
    ///
    /// # Errors
    /// What is wrong, in the words of the parser.
    pub(super) fn of(json: &'j [u8]) -> Result<Self, serde_json::Error> {
        let json = json.trim_ascii();
        serde_json::from_slice::<IgnoredAny>(json)?;
        Ok(Self { json })
    }

    /// What [`whole_json`] gave.
    pub(super) fn whole(json: &'j [u8]) -> Self {
        Self { json }
    }

    /// The value under `name`, which may be a path. A number is spelled as an id, unless it `counts`.
    pub(super) fn find(&self, name: &str, counts: bool) -> Found {
        find(self.json, name, counts)
    }

    /// The names of its members.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + 'j {
        Members::of(self.json).map(|(key, _)| String::from_utf8_lossy(inner(key)).into_owned())
    }

    /// Members that are lists of objects: events inside a line.
    pub(super) fn lists(&self) -> Vec<String> {
        let members = Members::of(self.json);
        let is_list = |value: &[u8]| {
            value.strip_prefix(b"[").is_some_and(|inner| matches!(inner.trim_ascii_start().first(), Some(b'{' | b'[')))
        };
        members
            .filter(|(_, value)| is_list(value))
            .map(|(key, _)| String::from_utf8_lossy(inner(key)).into_owned())
            .collect()
    }
}

fn find(object: &[u8], name: &str, counts: bool) -> Found {
    let mut met = None;
    for (key, value) in Members::of(object) {
        if is_key(key, name) {
            if met.is_some() {
                return Found::Twice;
            }
            met = Some(value);
        }
    }
    match (met, name.split_once('.')) {
        (Some(value), _) => read(value, name, counts),
        (None, None) => Found::Nothing,
        (None, Some((outer, inner))) => {
            let member = Members::of(object).find(|(key, _)| is_key(key, outer));
            match member {
                Some((_, value)) if value.starts_with(b"{") => find(value, inner, counts),
                Some((_, value)) if value.starts_with(b"[") => Found::List(outer.to_owned()),
                _ => Found::Nothing,
            }
        }
    }
}

fn read(value: &[u8], name: &str, counts: bool) -> Found {
    match value.first() {
        Some(b'"') => match serde_json::from_slice(value) {
            Ok(text) => Found::Text(text),
            Err(_) => Found::NotUtf8(value.to_vec()),
        },
        Some(b'[') => Found::List(name.to_owned()),
        Some(b'{') => Found::Object,
        Some(b'n') | None => Found::Nothing,
        Some(_) => {
            let literal = String::from_utf8_lossy(value).into_owned();
            let id = if counts { None } else { schemas::vocabulary::number_as_id(&literal) };
            Found::Text(id.unwrap_or(literal))
        }
    }
}

/// What stands between a string's quotation marks.
fn inner(key: &[u8]) -> &[u8] {
    key.get(1..key.len().saturating_sub(1)).unwrap_or_default()
}

fn is_key(key: &[u8], name: &str) -> bool {
    let inner = inner(key);
    if inner.contains(&b'\\') {
        return serde_json::from_slice::<String>(key).is_ok_and(|key| key == name);
    }
    inner == name.as_bytes()
}

/// The members of an object that is known to be JSON: the key with its quotation marks, and the value as it is written.
#[derive(Debug)]
pub struct Members<'j> {
    json: &'j [u8],
    at: usize,
}

impl<'j> Members<'j> {
    /// Those of an object, without blanks around it; whatever else it is, none panics.
    #[must_use]
    pub const fn of(object: &'j [u8]) -> Self {
        Self { json: object, at: 1 }
    }
}

impl<'j> Iterator for Members<'j> {
    type Item = (&'j [u8], &'j [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let json = self.json;
        let skip = |at: usize, what: fn(u8) -> bool| {
            at + json.get(at..).unwrap_or_default().iter().take_while(|byte| what(**byte)).count()
        };
        let key = skip(self.at, |byte| byte.is_ascii_whitespace() || byte == b',');
        if json.get(key) != Some(&b'"') {
            return None;
        }
        let after = end(json, key);
        let value = skip(after, |byte| byte.is_ascii_whitespace() || byte == b':');
        let behind = end(json, value);
        self.at = behind;
        Some((json.get(key..after)?, json.get(value..behind)?))
    }
}

/// Behind the value that begins at `at`.
fn end(json: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut now = at;
    while let Some(byte) = json.get(now) {
        match byte {
            b'"' => {
                now += 1;
                while let Some(byte) = json.get(now).filter(|byte| **byte != b'"') {
                    now += if *byte == b'\\' { 2 } else { 1 };
                }
                if depth == 0 {
                    return (now + 1).min(json.len());
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 0 { now } else { now + 1 },
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return now,
            byte if depth == 0 && byte.is_ascii_whitespace() => return now,
            _ => {}
        }
        now += 1;
    }
    json.len()
}

/// The line with `null` in the place of numbers that JSON does not have and Python writes: `NaN`, `Infinity`; `None`
/// when there is none.
pub(super) fn without_nan(json: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut plain = Vec::with_capacity(json.len());
    let (mut at, mut met, mut in_text) = (0, false, false);
    while let Some(byte) = json.get(at) {
        let word = WORDS.into_iter().find(|word| !in_text && json[at..].starts_with(word));
        if let Some(word) = word {
            plain.extend_from_slice(b"null");
            at += word.len();
            met = true;
            continue;
        }
        plain.push(*byte);
        at += 1;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                plain.extend(json.get(at));
                at += 1;
            }
            _ => {}
        }
    }
    met.then_some(plain)
}

/// A text that is one JSON object, with `null` for numbers that JSON does not have.
///
/// # Errors
/// What is wrong, in the words of the parser; `None` when it is JSON and no object.
pub fn whole_json(json: &[u8]) -> Result<Cow<'_, [u8]>, Option<serde_json::Error>> {
    let json = json.trim_ascii();
    let whole = match Row::of(json) {
        Ok(_) => Cow::Borrowed(json),
        Err(error) => match without_nan(json).filter(|plain| Row::of(plain).is_ok()) {
            Some(plain) => Cow::Owned(plain),
            None => return Err(Some(error)),
        },
    };
    if whole.first() == Some(&b'{') { Ok(whole) } else { Err(None) }
}

/// What a line is that is no JSON object, and what to do.
#[must_use]
pub fn why_not(json: &[u8], error: Option<&serde_json::Error>) -> String {
    let text = json.trim_ascii();
    let holds = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    let Some(error) = error else {
        return "it has something else than an object a line: write one JSON object a line".to_owned();
    };
    let after = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start).unwrap_or_default();
    if after.starts_with(b"'") || [&b": None"[..], b": True", b": False", b":None", b"':"].into_iter().any(holds) {
        return "it is no JSON but a Python dictionary a line: write it with json.dumps".to_owned();
    }
    if error.is_eof() {
        return "it has an object over several lines: write one a line, such as by `jq -c . FILE`".to_owned();
    }
    if error.to_string().starts_with("trailing characters") {
        return "something follows the object in its line: write one object a line and nothing behind it, such as by \
                `jq -c . FILE`"
            .to_owned();
    }
    format!("it is no JSON: {}", crate::shown::plain(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Found {
        Found::Text(text.to_owned())
    }

    #[test]
    fn values_are_found_as_they_are_written() {
        let json = r#" {"a" : "x\"}y", "n":90071992547409930005,"f":7.0,"l":[{"a":1}],"o":{"p":{"q":true},"l":[1]},
            "z":null,"d":1,"d":2,"e.f":"dotted","\u0067":"esc"} "#;
        let row = Row::of(json.as_bytes()).expect("is JSON");
        assert_eq!(row.find("a", false), text("x\"}y"));
        assert_eq!(row.find("n", false), text("90071992547409930005"));
        assert_eq!((row.find("f", false), row.find("f", true)), (text("7"), text("7.0")));
        assert_eq!((row.find("l", false), row.find("l.a", false)), (Found::List("l".into()), Found::List("l".into())));
        assert_eq!((row.find("o.p.q", false), row.find("o.p", false)), (text("true"), Found::Object));
        assert_eq!((row.find("z", false), row.find("y", false)), (Found::Nothing, Found::Nothing));
        assert_eq!(
            (row.find("d", false), row.find("e.f", false), row.find("g", false)),
            (Found::Twice, text("dotted"), text("esc"))
        );
        assert_eq!(row.lists(), ["l"]);
        assert_eq!(row.names().count(), 10);
        assert_eq!(Row::of(b"{}").expect("is JSON").find("a", false), Found::Nothing);
    }

    #[test]
    fn numbers_that_json_does_not_have_are_nothing() {
        let json = br#"{"a":NaN,"b":"NaN \" NaN","c":-Infinity}"#;
        let plain = without_nan(json).expect("has some");
        assert_eq!(plain, br#"{"a":null,"b":"NaN \" NaN","c":null}"#);
        assert_eq!(without_nan(br#"{"b":"NaN"}"#), None);
    }

    #[test]
    fn what_is_no_json_is_named() {
        let why = |json: &str| {
            let error = Row::of(json.as_bytes()).err();
            why_not(json.as_bytes(), error.as_ref())
        };
        assert!(why("{'a': 'it\\'s \"fine\"'}").contains("Python"));
        assert!(why("{\"a\": None}").contains("Python"));
        assert!(why("{").contains("several lines"));
        assert!(why("{\"a\":1}{\"a\":2}").contains("follows the object"));
        assert!(why("{\"a\":1},").contains("follows the object"));
        assert!(why("{\"a\":oops}").contains("no JSON: expected"));
        assert!(why("5").contains("something else"));
    }
}
