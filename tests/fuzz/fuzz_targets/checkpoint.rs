//! `checkpoints`, put together to versions: see [`fuzz::lines`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use versions::{Assembler, Outcome};

fuzz_target!(|bytes: &[u8]| {
    let mut assembler = Assembler::default();
    for (key, value, checksum) in fuzz::lines(bytes) {
        let before = assembler.epoch();
        let outcome = assembler.push(key, value, checksum.as_deref().map(str::as_bytes));
        assert!(assembler.epoch() >= before, "epochs only rise");
        if let Outcome::Whole(manifest, payload) = outcome {
            assert_eq!(manifest.bytes, payload.len() as u64);
        }
    }
});
