//! Sessions that are compared, and sessions that go.

use proptest::prelude::*;
use schemas::Kind;

use super::*;

const BOUNDS: Bounds = Bounds { sessions: 4, per_item: 2, neighbours: 10, gap_ms: 100 };

fn history(keys: &[u64]) -> Vec<Seen> {
    keys.iter().map(|key| Seen { key: *key, kind: Kind::View, ts: 0 }).collect()
}

fn note_all(sessions: &mut Sessions, user: u64, keys: &[u64], ts: i64) {
    for key in keys {
        sessions.note(UserKey(user), *key, ts, &BOUNDS);
    }
}

#[test]
fn the_nearest_session_gives_the_next_item() {
    let mut sessions = Sessions::default();
    note_all(&mut sessions, 1, &[10, 11, 12], 0);
    note_all(&mut sessions, 2, &[20, 21, 22], 0);
    let shares = sessions.neighbours(UserKey(9), &history(&[10, 11]), &BOUNDS);
    assert!(shares[&12] > shares[&10], "what lies ahead counts more: {shares:?}");
    assert!(!shares.contains_key(&22));
    assert!((shares.values().sum::<f32>() - 1.0).abs() < 1e-5);
}

#[test]
fn a_users_own_session_is_no_neighbour() {
    let mut sessions = Sessions::default();
    note_all(&mut sessions, 1, &[10, 11, 12], 0);
    assert!(sessions.neighbours(UserKey(1), &history(&[10, 11]), &BOUNDS).is_empty());
}

#[test]
fn a_pause_begins_a_new_session() {
    let mut sessions = Sessions::default();
    let first = sessions.note(UserKey(1), 10, 0, &BOUNDS).expect("begins");
    let second = sessions.note(UserKey(1), 11, 100, &BOUNDS).expect("goes on, and is worth comparing now");
    assert_eq!((second, sessions.get(first)), (first + 1, None));
    assert_eq!(sessions.note(UserKey(1), 12, 150, &BOUNDS), Some(second));
    assert_eq!(sessions.note(UserKey(1), 13, 251, &BOUNDS), Some(second + 1));
    assert_eq!(sessions.get(second).expect("kept").items, [10, 11, 12]);
}

#[test]
fn a_choice_that_comes_late_by_more_than_a_pause_is_in_no_session() {
    let mut sessions = Sessions::default();
    note_all(&mut sessions, 1, &[10, 11], 1_000);
    assert_eq!(sessions.note(UserKey(1), 12, 899, &BOUNDS), None);
    assert_eq!(sessions.note(UserKey(1), 12, 900, &BOUNDS), Some(1), "within a pause it is");
    assert_eq!(sessions.get(1).expect("kept").last_ts, 1_000);
}

#[test]
fn a_session_of_one_item_is_compared_with_nobody() {
    let mut sessions = Sessions::default();
    note_all(&mut sessions, 1, &[10, 10], 0);
    assert_eq!((sessions.len(), sessions.of_item.len()), (1, 0));
    assert!(sessions.neighbours(UserKey(9), &history(&[10]), &BOUNDS).is_empty());
}

#[test]
fn the_oldest_sessions_go_and_leave_no_trace() {
    let mut sessions = Sessions::default();
    for user in 0..10 {
        note_all(&mut sessions, user, &[user, 100], 0);
    }
    let numbers: Vec<u64> = sessions.iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [13, 15, 17, 19]);
    assert_eq!(sessions.of_item.len(), 5);
    assert_eq!(**sessions.of_item.get(&100).expect("held"), [17, 19]);
    assert_eq!(sessions.of_user.len(), 4);
}

#[test]
fn of_a_session_beyond_its_bound_later_items_are_not_kept_and_it_may_hold_anything() {
    let mut sessions = Sessions::default();
    let items: Vec<u64> = (0..SESSION_ITEMS as u64 + 50).collect();
    note_all(&mut sessions, 1, &items, 0);
    let (_, session) = sessions.iter().next().expect("is kept");
    assert_eq!(session.items, items[..SESSION_ITEMS]);
    assert!(session.holds(items[SESSION_ITEMS + 7]) && session.holds(999_999), "this can no longer be told");
    assert!(!sessions.of_item.contains_key(&items[SESSION_ITEMS]));
}

#[test]
fn a_flood_of_invented_sessions_washes_out_the_flood() {
    let bounds = Bounds { sessions: 1_000, ..BOUNDS };
    let mut sessions = Sessions::default();
    for user in 0..700 {
        sessions.note(UserKey(user), user, 0, &bounds);
        sessions.note(UserKey(user), 10_000, 0, &bounds);
    }
    for user in 0..200_000 {
        sessions.note(UserKey(1_000_000 + user), user, 1, &bounds);
    }
    assert_eq!((sessions.len(), sessions.kept.len(), sessions.of_user.len()), (1_000, 700, 1_000));
}

#[test]
fn a_table_made_from_its_sessions_is_the_same() {
    let mut sessions = Sessions::default();
    note_all(&mut sessions, 1, &[10], 0);
    note_all(&mut sessions, 2, &[11, 10], 0);
    note_all(&mut sessions, 3, &[10, 12], 0);
    note_all(&mut sessions, 1, &[12, 11], 0); // an older session takes items up after a newer one
    assert_same(&sessions, &copy_of(&sessions), &history(&[10, 11]));
}

/// Made from the sessions alone, as from a payload.
fn copy_of(sessions: &Sessions) -> Sessions {
    let mut copy = Sessions::default();
    for (number, session) in sessions.iter() {
        copy.set(number, (**session).clone(), &BOUNDS);
    }
    copy
}

fn assert_same(sessions: &Sessions, copy: &Sessions, query: &[Seen]) {
    let sorted = |s: &Sessions| {
        let mut all: Vec<_> = s.of_item.iter().map(|(key, numbers)| (*key, numbers.to_vec())).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(sessions), sorted(copy));
    assert_eq!((sessions.first(), sessions.next()), (copy.first(), copy.next()));
    assert_eq!(sessions.neighbours(UserKey(9), query, &BOUNDS), copy.neighbours(UserKey(9), query, &BOUNDS));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_sessions_keep_their_bounds_and_say_all_there_is_to_say(
        choices in proptest::collection::vec((0_u64..6, 0_u64..8, 0_i64..300), 1..80),
        query in proptest::collection::vec(0_u64..8, 0..12),
    ) {
        let mut sessions = Sessions::default();
        let mut now = 0;
        for (user, key, later) in choices {
            let user = UserKey(user);
            now += later - 50; // some come late
            let number = sessions.note(user, key, now, &BOUNDS);
            let noted = number.and_then(|number| sessions.get(number));
            prop_assert!(noted.is_none_or(|session| session.user == user && session.items.contains(&key)));
            prop_assert!(sessions.len() <= BOUNDS.sessions);
            prop_assert!(sessions.of_user.len() <= sessions.len());
            for (key, numbers) in &sessions.of_item {
                prop_assert!(numbers.len() <= BOUNDS.per_item && numbers.is_sorted());
                prop_assert!(numbers.iter().all(|n| sessions.get(*n).is_some_and(|s| s.items.contains(key))));
            }
        }
        let query = history(&query);
        assert_same(&sessions, &copy_of(&sessions), &query);
        let shares = sessions.neighbours(UserKey(99), &query, &BOUNDS);
        prop_assert!(shares.is_empty() || (shares.values().sum::<f32>() - 1.0).abs() < 1e-4);
        prop_assert!(shares.values().all(|share| *share > 0.0));
    }
}
