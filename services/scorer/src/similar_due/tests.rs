//! Which `similar` lists are written when.

use std::collections::BTreeSet;

use super::*;

const HOUR: i64 = 3_600_000;

fn known() -> SimilarDue {
    SimilarDue::new(100, Duration::from_secs(3_600))
}

fn all() -> Share {
    Share::new(1, [0])
}

fn through(next: i64) -> BTreeMap<i32, Through> {
    BTreeMap::from([(0, Through { next, ..Through::NOTHING })])
}

/// Takes items out of the catalog, and goes through the lists, three at a time.
fn delist(known: &mut SimilarDue, ids: &[&str]) {
    let mut keys: Vec<u64> = ids.iter().map(|id| key_of(id)).collect();
    keys.sort_unstable();
    known.delist(&keys);
    let mut from = Some(0);
    while let Some(at) = from {
        from = known.delist_shown(&keys, at, 3);
    }
}

fn due(known: &mut SimilarDue, next: i64, now: i64) -> Vec<String> {
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
        known.write(key_of(&id), HOUR);
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
    delist(&mut known, &["b"]);
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
    let mut known = SimilarDue::new(2, Duration::from_secs(3_600));
    for (n, id) in (0..).zip(["a", "b", "c"]) {
        known.learn(id);
        assert_eq!(due(&mut known, 0, 5 * HOUR + n), [id]);
    }
    assert_eq!(known.len(), 2);
    known.forget_writings();
    assert_eq!(due(&mut known, 0, 5 * HOUR + 9), ["c", "b"]);
    // A flush changes nothing about who goes.
    known.learn("d");
    assert_eq!((known.len(), known.items.contains_key(&key_of("b"))), (2, false));
}

#[test]
fn after_a_flush_the_lists_written_last_come_back_first() {
    let mut known = SimilarDue::new(9, Duration::from_secs(3_600));
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
    delist(&mut known, &["i7"]);
    assert_eq!(&*known.due(1, &through(0), &all(), 5 * HOUR + 1)[0], "i3");
}

#[test]
fn at_the_bound_what_is_new_and_acted_on_gets_its_list() {
    let mut known = SimilarDue::new(100, Duration::from_secs(3_600));
    (0..100).for_each(|n| known.learn(&format!("i{n}")));
    assert_eq!(known.due(200, &through(0), &all(), 5 * HOUR).len(), 100);
    for n in 0..20 {
        known.touch(&format!("new{n}"), 0, n);
        (0..50).for_each(|m| known.learn(&format!("listed{n}-{m}")));
    }
    let due = known.due(200, &through(20), &all(), 5 * HOUR + 1);
    let fresh = due.iter().filter(|id| id.starts_with("new")).count();
    assert_eq!((fresh, known.len()), (20, 100));
    // Whatever is listed, what people act on stays; of that the one acted on longest ago makes room.
    (0..1_000).for_each(|n| known.touch(&format!("again{}", n % 100), 0, 100 + n));
    (0..500).for_each(|n| known.learn(&format!("more{n}")));
    assert!((0..100).all(|n| known.items.contains_key(&key_of(&format!("again{n}")))));
    known.touch("last", 0, 2_000);
    assert!(!known.items.contains_key(&key_of("again0")) && known.items.contains_key(&key_of("last")));
}

#[test]
fn while_no_version_comes_each_item_waits_once_and_nothing_grows_beyond_the_bound() {
    let mut known = SimilarDue::new(50, Duration::from_secs(3_600));
    for n in 0..10_000 {
        known.touch(&format!("i{}", n % 500), i32::try_from(n % 4).expect("fits"), n);
    }
    let waiting: usize = known.touches.values().map(BTreeSet::len).sum();
    assert_eq!((known.len(), waiting, known.ranks.len(), known.turns.len()), (50, 50, 50, 50));
    assert_eq!(known.due(100, &through(0), &all(), HOUR).len(), 50, "new ones have no list yet");
    assert!(known.due(100, &through(0), &all(), HOUR + 1).is_empty(), "and then wait for a version");
}

#[test]
fn a_list_of_an_item_that_went_at_the_bound_while_it_was_made_stays_until_it_expires() {
    let mut known = SimilarDue::new(2, Duration::from_secs(3_600));
    ["a", "b"].into_iter().for_each(|id| known.learn(id));
    assert_eq!(due(&mut known, 0, 5 * HOUR).len(), 2);
    known.wrote("a", ["c", "d", "e"].into_iter(), 0);
    known.wrote("b", ["c"].into_iter(), 0);
    assert!(known.take_gone().is_empty());
}

#[test]
fn lists_of_others_are_passed_over_a_part_at_a_time() {
    let mut known = known_of(5_000);
    (0..5_000).for_each(|n| known.learn(&format!("i{n}")));
    let none = Share::default();
    let mut calls = 0;
    while known.has_due(HOUR) {
        assert!(known.due(100, &through(0), &none, HOUR).is_empty());
        calls += 1;
    }
    assert_eq!(calls, 3);
}

fn known_of(items: usize) -> SimilarDue {
    SimilarDue::new(items, Duration::from_secs(3_600))
}

#[test]
fn an_item_sold_out_and_back_between_two_turns_keeps_its_list() {
    let mut known = known();
    known.learn("x");
    delist(&mut known, &["x"]);
    known.learn("x");
    assert_eq!(due(&mut known, 0, HOUR), ["x"], "it is written");
    assert!(known.take_gone().is_empty(), "and not deleted behind that");
}

#[test]
fn items_that_come_and_go_while_no_version_is_live_take_no_more_memory_than_the_bound() {
    let mut known = known();
    for n in 0..1_000 {
        let id = format!("i{}", n % 300);
        known.learn(&id);
        delist(&mut known, &[&id]);
    }
    assert_eq!(known.take_gone().len(), 100);
}

#[test]
fn what_was_acted_on_before_its_log_was_made_again_is_due_with_the_first_version_of_that_log_whoever_owns_it() {
    let mut known = known();
    known.touch("a", 0, 1_000_000);
    assert_eq!(due(&mut known, 0, 0), ["a"], "new");
    assert_eq!(due(&mut known, 50, HOUR / 2), Vec::<String>::new(), "no version tells of it");
    known.begin_anew(&[0]);
    let anothers = Share::new(1, []);
    let none = BTreeMap::new();
    assert!(known.due(10, &none, &anothers, HOUR / 2).is_empty(), "no version of the new log yet");
    assert_eq!(known.due(10, &through(1), &anothers, HOUR / 2).len(), 1);
    known.touch("a", 0, 5);
    assert_eq!(due(&mut known, 5, HOUR / 2), Vec::<String>::new());
    assert_eq!(due(&mut known, 6, HOUR / 2), ["a"]);
}
