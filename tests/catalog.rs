//! What is delisted is not recommended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use schemas::Item;
use tests::{Name, SOON, Servers, Traffic, World, eventually, served_once};

use crate::redis_forgot::{FALL_BACK, SAVE};

/// How long lists are watched after the delisting: several of their renewals.
const WATCH: Duration = Duration::from_secs(4);

/// Every list of this world that names one of `items`, or is one's own.
async fn naming(world: &World, items: &BTreeSet<&str>) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for pattern in ["recs:*", "similar:*", "hot*", "new*"] {
        let pattern = format!("{}{pattern}", world.redis.key_prefix);
        let keys = world.client().keys(&pattern, 10_000).await.map_err(|error| error.to_string())?;
        for key in keys {
            let values =
                world.client().get_many(std::slice::from_ref(&key)).await.map_err(|error| error.to_string())?;
            let Some(value) = values.into_iter().flatten().flatten().next() else { continue }; // it went meanwhile
            let slate = schemas::Slate::decode(&value).map_err(|error| format!("{key}: {error}"))?;
            let own = items.iter().any(|item| key == world.keys.similar(item));
            if own || slate.items.iter().any(|entry| items.contains(entry.id.as_str())) {
                found.push(key);
            }
        }
    }
    Ok(found)
}

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
    let gone = BTreeSet::from(["i00", "i01"]);
    eventually("lists name the items while they are listed", SOON, async || {
        sent.extend(world.send(&traffic.take(20)).await);
        let named = naming(&world, &gone).await?;
        if named.len() > 3 { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
    world.delist("i00").await;
    let unavailable = Traffic::catalog().into_iter().find(|item| item.item_id == "i01").expect("it is in the catalog");
    world.list(&[Item { available: false, ..unavailable }]).await;
    eventually("they are gone from every list", SOON, async || {
        let named = naming(&world, &gone).await?;
        if named.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;

    // Nobody answers while another item goes, and its users stay away: who starts anew finds it in their slates.
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    let late = BTreeSet::from(["i02"]);
    assert!(!naming(&world, &late).await.expect("Redis answers").is_empty(), "somebody is shown what goes next");
    world.delist("i02").await;
    let _first = world.start(Name::Scorer, &[]).await;
    eventually("it is gone from the slates of users who did nothing", SOON, async || {
        let named = naming(&world, &late).await?;
        if named.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
    let gone = BTreeSet::from(["i00", "i01", "i02"]);

    // People still click on them, versions still come; they stay away. A scorer that starts knows it as well.
    let _second = world.start(Name::Scorer, &[]).await;
    let began = Instant::now();
    while began.elapsed() < WATCH {
        sent.extend(world.flow(&traffic.take(60), 120).await);
        assert_eq!(naming(&world, &gone).await, Ok(Vec::new()));
    }
    served_once(&world, &sent).await;
    assert_eq!(naming(&world, &gone).await, Ok(Vec::new()));
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
    let gone = BTreeSet::from(["i00"]);
    eventually("lists name the item while it is listed", SOON, async || {
        sent.extend(world.send(&traffic.take(20)).await);
        let named = naming(&world, &gone).await?;
        let own = named.contains(&world.keys.similar("i00"));
        if own && named.len() > 3 { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
    served_once(&world, &sent).await;
    world.client().command(&["EVAL", SAVE, "0"]).await.expect("it is saved");
    let away = async || {
        let named = naming(&world, &gone).await?;
        if named.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
    };
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
