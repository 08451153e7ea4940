//! Writes and checks the chains of records on `audit`.

use std::collections::BTreeMap;

use schemas::VersionId;
use schemas::audit::{Entry, hash};

/// What was done; the chain gives it its place.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The version that it is about.
    pub version: Option<VersionId>,
    /// Why.
    pub reason: String,
    /// The numbers that it was decided on.
    pub evidence: BTreeMap<String, f64>,
}

/// The records of one writer.
#[derive(Debug, Clone)]
pub struct Chain {
    writer: String,
    /// Chains of this writer that were broken off.
    broken_off: u32,
    seq: u64,
    prev: String,
}

impl Chain {
    /// Begins a chain. No other writer may have this name.
    #[must_use]
    pub fn new(writer: String) -> Self {
        Self { writer, broken_off: 0, seq: 0, prev: String::new() }
    }

    /// Goes on under another name, with record 1: nobody waited for the last record, and it may be written yet. Another
    /// of its number would look like a forgery then.
    pub fn break_off(&mut self) {
        self.broken_off += 1;
        (self.seq, self.prev) = (0, String::new());
    }

    /// The key and value of the next record, `at` in milliseconds since 1970.
    pub fn next(&mut self, deed: Deed, at: i64) -> (String, Vec<u8>) {
        let Deed { actor, action, subject, version, reason, evidence } = deed;
        self.seq += 1;
        let name = match self.broken_off {
            0 => self.writer.clone(),
            n => format!("{}+{n}", self.writer),
        };
        let (seq, prev) = (self.seq, std::mem::take(&mut self.prev));
        let entry = Entry { writer: name.clone(), seq, prev, at, actor, action, subject, version, reason, evidence };
        let value = serde_json::to_vec(&entry).expect("an entry has nothing that JSON has not");
        self.prev = hash(&value);
        (name, value)
    }
}

/// Goes through the topic and checks every chain.
#[derive(Debug, Default)]
pub struct Verifier {
    /// By writer, the number and hash of its last record.
    last: BTreeMap<String, (u64, String)>,
}

impl Verifier {
    /// Takes the next record: what it says, and what is wrong with its place, if anything is.
    ///
    /// # Errors
    /// When it is no record of the audit.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(Entry, Option<String>), String> {
        let value = value.ok_or_else(|| "a record without a value: audit holds none".to_owned())?;
        let entry = Entry::read(value)?;
        if entry.writer.as_bytes() != key {
            return Err(format!("record {} of {} lies under another key", entry.seq, entry.writer));
        }
        let (seq, prev) = self.last.get(&entry.writer).cloned().unwrap_or_default();
        let (writer, n) = (&entry.writer, entry.seq);
        let wrong = if n == seq + 1 {
            (entry.prev != prev).then(|| match seq {
                0 => format!("record {n} of {writer} does not begin its chain"),
                _ => format!("record {seq} of {writer} was changed, or record {n} was"),
            })
        } else if n <= seq {
            Some(format!("record {n} of {writer} comes behind record {seq}: out of order, or written twice"))
        } else if n == seq + 2 {
            Some(format!("record {} of {writer} is missing", seq + 1))
        } else {
            Some(format!("records {} to {} of {writer} are missing", seq + 1, n - 1))
        };
        if n > seq {
            self.last.insert(writer.clone(), (n, hash(value)));
        }
        Ok((entry, wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = (String, Vec<u8>);

    fn written(writer: &str, records: usize) -> Vec<Written> {
        let mut chain = Chain::new(writer.to_owned());
        let deed = Deed { actor: "ann".into(), action: "pin".into(), subject: "release".into(), ..Deed::default() };
        (0..records).map(|n| chain.next(Deed { reason: format!("for the {n}th time"), ..deed.clone() }, 5)).collect()
    }

    fn faults(records: &[Written]) -> Vec<String> {
        let mut verifier = Verifier::default();
        let taken = records.iter().map(|(key, value)| verifier.take(key.as_bytes(), Some(value)));
        taken.filter_map(|taken| taken.map_or_else(Some, |(_, wrong)| wrong)).collect()
    }

    #[test]
    fn chains_of_several_writers_that_nobody_touched_hold() {
        let (a, b) = (written("a", 3), written("b", 2));
        let mixed = [&a[..1], &b[..], &a[1..]].concat();
        assert_eq!(faults(&mixed), Vec::<String>::new());
    }

    #[test]
    fn a_record_that_nobody_waited_for_leaves_no_fault_whether_it_is_written_later_or_never() {
        let mut chain = Chain::new("a".to_owned());
        let deed = Deed { actor: "ann".into(), action: "pin".into(), subject: "release".into(), ..Deed::default() };
        let mut next = || chain.next(deed.clone(), 5);
        let (first, late) = (next(), next());
        chain.break_off();
        let mut next = || chain.next(deed.clone(), 5);
        let (third, fourth) = (next(), next());
        let never = [first.clone(), third.clone(), fourth.clone()];
        for records in [&never[..], &[first.clone(), late.clone(), third.clone()], &[first, third, late, fourth]] {
            assert_eq!(faults(records), Vec::<String>::new());
        }
    }

    #[test]
    fn a_changed_a_missing_and_a_reordered_record_are_found_and_named() {
        let whole = written("a", 5);
        let mut changed = whole.clone();
        let text = String::from_utf8(changed[1].1.clone()).expect("is JSON").replace("1th", "7th");
        changed[1].1 = text.into_bytes();
        assert_eq!(faults(&changed), ["record 2 of a was changed, or record 3 was"]);
        let missing = [&whole[..2], &whole[3..]].concat();
        assert_eq!(faults(&missing), ["record 3 of a is missing"]);
        assert_eq!(faults(&whole[2..]), ["records 1 to 2 of a are missing"]);
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert!(faults(&swapped).iter().any(|fault| fault.contains("record 2 of a comes behind record 3")));
        let forged = [whole.clone(), vec![("b".to_owned(), whole[0].1.clone())]].concat();
        assert_eq!(faults(&forged), ["record 1 of a lies under another key"]);
        assert!(Verifier::default().take(b"a", None).is_err());
    }
}
