//! What a version holds, as a snapshot and as a delta.

use super::*;
use crate::settings::Architecture;

#[test]
fn a_snapshot_and_its_deltas_give_the_learners_own_slates() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let stream = stream(1_200);
    let (first, rest) = stream.split_at(400);
    learn(&mut learner, first);
    let (mut model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    for (n, part) in (2..).zip(rest.chunks(200)) {
        learn(&mut learner, part);
        model = publish(&mut learner, &model, PayloadKind::Delta, n).0;
    }
    let (whole, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 9);
    let history = [Seen { key: key_of("i7"), kind: Kind::View, ts: 1_700_000_900_000 }];
    let view = [UserView { user: UserKey::NOBODY, history: &history, ts: 1_700_000_900_000 }];
    let catalog = Catalog::default();
    let slates = model.slates(&view, &catalog, 20);
    assert_eq!(slates, whole.slates(&view, &catalog, 20));
    assert_eq!(slates[0].first().map(|entry| entry.id.as_str()), Some("i8"), "{slates:?}");
    assert_eq!(model.knowledge().interactions(), 1_200);
}

#[test]
fn a_version_of_another_encoder_is_refused_and_says_what_to_set() {
    let mut learner = Learner::new(Settings { encoder: Architecture::Gru, ..settings() }).expect("flex opens");
    learn(&mut learner, &stream(64));
    let (model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let refusal = Learner::restore(settings(), &model).expect_err("refuses").to_string();
    assert!(refusal.contains("model.encoder = \"gru\""), "{refusal}");
}

#[test]
fn a_delta_carries_only_what_changed() {
    let mut learner = Learner::new(Settings { negatives: 16, ..settings() }).expect("flex opens");
    let items: Vec<String> = (0..900).map(|n| format!("c{n}")).collect();
    for id in &items {
        let item = serde_json::from_value(serde_json::json!({ "item_id": id })).expect("an item");
        learner.catalog(id, Some(&item), 0);
    }
    learn(&mut learner, &stream(64));
    let whole = learner.freeze(PayloadKind::Snapshot).expect("freezes").encode().expect("encodes");
    learn(&mut learner, &stream(128)[64..]);
    let delta = learner.freeze(PayloadKind::Delta).expect("freezes").encode().expect("encodes");
    let empty = learner.freeze(PayloadKind::Delta).expect("freezes").encode().expect("encodes");
    assert!(delta.len() < whole.len(), "{} {}", delta.len(), whole.len());
    assert!(empty.len() < delta.len());
}

#[test]
fn a_delta_of_more_items_than_the_front_holds_shares_the_table_and_says_the_same() {
    let empty = Model::empty("flex").expect("opens");
    for (listed, shares) in [(40, false), (400, true)] {
        let mut learner = Learner::new(settings()).expect("flex opens");
        learn(&mut learner, &stream(32));
        let (model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
        for n in 0..listed {
            let item: Item = serde_json::from_str(&format!(r#"{{"item_id":"listed{n}"}}"#)).expect("an item");
            learner.catalog(&item.item_id, Some(&item), 1_700_000_000_000);
        }
        assert_eq!(learner.changed.items.len() > settings().retrieval_items, shares);
        let frozen = learner.freeze(PayloadKind::Delta).expect("freezes");
        assert_eq!(frozen.items.is_none(), shares);
        learn(&mut learner, &stream(64)[32..]);
        let payload = frozen.encode().expect("encodes");
        let manifest = frozen.manifest(VersionId { epoch: 1, sequence: 2 }, model.version(), 0);
        let model = model.apply(&manifest, &payload).expect("applies");
        assert!((0..listed).all(|n| model.knows(key_of(&format!("listed{n}")))), "{listed}");
    }
}

#[test]
fn what_is_learned_after_a_freeze_is_not_in_the_version() {
    // A delta copies few changed items, and shares the table where they are more than the hot set holds: here 64.
    for (retrieval_items, copied) in [(1_024, true), (64, false)] {
        let mut learner = Learner::new(Settings { retrieval_items, ..settings() }).expect("flex opens");
        for n in 0..200 {
            let item = serde_json::from_value(serde_json::json!({ "item_id": format!("c{n}") })).expect("an item");
            learner.catalog(&format!("c{n}"), Some(&item), 0);
        }
        let stream = stream(512);
        learn(&mut learner, &stream[..256]);
        let frozen = learner.freeze(PayloadKind::Delta).expect("freezes");
        assert_eq!(frozen.items.is_some(), copied);
        let encoded = frozen.encode().expect("encodes");
        learn(&mut learner, &stream[256..]);
        assert!(frozen.encode().expect("encodes") == encoded, "{copied}");
    }
}

#[test]
fn deltas_give_the_same_tables_as_a_snapshot_even_when_items_go_and_come_back() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let mut stream = stream(6_000);
    for (n, positioned) in stream.iter_mut().enumerate() {
        positioned.interaction.item_id = format!("i{}", n * 7_919 % 1_100);
    }
    let empty = Model::empty("flex").expect("opens");
    let (mut model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    for (n, part) in (2..).zip(stream.chunks(1_500)) {
        learn(&mut learner, part);
        model = publish(&mut learner, &model, PayloadKind::Delta, n).0;
    }
    assert_eq!(learner.sizes().0, 1_000, "the bound was reached, so items went");
    assert_eq!(differing(&model.export().expect("exports"), &snapshot(&mut learner)), Vec::<String>::new());
}

#[test]
fn an_exported_version_says_where_it_stood_and_makes_the_same_model_under_another_name() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let stream = stream(800);
    learn(&mut learner, &stream[..400]);
    let (first, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    learn(&mut learner, &stream[400..]);
    let frozen = learner.freeze(PayloadKind::Delta).expect("freezes");
    let payload = frozen.encode().expect("encodes");
    let manifest = frozen.manifest(VersionId { epoch: 1, sequence: 2 }, first.version(), 0);
    // As whoever cuts the payload in pieces fills it in.
    let manifest = Manifest { chunks: 1, bytes: payload.len() as u64, checksum: "0".repeat(64), ..manifest };
    let model = first.apply(&manifest, &payload).expect("applies");
    let exported = model.export().expect("exports");
    let payload = crate::Payload::open(&exported).expect("opens");
    let told = payload.exported().expect("is readable").expect("is there");
    assert_eq!((told.version, told.kind, told.parent), (manifest.version, PayloadKind::Snapshot, None));
    assert_eq!((told.through, told.interactions), (manifest.through, 800));

    let name = VersionId { epoch: 7, sequence: 1 };
    let again = Model::empty("flex").expect("opens").apply(&payload.manifest(name, 5), &exported).expect("applies");
    assert_eq!((again.version(), again.manifest().map(|m| m.through.len())), (Some(name), Some(0)));
    assert_eq!(differing(&again.export().expect("exports"), &exported), Vec::<String>::new());
    let published = snapshot(&mut learner);
    assert_eq!(crate::Payload::open(&published).expect("opens").exported().expect("has none"), None);
}

#[test]
fn a_row_that_is_no_number_is_found_before_its_version_is_published() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(64));
    let slot = learner.knowledge.table().slot(key_of("i1")).expect("it was met");
    learner.knowledge.set_row(slot, None, |row, _| row[0] = f32::NAN);
    let frozen = learner.freeze(PayloadKind::Snapshot).expect("freezes");
    let payload = frozen.encode().expect("encodes");
    let manifest = frozen.manifest(VersionId { epoch: 1, sequence: 1 }, None, 0);
    let error = crate::Payload::open(&payload).expect("opens").check(Some(&manifest)).expect_err("is refused");
    assert!(error.to_string().contains("not finite"), "{error}");
}
