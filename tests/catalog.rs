//! What is delisted is not recommended.

use std::time::{Duration, Instant};

use schemas::{EventType, Item};
use tests::{Name, SOON, Servers, Traffic, World, click, eventually, naming, none_names, served_once};

use crate::redis_forgot::{FALL_BACK, SAVE};

/// How long lists are watched after the delisting: several of their renewals.
const WATCH: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn delisted_items_never_appear() {
    let world = World::new().await;
    let mut traffic = Traffic::new(13, world.ctx.now()).with_users(15);
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(1_000)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;

    // Both ways of leaving the shop: an empty value, and `available: false`.
    let gone = |id: &str| ["i00", "i01"].contains(&id);
    eventually("lists name the items while they are listed", SOON, async || {
        sent.extend(world.send(&traffic.take(20)).await);
        let named = naming(&world, gone).await?;
        if named.len() > 3 { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
    world.delist("i00").await;
    let unavailable = Traffic::catalog().into_iter().find(|item| item.item_id == "i01").expect("it is in the catalog");
    world.list(&[Item { available: false, ..unavailable }]).await;
    eventually("they are gone from every list", SOON, async || none_names(&world, gone).await).await;

    // Nobody answers while another item goes, and its users stay away: who starts anew finds it in their slates.
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    let late = |id: &str| id == "i02";
    assert!(!naming(&world, late).await.expect("Redis answers").is_empty(), "somebody is shown what goes next");
    world.delist("i02").await;
    let _first = world.start(Name::Scorer, &[]).await;
    let late_away = async || none_names(&world, late).await;
    eventually("it is gone from the slates of users who did nothing", SOON, late_away).await;
    let gone = |id: &str| gone(id) || late(id);

    // People still click on them, versions still come; they stay away. A scorer that starts knows it as well.
    let _second = world.start(Name::Scorer, &[]).await;
    let began = Instant::now();
    while began.elapsed() < WATCH {
        sent.extend(world.flow(&traffic.take(60), 120).await);
        assert_eq!(none_names(&world, gone).await, Ok(()));
    }
    served_once(&world, &sent).await;
    assert_eq!(none_names(&world, gone).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_comes_after_the_last_event_stands_in_what_is_hot() {
    let world = World::new().await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    // A new shop tries an event of an item that its catalog will not have.
    let sent = world.send(&[click("u1", "a trial", EventType::View, world.ctx.now(), "e1".into())]).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    let catalog: Vec<Item> =
        Traffic::catalog().into_iter().take(5).map(|item| Item { published_at: None, ..item }).collect();
    world.list(&catalog).await;
    eventually("hot shows the catalog", SOON, async || {
        let hot = world.slate(&world.keys.hot(None)).await?;
        let listed = hot.items.iter().filter(|item| catalog.iter().any(|listed| listed.item_id == item.id)).count();
        if listed == catalog.len() { Ok(()) } else { Err(format!("{listed} of {}: {hot:?}", catalog.len())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_a_sweep_deletes_are_no_sign_that_redis_was_flushed() {
    let world = World::new().await;
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let sent = world.send(&Traffic::new(16, world.ctx.now()).with_users(15).take(600)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    let items: Vec<String> = Traffic::catalog().into_iter().map(|item| item.item_id).collect();
    let own: Vec<String> = items.iter().map(|item| world.keys.similar(item)).collect();
    eventually("items have their lists", SOON, async || {
        let lists = world.client().get_many(&own).await.map_err(|error| error.to_string())?;
        let few = lists.iter().filter(|list| matches!(list, Ok(Some(_)))).count();
        if few > 50 { Ok(()) } else { Err(format!("{few} of {}", own.len())) }
    })
    .await;
    // Nearly all go: one of them is what the scorer looks for.
    let gone = |id: &str| !id.starts_with("i5");
    for item in items.iter().filter(|item| gone(item)) {
        world.delist(item).await;
    }
    eventually("they are gone from every list", SOON, async || none_names(&world, gone).await).await;
    tokio::time::sleep(WATCH).await;
    assert_eq!(scorer.metric("scorer_refills_total").await, Ok(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_falls_back_to_an_older_copy_and_nothing_delisted_since_comes_back() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(15, world.ctx.now()).with_users(15);
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(1_000)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    let gone = |id: &str| id == "i00";
    eventually("lists name the item while it is listed", SOON, async || {
        sent.extend(world.send(&traffic.take(20)).await);
        let named = naming(&world, gone).await?;
        let own = named.contains(&world.keys.similar("i00"));
        if own && named.len() > 3 { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
    served_once(&world, &sent).await;
    world.client().command(&["EVAL", SAVE, "0"]).await.expect("it is saved");
    let away = async || none_names(&world, gone).await;
    world.delist("i00").await;
    eventually("it is gone from every list", SOON, away).await;
    // A mark that was written since shows that Redis is not what it was.
    eventually("marks are behind what is saved", SOON, async || {
        let marks = format!("{}applied:*", world.redis.key_prefix);
        let marks = world.client().keys(&marks, 100).await.map_err(|error| error.to_string())?;
        let saved: Vec<String> = marks.iter().map(|key| format!("saved/{key}")).collect();
        let [now, then] = [world.client().get_many(&marks).await, world.client().get_many(&saved).await];
        let [now, then] = [now, then].map(|values| format!("{:?}", values.map_err(|error| error.to_string())));
        if now == then { Err(now) } else { Ok(()) }
    })
    .await;
    world.client().command(&["EVAL", FALL_BACK, "0"]).await.expect("it falls back");
    eventually("it is gone from the lists of then, too, though nobody acts", SOON, away).await;
}
