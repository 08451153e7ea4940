//! Redis can be flushed at any moment and is refilled (I1).

use std::time::Duration;

use tests::{SOON, Servers, Traffic, World, eventually, outage, served_once};

use crate::outages::turns_red;

/// "Within seconds", on two busy cores.
const SECONDS: Duration = Duration::from_secs(15);

/// The lists that no single event makes.
fn lists(world: &World) -> Vec<String> {
    let item = &Traffic::catalog()[0];
    let category = item.categories.first().map(String::as_str);
    let keys = &world.keys;
    vec![
        keys.hot(None),
        keys.hot(category),
        keys.new_items(None),
        keys.new_items(category),
        keys.similar(&item.item_id),
    ]
}

async fn lists_are_there(world: &World, within: Duration) {
    eventually("hot, new, similar and model are there", within, async || {
        for key in lists(world) {
            let slate = world.slate(&key).await?;
            assert!(!slate.items.is_empty(), "{key} names items");
        }
        world.model().await.map(|_| ())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_flushed_and_slates_come_back_as_users_act_and_lists_within_seconds() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(8, world.ctx.now()).with_users(10);
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let sent = world.send(&traffic.take(1_000)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    lists_are_there(&world, SOON).await;

    // Twice: emptied while it runs, and gone with everything that was in it.
    for round in ["flushed", "killed"] {
        if round == "flushed" {
            world.client().command(&["FLUSHALL"]).await.expect("it is flushed");
        } else {
            world.server().kill();
            turns_red(&mut scorer, "redis-lists").await;
            tokio::time::sleep(outage()).await;
            assert!(world.server().come_back(), "Redis starts again");
        }
        lists_are_there(&world, SECONDS).await;
        let acting = world.send(&traffic.take(200)).await;
        eventually("slates come back as users act", SECONDS, async || {
            for sent in &acting {
                let slate = world.slate(&world.keys.recs(&sent.event.user_id)).await?;
                assert!(!slate.items.is_empty());
            }
            Ok(())
        })
        .await;
    }
    scorer.ready().await;
}
