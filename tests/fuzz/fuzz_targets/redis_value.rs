//! What lies in Redis under our keys: profiles, lists and marks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::{Keys, Slate, StoredProfile};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(profile) = StoredProfile::decode(bytes) {
        assert_eq!(StoredProfile::decode(&profile.encode()).expect("it was written just now"), profile);
    }
    let _ = Slate::decode(bytes);
    if let Ok(key) = std::str::from_utf8(bytes) {
        let keys = Keys::new("shop:");
        if let Some(user) = keys.name_of_user(key) {
            assert_eq!(keys.user(user), key);
        }
    }
});
