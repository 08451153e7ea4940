//! What the synthetic shop promises: the same stream twice, an honest funnel, and something to learn.

use std::collections::{HashMap, HashSet};

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn events(shop: &mut Shop, count: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        if let Action::Event(event) = shop.next(NOW + events.len() as i64) {
            events.push(event);
        }
    }
    events
}

#[test]
fn the_same_seed_gives_the_same_stream() {
    let stream = |seed| {
        let mut shop = Shop::new(ShopSettings::default(), seed, NOW);
        (0..3_000).map(|n| shop.next(NOW + n)).collect::<Vec<_>>()
    };
    assert_eq!(stream(7), stream(7));
    assert_ne!(stream(7), stream(8));
}

#[test]
fn a_purchase_follows_a_cart_and_a_cart_follows_a_view() {
    let mut shop = Shop::new(ShopSettings::default(), 7, NOW);
    let mut seen: HashSet<(String, String, EventType)> = HashSet::new();
    let mut counts: HashMap<EventType, usize> = HashMap::new();
    for event in events(&mut shop, 50_000) {
        let visit = event.session_id.clone().expect("has a visit");
        let before = |kind| seen.contains(&(visit.clone(), event.item_id.clone(), kind));
        match event.kind {
            EventType::Purchase => assert!(before(EventType::Cart)),
            EventType::Cart | EventType::Like | EventType::Dislike | EventType::Undislike => {
                assert!(before(EventType::View));
            }
            EventType::Impression => assert!(event.items.contains(&event.item_id)),
            EventType::View => {}
        }
        *counts.entry(event.kind).or_default() += 1;
        seen.insert((visit, event.item_id, event.kind));
    }
    assert_eq!(counts.len(), 6, "{counts:?}");
    let (views, carts, bought) = (counts[&EventType::View], counts[&EventType::Cart], counts[&EventType::Purchase]);
    assert!(views > 5 * carts && carts > bought && bought > 1_000, "{counts:?}");
}

#[test]
fn items_arrive_on_time_and_are_viewed() {
    let mut shop = Shop::new(ShopSettings::default(), 7, NOW);
    let opening = shop.catalog().len();
    let (mut arrived, mut clicked) = (HashSet::new(), HashSet::new());
    while shop.events() < 20_000 {
        match shop.next(NOW + 5) {
            Action::NewItem(item) => {
                assert_eq!(item.published_at, Some(Timestamp(NOW + 5)));
                arrived.insert(item.item_id);
            }
            Action::Event(event) => {
                if arrived.contains(&event.item_id) {
                    clicked.insert(event.item_id);
                }
            }
        }
    }
    assert_eq!(arrived.len(), 49);
    assert_eq!(shop.catalog().len(), opening + 49);
    assert!(clicked.len() > 40, "{}", clicked.len());
}

#[test]
fn the_catalog_is_complete_and_bounded() {
    let settings = ShopSettings { new_item_every: 1, items_limit: 3_100, ..ShopSettings::default() };
    let mut shop = Shop::new(settings, 7, NOW);
    events(&mut shop, 1_000);
    assert_eq!(shop.catalog().len(), 3_100);
    for item in shop.catalog() {
        assert_eq!(item.categories.len(), 2);
        assert!(item.price.is_some_and(|price| price > 0.0) && item.brand.is_some() && !item.title.is_empty());
    }
    let ids: HashSet<_> = shop.catalog().iter().map(|item| &item.item_id).collect();
    assert_eq!(ids.len(), shop.catalog().len());
}

#[test]
fn a_tiny_shop_works() {
    let settings = ShopSettings { items: 0, users: 1, visits: 9, hot_items: 0, ..ShopSettings::default() };
    let mut shop = Shop::new(settings, 1, NOW);
    assert!(events(&mut shop, 500).iter().all(|event| event.user_id == "u0"));
}

#[test]
fn few_items_have_most_of_the_views_and_hot_items_come_and_go() {
    let mut shop = Shop::new(ShopSettings::default(), 7, NOW);
    let all = events(&mut shop, 60_000);
    let top = |events: &[Event], n: usize| {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for event in events {
            *counts.entry(&event.item_id).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let head: usize = counts.iter().take(n).map(|(_, count)| count).sum();
        (head as f64 / events.len() as f64, counts[0].0.to_owned())
    };
    let (tenth, _) = top(&all, 300);
    assert!((0.35..0.9).contains(&tenth), "the first tenth of the items has {tenth:.2} of the events");
    assert_ne!(top(&all[..15_000], 1).1, top(&all[45_000..], 1).1);
}

/// Test-then-train over the positive events of one stream: the share of items among the first 20 of each method.
#[test]
fn what_was_looked_at_before_tells_the_next_item_far_better_than_popularity() {
    let mut shop = Shop::new(ShopSettings::default(), 7, NOW);
    let mut popularity: HashMap<String, f64> = HashMap::new();
    let mut pairs: HashMap<String, HashMap<String, f64>> = HashMap::new();
    let mut last: HashMap<String, String> = HashMap::new();
    let (mut tested, mut popular, mut paired) = (0, 0, 0);
    let mut list: Vec<String> = Vec::new();
    for (n, event) in events(&mut shop, 60_000).into_iter().enumerate() {
        if matches!(event.kind, EventType::Impression | EventType::Dislike) {
            continue;
        }
        if n % 500 == 0 {
            list = top20(&popularity);
        }
        let visit = event.session_id.expect("has a visit");
        if let Some(front) = last.get(&visit) {
            let known = pairs.entry(front.clone()).or_default();
            if n >= 20_000 {
                tested += 1;
                popular += usize::from(list.contains(&event.item_id));
                paired += usize::from(top20(known).contains(&event.item_id) || *front == event.item_id);
            }
            *known.entry(event.item_id.clone()).or_default() += 1.0;
        }
        *popularity.entry(event.item_id.clone()).or_default() += 1.0;
        last.insert(visit, event.item_id);
    }
    let (popular, paired) = (popular as f64 / f64::from(tested), paired as f64 / f64::from(tested));
    eprintln!("HR@20 popularity {popular:.3}, pairs {paired:.3} over {tested}");
    assert!(paired > 0.35 && paired > 2.0 * popular, "pairs {paired:.3}, popularity {popular:.3}");
}

fn top20(scores: &HashMap<String, f64>) -> Vec<String> {
    let mut ranked: Vec<_> = scores.iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    ranked.into_iter().take(20).map(|(item, _)| item.clone()).collect()
}
