//! Foreign text as a terminal may show it: nothing that comes from a file, a topic or Redis steers it.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of a foreign value that a message quotes.
const QUOTED: usize = 60;

/// Whether a terminal does something else with it than to show it: control characters, and what turns the direction of
/// reading or is not seen at all.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text on one line, with what steers a terminal spelled out: `\n`, `\u{1b}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, steers, |c, into| into.extend(c.escape_default()))
}

/// The same for a text of several lines of ours, whose ends stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| steers(c) && c != '\n', |c, into| into.extend(c.escape_default()))
}

/// The same for JSON, which stays JSON: what steers stands in its strings alone, and there as `\u001b`.
pub fn json(text: &str) -> Cow<'_, str> {
    let unit =
        |unit: &mut u16, into: &mut String| write!(into, "\\u{unit:04x}").expect("writing to a string cannot fail");
    escaped(
        text,
        |c| steers(c) && c != '\n',
        |c, into| c.encode_utf16(&mut [0; 2]).iter_mut().for_each(|u| unit(u, into)),
    )
}

fn escaped(text: &str, is_meant: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&is_meant) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_meant(c) { escape(c, &mut plain) } else { plain.push(c) }
    }
    Cow::Owned(plain)
}

/// A foreign value as a message quotes it: its beginning, on one line.
pub fn quoted(text: &str) -> String {
    let mut beginning: String = text.chars().take(QUOTED).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("`{}`", plain(&beginning))
}

/// The same for bytes, of which what is no UTF-8 is spelled as `\xff`.
pub fn quoted_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    // No character is longer than four bytes.
    for chunk in bytes[..bytes.len().min(4 * QUOTED + 4)].utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail"));
    }
    quoted(&text)
}

/// Names for a message: the first ones, quoted as they are, and how many more there are.
pub fn some<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let one = |name: &str| quoted(name).trim_matches('`').to_owned();
    let mut list = names.take(SHOWN).map(one).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(list, ", and {more} more"); // writing to a string cannot fail
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}]0;title\u{7}\u{9b}31m\u{7f}\u{202e}b\r\nc\tü é 日本";

    #[test]
    fn what_steers_a_terminal_is_spelled_out_and_letters_are_left() {
        assert_eq!(plain(HOSTILE), "a\\u{1b}]0;title\\u{7}\\u{9b}31m\\u{7f}\\u{202e}b\\r\\nc\\tü é 日本");
        assert!(matches!(plain("i9 ü"), Cow::Borrowed("i9 ü")));
        assert!(lines(HOSTILE).contains("\\r\nc\\t"), "the end of a line stays");
    }

    #[test]
    fn json_stays_json_and_says_the_same() {
        let hostile = format!("{HOSTILE}\u{e0041}");
        let text = serde_json::to_string_pretty(&[&hostile]).expect("serialises");
        let shown = json(&text);
        assert!(!shown.chars().any(|c| steers(c) && c != '\n'), "{shown:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).expect("is JSON"), [hostile]);
    }

    #[test]
    fn a_foreign_value_is_quoted_by_its_beginning() {
        assert_eq!(quoted("i9"), "`i9`");
        assert_eq!(quoted(&"ü".repeat(500)), format!("`{}…`", "ü".repeat(QUOTED)));
        assert_eq!(quoted_bytes(b"caf\xe9\x00"), "`caf\\xe9\\u{0}`");
        assert!(quoted_bytes(&[0xff; 10_000]).len() < 300);
        let names: Vec<String> = (0..5_000).map(|n| format!("c{n}\u{1b}")).collect();
        let list = some(names.iter().map(String::as_str));
        assert!(list.starts_with("c0\\u{1b}, c1") && list.ends_with("and 4988 more"), "{list}");
    }
}
