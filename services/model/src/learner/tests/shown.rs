//! What lists show, and what they do not.

use super::*;
use crate::memory::repeats::Repeats;

#[test]
fn a_delisted_item_is_in_no_list() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    let (model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let mut catalog = Catalog::default();
    catalog.apply("i8", None);
    let history = [Seen { key: key_of("i7"), kind: Kind::View, ts: 1_700_000_900_000 }];
    let view = [UserView { user: UserKey::NOBODY, history: &history, ts: 1_700_000_900_000 }];
    let mut lists = model.slates(&view, &catalog, 100);
    lists.extend(model.similar(&["i7"], &catalog, 100));
    for tops in
        [model.hot(&catalog, 100, 100, 1_700_000_900_000), model.new_items(&catalog, 100, 100, 1_700_000_900_000)]
    {
        lists.extend(tops.lists.into_iter().map(|(_, list)| list));
    }
    assert!(lists.iter().all(|list| !list.is_empty()));
    assert!(lists.iter().flatten().all(|entry| entry.id != "i8"));
}

#[test]
fn a_listed_item_that_nobody_chose_is_recommended_to_who_chose_one_like_it() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let mut catalog = Catalog::default();
    let mut list = |learner: &mut Learner, id: &str, title: &str| {
        let item: Item = serde_json::from_value(serde_json::json!({"item_id": id, "title": title})).expect("an item");
        learner.catalog(id, Some(&item), 1_700_000_000_000);
        catalog.apply(id, Some(&item));
    };
    list(&mut learner, "i7", "copper whistling kettle");
    // Neither the newest nor anything else speaks for it.
    list(&mut learner, "cold", "copper whistling teapot");
    (0..200).for_each(|n| list(&mut learner, &format!("other{n}"), "woollen rug"));
    learn(&mut learner, &stream(1_200));
    let (model, _) = publish(&mut learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    let ts = 1_700_000_900_000;
    let cold = |last: &str, catalog: &Catalog| {
        let history = [Seen { key: key_of(last), kind: Kind::View, ts }];
        let mut lists = model.slates(&[UserView { user: UserKey::NOBODY, history: &history, ts }], catalog, 100);
        lists.remove(0).into_iter().find(|entry| entry.id == "cold")
    };
    let entry = cold("i7", &catalog).expect("content names it");
    assert_eq!((entry.from.as_str(), entry.because), ("content", vec!["i7".to_owned()]));
    assert!(cold("i8", &catalog).is_none_or(|entry| entry.from != "content"));
    catalog.apply("cold", None);
    assert!(cold("i7", &catalog).is_none());
}

#[test]
fn lists_show_again_what_the_shop_says() {
    let empty = Model::empty("flex").expect("opens");
    for (repeats, bought, looked_at) in
        [(Repeats::Allow, true, true), (Repeats::Mix, false, true), (Repeats::Never, false, false)]
    {
        let mut learner = Learner::new(Settings { repeats, ..settings() }).expect("flex opens");
        learn(&mut learner, &stream(1_200));
        let (model, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
        let has = |kind| after_i7(UserKey::NOBODY, &model, kind).contains(&"i8".to_owned());
        assert_eq!((has(Kind::Purchase), has(Kind::View)), (bought, looked_at), "{repeats:?}");
    }
}

#[test]
fn by_default_what_was_bought_comes_back_when_it_is_due() {
    let day = 24 * HOUR;
    let mut learner = Learner::new(settings()).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    // Everybody buys the same again after eight days.
    let buy = |n: i64| {
        let ts = START + 1_200 * SECOND + n / 30 * 8 * day;
        let mut bought = view(1_200 + n, &format!("buyer{}", n % 30), &format!("i{}", n % 30), ts, ts);
        bought.interaction.kind = Kind::Purchase.into();
        bought
    };
    learn(&mut learner, &(0..90).map(buy).collect::<Vec<_>>());
    let empty = Model::empty("flex").expect("opens");
    let (first, _) = publish(&mut learner, &empty, PayloadKind::Snapshot, 1);
    learn(&mut learner, &(90..120).map(buy).collect::<Vec<_>>());
    let (model, _) = publish(&mut learner, &first, PayloadKind::Delta, 2);
    assert_eq!(model.knowledge().repurchases(), learner.knowledge.repurchases(), "versions say how soon");
    let shown = |hours: i64| {
        let (bought, ts) = (START, START + hours * HOUR);
        let history = [
            Seen { key: key_of("i8"), kind: Kind::Purchase, ts: bought },
            Seen { key: key_of("i7"), kind: Kind::View, ts },
        ];
        let list = model
            .slates(&[UserView { user: UserKey::NOBODY, history: &history, ts }], &Catalog::default(), 100)
            .remove(0);
        list.iter().any(|entry| entry.id == "i8")
    };
    assert!(!shown(0) && !shown(20) && shown(28), "an eighth of the usual eight days");
}

#[test]
fn a_later_look_does_not_cancel_a_dislike_and_a_like_a_purchase_or_an_undislike_does() {
    let mut learner = Learner::new(Settings { repeats: Repeats::Allow, ..settings() }).expect("flex opens");
    learn(&mut learner, &stream(1_200));
    let model = Model::of(learner.knowledge());
    let shown = |then: &[Kind]| {
        let of = |kind: &Kind| Seen { key: key_of("i8"), kind: *kind, ts: START };
        let mut history: Vec<Seen> = std::iter::once(&Kind::Dislike).chain(then).map(of).collect();
        history.push(Seen { key: key_of("i7"), kind: Kind::View, ts: START });
        let list = model
            .slates(&[UserView { user: UserKey::NOBODY, history: &history, ts: START }], &Catalog::default(), 100)
            .remove(0);
        list.iter().any(|entry| entry.id == "i8")
    };
    assert!(!shown(&[]) && !shown(&[Kind::View]) && !shown(&[Kind::Cart, Kind::View]));
    assert!(shown(&[Kind::Like]) && shown(&[Kind::Purchase, Kind::View]) && shown(&[Kind::Undislike]));
    assert!(!shown(&[Kind::Undislike, Kind::Dislike, Kind::View]));
}
