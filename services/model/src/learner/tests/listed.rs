//! What the catalog says: dates, what may be shown, and content that nobody has any more.

use super::*;
use crate::memory::only_listed::OnlyListed;
use crate::version::payload::Payload;

/// The time of the last interactions here, and a day.
const NOW: i64 = 1_700_000_900_000;
const DAY: i64 = 86_400_000;

fn item(value: serde_json::Value) -> Item {
    serde_json::from_value(value).expect("an item")
}

/// A learner that a shop's records and the choices of some users went through, and the catalog beside it.
struct Shop {
    learner: Learner,
    catalog: Catalog,
    next: i64,
}

impl Shop {
    fn new(settings: Settings) -> Self {
        let mut shop =
            Self { learner: Learner::new(settings).expect("flex opens"), catalog: Catalog::default(), next: 0 };
        learn(&mut shop.learner, &stream(400));
        shop.next = 400;
        shop
    }

    fn list(&mut self, value: serde_json::Value) {
        let item = item(value);
        self.learner.catalog(&item.item_id, Some(&item), NOW);
        self.catalog.apply(&item.item_id, Some(&item));
        self.learner.catalog_is_whole();
        self.catalog.settle();
    }

    fn views(&mut self, user: &str, item: &str) {
        self.views_all(user, [item.to_owned()]);
    }

    fn views_all(&mut self, user: &str, items: impl IntoIterator<Item = String>) {
        let (first, choice) = (self.next, stream(1).remove(0));
        let choices = items.into_iter().zip(first..).map(|(item, offset)| {
            let mut choice = choice.clone();
            choice.offset = offset;
            choice.interaction.user_id = user.into();
            choice.interaction.item_id = item;
            (choice.interaction.ts, choice.interaction.arrived_at) = (NOW, NOW);
            let source = schemas::Source { partition: 0, offset, ..schemas::Source::default() };
            choice.interaction.source = Some(source);
            choice
        });
        let choices: Vec<Positioned> = choices.collect();
        self.next += choices.len() as i64;
        learn(&mut self.learner, &choices);
    }

    /// The ids of `new` at a moment, by the learner's own version and by one that came over the log.
    fn new_at(&mut self, now: i64) -> Vec<String> {
        let ids = |model: &Model, catalog: &Catalog| -> Vec<String> {
            let lists = model.new_items(catalog, 2_000, 100, now).lists;
            lists.into_iter().next().expect("the list for everybody").1.into_iter().map(|entry| entry.id).collect()
        };
        let (served, _) = publish(&mut self.learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
        let found = ids(&served, &self.catalog);
        assert_eq!(found, ids(&Model::of(self.learner.knowledge()), &self.catalog));
        found
    }
}

#[test]
fn the_date_of_the_latest_record_counts_after_a_click_too() {
    let mut shop = Shop::new(settings());
    shop.views("a", "c10");
    shop.views("b", "c10");
    assert_eq!(shop.new_at(NOW)[0], "c10");
    shop.list(serde_json::json!({"item_id": "c10", "published_at": NOW - 900 * DAY}));
    shop.list(serde_json::json!({"item_id": "c11", "published_at": NOW - 800 * DAY}));
    assert_eq!(shop.new_at(NOW), ["c11", "c10"]);
    shop.list(serde_json::json!({"item_id": "c10", "published_at": NOW - DAY}));
    assert_eq!(shop.new_at(NOW), ["c10", "c11"], "corrected");
}

#[test]
fn what_comes_in_a_month_is_not_new_before_its_day() {
    let mut shop = Shop::new(Settings { max_items: 5_000, ..settings() });
    shop.list(serde_json::json!({"item_id": "today", "published_at": NOW}));
    for n in 0..1_100 {
        shop.list(serde_json::json!({"item_id": format!("coming{n}"), "published_at": NOW + 30 * DAY}));
    }
    assert_eq!(shop.new_at(NOW), ["today"]);
    assert_ne!(shop.new_at(NOW + 30 * DAY)[0], "today");
}

#[test]
fn new_is_cut_from_the_newest_thousand_and_what_is_older_is_in_no_list() {
    let mut shop = Shop::new(Settings { max_items: 5_000, ..settings() });
    for n in 0..1_100 {
        shop.list(serde_json::json!({"item_id": format!("listed{n}"), "published_at": NOW - n * 1_000}));
    }
    // The hundred that were chosen before are newer still, and take no place: the catalog does not list them.
    let wanted: Vec<String> = (0..1_000).map(|n| format!("listed{n}")).collect();
    assert_eq!(shop.new_at(NOW), wanted);
}

#[test]
fn a_date_before_all_time_ends_nothing_and_is_not_new() {
    let mut shop = Shop::new(settings());
    for (id, at) in [("c07", i64::MIN), ("max", i64::MAX), ("fresh", NOW)] {
        shop.list(serde_json::json!({"item_id": id, "published_at": at}));
        shop.views("a", id);
        shop.views("b", id);
    }
    assert_eq!(shop.new_at(NOW), ["fresh", "c07"]);
    let history = [Seen { key: key_of("c07"), kind: Kind::View, ts: NOW }];
    let view = [UserView { user: UserKey::NOBODY, history: &history, ts: NOW }];
    let (model, _) = publish(&mut shop.learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 2);
    assert!(model.slates(&view, &shop.catalog, 100)[0].iter().all(|entry| entry.score.is_finite()));
}

#[test]
fn an_id_that_one_user_invents_is_not_new_for_everybody_and_floods_nothing() {
    let mut shop = Shop::new(settings());
    let before = shop.new_at(NOW);
    assert!(!before.is_empty());
    shop.views("stranger", "<script>alert(1)</script>");
    shop.views("stranger", "<script>alert(1)</script>");
    shop.views_all("stranger", (0..1_200).map(|n| format!("junk{n}")));
    assert!(shop.new_at(NOW).iter().all(|id| !id.starts_with("junk") && !id.starts_with('<')));
    assert!(!shop.new_at(NOW).is_empty());
    shop.views("a", "real");
    assert_ne!(shop.new_at(NOW)[0], "real");
    shop.views("b", "real");
    assert_eq!(shop.new_at(NOW)[0], "real", "two users chose it");
}

#[test]
fn where_a_catalog_is_only_what_it_lists_is_shown_in_any_list() {
    for (only_listed, strangers) in [(OnlyListed::Auto, false), (OnlyListed::Yes, false), (OnlyListed::No, true)] {
        let mut shop = Shop::new(Settings { only_listed, ..settings() });
        for n in 0..60 {
            shop.list(serde_json::json!({"item_id": format!("i{n}"), "categories": ["ring"]}));
        }
        let (model, _) = publish(&mut shop.learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
        let history = [Seen { key: key_of("i72"), kind: Kind::View, ts: NOW }];
        let view = [UserView { user: UserKey::NOBODY, history: &history, ts: NOW }];
        let mut lists = model.slates(&view, &shop.catalog, 2_000);
        lists.extend(model.similar(&["i72", "i7"], &shop.catalog, 2_000));
        for tops in [model.hot(&shop.catalog, 2_000, 9, NOW), model.new_items(&shop.catalog, 2_000, 9, NOW)] {
            lists.extend(tops.lists.into_iter().map(|(_, list)| list));
        }
        let listed = |id: &str| id[1..].parse::<u32>().is_ok_and(|n| n < 60);
        assert!(lists.iter().flatten().any(|entry| listed(&entry.id)));
        assert_eq!(lists.iter().flatten().any(|entry| !listed(&entry.id)), strangers, "{only_listed:?}");
        assert_eq!(model.hidden(&shop.catalog) > 0, !strangers);
    }
}

#[test]
fn only_the_largest_categories_have_lists_and_the_others_are_counted() {
    let mut shop = Shop::new(settings());
    for n in 0..40 {
        let own = format!("own{n}");
        shop.list(serde_json::json!({"item_id": format!("i{n}"), "categories": ["shoes", own]}));
    }
    let (model, _) = publish(&mut shop.learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    for tops in [model.hot(&shop.catalog, 20, 3, NOW), model.new_items(&shop.catalog, 20, 3, NOW)] {
        assert_eq!((tops.lists.len(), tops.left_out), (1 + 3, 41 - 3));
        assert_eq!((&tops.lists[0].0, tops.lists[1].0.as_deref()), (&None, Some("shoes")));
    }
}

#[test]
fn content_that_no_item_has_any_more_is_freed_here_and_in_every_version() {
    let mut shop = Shop::new(settings());
    shop.list(serde_json::json!({"item_id": "i7", "title": "copper kettle"}));
    shop.list(serde_json::json!({"item_id": "i8", "title": "copper teapot"}));
    let (mut model, _) = publish(&mut shop.learner, &Model::empty("flex").expect("opens"), PayloadKind::Snapshot, 1);
    assert_eq!(model.knowledge().content().len(), 3);
    shop.list(serde_json::json!({"item_id": "i8", "title": "copper pan"}));
    shop.learner.catalog("i7", None, NOW);
    model = publish(&mut shop.learner, &model, PayloadKind::Delta, 2).0;
    assert_eq!((shop.learner.knowledge.content().len(), model.knowledge().content().len()), (2, 2));
    // What went while nobody was there goes once everything was read again.
    let mut restored = Learner::restore(settings(), &model).expect("restores");
    restored.catalog("i8", Some(&item(serde_json::json!({"item_id": "i8", "title": "copper bowl"}))), NOW);
    restored.catalog_is_whole();
    assert_eq!(restored.knowledge.content().len(), 2, "copper, bowl");
    let payload = restored.freeze(PayloadKind::Snapshot).expect("freezes").encode().expect("encodes");
    assert!(Payload::open(&payload).is_ok());
    let none = Learner::restore(settings(), &model).map(|mut learner| {
        learner.catalog_is_whole();
        learner.knowledge.content().len()
    });
    assert_eq!(none.ok(), Some(2), "an empty topic frees nothing");
}
