//! Finds a number in JSON as it is written.

/// The literal of a top-level field that holds a number, as it stands in `text`, which is a JSON object: as a number of
/// 64 bits a long id would lose digits.
#[must_use]
pub fn literal<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let start = at;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let key = text.get(start..at)?;
                at += 1;
                let rest = text.get(at..).unwrap_or_default().trim_start();
                if depth == 1
                    && key == name
                    && let Some(value) = rest.strip_prefix(':')
                {
                    let value = value.trim_start();
                    return value.split([',', '}', ' ', '\t', '\r', '\n']).next();
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_as_it_is_written() {
        let event =
            r#"{"a":{"user_id":1},"b":"\"user_id\":2","c":["user_id"], "user_id" : 90071992547409930005.0 ,"d":3}"#;
        assert_eq!(literal(event, "user_id"), Some("90071992547409930005.0"));
        assert_eq!(literal(event, "d"), Some("3"));
        assert_eq!(literal(event, "item_id"), None);
        assert_eq!(literal("{\"a", "a"), None);
    }
}
