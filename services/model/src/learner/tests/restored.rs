//! A learner that goes on from a version.

use super::*;
use crate::settings::Architecture;

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
    whole.knowledge.stand_at(whole.knowledge.now(), 100_000); // a young one has no pools
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
fn a_restored_learner_replays_what_the_other_would_have() {
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
    // The hit of yesterday is replayed less than it would be if it were chosen as ever.
    let hits = |learner: &Learner, chosen: &dyn Fn(u64) -> u32| {
        let mut rng = learner.rng(1);
        let drawn = (0..2_000).filter_map(|_| learner.replay.draw(&mut rng, chosen));
        drawn.filter(|past| past.key == key_of("hit")).count()
    };
    let now = hits(&restored, &|key| restored.recent.count(key));
    let as_ever = hits(&restored, &|_| 1_000_000);
    assert!(now * 3 < as_ever, "{now} and {as_ever} of 2000");
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
fn other_half_lives_take_over_what_is_popular_now() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(1_000));
    let empty = Model::empty("flex").expect("opens");
    let (model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    let shares = |learner: &Learner| {
        let entry = learner.knowledge.table().get(key_of("i7")).expect("was met");
        log_shares(&entry.counters, &learner.knowledge.popular().totals)
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
    let neighbours = |knowledge: &Knowledge| knowledge.sessions().neighbours(UserKey::NOBODY, &history, &bounds);
    let expected = neighbours(changed.knowledge());
    assert!(expected != neighbours(before.knowledge()));
    assert!(expected == neighbours(by_delta.knowledge()) && expected == neighbours(by_snapshot.knowledge()));
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
