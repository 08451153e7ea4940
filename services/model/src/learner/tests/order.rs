//! A given list in a user's order, why the rest of it was left out, and what moved an item.

use super::*;
use crate::memory::only_listed::OnlyListed;
use crate::memory::repeats::Repeats;
use crate::ranking::filters::Why;

const NOW: i64 = 1_700_000_900_000;

fn model(settings: Settings) -> Model {
    let mut learner = Learner::new(settings).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    Model::of(learner.knowledge())
}

fn seen(item: &str, kind: Kind) -> Seen {
    Seen { key: key_of(item), kind, ts: NOW }
}

#[test]
fn a_given_list_has_the_order_and_the_scores_of_the_slate() {
    let model = model(settings());
    let history = [seen("i7", Kind::View)];
    let user = UserView { user: UserKey::NOBODY, history: &history, ts: NOW };
    let catalog = Catalog::default();
    let slate = model.slates(&[user], &catalog, 20).remove(0);
    let mut given: Vec<&str> = slate.iter().map(|entry| entry.id.as_str()).collect();
    given.reverse();
    let order = model.order(&user, &given, &catalog);
    assert_eq!((order.list.len(), order.dropped.len()), (slate.len(), 0));
    for (given, entry) in order.list.iter().zip(&slate) {
        assert_eq!((&given.id, &given.from, &given.because), (&entry.id, &entry.from, &entry.because));
        assert!((given.score - entry.score).abs() < 1e-4); // fewer at once: sums of floats in another order
    }
}

#[test]
fn what_no_source_names_is_ordered_too_and_says_so() {
    let model = model(Settings { candidates: 20, ..settings() });
    let history = [seen("i7", Kind::View)];
    let user = UserView { user: UserKey::NOBODY, history: &history, ts: NOW };
    let ids: Vec<String> = (0..100).map(|n| format!("i{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let order = model.order(&user, &ids, &Catalog::default());
    assert_eq!((order.list.len(), order.dropped.len()), (100, 0));
    assert!(order.list.is_sorted_by(|a, b| a.score >= b.score));
    assert_eq!(order.list[0].id, "i8");
    assert!(order.list.iter().any(|entry| entry.from == "given"));
}

#[test]
fn what_is_left_out_of_a_given_list_says_why() {
    let mut catalog = Catalog::default();
    catalog.apply("i3", None);
    let history =
        [seen("i4", Kind::Dislike), seen("i5", Kind::Purchase), seen("i6", Kind::View), seen("i7", Kind::View)];
    let user = UserView { user: UserKey::NOBODY, history: &history, ts: NOW };
    let given = ["i8", "nowhere", "i3", "i4", "i5", "i6", "i8"];
    let why = |repeats: Repeats| {
        let order = model(Settings { repeats, ..settings() }).order(&user, &given, &catalog);
        assert_eq!(order.list.len() + order.dropped.len(), given.len());
        order.dropped.into_iter().map(|dropped| (dropped.item, dropped.why)).collect::<BTreeMap<_, _>>()
    };
    let named = |all: &[(&str, Why)]| all.iter().map(|(item, why)| ((*item).to_owned(), *why)).collect();
    let always = [("i3", Why::Delisted), ("i4", Why::Disliked), ("i8", Why::Twice), ("nowhere", Why::Unknown)];
    let and = |more: &[(&'static str, Why)]| named(&[&always, more].concat());
    assert_eq!(why(Repeats::Allow), and(&[]));
    assert_eq!(why(Repeats::Mix), and(&[("i5", Why::Bought)]));
    assert_eq!(why(Repeats::Never), and(&[("i5", Why::Chosen), ("i6", Why::Chosen)]));
}

#[test]
fn where_only_what_is_listed_is_shown_the_rest_of_a_given_list_is_not_listed() {
    let model = model(Settings { only_listed: OnlyListed::Yes, ..settings() });
    let mut catalog = Catalog::default();
    let item: Item = serde_json::from_str(r#"{"item_id":"i8"}"#).expect("parses");
    catalog.apply("i8", Some(&item));
    let user = UserView { user: UserKey::NOBODY, history: &[], ts: NOW };
    let order = model.order(&user, &["i8", "i9"], &catalog);
    assert_eq!(order.list.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["i8"]);
    assert_eq!((order.dropped[0].item.as_str(), order.dropped[0].why), ("i9", Why::NotListed));
}

#[test]
fn a_slate_explained_is_the_slate_with_every_feature_by_name_and_what_moved_most_first() {
    let model = model(settings());
    let history = [seen("i7", Kind::View)];
    let user = UserView { user: UserKey::NOBODY, history: &history, ts: NOW };
    let explained = model.explained(&user, &Catalog::default(), 20);
    let slate = model.slates(&[user], &Catalog::default(), 20).remove(0);
    assert_eq!(explained.iter().map(|explained| explained.entry.clone()).collect::<Vec<_>>(), slate);
    for item in &explained {
        assert!(item.features.is_sorted_by(|a, b| a.adds.abs() >= b.adds.abs()));
        assert_eq!(item.features.len(), crate::ranking::features::FEATURES);
    }
    let first = &explained[0];
    let value = |name: &str| first.features.iter().find(|feature| feature.name == name).expect("has a name").value;
    assert!(value("last_next") > 0.0 && value("chosen") == 0.0, "{first:?}");
}
