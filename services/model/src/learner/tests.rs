//! What the learner promises, on small streams with a known structure.

use super::*;
use crate::checkpoint::split;
use crate::keymap::KeySet;
use crate::memory::popularity::log_shares;
use crate::memory::repeats::Repeats;
use crate::network::encoder::Architecture;
use crate::ranking::features::FEATURES;
use crate::ranking::since::Since;
use crate::table::rows::RowEncoding;
use crate::version::served::UserView;
use schemas::checkpoint::Manifest;
use schemas::{Item, VersionId};

mod carried;
mod encoded;
mod listed;

fn settings() -> Settings {
    // A front smaller than the catalogs here: items change places all the time.
    // Deltas are exact, to be compared with snapshots.
    Settings {
        dim: 16,
        delta_tolerance: 0.0,
        negatives: 32,
        retrieval_items: 64,
        max_items: 1_000,
        max_users: 1_000,
        ..Settings::default()
    }
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
                source: Some(schemas::Source { partition: 0, offset: n, ..schemas::Source::default() }),
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
fn an_interaction_of_a_later_life_of_events_is_new_and_one_of_an_earlier_life_is_not() {
    let mut learner = Learner::new(settings()).expect("opens");
    let at = |n: i64, incarnation: u64, source: i64| {
        let mut positioned = stream(1).remove(0);
        positioned.offset = n;
        positioned.interaction.source = Some(schemas::Source { offset: source, incarnation, ..Default::default() });
        positioned
    };
    let batch = [at(0, 0, 900), at(1, 7, 0), at(2, 0, 901), at(3, 7, 0), at(4, 7, 1)];
    let observed = learner.observe(&batch);
    assert_eq!((observed.applied, observed.dropped), (3, 2));
    // `interactions` itself was deleted and made again: it is read from its beginning, and nothing is applied twice.
    learner.follow(9);
    assert_eq!(learner.observe(&[at(0, 7, 1), at(1, 7, 2)]).applied, 1);
    let through = learner.through()[&0];
    assert_eq!(through, Through { next: 2, source: 2, incarnation: 7, topic: 0, log: 9 });
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
    let settings = || Settings { row_encoding: RowEncoding::F32, ..settings() };
    let mut whole = Learner::new(settings()).expect("flex opens");
    learn(&mut whole, before);
    let (model, manifest) = publish(&mut whole, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    assert_eq!(manifest.through[&0], Through { next: 512, source: 511, ..Through::NOTHING });
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
fn a_version_ends_a_pool_of_negatives_so_that_a_restored_learner_goes_on_to_the_bit() {
    let stream = stream(1_024);
    let (before, after) = stream.split_at(416);
    let settings = || Settings { row_encoding: RowEncoding::F32, ..settings() };
    let mut whole = Learner::new(settings()).expect("flex opens");
    whole.knowledge.interactions = 100_000; // a young one has no pools
    learn(&mut whole, before);
    assert!(whole.pool.left() >= 64, "the next step would draw anew anyway: {}", whole.pool.left());
    let (model, _) = publish(&mut whole, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let mut restored = Learner::restore(settings(), &model).expect("restores");
    before.iter().for_each(|positioned| restored.remember(&positioned.interaction));
    learn(&mut whole, after);
    learn(&mut restored, after);
    assert_eq!(differing(&snapshot(&mut restored), &snapshot(&mut whole)), Vec::<String>::new());
}

#[test]
fn the_small_batches_of_a_second_move_the_rows_of_few_negatives() {
    let mut learner = Learner::new(Settings { replay: 0.0, retrieval_items: 1_024, ..settings() }).expect("flex opens");
    for n in 0..900 {
        let item: Item =
            serde_json::from_value(serde_json::json!({ "item_id": format!("listed{n}") })).expect("an item");
        learner.catalog(&item.item_id, Some(&item), 1_700_000_000_000);
    }
    let stream = stream(420);
    learn(&mut learner, &stream[..220]);
    learner.knowledge.interactions = 100_000; // a young one has no pools
    learner.freeze(PayloadKind::Snapshot).expect("freezes");
    stream[220..].chunks(10).for_each(|batch| {
        learner.observe(batch);
    });
    let chosen = 100;
    let moved = learner.changed.rows.len();
    assert!(moved <= chosen + learner.knowledge.settings.negatives, "{moved} rows moved");
}

#[test]
fn a_restored_learner_rehearses_what_the_other_would_have() {
    // Many choose the same within a micro-batch, and more choices are made than are counted.
    let stream: Vec<Positioned> = stream(9_600)
        .into_iter()
        .enumerate()
        .map(|(n, mut positioned)| {
            if n % 2 == 1 && n < 1_400 {
                positioned.interaction.item_id = "hit".to_owned();
            }
            positioned
        })
        .collect();
    let settings = Settings { replay: 0.0, candidates: 20, ..settings() };
    let mut whole = Learner::new(settings.clone()).expect("flex opens");
    stream.chunks(96).for_each(|batch| {
        whole.observe(batch);
    });
    let mut restored = Learner::new(settings).expect("flex opens");
    stream.iter().for_each(|positioned| restored.remember(&positioned.interaction));
    assert_eq!(whole.replay, restored.replay);
    // The hit of yesterday is rehearsed less than it would be if it were chosen as ever.
    let hits = |learner: &Learner, chosen: &dyn Fn(u64) -> u32| {
        let mut rng = learner.rng(1);
        let drawn = (0..2_000).filter_map(|_| learner.replay.draw(&mut rng, chosen));
        drawn.filter(|past| past.key == key_of("hit")).count()
    };
    let now = hits(&restored, &|key| restored.recent.count(key));
    let as_ever = hits(&restored, &|_| 1_000_000);
    assert!(now * 3 < as_ever, "{now} and {as_ever} of 2000");
}

/// Every candidate of a query, by key.
fn looked_at(knowledge: &Knowledge, user: u64, history: &[Seen]) -> BTreeMap<u64, [f32; FEATURES]> {
    let ts = history.last().expect("somebody who chose").ts;
    let vector = knowledge.encode(&[(history, ts)]);
    let catalog = Catalog::default();
    let query = Query { user, history, vector: &vector, retrieved: &[], catalog: &catalog, ts };
    let list =
        candidates::gather(knowledge, &query, &Evidence::new(knowledge, &query, Since::new(knowledge, user, history)));
    list.into_iter().map(|candidate| (candidate.key, candidate.features)).collect()
}

/// The largest difference of a feature between two looks at the same candidates, and which it is.
fn farthest(
    left: &BTreeMap<u64, [f32; FEATURES]>,
    right: &BTreeMap<u64, [f32; FEATURES]>,
    compared: impl Fn(u64, usize) -> bool,
) -> (f32, usize) {
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    let each = left.iter().zip(right).flat_map(|((key, left), (_, right))| {
        let features = (0..FEATURES).filter(|n| compared(*key, *n));
        features.map(|n| ((left[n] - right[n]).abs(), n)).collect::<Vec<_>>()
    });
    each.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are candidates")
}

/// A choice, counted and paired without any training, so that no vector changes.
fn count(learner: &mut Learner, user_id: &str, history: &[Seen], item_id: &str, seen: Seen) {
    learner.knowledge.now = learner.knowledge.now.max(seen.ts);
    learner.sight(&Example {
        user_id: user_id.to_owned(),
        user: key_of(user_id),
        history: history.to_vec(),
        key: seen.key,
        kind: seen.kind,
        ts: seen.ts,
        asked_at: seen.ts,
        item_id: item_id.to_owned(),
        weight: learner.knowledge.settings.weights.of(seen.kind),
        chosen_then: 0,
    });
}

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;

/// What a user does, in seconds from the first choice: items come again, times come twice, and not all are choices.
const VISIT: [(&str, Kind, i64); 9] = [
    ("i7", Kind::View, 0),
    ("i8", Kind::Purchase, 20),
    ("i7", Kind::View, 21),
    ("i30", Kind::View, 30),
    ("i31", Kind::View, 30),
    ("i8", Kind::Dislike, 35),
    ("i8", Kind::View, 50),
    ("i32", Kind::View, 55),
    ("i55", Kind::Cart, 62),
];

/// A learner of a short stream, so that one choice shows in every total, that counts a user's visit; the versions after each
/// step of it, and the history then.
fn visited(visit: &[(&str, Kind, i64)], pause_after_two: i64, others_first: bool) -> (Vec<Knowledge>, Vec<Seen>) {
    let mut learner = Learner::new(Settings { repeats: Repeats::Allow, ..settings() }).expect("flex opens");
    learn(&mut learner, &stream(80));
    let start = learner.knowledge().now + SECOND;
    if others_first {
        // Somebody else's clock is ahead: it is not this user's.
        let ahead = Seen { key: key_of("i3"), kind: Kind::View, ts: start + 100 * SECOND };
        count(&mut learner, "somebody else", &[], "i3", ahead);
    }
    let mut versions = vec![learner.knowledge().clone()];
    let mut history = Vec::new();
    for (n, (item_id, kind, seconds)) in visit.iter().copied().enumerate() {
        let pause = if n < 2 { 0 } else { pause_after_two };
        let seen = Seen { key: key_of(item_id), kind, ts: start + seconds * SECOND + pause };
        if kind.is_positive() {
            count(&mut learner, "somebody", &history, item_id, seen);
        }
        history.push(seen);
        versions.push(learner.knowledge().clone());
    }
    (versions, history)
}

#[test]
fn an_older_version_sees_a_users_newer_choices_as_one_that_counted_them() {
    let user = key_of("somebody");
    for others_first in [false, true] {
        let (versions, history) = visited(&VISIT, 0, others_first);
        let counted = looked_at(versions.last().expect("counted"), user, &history);
        // A version's own time bounds the ages that it tells: of items, and of choices that were not the user's.
        let own = |key: u64| history.iter().any(|seen| seen.key == key);
        let aged = |key: u64, feature: usize| feature == 32 || (feature == 33 && !own(key));
        // Whoever chooses an item as the second one makes it new for everybody: that is the version's to tell.
        let new = 34;
        let compared =
            |key: u64, feature: usize| feature != 24 && feature != new && (others_first || !aged(key, feature));
        for (n, older) in versions.iter().enumerate() {
            let added = looked_at(older, user, &history);
            let (difference, feature) = farthest(&added, &counted, compared);
            // Where a version's time has stood still, others have not faded for as long as the visit took.
            let most = if others_first { 0.002 } else { 0.03 };
            assert!(difference < most, "feature {feature} of the version after {n} choices differs by {difference}");
            let (places, _) = farthest(&added, &counted, |_, feature| feature == 24);
            assert!(places < 0.15, "places among the popular, but for ties, differ by {places}");
        }
        // For nobody in particular nothing is added that lies in the version's time, and that shows.
        if others_first {
            let [nobody, counted] = [&looked_at(&versions[0], 0, &history), &counted].map(|list| list[&key_of("i30")]);
            assert!((4..17).any(|pair| (nobody[pair] - counted[pair]).abs() > 0.5));
        }
    }
}

#[test]
fn an_item_that_a_version_does_not_know_keeps_its_place_between_the_others() {
    let visit = [("i7", Kind::View, 0), ("never met before", Kind::View, 1), ("i30", Kind::View, 2)];
    let (versions, history) = visited(&visit, 0, false);
    let [older, counted] = [0, 3].map(|n| looked_at(&versions[n], key_of("somebody"), &history)[&key_of("i7")]);
    // It comes two before the last choice, not just before it.
    for n in 4..17 {
        assert!((older[n] - counted[n]).abs() < 0.01, "feature {n}: {} and {}", older[n], counted[n]);
    }
}

#[test]
fn a_session_that_a_pause_has_ended_is_a_neighbour_before_the_version_knows_of_the_next() {
    let (versions, history) = visited(&VISIT, 13 * HOUR, false);
    let of_sessions = |version: &Knowledge| {
        let list = looked_at(version, key_of("somebody"), &history[..3]);
        list.into_iter().map(|(key, features)| (key, features[17..20].to_vec())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(of_sessions(&versions[2]), of_sessions(&versions[3]));
    assert!(of_sessions(&versions[3])[&key_of("i8")].iter().all(|feature| *feature > 0.0));
}

#[test]
fn what_comes_days_after_a_version_counts_as_if_it_came_at_its_end() {
    let (versions, history) = visited(&VISIT, 0, false);
    let later: Vec<Seen> = history.iter().map(|seen| Seen { ts: seen.ts + 7 * 24 * HOUR, ..*seen }).collect();
    let (soon, late) = (looked_at(&versions[0], 1, &history), looked_at(&versions[0], 1, &later));
    // Shares of popularity and pairs are what they are for the same choices at once.
    for (key, late) in &late {
        let differences = (4..26).map(|n| ((late[n] - soon[key][n]).abs(), n));
        let (difference, feature) = differences.max_by(|a, b| a.0.total_cmp(&b.0)).expect("features");
        assert!(difference < 0.2, "feature {feature} differs by {difference}");
    }
    // Of the user's own choices the older one weighs less, as ever.
    assert!(late[&key_of("i30")][20] < late[&key_of("i55")][20]);
}

#[test]
fn every_encoder_learns_what_follows_what_and_goes_on_after_a_restart() {
    for encoder in [Architecture::Pooling, Architecture::Attention, Architecture::Hstu, Architecture::Gru] {
        let settings = || Settings { row_encoding: RowEncoding::F32, encoder, ..settings() };
        let stream = stream(512);
        let (before, after) = stream.split_at(384);
        let mut whole = Learner::new(settings()).expect("flex opens");
        let losses: Vec<f32> = before.chunks(32).map(|batch| whole.observe(batch).loss).collect();
        assert!(losses[11] < 0.8 * losses[3], "{encoder}: {losses:?}");
        let (model, _) = publish(&mut whole, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
        let mut restored = Learner::restore(settings(), &model).expect("restores");
        before.iter().for_each(|positioned| restored.remember(&positioned.interaction));
        learn(&mut whole, after);
        learn(&mut restored, after);
        assert_eq!(differing(&snapshot(&mut restored), &snapshot(&mut whole)), Vec::<String>::new(), "{encoder}");
    }
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
        let (_, manifest) = split(VersionId { epoch: 1, sequence: 2 }, model.version(), &frozen, &payload, 0);
        let model = model.apply(&manifest, &payload).expect("applies");
        assert!((0..listed).all(|n| model.knows(key_of(&format!("listed{n}")))), "{listed}");
    }
}

#[test]
fn an_item_not_seen_for_longer_than_the_shop_says_goes() {
    let mut learner = Learner::new(Settings { expire_after_s: 3_600, ..settings() }).expect("flex opens");
    let early = stream(64);
    learn(&mut learner, &early);
    assert!(Model::of(learner.knowledge()).knows(key_of("i0")));
    let later = stream(1_200).split_off(64).into_iter().map(|mut positioned| {
        let interaction = &mut positioned.interaction;
        interaction.item_id = format!("later-{}", interaction.item_id);
        (interaction.ts, interaction.arrived_at) = (interaction.ts + 7_200_000, interaction.arrived_at + 7_200_000);
        positioned
    });
    learn(&mut learner, &later.collect::<Vec<_>>());
    let model = Model::of(learner.knowledge());
    let gone = |positioned: &Positioned| !model.knows(key_of(&positioned.interaction.item_id));
    assert!(early.iter().all(gone) && model.knows(key_of("later-i0")));
}

#[test]
fn what_is_learned_after_a_freeze_is_not_in_the_version() {
    // A delta copies few changed items, and shares the table where they are more than the front holds: here 64.
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
    for tops in
        [model.hot(&catalog, 100, 100, 1_700_000_900_000), model.new_items(&catalog, 100, 100, 1_700_000_900_000)]
    {
        lists.extend(tops.lists.into_iter().map(|(_, list)| list));
    }
    assert!(lists.iter().all(|list| !list.is_empty()));
    assert!(lists.iter().flatten().all(|entry| entry.id != "i8"));
}

#[test]
fn a_listed_item_that_nobody_chose_is_recommended_to_who_chose_one_like_it() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let mut catalog = Catalog::default();
    let mut list = |learner: &mut Learner, id: &str, title: &str| {
        let item: Item = serde_json::from_value(serde_json::json!({"item_id": id, "title": title})).expect("an item");
        learner.catalog(id, Some(&item), 1_700_000_000_000);
        catalog.apply(id, Some(&item));
    };
    list(&mut learner, "i7", "copper whistling kettle");
    // Neither the newest nor anything else speaks for it.
    list(&mut learner, "cold", "copper whistling teapot");
    (0..200).for_each(|n| list(&mut learner, &format!("other{n}"), "woollen rug"));
    learn(&mut learner, &stream(1_200));
    let (model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let ts = 1_700_000_900_000;
    let cold = |last: &str, catalog: &Catalog| {
        let history = [Seen { key: key_of(last), kind: Kind::View, ts }];
        let mut lists = model.slates(&[UserView { user: 0, history: &history, ts }], catalog, 100);
        lists.remove(0).into_iter().find(|entry| entry.id == "cold")
    };
    let entry = cold("i7", &catalog).expect("content names it");
    assert_eq!((entry.from.as_str(), entry.because), ("content", vec!["i7".to_owned()]));
    assert!(cold("i8", &catalog).is_none_or(|entry| entry.from != "content"));
    catalog.apply("cold", None);
    assert!(cold("i7", &catalog).is_none());
}

fn after_i7(user: u64, model: &Model, bought: Kind) -> Vec<String> {
    let ts = 1_700_000_900_000;
    let history = [Seen { key: key_of("i8"), kind: bought, ts }, Seen { key: key_of("i7"), kind: Kind::View, ts }];
    let view = [UserView { user, history: &history, ts }];
    let list = model.slates(&view, &Catalog::default(), 100).remove(0);
    list.into_iter().map(|entry| entry.id).collect()
}

#[test]
fn lists_show_again_what_the_shop_says() {
    let empty = Model::empty("flex").expect("opens");
    for (repeats, bought, looked_at) in
        [(Repeats::Allow, true, true), (Repeats::Mix, false, true), (Repeats::Never, false, false)]
    {
        let mut learner = Learner::new(Settings { repeats, ..settings() }).expect("flex opens");
        learn(&mut learner, &stream(1_200));
        let (model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
        let has = |kind| after_i7(0, &model, kind).contains(&"i8".to_owned());
        assert_eq!((has(Kind::Purchase), has(Kind::View)), (bought, looked_at), "{repeats:?}");
    }
}

#[test]
fn by_default_what_was_bought_comes_back_when_it_is_due() {
    let day = 24 * HOUR;
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    // Everybody buys the same again after eight days.
    let buy = |n: i64| {
        let ts = START + 1_200 * SECOND + n / 30 * 8 * day;
        let mut bought = view(1_200 + n, &format!("buyer{}", n % 30), &format!("i{}", n % 30), ts, ts);
        bought.interaction.kind = Kind::Purchase.into();
        bought
    };
    learn(&mut learner, &(0..90).map(buy).collect::<Vec<_>>());
    let empty = Model::empty("flex").expect("opens");
    let (first, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    learn(&mut learner, &(90..120).map(buy).collect::<Vec<_>>());
    let (model, _) = publish(&mut learner, &first, PayloadKind::Delta, 2);
    assert_eq!(model.knowledge().repurchases, learner.knowledge.repurchases, "versions say how soon");
    let shown = |hours: i64| {
        let (bought, ts) = (START, START + hours * HOUR);
        let history = [
            Seen { key: key_of("i8"), kind: Kind::Purchase, ts: bought },
            Seen { key: key_of("i7"), kind: Kind::View, ts },
        ];
        let list = model.slates(&[UserView { user: 0, history: &history, ts }], &Catalog::default(), 100).remove(0);
        list.iter().any(|entry| entry.id == "i8")
    };
    assert!(!shown(0) && !shown(20) && shown(28), "an eighth of the usual eight days");
}

#[test]
fn a_purchase_counts_as_often_as_its_weight_says() {
    let mut stream = stream(2);
    for (n, (user, item, kind)) in (0..).zip([("a", "i1", Kind::Purchase), ("b", "i2", Kind::View)]) {
        let interaction = &mut stream[n].interaction;
        (interaction.user_id, interaction.item_id) = (user.into(), item.into());
        (interaction.kind, interaction.ts) = (kind.into(), 1_700_000_000_000);
    }
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream);
    let share = |id: &str| {
        let entry = learner.knowledge.items.get(key_of(id)).expect("was met");
        log_shares(&entry.counters, &learner.knowledge.popular.totals)[0].exp()
    };
    assert!((share("i1") - 0.75).abs() < 1e-3 && (share("i2") - 0.25).abs() < 1e-3);
}

#[test]
fn in_a_rush_a_sample_is_trained_on_and_everything_is_counted() {
    let stream = stream(1_024);
    let (calm, rush) = stream.split_at(512);
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, calm);
    learner.train_on(0.25);
    let observed: Vec<Observed> = rush.chunks(32).map(|batch| learner.observe(batch)).collect();
    let sum = |of: fn(&Observed) -> usize| observed.iter().map(of).sum::<usize>();
    assert_eq!((sum(|o| o.applied), sum(|o| o.trained) + sum(|o| o.left_out)), (512, 512));
    assert!((90..170).contains(&sum(|o| o.trained)), "{}", sum(|o| o.trained));
    assert_eq!(learner.quality().overall()["model"].tested, 1_024);
    let mut whole = Learner::new(settings()).expect("flex opens");
    learn(&mut whole, &stream);
    assert_eq!((learner.sizes(), learner.interactions()), (whole.sizes(), whole.interactions()));
}

#[test]
fn other_half_lives_take_over_what_is_popular_now() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(1_000));
    let empty = Model::empty("flex").expect("opens");
    let (model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    let shares = |learner: &Learner| {
        let entry = learner.knowledge.items.get(key_of("i7")).expect("was met");
        log_shares(&entry.counters, &learner.knowledge.popular.totals)
    };
    let before = shares(&learner);
    let longer = Settings { popularity_half_lives_s: [600.0, 7_200.0, 86_400.0, 864_000.0], ..settings() };
    let mut changed = Learner::restore(longer.clone(), &model).expect("restores");
    assert!(before.iter().zip(shares(&changed)).all(|(a, b)| (a - b).abs() < 1e-3));
    // The second start reads counters that were written by the new clock.
    let (model, _) = publish(&mut changed, &empty, PayloadKind::Snapshot, 2);
    let again = Learner::restore(longer, &model).expect("restores");
    assert_eq!(shares(&again), shares(&changed));
}

#[test]
fn trainer_and_scorer_compare_the_same_sessions_after_the_bound_changed() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let stream = stream(2_000);
    learn(&mut learner, &stream[..1_000]);
    let empty = Model::empty("flex").expect("opens");
    let (before, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    let fewer = Settings { sessions_per_item: 2, ..settings() };
    let bounds = fewer.session_bounds();
    let mut changed = Learner::restore(fewer, &before).expect("restores");
    learn(&mut changed, &stream[1_000..]);
    let (by_delta, _) = publish(&mut changed, &before, PayloadKind::Delta, 2);
    let (by_snapshot, _) = publish(&mut changed, &empty, PayloadKind::Snapshot, 3);
    let history = [1, 2].map(|n| Seen { key: key_of(&format!("i{n}")), kind: Kind::View, ts: 0 });
    let neighbours = |knowledge: &Knowledge| knowledge.sessions.neighbours(0, &history, &bounds);
    let expected = neighbours(changed.knowledge());
    assert!(expected != neighbours(before.knowledge()));
    assert!(expected == neighbours(by_delta.knowledge()) && expected == neighbours(by_snapshot.knowledge()));
}

#[test]
fn rehearsing_trains_the_encoder_and_not_the_ranker() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(500));
    let weights = |learner: &Learner| {
        let Knowledge { encoder, ranker, .. } = learner.knowledge();
        (crate::network::dense::export(encoder), crate::network::dense::export(ranker))
    };
    let before = weights(&learner);
    (0..3).for_each(|_| learner.rehearse(32));
    let after = weights(&learner);
    assert!(before.0 != after.0 && before.1 == after.1);
}

#[test]
fn a_smaller_table_can_still_be_read() {
    let mut learner = Learner::new(Settings { max_items: 2_000, ..settings() }).expect("flex opens");
    let mut stream = stream(3_000);
    stream.iter_mut().enumerate().for_each(|(n, positioned)| positioned.interaction.item_id = format!("unique{n}"));
    learn(&mut learner, &stream);
    let empty = Model::empty("flex").expect("opens");
    let (model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    let mut smaller = Learner::restore(settings(), &model).expect("restores");
    let (model, _) = publish(&mut smaller, &empty, PayloadKind::Snapshot, 2);
    assert_eq!(model.knowledge().items(), 2_000);
}

#[test]
fn a_new_record_of_a_known_item_changes_its_vector_and_a_delisting_takes_the_content_back() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(400));
    let vector = |learner: &Learner| {
        let slot = learner.knowledge.items.slot(key_of("i7")).expect("was met");
        learner.knowledge.items.vector(slot).to_vec()
    };
    let bare = vector(&learner);
    let item: Item = serde_json::from_str(r#"{"item_id":"i7","title":"Blue shoe","brand":"Vera"}"#).expect("parses");
    learner.catalog("i7", Some(&item), 0);
    assert_ne!(vector(&learner), bare);
    learner.catalog("i7", None, 0);
    assert_eq!(vector(&learner), bare);
}

#[test]
fn what_the_shop_lists_is_not_forgotten_however_old_its_record() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let old = r#"{"item_id":"evergreen","title":"Anvil","published_at":1500000000000}"#;
    learner.catalog("evergreen", Some(&serde_json::from_str(old).expect("parses")), 1_700_000_000_000);
    learn(&mut learner, &stream(400));
    assert!(learner.knowledge.items.slot(key_of("evergreen")).is_some());
    learner.catalog("evergreen", None, 0);
    learn(&mut learner, &stream(800)[400..]);
    assert!(learner.knowledge.items.slot(key_of("evergreen")).is_none(), "once it is out of the catalog it goes");
}

/// A view by a user of an item at an offset.
fn view(offset: i64, user: &str, item: &str, ts: i64, arrived_at: i64) -> Positioned {
    let interaction = Interaction {
        user_id: user.into(),
        item_id: item.into(),
        kind: Kind::View.into(),
        ts,
        arrived_at,
        source: Some(schemas::Source { partition: 0, offset, ..schemas::Source::default() }),
        ..Interaction::default()
    };
    Positioned { partition: 0, offset, interaction }
}

const START: i64 = 1_700_000_000_000;

#[test]
fn a_view_by_a_clock_that_is_59_minutes_fast_weighs_as_one_view_of_now() {
    let fast = |ahead: i64| {
        let mut learner = Learner::new(settings()).expect("flex opens");
        let crowd = (0..200).map(|n| view(n, &format!("u{n}"), "i1", START + n * 300, START + n * 300));
        learn(&mut learner, &crowd.collect::<Vec<_>>());
        let now = START + 60_000;
        learner.observe(&[view(200, "fast", "i28", now + ahead, now)]);
        learner
    };
    let (right, ahead) = (fast(0), fast(3_540_000));
    assert_eq!(ahead.knowledge.now, START + 60_000, "the model's clock does not run ahead");
    let look = |learner: &Learner| {
        let entry = learner.knowledge.items.get(key_of("i28")).expect("was met");
        let pairs: Vec<_> = learner.knowledge.covisitation.iter().map(|(key, n)| (key, n.at)).collect();
        let sessions: Vec<_> = learner.knowledge.sessions.iter().map(|(_, session)| session.last_ts).collect();
        (entry.clone(), learner.knowledge.popular.totals, pairs, sessions)
    };
    assert_eq!(look(&right), look(&ahead), "popularity at every half-life, pairs, sessions, first and last time");
    let leader = |h: usize| ahead.knowledge.popular.leaders(h).next().map(|(.., key)| key);
    assert!((0..crate::memory::popularity::HALF_LIVES).all(|h| leader(h) == Some(key_of("i1"))));
}

#[test]
fn a_click_that_comes_late_is_tested_and_trained_in_its_place() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let day = 86_400_000;
    let batch = [
        view(0, "u", "today1", START, START),
        view(1, "u", "today2", START + 1_000, START + 1_000),
        view(2, "u", "old1", START - 3 * day, START + 2_000),
        view(3, "u", "old2", START - 3 * day + 1_000, START + 2_000),
        view(4, "u", "today3", START + 3_000, START + 3_000),
    ];
    let mut shown = Vec::new();
    learner.observe_with(&batch, |tested| {
        shown.push((tested.key, tested.asked_at, tested.history.iter().map(|seen| seen.key).collect::<Vec<_>>()));
    });
    let [today1, today2, old1, old2] = ["today1", "today2", "old1", "old2"].map(key_of);
    let histories: Vec<_> = shown.iter().map(|(_, _, history)| history.clone()).collect();
    assert_eq!(histories, [vec![], vec![today1], vec![], vec![old1], vec![old1, old2, today1, today2]]);
    assert_eq!(shown[3].1, START - 3 * day, "asked when the choice before it was made");
}

#[test]
fn interactions_with_any_time_and_text_end_no_learner() {
    let extremes = [i64::MIN, -1, 0, 1, 946_684_800_000, START, i64::MAX - 1, i64::MAX];
    for first in extremes {
        let mut learner = Learner::new(settings()).expect("flex opens");
        let pairs = extremes.iter().flat_map(|ts| extremes.iter().map(move |at| (*ts, *at)));
        let stream: Vec<_> = std::iter::once((first, first))
            .chain(pairs)
            .zip(0..)
            .map(|((ts, at), n)| view(n, &format!("u{}", n % 3), &format!("i{}", n % 7), ts, at))
            .collect();
        learn(&mut learner, &stream);
        let (model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
        for ts in extremes {
            let history = [
                Seen { key: key_of("i1"), kind: Kind::View, ts: first },
                Seen { key: key_of("i2"), kind: Kind::View, ts },
            ];
            let _ = model.slates(&[UserView { user: 1, history: &history, ts }], &Catalog::default(), 20);
            let catalog = Catalog::default();
            let _ = (model.hot(&catalog, 20, 100, ts), model.new_items(&catalog, 20, 100, ts));
        }
    }
}

#[test]
fn a_later_look_does_not_cancel_a_dislike_and_a_like_a_purchase_or_an_undislike_does() {
    let mut learner = Learner::new(Settings { repeats: Repeats::Allow, ..settings() }).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    let model = Model::of(learner.knowledge());
    let shown = |then: &[Kind]| {
        let of = |kind: &Kind| Seen { key: key_of("i8"), kind: *kind, ts: START };
        let mut history: Vec<Seen> = std::iter::once(&Kind::Dislike).chain(then).map(of).collect();
        history.push(Seen { key: key_of("i7"), kind: Kind::View, ts: START });
        let list =
            model.slates(&[UserView { user: 0, history: &history, ts: START }], &Catalog::default(), 100).remove(0);
        list.iter().any(|entry| entry.id == "i8")
    };
    assert!(!shown(&[]) && !shown(&[Kind::View]) && !shown(&[Kind::Cart, Kind::View]));
    assert!(shown(&[Kind::Like]) && shown(&[Kind::Purchase, Kind::View]) && shown(&[Kind::Undislike]));
    assert!(!shown(&[Kind::Undislike, Kind::Dislike, Kind::View]));
}

#[test]
fn a_flood_of_invented_items_washes_out_the_flood_and_nothing_that_the_shop_has() {
    // The front has 64 places, the table 1,000.
    let mut learner = Learner::new(settings()).expect("flex opens");
    let listed: Item = serde_json::from_str(r#"{"item_id":"listed","title":"Anvil"}"#).expect("parses");
    learner.catalog("listed", Some(&listed), START);
    let shop: Vec<_> =
        (0..160).map(|n| view(n, &format!("u{}", n % 7), &format!("i{}", n % 40), START + n, START + n)).collect();
    learn(&mut learner, &shop);
    let flood = |n: i64| view(160 + n, "inventor", &format!("invented{n}"), START + 1_000 + n, START + 1_000 + n);
    learn(&mut learner, &(0..3_000).map(flood).collect::<Vec<_>>());
    let items = &learner.knowledge.items;
    let in_front = |id: &str| items.slot(key_of(id)).is_some_and(|slot| (slot as usize) < 64);
    assert_eq!(items.len(), 1_000);
    assert!((0..40).all(|n| in_front(&format!("i{n}"))) && in_front("listed"));
    for h in 0..crate::memory::popularity::HALF_LIVES {
        let leaders: KeySet = learner.knowledge.popular.leaders(h).take(40).map(|(.., key)| key).collect();
        assert!((0..40).all(|n| leaders.contains(&key_of(&format!("i{n}")))));
    }
    // A second user makes of an invention an item, as the catalog does.
    let entry = |learner: &Learner, id: &str| learner.knowledge.items.get(key_of(id)).expect("known").clone();
    assert!(!entry(&learner, "invented2999").is_proven());
    learner.observe(&[view(3_160, "another", "invented2999", START + 9_000, START + 9_000)]);
    let item: Item = serde_json::from_str(r#"{"item_id":"invented2998"}"#).expect("parses");
    learner.catalog("invented2998", Some(&item), START);
    assert!(entry(&learner, "invented2999").is_proven() && entry(&learner, "invented2998").is_proven());
}
