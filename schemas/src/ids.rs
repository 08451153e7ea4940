//! Finds ids in what may be JSON, or was meant to be.

use crate::vocabulary::number_as_id;

/// Every text, number and bare word in `value`, as ids are spelt, in order. It need not be JSON: of an event that is
/// refused, whose it is may still stand in it.
pub fn ids_in(value: &[u8]) -> impl Iterator<Item = String> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let byte = *value.get(at)?;
            at += 1;
            if byte == b'"' {
                let start = at;
                while value.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if value[at] == b'\\' { 2 } else { 1 };
                }
                let inner = &value[start..at.min(value.len())];
                at += 1;
                let quoted = [b"\"", inner, b"\""].concat();
                let read = serde_json::from_slice(&quoted).ok();
                return Some(read.unwrap_or_else(|| String::from_utf8_lossy(inner).into_owned()));
            }
            if !is_between(byte) {
                let start = at - 1;
                while value.get(at).is_some_and(|byte| !is_between(*byte)) {
                    at += 1;
                }
                let word = String::from_utf8_lossy(&value[start..at]);
                return Some(number_as_id(&word).unwrap_or_else(|| word.into_owned()));
            }
        }
    })
}

/// Whether it stands between texts, numbers and words.
const fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b':' | b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_however_it_is_spelt_and_wherever_the_json_breaks() {
        for (value, id) in [
            (r#"{"user_id":"u1","item_id":"i1"#, "u1"),
            (r#"{"user_id":"zo\u00eb"}"#, "zoë"),
            (r#"{"user_id":"a","user_id":"u1"}"#, "u1"),
            (r#"{"session_id": "u1"}"#, "u1"),
            (r#"{"user_id":7.7e1,"#, "77"),
            (r#"{"user_id":77.0}"#, "77"),
            ("u1,i1,view", "u1"),
            ("{\"user_id: u1", "user_id: u1"),
            ("\"\\", ""),
        ] {
            assert!(ids_in(value.as_bytes()).any(|found| found == id), "{value}");
        }
        assert!(!ids_in(br#"{"user_id":"u11","x":"u1 and more"}"#).any(|found| found == "u1"));
        assert_eq!(ids_in(b"\xff\"\xfe\\").count(), 2, "no bytes break it");
    }
}
