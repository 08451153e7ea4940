use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn id(epoch: u32, sequence: u32) -> VersionId {
    VersionId { epoch, sequence }
}

fn place(version: VersionId) -> Place {
    Place { version, begins: Some(7) }
}

fn word(action: Action, version: Option<VersionId>) -> Release {
    Release {
        action,
        place: version.map(place),
        back: None,
        by: "ann".into(),
        reason: "a test".into(),
        at: NOW,
        expires: None,
        rollbacks: Vec::new(),
    }
}

fn rollback(to: VersionId, epoch: u32, at: i64) -> Release {
    Release { back: Some(Back { to: place(to), epoch, at }), at, ..word(Action::Rollback, Some(to)) }
}

fn releases(records: &[(&str, &Release)]) -> Releases {
    let mut releases = Releases::default();
    for (offset, (key, release)) in (0..).zip(records) {
        let value = serde_json::to_vec(release).expect("serialises");
        releases.take(key.as_bytes(), Some(&value), offset).expect("is good");
    }
    releases
}

fn served(releases: &Releases, tip: VersionId, now: i64) -> VersionId {
    match releases.serve(tip, now) {
        Serve::Tip => tip,
        Serve::Version(place, _) => place.version,
    }
}

#[test]
fn a_record_is_one_flat_object_that_a_person_can_read() {
    let pin = serde_json::to_string(&word(Action::Pin, Some(id(3, 120)))).expect("serialises");
    let expected =
        r#"{"action":"pin","version":"000003-00000120","begins":7,"by":"ann","reason":"a test","at":1700000000000}"#;
    assert_eq!(pin, expected);
    let resume = serde_json::to_string(&word(Action::Resume, None)).expect("serialises");
    assert_eq!(resume, r#"{"action":"resume","by":"ann","reason":"a test","at":1700000000000}"#);
    assert_eq!(Release::read(resume.as_bytes()), Ok(word(Action::Resume, None)));
}

#[test]
fn nothing_said_serves_the_newest() {
    assert_eq!(Releases::default().serve(id(1, 9), NOW), Serve::Tip);
}

#[test]
fn a_pin_stands_whatever_comes_until_it_is_lifted_or_expires() {
    let pin = Release { expires: Some(NOW + 10), ..word(Action::Pin, Some(id(1, 5))) };
    let pinned = releases(&[(OPERATOR, &pin)]);
    assert_eq!(served(&pinned, id(2, 9), NOW), id(1, 5));
    assert_eq!(served(&pinned, id(2, 9), NOW + 10), id(2, 9), "it expired");
    let lifted = releases(&[(OPERATOR, &pin), (OPERATOR, &word(Action::Unpin, None))]);
    assert_eq!(served(&lifted, id(2, 9), NOW), id(2, 9));
    let mut taken_back = pinned.clone();
    assert_eq!(taken_back.take(OPERATOR.as_bytes(), None, 9), Ok(true));
    assert_eq!(served(&taken_back, id(2, 9), NOW), id(2, 9));
}

#[test]
fn after_a_rollback_what_is_behind_is_not_served_and_the_next_epoch_is() {
    let back = releases(&[(OPERATOR, &rollback(id(3, 10), 4, NOW))]);
    for bad in [id(3, 11), id(4, 1), id(4, 900)] {
        assert_eq!(served(&back, bad, NOW), id(3, 10), "{bad}");
    }
    for good in [id(2, 99), id(3, 9), id(3, 10), id(5, 1)] {
        assert_eq!(served(&back, good, NOW), good, "a reader on its way there, or what went on from it");
    }
}

#[test]
fn a_rollback_reaches_a_trainer_that_was_just_starting_and_none_that_nobody_could_claim() {
    let back = Back::new(place(id(3, 10)), 4, NOW);
    assert!(back.covers(id(5, 1)) && !back.covers(id(6, 1)));
    assert!(!Back { epoch: 4 + 20_000, ..back }.covers(id(4, 1)), "a stranger's");
}

#[test]
fn a_second_rollback_before_the_first_is_answered_reaches_further_than_that_one() {
    let first = releases(&[(OPERATOR, &rollback(id(3, 10), 6, NOW))]);
    let second = first.back_to(place(id(3, 2)), 5, NOW - 1_000);
    assert_eq!(second.epoch, 7, "the trainer that answers the first claims 7, and has to answer this one, too");
    let strangers = releases(&[(OPERATOR, &rollback(id(3, 10), 3_000_000, NOW))]);
    assert_eq!(strangers.back_to(place(id(3, 2)), 5, NOW).epoch, 6);
}

#[test]
fn a_rollback_stays_in_force_under_what_is_decided_later() {
    let first = rollback(id(3, 10), 4, NOW);
    let pin = Release { back: first.back, ..word(Action::Pin, Some(id(3, 2))) };
    let unpin = Release { back: first.back, ..word(Action::Unpin, None) };
    assert_eq!(served(&releases(&[(OPERATOR, &pin)]), id(4, 7), NOW), id(3, 2));
    assert_eq!(served(&releases(&[(OPERATOR, &pin), (OPERATOR, &unpin)]), id(4, 7), NOW), id(3, 10));
}

#[test]
fn of_two_rollbacks_the_one_of_the_later_epoch_counts_and_else_the_later_one() {
    let of = |gate: &Release, operator: &Release| releases(&[(GATE, gate), (OPERATOR, operator)]);
    let both = of(&rollback(id(3, 10), 4, NOW), &rollback(id(3, 2), 4, NOW + 5));
    assert_eq!(served(&both, id(4, 7), NOW), id(3, 2), "a person went further back");
    let both = of(&rollback(id(5, 3), 5, NOW), &rollback(id(3, 2), 4, NOW + 5));
    assert_eq!(served(&both, id(5, 7), NOW), id(5, 3));
}

#[test]
fn the_gate_never_overrules_a_person_and_a_person_lifts_its_hold() {
    let (pin, hold) = (word(Action::Pin, Some(id(1, 5))), word(Action::Hold, Some(id(2, 1))));
    let gate = rollback(id(2, 3), 2, NOW);
    assert_eq!(served(&releases(&[(OPERATOR, &pin), (GATE, &gate)]), id(2, 9), NOW), id(1, 5));
    assert_eq!(served(&releases(&[(OPERATOR, &pin), (GATE, &hold)]), id(2, 9), NOW), id(1, 5));
    assert_eq!(served(&releases(&[(GATE, &hold)]), id(2, 9), NOW), id(2, 1));
    let resumed = releases(&[(GATE, &hold), (OPERATOR, &word(Action::Resume, None))]);
    assert_eq!(served(&resumed, id(2, 9), NOW), id(2, 9));
    let mut releases = releases(&[(OPERATOR, &pin)]);
    let before = releases.clone();
    let forged = serde_json::to_vec(&pin).expect("serialises");
    assert!(releases.take(GATE.as_bytes(), Some(&forged), 3).is_err(), "it only ever goes back");
    assert_eq!(releases, before);
}

#[test]
fn what_cannot_be_is_refused_with_a_reason_and_changes_nothing() {
    let good = rollback(id(3, 10), 4, NOW);
    let bad = [
        Release { place: None, ..good.clone() },
        Release { back: None, ..good.clone() },
        Release { back: Some(Back { to: place(id(3, 9)), epoch: 4, at: NOW }), ..good.clone() },
        Release { back: Some(Back { to: place(id(3, 10)), epoch: 2, at: NOW }), ..good.clone() },
        Release { by: String::new(), ..good.clone() },
        Release { reason: "\u{1b}[2J".into(), ..good.clone() },
        Release { reason: "x".repeat(1_001), ..good.clone() },
        Release { at: i64::MIN, ..good.clone() },
        Release { expires: Some(i64::MAX), ..good.clone() },
        Release { rollbacks: vec![NOW; 17], ..good.clone() },
        Release { rollbacks: vec![i64::MAX], ..good.clone() },
        word(Action::Pin, Some(id(0, 1))),
        word(Action::Pin, Some(id(u32::MAX, 1))),
    ];
    let mut releases = releases(&[(OPERATOR, &good)]);
    let before = releases.clone();
    for release in bad {
        let value = serde_json::to_vec(&release).expect("serialises");
        assert!(releases.take(OPERATOR.as_bytes(), Some(&value), 9).is_err(), "{release:?}");
    }
    for value in [&b"{"[..], b"[]", br#"{"action":"dance","by":"a","reason":"b","at":1}"#, &[b'x'; 20_000]] {
        let refusal = releases.take(OPERATOR.as_bytes(), Some(value), 9).expect_err("is refused");
        assert!(refusal.len() < 400 && !refusal.chars().any(char::is_control), "{refusal}");
    }
    assert_eq!(releases.take(b"somebody-else's", Some(b"{"), 9), Ok(false));
    assert_eq!(releases, before);
}

proptest! {
    #[test]
    fn whatever_lies_on_control_is_read_or_refused_within_bounds(value: Vec<u8>, text in ".{0,60}", at: i64) {
        let mut releases = Releases::default();
        let _ = releases.take(OPERATOR.as_bytes(), Some(&value), 0);
        let json = serde_json::json!({"action": "pin", "version": text, "by": text, "reason": text, "at": at});
        if let Err(reason) = releases.take(OPERATOR.as_bytes(), Some(json.to_string().as_bytes()), 1) {
            prop_assert!(reason.len() < 400 && !reason.chars().any(char::is_control), "{:?}", reason);
        }
        let _ = releases.serve(VersionId { epoch: 3, sequence: 1 }, at);
    }
}
