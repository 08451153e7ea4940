//! Times in logs and in formats that an operator writes; the first line is a format, the rest a time.
#![no_main]

use laboratory::log::{TimeFormat, parse_time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse_time(text);
    let _ = text.lines().next().map(str::parse::<TimeFormat>);
});
