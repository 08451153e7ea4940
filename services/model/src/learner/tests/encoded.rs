//! What holds in every encoding of rows.

use super::*;

const ALL: [RowEncoding; 3] = [RowEncoding::F32, RowEncoding::F16, RowEncoding::Int8];

fn in_encoding(row_encoding: RowEncoding) -> Settings {
    Settings { row_encoding, ..settings() }
}

/// A learner that knows the catalog and has met a third of the stream.
fn learned(row_encoding: RowEncoding) -> Learner {
    let mut learner = Learner::new(in_encoding(row_encoding)).expect("flex opens");
    for n in 0..50 {
        let item = serde_json::json!({ "item_id": format!("i{n}"), "brand": format!("b{}", n % 5) });
        let item = serde_json::from_value(item).expect("an item");
        learner.catalog(&format!("i{n}"), Some(&item), 0);
    }
    learn(&mut learner, &stream(400));
    learner
}

fn whole(learner: &mut Learner) -> Model {
    publish(learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1).0
}

#[test]
fn deltas_give_the_same_tables_as_a_snapshot_in_every_encoding() {
    for encoding in ALL {
        let mut learner = learned(encoding);
        let mut model = whole(&mut learner);
        for (n, part) in (2..).zip(stream(1_200)[400..].chunks(200)) {
            learn(&mut learner, part);
            model = publish(&mut learner, &model, PayloadKind::Delta, n).0;
        }
        let differing = differing(&model.export().expect("exports"), &snapshot(&mut learner));
        assert_eq!(differing, Vec::<String>::new(), "{encoding:?}");
    }
}

#[test]
fn a_learner_goes_on_from_the_rows_of_the_version_and_writes_them_unchanged() {
    for encoding in ALL {
        let model = whole(&mut learned(encoding));
        let restore = || Learner::restore(in_encoding(encoding), &model).expect("restores");
        let (mut one, mut other) = (restore(), restore());
        assert_eq!(differing(&snapshot(&mut one), &model.export().expect("exports")), Vec::<String>::new());
        // Two that start from one version stay the same.
        for learner in [&mut one, &mut other] {
            learn(learner, &stream(600)[400..]);
        }
        assert_eq!(differing(&snapshot(&mut one), &snapshot(&mut other)), Vec::<String>::new(), "{encoding:?}");
    }
}

#[test]
fn the_encoding_may_change_from_one_version_to_the_next_because_tensors_tell_theirs() {
    let first = whole(&mut learned(RowEncoding::F32));
    let mut learner = Learner::restore(in_encoding(RowEncoding::Int8), &first).expect("restores");
    learn(&mut learner, &stream(600)[400..]);
    let frozen = learner.freeze(PayloadKind::Delta).expect("freezes");
    let delta = frozen.encode().expect("encodes");
    let types = crate::Payload::open(&delta).expect("opens").describe();
    for (name, dtype) in [("items.row", "I8"), ("items.row_scale", "F32"), ("items.content_scale", "F32")] {
        assert!(types.iter().any(|(n, t, _)| n == name && t == dtype), "{name} in {types:?}");
    }
    let manifest = frozen.manifest(VersionId { epoch: 1, sequence: 2 }, first.version(), 0);
    let second = first.apply(&manifest, &delta).expect("applies");
    // Not `after_i7`, where i8 came before: as a repeat newer than the version it has no pairs to speak for it.
    let history = [Seen { key: key_of("i7"), kind: Kind::View, ts: 1_700_000_900_000 }];
    let view = [UserView { user: UserKey::NOBODY, history: &history, ts: 1_700_000_900_000 }];
    assert_eq!(second.slates(&view, &Catalog::default(), 1)[0][0].id, "i8");
}

#[test]
fn slates_of_encoded_rows_begin_like_those_of_exact_ones() {
    let mut exact = learned(RowEncoding::F32);
    learn(&mut exact, &stream(1_200)[400..]);
    let exact = whole(&mut exact);
    for encoding in ALL {
        let mut learner = Learner::restore(in_encoding(encoding), &exact).expect("restores");
        let slate = after_i7(UserKey::NOBODY, &whole(&mut learner), Kind::View);
        assert_eq!(slate[..2], after_i7(UserKey::NOBODY, &exact, Kind::View)[..2], "{encoding:?}");
    }
}

#[test]
fn a_snapshot_in_f16_is_smaller_than_in_f32_and_larger_than_in_int8() {
    let [exact, half, quarter] = ALL.map(|encoding| snapshot(&mut learned(encoding)).len());
    assert!(quarter < half && half < exact, "{exact} {half} {quarter}");
}

fn serving(table: RowEncoding) -> Model {
    Model::serving("flex", table).expect("opens")
}

#[test]
fn a_table_of_vectors_alone_gives_the_slates_of_the_whole_one() {
    let mut learner = learned(RowEncoding::F16);
    learn(&mut learner, &stream(1_200)[400..]);
    let whole = whole(&mut learner);
    let (served, _) = publish(&mut learner, &serving(RowEncoding::F32), PayloadKind::Snapshot, 1);
    assert_eq!(after_i7(UserKey::NOBODY, &served, Kind::View), after_i7(UserKey::NOBODY, &whole, Kind::View));
    assert!(served.knowledge().row_bytes() * 2 < whole.knowledge().row_bytes());
}

#[test]
fn a_served_table_is_the_same_by_deltas_as_by_a_snapshot_in_every_encoding() {
    for table in ALL {
        let mut learner = learned(RowEncoding::F16);
        let (mut model, _) = publish(&mut learner, &serving(table), PayloadKind::Snapshot, 1);
        for (n, part) in (2..).zip(stream(1_200)[400..].chunks(200)) {
            learn(&mut learner, part);
            model = publish(&mut learner, &model, PayloadKind::Delta, n).0;
        }
        let (again, _) = publish(&mut learner, &serving(table), PayloadKind::Snapshot, 9);
        let slates = |model: &Model| {
            let near = model.similar(&["i7", "i8"], &Catalog::default(), 50);
            (after_i7(UserKey::NOBODY, model, Kind::View), near)
        };
        assert_eq!(slates(&model), slates(&again), "{table:?}");
        assert_eq!(after_i7(UserKey::NOBODY, &model, Kind::View)[0], "i8", "{table:?}");
    }
}

#[test]
fn a_version_to_serve_from_is_neither_exported_nor_learned_on_from() {
    let mut learner = learned(RowEncoding::F16);
    let (model, _) = publish(&mut learner, &serving(RowEncoding::F16), PayloadKind::Snapshot, 1);
    assert!(matches!(model.export(), Err(Error::ServesOnly)));
    assert!(matches!(Learner::restore(settings(), &model), Err(Error::ServesOnly)));
}
