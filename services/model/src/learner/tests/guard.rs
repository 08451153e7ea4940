//! What one user can do to what everybody sees: little, however often, and nothing beyond the pace of people.

use super::*;
use crate::memory::covisitation::AHEAD;
use crate::settings::Guard;

const OFF: Guard = Guard { repeats: false, rate: 0 };

/// A crowd that never repeats anything, and behind it what one user does: items, so many milliseconds apart. All of it
/// arrived long after, as where a log is replayed at many times its pace.
fn beside_a_crowd(items: impl Iterator<Item = String>, apart: i64) -> Vec<Positioned> {
    const CROWD: i64 = 400;
    let one = (0..).zip(items).map(|(n, item)| {
        let ts = START + CROWD * SECOND + n * apart;
        view(CROWD + n, "one", &item, ts, START + 1_000 * HOUR)
    });
    stream(CROWD).into_iter().chain(one).collect()
}

/// One view of `i1`, and two thousand of an item that nobody else knows, a second apart.
fn repeated() -> Vec<Positioned> {
    let items = std::iter::once("i1").chain(std::iter::repeat_n("bot", 2_000));
    beside_a_crowd(items.map(str::to_owned), SECOND)
}

fn learned(guard: Guard, stream: &[Positioned]) -> Learner {
    let mut learner = Learner::new(Settings { guard, ..settings() }).expect("flex opens");
    learn(&mut learner, stream);
    learner
}

/// How often an item counts in the counter of a half-life, now.
fn count(learner: &Learner, item: &str, h: usize) -> f64 {
    let knowledge = &learner.knowledge;
    let entry = knowledge.table().get(key_of(item)).expect("was met");
    (entry.counters[h] - knowledge.clock().exponents(knowledge.now())[h]).exp2()
}

#[test]
fn what_one_user_views_two_thousand_times_gains_less_than_from_two_in_popularity_and_pairs() {
    let stream = repeated();
    let (on, off) = (learned(Guard::default(), &stream), learned(OFF, &stream));
    let pair = |learner: &Learner| {
        let neighbours = learner.knowledge.covisitation().get(key_of("i1")).expect("has neighbours");
        let of = neighbours.list.iter().find(|neighbour| neighbour.key == key_of("bot"));
        of.expect("is one").weights[AHEAD]
    };
    for h in 1..crate::memory::popularity::HALF_LIVES {
        let (on, off) = (count(&on, "bot", h), count(&off, "bot", h));
        assert!(on > 0.5 && on < 2.0, "half-life {h}: counts {on} times");
        assert!(off > 1_000.0, "half-life {h}: without the guard it counts {off} times");
    }
    assert!((0.9..2.0).contains(&pair(&on)), "{}", pair(&on));
    assert!(pair(&off) > 100.0, "as long as the history holds i1: {}", pair(&off));
    for learner in [&on, &off] {
        let entry = learner.knowledge.table().get(key_of("bot")).expect("was met");
        assert_eq!(entry.sightings, 2_000, "it is counted all the same");
        let repeated = learner.knowledge.settings().guard.repeats;
        assert_eq!(entry.repeated, if repeated { 1_999 } else { 0 }, "and the ranker knows what was repeated");
    }
}

#[test]
fn what_a_user_repeats_is_a_small_example_and_what_a_crowd_does_a_whole_one() {
    let learner = learned(Guard::default(), &repeated());
    let mut rng = learner.rng(1);
    let draws: Vec<_> = (0..4_000).filter_map(|_| learner.replay.draw(&mut rng, |_| u32::MAX / 2)).collect();
    let (repeated, others): (Vec<_>, Vec<_>) = draws.into_iter().partition(|past| past.key == key_of("bot"));
    assert!(repeated.len() > 1_000 && others.len() > 100, "{} {}", repeated.len(), others.len());
    let mean = repeated.iter().map(|past| past.influence).sum::<f32>() / repeated.len() as f32;
    assert!(mean < 0.01, "{mean}");
    assert!(others.iter().all(|past| past.influence >= 1.0));
    assert_eq!(learner.recent.count(key_of("bot")), 1, "as a negative it is drawn as what was chosen once");
}

#[test]
fn a_user_faster_than_people_is_tested_and_remembered_and_nothing_is_learned_from_it() {
    const RATE: u32 = 60;
    let settings = || Settings { guard: Guard { repeats: true, rate: RATE }, ..settings() };
    let stream = beside_a_crowd((0..200).map(|n| format!("own{n}")), 100);
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream[..100]);
    let (mut model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let (mut guarded, mut trained) = (0, 0);
    for (n, batch) in (2..).zip(stream[100..].chunks(50)) {
        let observed = learner.observe(batch);
        assert_eq!(observed.trained + observed.guarded, batch.len());
        (guarded, trained) = (guarded + observed.guarded, trained + observed.trained);
        model = publish(&mut learner, &model, PayloadKind::Delta, n).0;
    }
    assert_eq!((guarded, trained), (140, 360));
    assert_eq!(learner.quality().overall()["model"].tested, 600, "every choice is tested");
    let knowledge = &learner.knowledge;
    assert!(knowledge.table().get(key_of("own59")).expect("was met").counters[3].is_finite());
    let own60 = knowledge.table().get(key_of("own60")).expect("was met");
    assert!(own60.sightings == 1 && own60.counters.iter().all(|counter| !counter.is_finite()), "{own60:?}");
    assert!(knowledge.covisitation().get(key_of("own60")).is_none(), "it is in no pair");
    let session =
        knowledge.sessions().number_of(schemas::UserKey::of("one")).and_then(|number| knowledge.sessions().get(number));
    assert_eq!(session.expect("the first sixty").items.len(), RATE as usize);
    assert_eq!(learner.histories.as_of("one", i64::MAX).len(), 128, "it is remembered");

    // Deltas say the same, and so does who rebuilds histories.
    assert_eq!(differing(&model.export().expect("exports"), &snapshot(&mut learner)), Vec::<String>::new());
    let mut restored = Learner::restore(settings(), &model).expect("restores");
    stream.iter().for_each(|positioned| restored.remember(&positioned.interaction));
    let told = learner.guarded().expect("a pace is bounded");
    assert_eq!((told.users, told.most[0].user, told.most[0].interactions), (1, schemas::UserKey::of("one"), 140));
    assert_eq!(restored.guarded(), Some(told));
    assert_eq!(learned(OFF, &stream).guarded(), None, "without a bound it is not known");
}

#[test]
fn a_guarded_user_who_is_forgotten_is_named_by_no_later_version_nor_by_who_goes_on_from_it() {
    let stream = beside_a_crowd((0..200).map(|n| format!("own{n}")), 100);
    let mut learner = learned(Guard { repeats: true, rate: 60 }, &stream);
    assert_eq!(learner.guarded().map(|told| told.most[0].user), Some(schemas::UserKey::of("one")));
    learner.forget(&[schemas::UserKey::of("one")], |user| user == "one");
    let frozen = learner.freeze(PayloadKind::Snapshot).expect("freezes");
    let told = frozen.guarded.clone().expect("a pace is bounded");
    assert_eq!((told.users, told.most.len()), (0, 0));
    let manifest = serde_json::to_string(&frozen.manifest(VersionId { epoch: 1, sequence: 1 }, None, 0));
    assert!(!manifest.expect("is JSON").contains(&key_of("one").to_string()));
}

#[test]
fn a_log_that_is_replayed_at_once_guards_against_nobody_who_was_slow_when_it_was_recorded() {
    let slow = learned(Guard { repeats: true, rate: 60 }, &beside_a_crowd((0..200).map(|n| format!("own{n}")), 2_000));
    assert_eq!(slow.guarded().expect("a pace is bounded").users, 0);
}

#[test]
fn a_restored_learner_counts_repetitions_and_fast_users_as_the_other_would_have() {
    // Some minutes see 54 of these views and some 55.
    let guard = Guard { repeats: true, rate: 54 };
    let settings = || Settings { row_encoding: RowEncoding::F32, guard, ..settings() };
    let items = (0..480).map(|n| format!("i{}", [1, 1, 2, 1, 3, 2][n % 6]));
    let stream = beside_a_crowd(items, 1_100);
    let (before, after) = stream.split_at(640);
    let mut whole = Learner::new(settings()).expect("flex opens");
    learn(&mut whole, before);
    let (model, _) = publish(&mut whole, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let mut restored = Learner::restore(settings(), &model).expect("restores");
    before.iter().for_each(|positioned| restored.remember(&positioned.interaction));
    learn(&mut whole, after);
    learn(&mut restored, after);
    let guarded = whole.guarded().expect("a pace is bounded").most;
    assert!(guarded[0].interactions < 400, "most is learned: {guarded:?}");
    assert_eq!(differing(&snapshot(&mut restored), &snapshot(&mut whole)), Vec::<String>::new());
    assert_eq!(restored.guarded(), whole.guarded());
}
