//! What a user chose since a version was made counts as if the version had counted it.

use super::*;
use crate::memory::influence::Influence;
use crate::memory::repeats::Repeats;
use crate::ranking;
use crate::ranking::evidence::Evidence;
use crate::ranking::features::{FEATURES, Feature};
use crate::ranking::query::Query;
use crate::ranking::since::Since;

const PAIRS: [Feature; 13] = [
    Feature::LastNext,
    Feature::LastAhead,
    Feature::LastBehind,
    Feature::LastLately,
    Feature::BeforeAhead,
    Feature::BeforeBehind,
    Feature::PairsNext,
    Feature::PairsAhead,
    Feature::PairsBehind,
    Feature::PairsLately,
    Feature::Linked,
    Feature::Lift,
    Feature::PairsPlace,
];
const SESSIONS: [Feature; 3] = [Feature::SessionShare, Feature::SessionOfBest, Feature::SessionPlace];
const POPULARITY: [Feature; 6] = [
    Feature::PopularNow,
    Feature::PopularLately,
    Feature::PopularForLong,
    Feature::PopularEver,
    Feature::PopularPlace,
    Feature::Choices,
];

/// Every candidate of a query, by key.
fn looked_at(knowledge: &Knowledge, user: UserKey, history: &[Seen]) -> BTreeMap<u64, [f32; FEATURES]> {
    let ts = history.last().expect("somebody who chose").ts;
    let vector = knowledge.encode(&[(history, ts)]);
    let catalog = Catalog::default();
    let query = Query { user, history, vector: &vector, retrieved: &[], catalog: &catalog, ts };
    let evidence = Evidence::new(knowledge, &query, Since::new(knowledge, user, history));
    let list = ranking::candidates(knowledge, &query, &evidence);
    list.into_iter().map(|candidate| (candidate.key, candidate.features)).collect()
}

fn difference(left: &[f32; FEATURES], right: &[f32; FEATURES], feature: Feature) -> f32 {
    (left[feature as usize] - right[feature as usize]).abs()
}

/// The largest difference of a feature between two looks at the same candidates, and which it is.
fn farthest(
    left: &BTreeMap<u64, [f32; FEATURES]>,
    right: &BTreeMap<u64, [f32; FEATURES]>,
    compared: impl Fn(u64, Feature) -> bool,
) -> (f32, Feature) {
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    let each = left.iter().zip(right).flat_map(|((key, left), (_, right))| {
        let features = Feature::ALL.into_iter().filter(|feature| compared(*key, *feature));
        features.map(|feature| (difference(left, right, feature), feature)).collect::<Vec<_>>()
    });
    each.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are candidates")
}

/// A choice, counted and paired without any training, so that no vector changes.
fn count(learner: &mut Learner, user_id: &str, history: &[Seen], item_id: &str, seen: Seen) {
    let knowledge = &mut learner.knowledge;
    let windows = knowledge.settings().influence_windows().expect("is on by default");
    knowledge.stand_at(knowledge.now().max(seen.ts), knowledge.interactions());
    learner.sight(&Example {
        user_id: user_id.to_owned(),
        user: UserKey::of(user_id),
        history: history.to_vec(),
        key: seen.key,
        kind: seen.kind,
        ts: seen.ts,
        asked_at: seen.ts,
        item_id: item_id.to_owned(),
        place: (0, schemas::Position::START),
        weight: learner.knowledge.settings().weights.of(seen.kind),
        influence: Influence::of(history, &seen, &windows),
        chosen_then: 0,
    });
}

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

/// A learner of a short stream, so that one choice shows in every total, that counts a user's visit; the versions after
/// each step of it, and the history then.
fn visited(visit: &[(&str, Kind, i64)], pause_after_two: i64, others_first: bool) -> (Vec<Knowledge>, Vec<Seen>) {
    let mut learner = Learner::new(Settings { repeats: Repeats::Allow, ..settings() }).expect("flex opens");
    learn(&mut learner, &stream(80));
    let start = learner.knowledge().now() + SECOND;
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
    let user = UserKey::of("somebody");
    for others_first in [false, true] {
        let (versions, history) = visited(&VISIT, 0, others_first);
        let counted = looked_at(versions.last().expect("counted"), user, &history);
        // A version's own time bounds the ages that it tells: of items, and of choices that were not the user's.
        let own = |key: u64| history.iter().any(|seen| seen.key == key);
        let aged = |key: u64, feature| feature == Feature::Age || (feature == Feature::Idle && !own(key));
        // Whoever chooses an item as the second one makes it new for everybody: that is the version's to tell.
        let apart = [Feature::NewPlace, Feature::PopularPlace];
        let compared = |key: u64, feature| !apart.contains(&feature) && (others_first || !aged(key, feature));
        for (n, older) in versions.iter().enumerate() {
            let added = looked_at(older, user, &history);
            let (difference, feature) = farthest(&added, &counted, compared);
            // Where a version's time has stood still, others have not faded for as long as the visit took.
            let most = if others_first { 0.002 } else { 0.03 };
            assert!(difference < most, "{feature:?} of the version after {n} choices differs by {difference}");
            let (places, _) = farthest(&added, &counted, |_, feature| feature == Feature::PopularPlace);
            assert!(places < 0.15, "places among the popular, but for ties, differ by {places}");
        }
        // For nobody in particular nothing is added that lies in the version's time, and that shows.
        if others_first {
            let [nobody, counted] =
                [&looked_at(&versions[0], UserKey::NOBODY, &history), &counted].map(|list| list[&key_of("i30")]);
            assert!(PAIRS.into_iter().any(|pair| difference(&nobody, &counted, pair) > 0.5));
        }
    }
}

#[test]
fn an_item_that_a_version_does_not_know_keeps_its_place_between_the_others() {
    let visit = [("i7", Kind::View, 0), ("never met before", Kind::View, 1), ("i30", Kind::View, 2)];
    let (versions, history) = visited(&visit, 0, false);
    let [older, counted] = [0, 3].map(|n| looked_at(&versions[n], UserKey::of("somebody"), &history)[&key_of("i7")]);
    // It comes two before the last choice, not just before it.
    for feature in PAIRS {
        let difference = difference(&older, &counted, feature);
        assert!(difference < 0.01, "{feature:?} differs by {difference}");
    }
}

#[test]
fn a_session_that_a_pause_has_ended_is_a_neighbour_before_the_version_knows_of_the_next() {
    let (versions, history) = visited(&VISIT, 13 * HOUR, false);
    let of_sessions = |version: &Knowledge| {
        let list = looked_at(version, UserKey::of("somebody"), &history[..3]);
        list.into_iter()
            .map(|(key, features)| (key, SESSIONS.map(|feature| features[feature as usize])))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(of_sessions(&versions[2]), of_sessions(&versions[3]));
    assert!(of_sessions(&versions[3])[&key_of("i8")].iter().all(|feature| *feature > 0.0));
}

#[test]
fn what_comes_days_after_a_version_counts_as_if_it_came_at_its_end() {
    let (versions, history) = visited(&VISIT, 0, false);
    let later: Vec<Seen> = history.iter().map(|seen| Seen { ts: seen.ts + 7 * 24 * HOUR, ..*seen }).collect();
    let (soon, late) = (looked_at(&versions[0], UserKey(1), &history), looked_at(&versions[0], UserKey(1), &later));
    // Shares of popularity and pairs are what they are for the same choices at once.
    for (key, late) in &late {
        for feature in PAIRS.into_iter().chain(SESSIONS).chain(POPULARITY) {
            let difference = difference(late, &soon[key], feature);
            assert!(difference < 0.2, "{feature:?} differs by {difference}");
        }
    }
    // Of the user's own choices the older one weighs less, as ever.
    let popular_now = |item: &str| late[&key_of(item)][Feature::PopularNow as usize];
    assert!(popular_now("i30") < popular_now("i55"));
}
