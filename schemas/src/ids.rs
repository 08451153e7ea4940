//! Finds ids of users in what may be JSON, or was meant to be.

use crate::vocabulary::number_as_id;

/// More is not looked at: bytes, and ids.
const MOST_BYTES: usize = 64 * 1024;
const MOST_IDS: usize = 1_000;

/// Fields whose numbers may be of a user.
const OF_USERS: [&str; 2] = ["user_id", "session_id"];

/// Texts in `value` that may be the id of a user, as ids are spelt, in order: every text but names of fields, and
/// numbers in fields of users. It need not be JSON: of an event that is refused, whose it is may still stand in it.
/// Where it has no names at all, every word counts.
pub fn ids_in(value: &[u8]) -> impl Iterator<Item = String> {
    let value = &value[..value.len().min(MOST_BYTES)];
    let (mut at, mut of_user) = (0, true);
    let ids = std::iter::from_fn(move || {
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
                let read: Option<String> = serde_json::from_slice(&quoted).ok();
                let text = read.unwrap_or_else(|| String::from_utf8_lossy(inner).into_owned());
                let behind = value.get(at..).unwrap_or_default();
                if behind.trim_ascii_start().first() == Some(&b':') {
                    of_user = OF_USERS.contains(&&*text);
                } else {
                    return Some(text);
                }
            } else if !is_between(byte) {
                let start = at - 1;
                while value.get(at).is_some_and(|byte| !is_between(*byte)) {
                    at += 1;
                }
                if of_user {
                    let word = String::from_utf8_lossy(&value[start..at]);
                    return Some(number_as_id(&word).unwrap_or_else(|| word.into_owned()));
                }
            }
        }
    });
    ids.take(MOST_IDS)
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
        ] {
            assert!(ids_in(value.as_bytes()).any(|found| found == id), "{value}");
        }
        assert!(!ids_in(br#"{"user_id":"u11","x":"u1 and more"}"#).any(|found| found == "u1"));
        assert_eq!(ids_in(b"\xff\"\xfe\\").count(), 2, "no bytes break it");
    }

    #[test]
    fn names_of_fields_and_numbers_of_other_fields_are_no_ids_and_there_are_not_endlessly_many() {
        let event = br#"{"type":"view","user_id":"u2","value":1,"price" : 1.0,"items":[1,2]}"#;
        assert_eq!(ids_in(event).collect::<Vec<_>>(), ["view", "u2"]);
        assert_eq!(ids_in("1,".repeat(1 << 20).as_bytes()).count(), MOST_IDS);
    }
}
