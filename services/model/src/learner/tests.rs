//! What the learner promises, on small streams with a known structure.

use super::*;
use crate::checkpoint::split;
use crate::served::UserView;
use schemas::VersionId;
use schemas::checkpoint::Manifest;

fn settings() -> Settings {
    // A front smaller than the catalogs here: items change places all the time.
    Settings { dim: 16, negatives: 32, retrieval_items: 64, max_items: 1_000, max_users: 1_000, ..Settings::default() }
}

/// Sessions that walk through rings of five items: after `i` always comes `i + 1` of the same ring.
fn stream(count: i64) -> Vec<Positioned> {
    (0..count)
        .map(|n| {
            let (session, step) = (n / 4, n % 4);
            let ring = session % 20;
            let item = ring * 5 + (session / 20 + step) % 5;
            let interaction = Interaction {
                user_id: format!("u{session}"),
                item_id: format!("i{item}"),
                kind: Kind::View.into(),
                ts: 1_700_000_000_000 + n * 1_000,
                source: Some(schemas::Source { partition: 0, offset: n }),
                arrived_at: 1_700_000_000_000 + n * 1_000,
                ..Interaction::default()
            };
            Positioned { partition: 0, offset: n, interaction }
        })
        .collect()
}

fn learn(learner: &mut Learner, batch: &[Positioned]) {
    for micro_batch in batch.chunks(32) {
        learner.observe(micro_batch);
    }
}

/// Publishes a version and applies it, as the trainer and a scorer do.
fn publish(learner: &mut Learner, model: &Model, kind: PayloadKind, sequence: u32) -> (Model, Manifest) {
    let frozen = learner.freeze(kind).expect("freezes");
    let payload = frozen.encode().expect("encodes");
    let version = VersionId { epoch: 1, sequence };
    let (_, manifest) = split(version, model.version(), &frozen, &payload, 0);
    (model.apply(&manifest, &payload).expect("applies"), manifest)
}

#[test]
fn it_learns_a_structure_that_popularity_cannot_see() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(4_000));
    let quality = learner.quality().recent();
    // One choice in four is a session's first, which nobody can know.
    assert!(quality["model"].mrr20 > 0.7, "{quality:?}");
    assert!(quality["popularity"].mrr20 < 0.1, "{quality:?}");
}

#[test]
fn an_interaction_applied_before_is_dropped() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let stream = stream(64);
    learn(&mut learner, &stream);
    let again = learner.observe(&stream[32..]);
    assert_eq!((again.applied, again.dropped), (0, 32));
    assert_eq!(learner.interactions(), 64);
}

#[test]
fn nothing_is_trained_on_before_it_is_tested() {
    // Every item is new, so whoever predicts one of them has looked ahead.
    let mut learner = Learner::new(settings()).expect("flex opens");
    let mut stream = stream(256);
    for (n, positioned) in stream.iter_mut().enumerate() {
        positioned.interaction.item_id = format!("unique{n}");
    }
    learn(&mut learner, &stream);
    for (method, quality) in learner.quality().overall() {
        assert_eq!(quality.hr20, 0.0, "{method} knew what it could not know");
        assert_eq!(quality.tested, 256);
    }
}

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
    let view = [UserView { user: 0, history: &history, ts: 1_700_000_900_000 }];
    let catalog = Catalog::default();
    let slates = model.slates(&view, &catalog, 20);
    assert_eq!(slates, whole.slates(&view, &catalog, 20));
    assert_eq!(slates[0].first().map(|entry| entry.id.as_str()), Some("i8"), "{slates:?}");
    assert_eq!(model.knowledge().interactions, 1_200);
}

#[test]
fn a_restored_learner_goes_on_as_if_nothing_had_happened() {
    let stream = stream(1_024);
    let (before, after) = stream.split_at(512);
    let mut whole = Learner::new(settings()).expect("flex opens");
    learn(&mut whole, before);
    let (model, manifest) = publish(&mut whole, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    assert_eq!(manifest.through[&0], Through { next: 512, source: 511 });
    assert_eq!(manifest.interactions, 512);

    let mut restored = Learner::restore(settings(), &model).expect("restores");
    before.iter().for_each(|positioned| restored.remember(&positioned.interaction));
    let dropped = restored.observe(&before[500..]);
    assert_eq!((dropped.applied, dropped.dropped), (0, 12));
    learn(&mut whole, after);
    learn(&mut restored, after);
    assert_eq!(restored.through(), whole.through());
    assert_eq!(differing(&snapshot(&mut restored), &snapshot(&mut whole)), Vec::<String>::new());
}

#[test]
fn the_same_stream_gives_the_same_weights_and_tables_to_the_bit() {
    let run = || {
        let mut learner = Learner::new(settings()).expect("flex opens");
        learn(&mut learner, &stream(512));
        snapshot(&mut learner)
    };
    assert_eq!(differing(&run(), &run()), Vec::<String>::new());
}

fn snapshot(learner: &mut Learner) -> Vec<u8> {
    learner.freeze(PayloadKind::Snapshot).expect("freezes").encode().expect("encodes")
}

/// Names of the tensors that differ. The optimisers' states are left out: Burn writes them in no fixed order, and what
/// they do shows in the weights.
fn differing(left: &[u8], right: &[u8]) -> Vec<String> {
    let open = |bytes| safetensors::SafeTensors::deserialize(bytes).expect("opens");
    let (left, right) = (open(left), open(right));
    let names = left.names().into_iter().filter(|name| !name.starts_with("optimizer."));
    names.filter(|name| left.tensor(name).ok() != right.tensor(name).ok()).map(str::to_owned).collect()
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
fn at_its_bound_the_table_forgets_what_was_not_seen_for_longest() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let mut stream = stream(3_000);
    for (n, positioned) in stream.iter_mut().enumerate() {
        positioned.interaction.item_id = format!("i{n}");
    }
    learn(&mut learner, &stream);
    assert_eq!(learner.sizes().0, 1_000);
    assert!(learner.knowledge.items.slot(key_of("i2999")).is_some());
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
fn a_delisted_item_is_in_no_list() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    let (model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let mut catalog = Catalog::default();
    catalog.apply("i8", None);
    let history = [Seen { key: key_of("i7"), kind: Kind::View, ts: 1_700_000_900_000 }];
    let view = [UserView { user: 0, history: &history, ts: 1_700_000_900_000 }];
    let mut lists = model.slates(&view, &catalog, 100);
    lists.extend(model.similar(&["i7"], &catalog, 100));
    lists.extend(model.hot(&catalog, 100, 1_700_000_900_000).into_iter().map(|(_, list)| list));
    lists.extend(model.new_items(&catalog, 100).into_iter().map(|(_, list)| list));
    assert!(lists.iter().all(|list| !list.is_empty()));
    assert!(lists.iter().flatten().all(|entry| entry.id != "i8"));
}
