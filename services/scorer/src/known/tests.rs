//! Which `similar` lists are written when.

use std::collections::BTreeSet;

use super::*;

const HOUR: i64 = 3_600_000;

fn known() -> Known {
    Known::new(100, Duration::from_secs(3_600))
}

fn all() -> Share {
    Share::new(1, [0])
}

fn through(next: i64) -> BTreeMap<i32, Through> {
    BTreeMap::from([(0, Through { next, ..Through::NOTHING })])
}

fn due(known: &mut Known, next: i64, now: i64) -> Vec<String> {
    known.due(10, &through(next), &all(), now).iter().map(ToString::to_string).collect()
}

#[test]
fn an_item_is_due_when_new_and_again_before_its_list_expires() {
    let mut known = known();
    known.learn("a");
    assert_eq!(due(&mut known, 0, 5 * HOUR), ["a"]);
    assert!(due(&mut known, 0, 5 * HOUR + 1).is_empty());
    assert_eq!(due(&mut known, 0, 6 * HOUR), ["a"]);
}

#[test]
fn an_item_acted_on_is_due_once_a_version_is_trained_through_it() {
    let mut known = known();
    known.learn("a");
    assert_eq!(due(&mut known, 0, 5 * HOUR), ["a"]);
    known.touch("a", 0, 7);
    known.touch("a", 0, 9);
    assert!(due(&mut known, 7, 5 * HOUR + 1).is_empty());
    assert_eq!(due(&mut known, 8, 5 * HOUR + 2), ["a"]);
    assert!(due(&mut known, 10, 5 * HOUR + 3).is_empty());
}

#[test]
fn a_rush_on_some_items_starves_no_others() {
    let mut known = known();
    ["a", "b"].into_iter().for_each(|id| known.learn(id));
    for n in 0..50 {
        let id = format!("rush{n}");
        known.touch(&id, 0, n);
        known.items.get_mut(&key_of(&id)).expect("is kept").written_at = HOUR;
    }
    let due = due(&mut known, 100, 5 * HOUR / 2);
    assert_eq!(due.len(), 10);
    assert!(due.contains(&"a".to_owned()) && due.contains(&"b".to_owned()), "{due:?}");
}

#[test]
fn items_are_divided_by_their_keys_but_each_writes_what_its_users_touched() {
    let shares = [Share::new(2, [0]), Share::new(2, [1])];
    let mut written = Vec::new();
    for share in &shares {
        let mut known = known();
        (0..20).for_each(|n| known.learn(&format!("i{n}")));
        written.extend(known.due(100, &through(0), share, HOUR));
    }
    written.sort();
    written.dedup();
    assert_eq!(written.len(), 20);

    let mut known = known();
    known.touch("i1", 0, 0);
    assert_eq!(known.due(10, &through(1), &Share::default(), HOUR).len(), 1);
}

#[test]
fn the_entries_of_a_list_are_items_too() {
    let mut known = known();
    known.learn("a");
    assert_eq!(due(&mut known, 0, 5 * HOUR), ["a"]);
    known.wrote("a", ["b", "c"].into_iter(), 0);
    let mut next = due(&mut known, 0, 5 * HOUR + 1);
    next.sort();
    assert_eq!(next, ["b", "c"]);
}

#[test]
fn lists_that_show_a_delisted_item_are_due() {
    let mut known = known();
    ["a", "b"].into_iter().for_each(|id| known.learn(id));
    due(&mut known, 0, 5 * HOUR);
    known.wrote("a", ["b"].into_iter(), 0);
    known.delist(&[key_of("b")]);
    assert_eq!(due(&mut known, 0, 5 * HOUR + 1), ["a"]);
    assert_eq!(known.len(), 1);
}

#[test]
fn the_own_list_of_a_delisted_item_goes_even_if_it_was_just_being_made() {
    let mut known = known();
    ["a", "b"].into_iter().for_each(|id| known.learn(id));
    due(&mut known, 0, 5 * HOUR);
    known.delist(&[key_of("b")]);
    assert_eq!(known.take_gone(), ["b"].map(std::sync::Arc::<str>::from));
    known.wrote("b", ["a"].into_iter(), 0);
    assert_eq!(known.take_gone(), ["b"].map(std::sync::Arc::<str>::from));
    assert!(known.take_gone().is_empty());
}

#[test]
fn a_list_that_was_being_made_during_a_delisting_is_due_again() {
    let mut known = known();
    ["a", "c"].into_iter().for_each(|id| known.learn(id));
    due(&mut known, 0, 5 * HOUR);
    let before = known.delistings();
    known.delist(&[key_of("b")]);
    known.wrote("a", ["c"].into_iter(), before);
    assert_eq!(due(&mut known, 0, 5 * HOUR + 1), ["a"]);
    known.wrote("a", ["c"].into_iter(), known.delistings());
    assert!(due(&mut known, 0, 5 * HOUR + 2).is_empty());
}

#[test]
fn after_a_flush_everything_is_due_as_many_at_once_as_asked_for() {
    let mut known = known();
    (0..50).for_each(|n| known.learn(&format!("i{n}")));
    let mut count = |now| known.due(30, &through(0), &all(), now).len();
    assert_eq!((count(5 * HOUR), count(5 * HOUR), count(5 * HOUR)), (30, 20, 0));
    known.forget_writings();
    assert_eq!(known.due(100, &through(0), &all(), 5 * HOUR + 1).len(), 50);
}

#[test]
fn at_the_bound_the_item_written_longest_ago_goes() {
    let mut known = Known::new(2, Duration::from_secs(3_600));
    for (n, id) in (0..).zip(["a", "b", "c"]) {
        known.learn(id);
        assert_eq!(due(&mut known, 0, 5 * HOUR + n), [id]);
    }
    assert_eq!(known.len(), 2);
    known.forget_writings();
    assert_eq!(due(&mut known, 0, 5 * HOUR + 9), ["c", "b"]);
    // A flush changes nothing about who goes.
    known.learn("d");
    assert_eq!((known.len(), known.items.contains(&key_of("b"))), (2, false));
}

#[test]
fn after_a_flush_the_lists_written_last_come_back_first() {
    let mut known = Known::new(9, Duration::from_secs(3_600));
    ["a", "b", "c", "d"].iter().for_each(|id| known.learn(id));
    let mut written: Vec<_> = (0..4).map(|n| known.due(1, &through(0), &all(), 5 * HOUR + n)).collect();
    known.forget_writings();
    let mut one = |now| known.due(1, &through(0), &all(), now);
    assert_eq!([one(5 * HOUR + 9), one(5 * HOUR + 10)], [written.pop(), written.pop()].map(Option::unwrap));
    // Flushed again on the way: what waits already comes first, then what was written meanwhile.
    known.forget_writings();
    let rest: Vec<_> = (0..5).map(|n| known.due(1, &through(0), &all(), 5 * HOUR + 20 + n)).collect();
    assert_eq!(rest[..2].iter().collect::<BTreeSet<_>>(), written.iter().collect());
    assert!(rest[2..4].iter().all(|due| due.len() == 1) && rest[4].is_empty(), "{rest:?}");
}

#[test]
fn a_list_that_shows_what_was_delisted_does_not_wait_for_a_refill() {
    let mut known = known();
    (0..20).for_each(|n| known.learn(&format!("i{n}")));
    known.due(100, &through(0), &all(), 5 * HOUR);
    known.wrote("i3", ["i7"].into_iter(), 0);
    known.forget_writings();
    known.delist(&[key_of("i7")]);
    assert_eq!(&*known.due(1, &through(0), &all(), 5 * HOUR + 1)[0], "i3");
}
