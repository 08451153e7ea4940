//! What the learner promises, on small streams with a known structure.

use super::*;
use crate::memory::popularity::log_shares;
use crate::ranking::query::UserView;
use crate::table::rows::RowEncoding;
use schemas::checkpoint::{Manifest, PayloadKind};
use schemas::{Item, UserKey, VersionId};

mod against;
mod carried;
mod encoded;
mod forgotten;
mod guard;
mod listed;
mod order;
mod restored;
mod room;
mod shown;
mod since;
mod versions;

pub(super) fn settings() -> Settings {
    // A hot set smaller than the catalogs here: items change places all the time.
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
pub(super) fn stream(count: i64) -> Vec<Positioned> {
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

pub(super) fn learn(learner: &mut Learner, batch: &[Positioned]) {
    for micro_batch in batch.chunks(32) {
        learner.observe(micro_batch);
    }
}

/// Publishes a version and applies it, as the trainer and a scorer do.
fn publish(learner: &mut Learner, model: &Model, kind: PayloadKind, sequence: u32) -> (Model, Manifest) {
    let frozen = learner.freeze(kind).expect("freezes");
    let payload = frozen.encode().expect("encodes");
    let version = VersionId { epoch: 1, sequence };
    let manifest = frozen.manifest(version, model.version(), 0);
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
fn the_small_batches_of_a_second_move_the_rows_of_few_negatives() {
    let mut learner = Learner::new(Settings { replay: 0.0, retrieval_items: 1_024, ..settings() }).expect("flex opens");
    for n in 0..900 {
        let item: Item =
            serde_json::from_value(serde_json::json!({ "item_id": format!("listed{n}") })).expect("an item");
        learner.catalog(&item.item_id, Some(&item), 1_700_000_000_000);
    }
    let stream = stream(420);
    learn(&mut learner, &stream[..220]);
    learner.knowledge.stand_at(learner.knowledge.now(), 100_000); // a young one has no pools
    learner.freeze(PayloadKind::Snapshot).expect("freezes");
    stream[220..].chunks(10).for_each(|batch| {
        learner.observe(batch);
    });
    let chosen = 100;
    let moved = learner.changed.rows.len();
    assert!(moved <= chosen + learner.knowledge.settings().negatives, "{moved} rows moved");
}

const SECOND: i64 = 1_000;

const HOUR: i64 = 3_600 * SECOND;

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

fn after_i7(user: UserKey, model: &Model, bought: Kind) -> Vec<String> {
    let ts = 1_700_000_900_000;
    let history = [Seen { key: key_of("i8"), kind: bought, ts }, Seen { key: key_of("i7"), kind: Kind::View, ts }];
    let view = [UserView { user, history: &history, ts }];
    let list = model.slates(&view, &Catalog::default(), 100).remove(0);
    list.into_iter().map(|entry| entry.id).collect()
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
        let entry = learner.knowledge.table().get(key_of(id)).expect("was met");
        log_shares(&entry.counters, &learner.knowledge.popular().totals)[0].exp()
    };
    assert!((share("i1") - 0.75).abs() < 1e-3 && (share("i2") - 0.25).abs() < 1e-3);
}

#[test]
fn under_overload_a_sample_is_trained_on_and_everything_is_counted() {
    let stream = stream(1_024);
    let (calm, overload) = stream.split_at(512);
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, calm);
    learner.train_on(0.25);
    let observed: Vec<Observed> = overload.chunks(32).map(|batch| learner.observe(batch)).collect();
    let sum = |of: fn(&Observed) -> usize| observed.iter().map(of).sum::<usize>();
    assert_eq!((sum(|o| o.applied), sum(|o| o.trained) + sum(|o| o.left_out)), (512, 512));
    assert!((90..170).contains(&sum(|o| o.trained)), "{}", sum(|o| o.trained));
    assert_eq!(learner.quality().overall()["model"].tested, 1_024);
    let mut whole = Learner::new(settings()).expect("flex opens");
    learn(&mut whole, &stream);
    assert_eq!((learner.sizes(), learner.interactions()), (whole.sizes(), whole.interactions()));
}

#[test]
fn what_is_no_interaction_is_passed_over_and_no_version_seems_to_lack_it() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learner.pass_over(&[(0, 2)]);
    learner.follow(7);
    learner.pass_over(&[(0, 1)]);
    assert_eq!(learner.through()[&0].next, 3, "that it was not known which life it is moves nothing back");
    learner.pass_over(&[(0, 4), (0, 9), (1, 0)]);
    let next = |learner: &Learner| learner.through().iter().map(|(p, through)| (*p, through.next)).collect::<Vec<_>>();
    assert_eq!(next(&learner), [(0, 10), (1, 1)]);
    learner.pass_over(&[(0, 6)]);
    assert_eq!(next(&learner), [(0, 10), (1, 1)], "what was read before");
    learner.follow(8);
    learner.pass_over(&[(0, 2)]);
    assert_eq!(next(&learner), [(0, 3), (1, 1)], "the log was made again");
    assert_eq!(learner.interactions(), 0);
}

#[test]
fn experience_replay_trains_the_encoder_and_not_the_ranker() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(500));
    let weights = |learner: &Learner| {
        let knowledge = learner.knowledge();
        (crate::network::dense::export(knowledge.encoder()), crate::network::dense::export(knowledge.ranker()))
    };
    let before = weights(&learner);
    (0..3).for_each(|_| learner.replay(32));
    let after = weights(&learner);
    assert!(before.0 != after.0 && before.1 == after.1);
}

#[test]
fn a_new_record_of_a_known_item_changes_its_vector_and_a_delisting_takes_the_content_back() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(400));
    let vector = |learner: &Learner| {
        let slot = learner.knowledge.table().slot(key_of("i7")).expect("was met");
        learner.knowledge.table().vector(slot).to_vec()
    };
    let bare = vector(&learner);
    let item: Item = serde_json::from_str(r#"{"item_id":"i7","title":"Blue shoe","brand":"Vera"}"#).expect("parses");
    learner.catalog("i7", Some(&item), 0);
    assert_ne!(vector(&learner), bare);
    learner.catalog("i7", None, 0);
    assert_eq!(vector(&learner), bare);
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
    assert_eq!(ahead.knowledge.now(), START + 60_000, "the model's clock does not run ahead");
    let look = |learner: &Learner| {
        let entry = learner.knowledge.table().get(key_of("i28")).expect("was met");
        let pairs: Vec<_> = learner.knowledge.covisitation().iter().map(|(key, n)| (key, n.at)).collect();
        let sessions: Vec<_> = learner.knowledge.sessions().iter().map(|(_, session)| session.last_ts).collect();
        (entry.clone(), learner.knowledge.popular().totals, pairs, sessions)
    };
    assert_eq!(look(&right), look(&ahead), "popularity at every half-life, pairs, sessions, first and last time");
    let leader = |h: usize| ahead.knowledge.popular().leaders(h).next().map(|(.., key)| key);
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
            let _ = model.slates(&[UserView { user: UserKey(1), history: &history, ts }], &Catalog::default(), 20);
            let catalog = Catalog::default();
            let _ = (model.hot(&catalog, 20, 100, ts), model.new_items(&catalog, 20, 100, ts));
        }
    }
}
