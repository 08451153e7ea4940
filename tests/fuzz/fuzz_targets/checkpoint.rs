//! `checkpoints`: lines `key TAB value` are records in their order; a line that begins with `!` has the right checksum.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use versions::{Assembler, Outcome};

fuzz_target!(|bytes: &[u8]| {
    let mut assembler = Assembler::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let (sealed, line) = line.strip_prefix(b"!").map_or((false, line), |line| (true, line));
        let at = line.iter().position(|byte| *byte == b'\t');
        let (key, value) = at.map_or((line, None), |at| (&line[..at], Some(Bytes::copy_from_slice(&line[at + 1..]))));
        let checksum = value.as_ref().filter(|_| sealed).map(|value| blake3::hash(value).to_hex().to_string());
        let before = assembler.epoch();
        let outcome = assembler.push(key, value, checksum.as_deref().map(str::as_bytes));
        assert!(assembler.epoch() >= before, "epochs only rise");
        if let Outcome::Whole(manifest, payload) = outcome {
            assert_eq!(manifest.bytes, payload.len() as u64);
        }
    }
});
