//! Forged payloads: real ones, changed and sealed again. They are refused, or what is made of them can be served.

use std::collections::HashMap;

use proptest::prelude::*;
use schemas::{Interaction, Kind, Source, VersionId};
use serde_json::{Value, json};

use super::*;
use crate::testing::Tensors;
use crate::version::payload::METADATA;
use crate::{Catalog, Learner, Model, Positioned, RowEncoding, Settings};

/// A version as it was published, and what it builds on.
struct Version {
    before: Model,
    manifest: Manifest,
    payload: Vec<u8>,
}

fn empty() -> Model {
    Model::serving("flex", RowEncoding::F32).expect("opens")
}

/// A snapshot and the delta behind it, of a small shop with content.
fn versions(row_encoding: RowEncoding) -> [Version; 2] {
    let settings = Settings {
        dim: 16,
        negatives: 16,
        retrieval_items: 64,
        max_items: 1_000,
        delta_tolerance: 0.001,
        row_encoding,
        ..Settings::default()
    };
    let mut learner = Learner::new(settings).expect("opens");
    for n in 0..40 {
        let item = serde_json::from_value(json!({"item_id": format!("i{n}"), "brand": format!("b{}", n % 5)}));
        learner.catalog(&format!("i{n}"), Some(&item.expect("an item")), 0);
    }
    let mut next = 0;
    let mut before = empty();
    [PayloadKind::Snapshot, PayloadKind::Delta].map(|kind| {
        let batch: Vec<Positioned> = (next..next + 60).map(viewed).collect();
        next += 60;
        learner.observe(&batch);
        let frozen = learner.freeze(kind).expect("freezes");
        let payload = frozen.encode().expect("encodes");
        let version = VersionId { epoch: 1, sequence: u32::try_from(next / 60).expect("is small") };
        let manifest = frozen.manifest(version, before.version(), 0);
        let after = before.apply(&manifest, &payload).expect("a real one applies");
        let before = std::mem::replace(&mut before, after);
        Version { before, manifest, payload }
    })
}

fn viewed(n: i64) -> Positioned {
    let interaction = Interaction {
        user_id: format!("u{}", n % 7),
        item_id: format!("i{}", n * n % 50),
        kind: Kind::View.into(),
        ts: 1_700_000_000_000 + n * 1_000,
        arrived_at: 1_700_000_000_000 + n * 1_000,
        source: Some(Source { partition: 0, offset: n, ..Source::default() }),
        ..Interaction::default()
    };
    Positioned { partition: 0, offset: n, interaction }
}

/// The payload with other metadata and tensors.
fn changed(payload: &[u8], change: impl FnOnce(&mut Value, &mut Tensors)) -> Vec<u8> {
    crate::testing::changed(payload, |texts, tensors| {
        let mut metadata: Value = serde_json::from_str(&texts[METADATA]).expect("is JSON");
        change(&mut metadata, tensors);
        *texts = HashMap::from([(METADATA.to_owned(), metadata.to_string())]);
    })
}

/// Applies it; what goes live can be served.
fn attempt(version: &Version, payload: &[u8]) -> Result<(), String> {
    let model = version.before.apply(&version.manifest, payload).map_err(|error| error.to_string())?;
    let catalog = Catalog::default();
    let history: Vec<crate::Seen> = (0..5).map(|n| seen(&format!("i{n}"))).collect();
    let user = crate::UserView { user: schemas::UserKey(1), history: &history, ts: 1_700_000_200_000 };
    let hot = model.hot(&catalog, 20, 100, user.ts).lists.into_iter().map(|(_, list)| list);
    let new = model.new_items(&catalog, 20, 100, user.ts).lists.into_iter().map(|(_, list)| list);
    let similar = model.similar(&["i1", "i4"], &catalog, 20);
    let lists = hot.chain(new).chain(similar).chain(model.slates(&[user], &catalog, 20));
    for entry in lists.flatten() {
        assert!(entry.score.is_finite(), "{entry:?}");
    }
    Ok(())
}

fn seen(id: &str) -> crate::Seen {
    crate::Seen { key: key_of(id), kind: Kind::View, ts: 1_700_000_100_000 }
}

fn refusal(version: &Version, what: &str, change: impl FnOnce(&mut Value, &mut Tensors)) -> String {
    attempt(version, &changed(&version.payload, change)).expect_err(&format!("{what} is refused"))
}

#[test]
fn a_setting_a_word_and_a_tensor_of_a_later_release_are_passed_over() {
    for version in versions(RowEncoding::F16) {
        let later = changed(&version.payload, |metadata, tensors| {
            metadata["later"] = json!([1, {"a": null}]);
            metadata["settings"]["later"] = json!({"deep": true});
            metadata["settings"]["weights"]["later"] = json!(0.5);
            tensors.insert("items.later".into(), (Dtype::U8, vec![3], vec![1, 2, 3]));
        });
        attempt(&version, &later).expect("it is taken");
        let told = refusal(&version, "a value of a later release", |metadata, _| {
            metadata["settings"]["encoder"] = json!("later");
        });
        assert!(told.contains("later"), "{told}");
    }
}

#[test]
fn metadata_that_asks_for_more_than_the_payload_holds_is_refused_before_anything_is_made() {
    for version in versions(RowEncoding::F16) {
        attempt(&version, &changed(&version.payload, |_, _| {})).expect("unchanged it is taken");
        let huge = json!(1_u64 << 40);
        for field in [
            "dim",
            "history",
            "heads",
            "candidates",
            "retrieval_items",
            "negatives",
            "remembered",
            "replay_examples",
            "covisitation_neighbours",
            "covisitation_window",
            "sessions",
            "sessions_per_item",
            "session_neighbours",
            "session_gap_s",
            "max_items",
            "max_users",
            "expire_after_s",
            "quality_window",
            "temperature",
        ] {
            let reason = refusal(&version, field, |metadata, _| metadata["settings"][field] = huge.clone());
            assert!(reason.contains(field), "{field}: {reason}");
        }
        for (field, value) in [
            ("slots", huge.clone()),
            ("slots", json!(u64::MAX)),
            ("steps", json!(u64::MAX)),
            ("interactions", json!(u64::MAX)),
            ("first_session", json!(u64::MAX)),
            ("origin", json!(i64::MIN)),
            ("now", json!(i64::MAX)),
            ("interactions", json!(7)),
            ("kind", json!("other")),
        ] {
            refusal(&version, field, |metadata, _| metadata[field] = value.clone());
        }
        // Within the rules, but not what the tensors are.
        for (field, value) in [("dim", 1_024), ("history", 256), ("dim", 8)] {
            refusal(&version, field, |metadata, _| metadata["settings"][field] = json!(value));
        }
    }
}

#[test]
fn a_table_of_many_slots_with_few_items_takes_little() {
    let [version, _] = versions(RowEncoding::F16);
    let last = (MAX_SLOTS - 1) as u32;
    let payload = changed(&version.payload, |metadata, tensors| {
        metadata["slots"] = json!(MAX_SLOTS);
        for name in ["items.slot", "items.row_slot"] {
            let slots = &mut tensors.get_mut(name).expect("is there").2;
            slots[..4].copy_from_slice(&last.to_le_bytes());
        }
    });
    let began = std::time::Instant::now();
    attempt(&version, &payload).expect("sparse tables are possible");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn what_is_not_finite_or_negative_never_goes_live() {
    for encoding in [RowEncoding::F32, RowEncoding::F16, RowEncoding::Int8] {
        for version in versions(encoding) {
            let mut tried = 0;
            let names: Vec<String> =
                Payload::open(&version.payload).expect("opens").names().map(str::to_owned).collect();
            for name in names {
                let last_is = |bad: &[u8]| {
                    changed(&version.payload, |_, tensors| {
                        let values = &mut tensors.get_mut(&name).expect("is there").2;
                        let at = values.len().saturating_sub(bad.len());
                        if values.len() >= bad.len() {
                            values[at..].copy_from_slice(bad);
                        }
                    })
                };
                let payload = Payload::open(&version.payload).expect("opens");
                if payload.data(&name, payload.dtype(&name).expect("is there")).expect("is there").is_empty() {
                    continue;
                }
                let bad: Vec<Vec<u8>> = match payload.dtype(&name).expect("is there") {
                    Dtype::F32 => {
                        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX].map(|x| x.to_le_bytes().to_vec()).into()
                    }
                    Dtype::F16 => [0x7c00_u16, 0xfc00, 0x7e00].map(|x| x.to_le_bytes().to_vec()).into(),
                    Dtype::F64 => [f64::NAN, f64::INFINITY, 1e300].map(|x| x.to_le_bytes().to_vec()).into(),
                    _ => continue,
                };
                for bad in bad {
                    tried += 1;
                    attempt(&version, &last_is(&bad)).expect_err(&format!("{name} with {bad:?} is refused"));
                }
                let sums = ["accumulator", "covisitation.weight", "covisitation.total", "choices.near"];
                if sums.iter().any(|end| name.ends_with(end)) {
                    attempt(&version, &last_is(&(-1.0_f32).to_le_bytes())).expect_err("a negative weight is refused");
                }
            }
            assert!(tried > 40, "{tried}");
        }
    }
}

#[test]
fn indices_ids_and_ranges_that_are_wrong_are_refused() {
    for version in versions(RowEncoding::F16) {
        let set = |name: &'static str, at: usize, bytes: Vec<u8>| {
            refusal(&version, name, move |_, tensors| {
                let values = &mut tensors.get_mut(name).unwrap_or_else(|| panic!("{name} is there")).2;
                values[at..at + bytes.len()].copy_from_slice(&bytes);
            })
        };
        assert!(set("items.slot", 0, u32::MAX.to_le_bytes().into()).contains("beyond the table"));
        assert!(set("items.key", 8, vec![0; 8]).contains("twice"));
        assert!(set("items.id", 0, vec![0xff]).contains("UTF-8"));
        assert!(set("items.id", 0, b"x".to_vec()).contains("not its key's"));
        assert!(set("items.id_end", 0, u32::MAX.to_le_bytes().into()).contains("cuts ids"));
        assert!(set("items.id_end", 0, vec![0; 4]).contains("cuts ids"));
        assert!(set("items.first_ts", 0, i64::MIN.to_le_bytes().into()).contains("time"));
        assert!(set("items.last_ts", 0, i64::MAX.to_le_bytes().into()).contains("time"));
        assert!(set("items.content_of", 0, u32::MAX.to_le_bytes().into()).contains("content_of"));
        assert!(set("items.row_slot", 0, u32::MAX.to_le_bytes().into()).contains("beyond the table"));
        let memory = match version.manifest.kind {
            PayloadKind::Snapshot => {
                assert!(set("covisitation.end", 0, u64::MAX.to_le_bytes().into()).contains("covisitation.end"));
                assert!(set("covisitation.at", 0, i64::MIN.to_le_bytes().into()).contains("time"));
                assert!(set("sessions.number", 0, u64::MAX.to_le_bytes().into()).contains("sessions.number"));
                assert!(set("sessions.end", 0, u64::MAX.to_le_bytes().into()).contains("sessions.end"));
                "sessions.item"
            }
            PayloadKind::Delta => {
                assert!(set("choices.end", 0, u64::MAX.to_le_bytes().into()).contains("choices.end"));
                assert!(set("choices.ts", 0, i64::MIN.to_le_bytes().into()).contains("time"));
                "choices.user"
            }
        };
        assert!(set("content.key", 0, u64::MAX.to_le_bytes().into()).contains("content.key"));
        let twice = refusal(&version, "a slot for two", |_, tensors| {
            let slots = &mut tensors.get_mut("items.slot").expect("is there").2;
            slots.copy_within(0..4, 4);
        });
        assert!(twice.contains("one slot"), "{twice}");
        let rows = if version.manifest.kind == PayloadKind::Delta { "items.sum" } else { "items.row" };
        for name in ["items.key", rows, memory, "ranker.linear.weight", "popularity.total"] {
            let missing = refusal(&version, name, |_, tensors| drop(tensors.remove(name)));
            assert!(missing.contains("missing"), "{missing}");
        }
        let long = refusal(&version, "an id too long", |_, tensors| {
            let ids = &mut tensors.get_mut("items.id").expect("is there");
            (ids.2, ids.1) = (vec![b'x'; 100_000], vec![100_000]);
            let ends = &mut tensors.get_mut("items.id_end").expect("is there").2;
            ends[..4].copy_from_slice(&90_000_u32.to_le_bytes());
        });
        assert!(long.contains("too long"), "{long}");
    }
}

#[test]
fn weights_that_are_finite_but_make_scores_that_are_not_are_refused() {
    let [version, _] = versions(RowEncoding::F16);
    let reason = refusal(&version, "a ranker of large weights", |_, tensors| {
        for (name, (dtype, _, bytes)) in tensors.iter_mut() {
            if name.starts_with("ranker.") && *dtype == Dtype::F32 {
                bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|x| *x = 9e11_f32.to_le_bytes());
            }
        }
    });
    assert!(reason.contains("too large"), "{reason}");
}

#[test]
fn a_header_that_takes_more_than_it_is_worth_is_refused() {
    let [version, _] = versions(RowEncoding::F16);
    for length in [0, 1, u64::MAX, 90_000_000] {
        let mut payload = version.payload.clone();
        payload[..8].copy_from_slice(&u64::to_le_bytes(length));
        attempt(&version, &payload).expect_err("is refused");
    }
    for length in [0, 1, 7, 8, 9, 100] {
        attempt(&version, &version.payload[..length]).expect_err("is refused");
    }
    let blown = changed(&version.payload, |_, tensors| {
        for n in 0..20_000 {
            tensors.insert(format!("encoder.{n}"), (Dtype::F32, vec![0], Vec::new()));
        }
    });
    assert!(attempt(&version, &blown).expect_err("is refused").contains("longer than any"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_payload_with_any_bytes_changed_is_refused_or_can_be_served(
        delta in any::<bool>(),
        int8 in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        header in any::<bool>(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let versions = shared(int8);
        let version = &versions[usize::from(delta)];
        let mut payload = version.payload.clone();
        for (at, byte) in changes {
            let within = if header { 3_000.min(payload.len()) } else { payload.len() };
            let at = at.index(within);
            payload[at] ^= byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len()));
        }
        let _ = attempt(version, &payload); // it panics where what went live cannot be served
    }

    #[test]
    fn a_payload_with_any_tensor_changed_is_refused_or_can_be_served(
        delta in any::<bool>(),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        values in prop_oneof![
            any::<[u8; 8]>(),
            prop_oneof![Just(u64::MAX), Just(0), Just(1 << 63), Just(1 << 31), any::<u64>()].prop_map(u64::to_le_bytes),
            prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)].prop_map(f64::to_le_bytes),
        ],
    ) {
        let versions = shared(false);
        let version = &versions[usize::from(delta)];
        let payload = changed(&version.payload, |_, tensors| {
            let name = tensors.keys().nth(which.index(tensors.len())).expect("is there").clone();
            let bytes = &mut tensors.get_mut(&name).expect("is there").2;
            if bytes.len() >= 8 {
                let at = at.index(bytes.len() / 8) * 8;
                bytes[at..at + 8].copy_from_slice(&values);
            }
        });
        let _ = attempt(version, &payload);
    }
}

fn shared(int8: bool) -> &'static [Version; 2] {
    static F16: std::sync::OnceLock<[Version; 2]> = std::sync::OnceLock::new();
    static INT8: std::sync::OnceLock<[Version; 2]> = std::sync::OnceLock::new();
    if int8 { INT8.get_or_init(|| versions(RowEncoding::Int8)) } else { F16.get_or_init(|| versions(RowEncoding::F16)) }
}
