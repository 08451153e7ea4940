//! `items import`: any file is read, or refused with a sentence; rows are items or are counted.
#![no_main]

use std::io::{Seek, Write};
use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<Mutex<tempfile::NamedTempFile>> =
    LazyLock::new(|| Mutex::new(tempfile::NamedTempFile::new().expect("a temporary file opens")));

fuzz_target!(|bytes: &[u8]| {
    let mut file = FILE.lock().expect("nobody panicked");
    file.as_file().set_len(0).expect("it is ours");
    file.rewind().expect("it is a file");
    file.write_all(bytes).expect("there is room");
    match thalweg::count_items(file.path()) {
        Ok([rows, items, left_out]) => assert_eq!(rows, items + left_out, "every row is an item or is counted"),
        Err(why) => assert!(!why.trim().is_empty() && !why.contains(char::is_control), "{why:?}"),
    }
});
