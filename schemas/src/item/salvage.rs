//! Finds out whether something that is no JSON says that its item is not to be had: cut off, with `NaN`, as Python or
//! JavaScript write it. Nothing else is taken from it.

use super::lenient::truth;

/// Whether the outermost object says `"available": false`.
pub(super) fn says_unavailable(text: &str) -> bool {
    let mut rest = text;
    let (mut depth, mut may_be_key) = (0_usize, false);
    while let Some(c) = rest.chars().next() {
        let quoted = matches!(c, '"') || (c == '\'' && may_be_key);
        let (word, after) = if quoted {
            string(rest)
        } else if c.is_alphabetic() {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            rest.split_at(end)
        } else {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            may_be_key = matches!(c, '{' | ',' | '[' | ':') || (may_be_key && c.is_whitespace());
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = after;
        may_be_key = false;
        if depth == 1
            && word == "available"
            && let Some(value) = rest.trim_start().strip_prefix(':')
        {
            let value = value.trim_start();
            let said = if value.starts_with(['"', '\'']) {
                truth(string(value).0)
            } else {
                match value.split_once([',', '}', ']']) {
                    Some((whole, _)) => truth(whole),
                    None => (value.trim_end().eq_ignore_ascii_case("false")).then_some(false), // cut off behind it
                }
            };
            if said == Some(false) {
                return true;
            }
        }
    }
    false
}

/// A quoted string without its quotation marks, and what follows it.
fn string(text: &str) -> (&str, &str) {
    let mut chars = text.char_indices();
    let Some((_, mark)) = chars.next() else { return ("", "") };
    let inside = mark.len_utf8();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == mark {
            return (&text[inside..at], &text[at + c.len_utf8()..]);
        }
    }
    (&text[inside..], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sold_out_item_is_told_from_what_is_no_json() {
        for text in [
            r#"{"item_id":"x","available":false,"title":"cut o"#,
            r#"{"available":false,"price":NaN}"#,
            r#"{"price":NaN,"available" : 0}"#,
            r#"{'title': "Bob's", 'available': False}"#,
            r#"{title: Bob's, available: false}"#,
            r#"{"a":{"b":[{}]},"available":"false",}"#,
            r#"[{"available":false}]"#,
            r#"{"title":"\"","available":false"#,
        ] {
            assert!(says_unavailable(text), "{text}");
        }
        for text in [
            r#"{"title":"\"available\":false","price":NaN}"#,
            r#"{"attributes":{"available":false},"price":NaN}"#,
            r#"{"available":true,"price":NaN}"#,
            r#"{"available":"#,
            r#"{"available":fals"#,
            r#"{"available":n"#,
            r#"{"unavailable":false"#,
            "available:false",
            "",
        ] {
            assert!(!says_unavailable(text), "{text}");
        }
    }
}
