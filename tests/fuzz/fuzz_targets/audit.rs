//! `audit`: lines `key TAB value` are records in their order; without a tab the record has no value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::audit::Verifier;

fuzz_target!(|bytes: &[u8]| {
    let mut verifier = Verifier::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
        match verifier.take(&line[..at], line.get(at + 1..)) {
            Ok((entry, wrong)) => {
                assert!(entry.seq > 0, "records count from 1");
                assert_eq!(entry.writer.as_bytes(), &line[..at], "a record lies under its writer");
                assert!(wrong.is_none_or(|fault| fault.contains(&entry.writer)), "a fault names whose record it is");
            }
            Err(reason) => assert!(!reason.chars().any(char::is_control), "a refusal can be shown"),
        }
    }
});
