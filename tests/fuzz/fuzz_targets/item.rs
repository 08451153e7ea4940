//! `items`: lines `key TAB value` are records in their order; without a tab the value is empty, which delists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Catalog;
use schemas::MAX_ID_BYTES;
use schemas::item::{Fold, read};

fuzz_target!(|bytes: &[u8]| {
    let (mut fold, mut catalog) = (Fold::default(), Catalog::default());
    for line in bytes.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
        let reading = read(&line[..at], line.get(at + 1..));
        if let (Some((id, item)), _) = fold.take(reading) {
            assert!((1..=MAX_ID_BYTES).contains(&id.len()));
            catalog.apply(&id, item.as_ref());
        }
    }
    catalog.settle();
});
