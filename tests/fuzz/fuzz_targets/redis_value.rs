//! What lies in Redis under our keys: profiles, lists and marks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::keys::Kind;
use schemas::{Keys, Mark, Slate, StoredProfile};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(profile) = StoredProfile::decode(bytes) {
        assert_eq!(StoredProfile::decode(&profile.encode()).expect("it was written just now"), profile);
    }
    // As a scorer reads it: within bounds, and what it writes of that is read again.
    if let Ok(profile) = versions::profile::read(bytes, 16) {
        assert!(profile.profile.recent.len() <= 16 && profile.profile.elsewhere.len() <= versions::profile::ELSEWHERE);
        assert!(versions::profile::seen(&profile.profile, 8).len() <= 8);
        assert_eq!(versions::profile::read(&profile.encode(), 16).expect("it was written just now"), profile);
    }
    if let Some(mark) = Mark::decode(bytes) {
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }
    let _ = Slate::decode(bytes);
    let keys = Keys::new("shop:");
    match keys.kind(bytes) {
        Some(Kind::User(user)) => assert_eq!(keys.user(user).as_bytes(), bytes),
        Some(Kind::Similar(item)) => assert_eq!(keys.similar(item).as_bytes(), bytes),
        _ => {}
    }
});
