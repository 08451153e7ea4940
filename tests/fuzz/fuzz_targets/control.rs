//! `control`: lines `key TAB value` are records in their order; without a tab the record takes the word back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::control::Release;
use schemas::{Releases, VersionId};

fuzz_target!(|bytes: &[u8]| {
    let mut releases = Releases::default();
    for (offset, line) in (0_i64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let at = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
        let (key, value) = (&line[..at], line.get(at + 1..));
        let before = releases.clone();
        if let Err(reason) = releases.take(key, value, offset) {
            assert!(!reason.chars().any(char::is_control), "a refusal can be shown");
            assert_eq!(releases, before, "what is refused changes nothing");
        }
        if let Some(release) = value.and_then(|value| Release::read(value).ok()) {
            let again = serde_json::to_vec(&release).expect("a decision has nothing that JSON has not");
            assert_eq!(Release::read(&again), Ok(release), "it is read as it was written");
        }
    }
    for tip in [VersionId::default(), VersionId { epoch: 3, sequence: 120 }] {
        for now in [0, 1_700_000_000_000, i64::MAX] {
            let _ = (releases.serve(tip, now), releases.pin(now), releases.named());
        }
    }
});
