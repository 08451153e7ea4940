//! Holds the encodings to the bytes in `golden/`, which other people's programs rely on.
//!
//! A test that fails here says that a change breaks readers. To accept it, and to bump the format's version:
//! `THALWEG_WRITE_GOLDEN=1 cargo test --workspace --lib golden`.

use std::path::PathBuf;

use crate::checkpoint::{Claim, PayloadKind, Quality, Through};
use crate::slate::Encoding;
use crate::{
    Entry, Event, Interaction, Item, Kind, Manifest, Message, Profile, Seen, Slate, Source, StoredProfile, VersionId,
};

fn holds(name: &str, bytes: &[u8]) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("THALWEG_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, bytes).expect("golden/ is writable");
    }
    let golden = std::fs::read(&file).expect("the golden file is there");
    assert!(golden == bytes, "{name} is encoded otherwise than its readers expect");
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("serialises")
}

fn slate() -> Slate {
    let entry = |id: &str, score, from: &str, because: &[&str]| Entry {
        id: id.into(),
        score,
        from: from.into(),
        because: because.iter().map(|id| (*id).to_owned()).collect(),
    };
    Slate {
        v: Slate::V,
        model: VersionId { epoch: 3, sequence: 120 }.to_string(),
        source: Slate::source_of("events", 3, 918_273),
        event_ts: 1_700_000_000_123,
        made_at: 1_700_000_000_140,
        items: vec![entry("i9", 0.9375, "sequence", &["i2"]), entry("i4", 0.5, "popularity", &[])],
    }
}

#[test]
fn a_slate_keeps_both_its_encodings() {
    holds("slate.json", &slate().encode(Encoding::Json));
    let packed = slate().encode(Encoding::Packed);
    holds("slate.packed", &packed);
    assert_eq!(Slate::decode(&packed).expect("decodes"), slate());
}

#[test]
fn an_interaction_keeps_its_encoding() {
    let interaction = Interaction {
        user_id: "u42".into(),
        item_id: "i9".into(),
        kind: Kind::Purchase.into(),
        ts: 1_700_000_000_123,
        session_id: "s7".into(),
        value: Some(19.9),
        shown: vec!["i1".into()],
        event_id: "01J9".into(),
        source: Some(Source { partition: 3, offset: 918_273, topic: 2, incarnation: 7 << 32 | 5 }),
        arrived_at: 1_700_000_000_125,
    };
    holds("interaction.pb", &interaction.encode_to_vec());
}

#[test]
fn a_profile_keeps_its_encoding() {
    let stored = StoredProfile {
        source: Source { partition: 3, offset: 918_273, ..Source::default() },
        profile: Profile {
            recent: vec![Seen { item_id: "i9".into(), kind: Kind::View.into(), ts: 1_700_000_000_123 }],
            counts: vec![0, 0, 1],
            first_ts: 1_700_000_000_123,
            last_ts: 1_700_000_000_123,
            slate: vec!["i4".into()],
            elsewhere: Vec::new(),
            owed: false,
        },
    };
    holds("profile.bin", &stored.encode());
    let before = std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/profile.1.bin"));
    let before = before.expect("the golden file of before is there");
    assert_eq!(StoredProfile::decode(&before).expect("it is read"), stored, "what lies in a Redis of before is read");
}

#[test]
fn a_manifest_and_a_claim_keep_their_encoding() {
    let version = VersionId { epoch: 3, sequence: 120 };
    let quality = Quality { hr20: 0.5, mrr20: 0.25, tested: 1_000, first_time_hr20: 0.375, first_time_tested: 800 };
    let quality = [("model".to_owned(), quality)];
    let manifest = Manifest {
        v: Manifest::V,
        version,
        kind: PayloadKind::Delta,
        parent: Some(VersionId { epoch: 3, sequence: 119 }),
        chunks: 2,
        bytes: 1_000_000,
        checksum: "00".repeat(32),
        through: [(0, Through { next: 7, source: 6, incarnation: 7 << 32 | 5, topic: 0, log: 9 })].into(),
        interactions: 7,
        items: None,
        event_ts: 1_700_000_000_123,
        made_at: 1_700_000_000_200,
        arrivals: vec![(1_700_000_000_120, 7)],
        quality: quality.clone().into(),
        quality_overall: quality.into(),
        release: "0.1.0".into(),
        untrained: [].into(),
        good: None,
        evidence: 0.0,
        guarded: None,
        contest: None,
    };
    holds("manifest.json", &json(&manifest));
    holds(
        "claim.json",
        &json(&Claim { epoch: 3, trainer: "trainer-1".into(), claimed_at: 1_700_000_000_000, anew: false }),
    );
}

#[test]
fn an_event_and_an_item_are_read_as_applications_write_them() {
    let event = br#"{"event_id":"01J9","type":"view","user_id":"u42","session_id":"s7","item_id":"i9","ts":1700000000123,"value":19.9}"#;
    let read: Event = serde_json::from_slice(event).expect("parses");
    holds("event.json", &json(&read));
    let item = br#"{"item_id":"i9","title":"Shoe","categories":["shoes","running"],"brand":"Vera","price":79.0,"published_at":1699990000000,"available":true,"attributes":{"colour":"red"}}"#;
    let read: Item = serde_json::from_slice(item).expect("parses");
    holds("item.json", &json(&read));
}
