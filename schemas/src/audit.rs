//! What was done to releases, and by whom: records on the topic `audit`, which are never deleted.
//!
//! Each writer numbers its records from 1 and names in each the hash of the one before. So a record that is missing,
//! out of order or changed shows, but for the last of a writer.

mod chain;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::VersionId;
use crate::checkpoint::{is_time, shown};

pub use chain::{Chain, Deed, Verifier};

/// The action of who refused records or versions.
pub const REFUSED: &str = "refuse";

/// A text as an entry may hold it: no longer than so many bytes, and without control characters. A stranger may have
/// chosen it.
#[must_use]
pub fn fitting(text: &str, most: usize) -> String {
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.truncate(text.floor_char_boundary(most));
    text
}

/// The longest record.
const MAX_BYTES: usize = 64 * 1024;

/// The longest text in it, in bytes.
const MAX_TEXT: usize = 1_000;

/// Entries of `evidence`.
const MAX_EVIDENCE: usize = 64;

/// Value of a record on `audit` (JSON); its key is the writer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Who wrote it: a process.
    pub writer: String,
    /// Counts the writer's records, from 1.
    pub seq: u64,
    /// BLAKE3 of the value of the writer's record before, hexadecimal; empty in the first.
    pub prev: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Who did it: a person, or the gate.
    pub actor: String,
    /// What was done, such as `pin` or `rollback`.
    pub action: String,
    /// To what, such as `release`.
    pub subject: String,
    /// The version that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The numbers that it was decided on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, f64>,
}

impl Entry {
    /// Reads a record's value.
    ///
    /// # Errors
    /// When it is not readable, or holds what no record can hold.
    pub fn read(value: &[u8]) -> Result<Self, String> {
        if value.len() > MAX_BYTES {
            return Err(format!("the record on audit is longer than {MAX_BYTES} bytes"));
        }
        let entry: Self = serde_json::from_slice(value)
            .map_err(|error| format!("the record on audit is not readable: {}", shown(&error.to_string())))?;
        let Self { writer, seq, prev, at, actor, action, subject, version: _, reason, evidence } = &entry;
        let is_text = |text: &str| text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
        let named = [writer, actor, action, subject].into_iter().all(|name| !name.is_empty() && is_text(name));
        let is_hash = prev.len() == 64 && prev.bytes().all(|b| b.is_ascii_hexdigit());
        let measured = evidence.len() <= MAX_EVIDENCE && evidence.keys().all(|name| is_text(name));
        if !named || !is_text(reason) || !measured || !is_time(*at) {
            return Err("the record on audit names what cannot be".to_owned());
        }
        if *seq == 0 || (*seq == 1) != prev.is_empty() || !(prev.is_empty() || is_hash) {
            return Err("the record on audit has no place in its writer's chain".to_owned());
        }
        Ok(entry)
    }
}

/// What the next record of the same writer names this one by.
#[must_use]
pub fn hash(value: &[u8]) -> String {
    blake3::hash(value).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_stranger_chose_fits_into_an_entry() {
        assert_eq!(fitting(&"\u{fc}".repeat(2_000), 900).len(), 900);
        assert_eq!(fitting(&"\u{fc}".repeat(2_000), 901).len(), 900, "no half of a character");
        assert_eq!(fitting("a\u{1b}b", 900), "ab");
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_what_cannot_be_is_refused() {
        let good = Entry {
            writer: "thalweg-1".into(),
            seq: 2,
            prev: "a".repeat(64),
            at: 1_700_000_000_000,
            actor: "ann".into(),
            action: "pin".into(),
            subject: "release".into(),
            version: Some(VersionId { epoch: 1, sequence: 2 }),
            reason: "a test".into(),
            evidence: BTreeMap::from([("tests".to_owned(), 5.0)]),
        };
        let read = |entry: &Entry| Entry::read(&serde_json::to_vec(entry).expect("serialises"));
        assert_eq!(read(&good), Ok(good.clone()));
        let bad = [
            Entry { seq: 0, ..good.clone() },
            Entry { seq: 1, ..good.clone() },
            Entry { prev: String::new(), ..good.clone() },
            Entry { prev: "x".repeat(64), ..good.clone() },
            Entry { actor: String::new(), ..good.clone() },
            Entry { reason: "\u{1b}[2J".into(), ..good.clone() },
            Entry { at: i64::MAX, ..good.clone() },
        ];
        for entry in bad {
            assert!(read(&entry).is_err(), "{entry:?}");
        }
        assert!(Entry::read(b"{").is_err() && Entry::read(&vec![b' '; 70_000]).is_err());
    }
}
