use super::*;
use crate::testing;

const MINUTE: Duration = Duration::from_secs(60);

fn rules() -> Rules {
    let good_after = 10 * MINUTE;
    Rules { tolerance: 0.002, threshold: 1e9, sample: 8, good_after_tests: 20_000, good_after }
}

fn id(sequence: u32) -> VersionId {
    VersionId { epoch: 1, sequence }
}

fn model() -> Model {
    Model::empty("flex").expect("opens")
}

/// Tests `times` times: the ranks of learner, anchor, co-visitation and popularity.
fn test(gate: &mut Gate, times: usize, ranks: [Option<usize>; 4]) {
    let [rank, anchor, covisitation, popularity] = ranks;
    let tested = testing::tested([rank, covisitation, popularity], Some(anchor));
    (0..times).for_each(|_| gate.test(&tested));
}

#[test]
fn a_snapshot_is_good_after_enough_tests_or_enough_time_and_never_untested() {
    let start = Instant::now();
    let mut gate = Gate::new(rules(), None);
    gate.made(id(1), model, start);
    gate.made(id(2), model, start); // the first is looked at meanwhile
    test(&mut gate, 19_999, [Some(0); 4]);
    assert!(gate.settle(start, BTreeMap::new).is_none());
    test(&mut gate, 1, [Some(0); 4]);
    assert!(gate.settle(start, BTreeMap::new).is_some());
    assert_eq!(gate.standing(), Standing { good: Some(id(1)), candidate: None, evidence: 0.0 });

    gate.made(id(3), model, start);
    assert!(gate.settle(start + 60 * MINUTE, BTreeMap::new).is_none(), "nobody tested it");
    test(&mut gate, 4_000, [Some(0); 4]);
    assert!(gate.settle(start + 9 * MINUTE, BTreeMap::new).is_none());
    assert!(gate.settle(start + 10 * MINUTE, BTreeMap::new).is_some());
    assert_eq!(gate.standing().good, Some(id(3)));
}

#[test]
fn a_learner_that_misses_what_its_anchor_hits_raises_an_alarm_and_its_snapshot_does_not_become_good() {
    let (mut gate, start) = (Gate::new(rules(), Some(id(1))), Instant::now());
    gate.made(id(2), model, start);
    test(&mut gate, 1_000, [Some(3), Some(3), None, None]);
    assert_eq!(gate.alarm(), None);
    test(&mut gate, 100, [None, Some(3), None, None]);
    let alarm = gate.alarm().expect("it is worse");
    assert!(alarm.reference == Reference::Anchor && alarm.evidence >= 1e9, "{alarm:?}");
    assert_eq!(gate.alarm(), None, "it is told once");
    test(&mut gate, 30_000, [Some(3), Some(3), None, None]);
    assert!(gate.settle(start + 60 * MINUTE, BTreeMap::new).is_none());
    assert_eq!(gate.standing().good, Some(id(1)));
}

#[test]
fn simple_methods_raise_an_alarm_only_where_the_learner_falls_behind_further_than_it_was() {
    let (mut gate, start) = (Gate::new(rules(), None), Instant::now());
    test(&mut gate, 5_000, [None, None, Some(0), Some(0)]);
    assert_eq!(gate.alarm(), None, "nothing is good yet: there is nothing to fall from");
    gate.made(id(1), model, start);
    test(&mut gate, 20_000, [Some(9); 4]);
    let quality = |hr20| Quality { hr20, mrr20: hr20, ..Quality::default() };
    let ahead = || {
        [("covisitation", 0.95), ("popularity", 0.0), ("model", 0.0)]
            .map(|(name, hr)| (name.to_owned(), quality(hr)))
            .into()
    };
    assert!(gate.settle(start, ahead).is_some());
    test(&mut gate, 5_000, [Some(9), Some(9), Some(0), Some(9)]);
    assert_eq!(gate.alarm(), None, "co-visitation was as far ahead before");
    test(&mut gate, 200, [None, None, None, Some(0)]);
    assert_eq!(gate.alarm().map(|alarm| alarm.reference), Some(Reference::Popularity));
}

#[test]
fn what_is_found_beside_a_simple_method_touches_neither_the_anchors_evidence_nor_what_becomes_good() {
    let (mut gate, start) = (Gate::new(rules(), None), Instant::now());
    gate.made(id(1), model, start);
    test(&mut gate, 20_000, [Some(0); 4]);
    assert!(gate.settle(start, BTreeMap::new).is_some());
    gate.made(id(2), model, start);
    // Co-visitation is far ahead, and the anchor somewhat.
    test(&mut gate, 20, [None, Some(0), Some(0), None]);
    let found = gate.standing().evidence;
    assert!(found > 1.0, "{found}");
    test(&mut gate, 200, [None, None, Some(0), None]);
    let before = gate.standing().evidence;
    assert_eq!(gate.alarm().map(|alarm| alarm.reference), Some(Reference::Covisitation));
    assert_eq!((gate.standing().evidence, gate.standing().candidate), (before, Some(id(2))), "it is told, and no more");
    // It stays far ahead all the while, and the candidate becomes good all the same.
    test(&mut gate, 20_000, [Some(0), Some(0), Some(0), None]);
    test(&mut gate, 100, [None, None, Some(0), None]);
    assert!(gate.evidence().any(|(reference, evidence)| reference == "covisitation" && evidence > 1e5));
    assert!(gate.settle(start, BTreeMap::new).is_some());
    assert_eq!(gate.standing().good, Some(id(2)));
}

#[test]
fn an_alarm_beside_the_anchor_comes_first_and_leaves_the_others_evidence() {
    let (mut gate, start) = (Gate::new(rules(), None), Instant::now());
    gate.made(id(1), model, start);
    test(&mut gate, 20_000, [Some(0); 4]);
    assert!(gate.settle(start, BTreeMap::new).is_some());
    test(&mut gate, 200, [None, Some(0), Some(0), Some(0)]);
    let alarms: Vec<_> = std::iter::from_fn(|| gate.alarm()).map(|alarm| alarm.reference).collect();
    assert_eq!(alarms, Reference::ALL);
    assert!(gate.evidence().all(|(_, evidence)| evidence == 0.0));
}

#[test]
fn a_gate_that_is_off_tests_nothing_and_keeps_no_model() {
    let mut gate = Gate::new(Rules { sample: 0, ..rules() }, None);
    gate.made(id(1), || panic!("none is kept"), Instant::now());
    test(&mut gate, 1_000, [None, Some(0), None, None]);
    assert_eq!((gate.alarm(), gate.standing().evidence), (None, 0.0));
}

#[test]
fn half_way_to_an_alarm_nothing_becomes_good_and_the_anchor_stays() {
    let (mut gate, start) = (Gate::new(rules(), Some(id(1))), Instant::now());
    gate.made(id(2), model, start);
    assert_eq!(gate.standing().candidate, Some(id(2)));
    test(&mut gate, 20_000, [Some(3), Some(3), None, None]);
    test(&mut gate, 30, [None, Some(3), None, None]);
    assert!(gate.standing().evidence > 1e5 && gate.alarm().is_none(), "{:?}", gate.standing());
    assert!(gate.settle(start, BTreeMap::new).is_none());
    gate.forget();
    assert_eq!((gate.standing().good, gate.standing().candidate), (None, None));
}

#[test]
fn a_good_version_that_is_read_again_is_the_anchor_unless_another_is_good_by_then() {
    let (mut gate, start) = (Gate::new(rules(), Some(id(1))), Instant::now());
    assert!(!gate.anchored(None) && !gate.anchored(Some(id(2))));
    test(&mut gate, 30, [None, Some(0), None, None]);
    assert!(gate.standing().evidence > 0.0, "beside the version that it went on from");
    assert!(gate.anchored(Some(id(1))));
    assert_eq!(gate.standing(), Standing { good: Some(id(1)), candidate: None, evidence: 0.0 });
    gate.made(id(2), model, start);
    test(&mut gate, 20_000, [Some(0); 4]);
    assert!(gate.settle(start, BTreeMap::new).is_some());
    assert!(!gate.anchored(Some(id(1))), "the next is good already");
    assert!(!Gate::new(Rules { sample: 0, ..rules() }, Some(id(1))).anchored(Some(id(1))), "nothing is tested");
}
