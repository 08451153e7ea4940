//! `interactions`: what is read is within bounds that sums of times and offsets stand.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::{Interaction, MAX_ID_BYTES, Written};

fuzz_target!(|bytes: &[u8]| {
    let at = |at, by_broker| Written { partition: 0, at, by_broker };
    for written in [at(-1, false), at(1_700_000_000_000, true)] {
        if let Ok((interaction, source)) = Interaction::read(Some(bytes), written) {
            assert!(source.partition >= 0 && source.offset >= 0);
            assert!((1..=MAX_ID_BYTES).contains(&interaction.user_id.len()));
            assert!((0..1 << 53).contains(&interaction.effective_ts()));
        }
    }
});
