//! What lies in Redis under our keys: profiles, lists and marks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::keys::Kind;
use schemas::{Keys, Slate, StoredProfile};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(profile) = StoredProfile::decode(bytes) {
        assert_eq!(StoredProfile::decode(&profile.encode()).expect("it was written just now"), profile);
    }
    let _ = Slate::decode(bytes);
    let keys = Keys::new("shop:");
    match keys.kind(bytes) {
        Some(Kind::User(user)) => assert_eq!(keys.user(user).as_bytes(), bytes),
        Some(Kind::Similar(item)) => assert_eq!(keys.similar(item).as_bytes(), bytes),
        _ => {}
    }
});
