//! Who makes room, and who does not.

use super::*;
use crate::keymap::KeySet;

#[test]
fn an_item_not_seen_for_longer_than_the_shop_says_goes() {
    let mut learner = Learner::new(Settings { expire_after_s: 3_600, ..settings() }).expect("flex opens");
    let early = stream(64);
    learn(&mut learner, &early);
    assert!(Model::of(learner.knowledge()).knows(key_of("i0")));
    let later = stream(1_200).split_off(64).into_iter().map(|mut positioned| {
        let interaction = &mut positioned.interaction;
        interaction.item_id = format!("later-{}", interaction.item_id);
        (interaction.ts, interaction.arrived_at) = (interaction.ts + 7_200_000, interaction.arrived_at + 7_200_000);
        positioned
    });
    learn(&mut learner, &later.collect::<Vec<_>>());
    let model = Model::of(learner.knowledge());
    let gone = |positioned: &Positioned| !model.knows(key_of(&positioned.interaction.item_id));
    assert!(early.iter().all(gone) && model.knows(key_of("later-i0")));
}

#[test]
fn at_its_bound_the_table_forgets_what_was_not_seen_for_longest() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let mut stream = stream(3_000);
    for (n, positioned) in stream.iter_mut().enumerate() {
        positioned.interaction.item_id = format!("i{n}");
    }
    learn(&mut learner, &stream);
    assert_eq!(learner.sizes().0, 1_000);
    assert!(learner.knowledge.table().slot(key_of("i2999")).is_some());
}

#[test]
fn what_the_shop_lists_is_not_forgotten_however_old_its_record() {
    let mut learner = Learner::new(settings()).expect("flex opens");
    let old = r#"{"item_id":"evergreen","title":"Anvil","published_at":1500000000000}"#;
    learner.catalog("evergreen", Some(&serde_json::from_str(old).expect("parses")), 1_700_000_000_000);
    learn(&mut learner, &stream(400));
    assert!(learner.knowledge.table().slot(key_of("evergreen")).is_some());
    learner.catalog("evergreen", None, 0);
    learn(&mut learner, &stream(800)[400..]);
    assert!(learner.knowledge.table().slot(key_of("evergreen")).is_none(), "once it is out of the catalog it goes");
}

#[test]
fn a_flood_of_invented_items_washes_out_the_flood_and_nothing_that_the_shop_has() {
    // The hot set has 64 places, the table 1,000.
    let mut learner = Learner::new(settings()).expect("flex opens");
    let listed: Item = serde_json::from_str(r#"{"item_id":"listed","title":"Anvil"}"#).expect("parses");
    learner.catalog("listed", Some(&listed), START);
    let shop: Vec<_> =
        (0..160).map(|n| view(n, &format!("u{}", n % 7), &format!("i{}", n % 40), START + n, START + n)).collect();
    learn(&mut learner, &shop);
    let flood = |n: i64| view(160 + n, "inventor", &format!("invented{n}"), START + 1_000 + n, START + 1_000 + n);
    learn(&mut learner, &(0..3_000).map(flood).collect::<Vec<_>>());
    let items = learner.knowledge.table();
    let in_front = |id: &str| items.slot(key_of(id)).is_some_and(|slot| (slot as usize) < 64);
    assert_eq!(items.len(), 1_000);
    assert!((0..40).all(|n| in_front(&format!("i{n}"))) && in_front("listed"));
    for h in 0..crate::memory::popularity::HALF_LIVES {
        let leaders: KeySet<u64> = learner.knowledge.popular().leaders(h).take(40).map(|(.., key)| key).collect();
        assert!((0..40).all(|n| leaders.contains(&key_of(&format!("i{n}")))));
    }
    // A second user makes of an invention an item, as the catalog does.
    let entry = |learner: &Learner, id: &str| learner.knowledge.table().get(key_of(id)).expect("known").clone();
    assert!(!entry(&learner, "invented2999").is_proven());
    learner.observe(&[view(3_160, "another", "invented2999", START + 9_000, START + 9_000)]);
    let item: Item = serde_json::from_str(r#"{"item_id":"invented2998"}"#).expect("parses");
    learner.catalog("invented2998", Some(&item), START);
    assert!(entry(&learner, "invented2999").is_proven() && entry(&learner, "invented2998").is_proven());
}
