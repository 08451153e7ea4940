//! A configuration file of any service: in force, or refused with what to change.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    fuzz::config(text);
});
