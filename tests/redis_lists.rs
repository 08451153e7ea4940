//! What Redis loses of lists alone: of what was written between two looks at how far histories have come.

use tests::{SOON, Servers, Traffic, World, eventually, naming, none_names, served_once};

use crate::redis_forgot::SAVE;

/// Lists, the hash `model` and the marks of lists are again what was saved; histories and their marks are not. So does
/// a crash lose what was written within a second.
const LISTS_FALL_BACK: &str = "for _, saved in ipairs(redis.call('KEYS', 'saved/*')) do
  local key, histories = string.sub(saved, 7), false
  for _, kind in ipairs({'user:{', 'recs:{', 'applied:{'}) do
    histories = histories or string.find(key, kind, 1, true) ~= nil
  end
  if not histories then redis.call('COPY', saved, key, 'REPLACE') end
end";

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_redis_lost_alone_are_made_again_and_nothing_delisted_since_stays_in_them() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(47, world.ctx.now()).with_users(15);
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(1_000)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    let gone = |id: &str| id == "i00";
    eventually("global lists and its own name the item while it is listed", SOON, async || {
        sent.extend(world.send(&traffic.take(20)).await);
        let named = naming(&world, gone).await?;
        let all = [world.keys.similar("i00"), world.keys.hot(None)];
        if all.iter().all(|key| named.contains(key)) { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
    served_once(&world, &sent).await;
    world.client().command(&["EVAL", SAVE, "0"]).await.expect("it is saved");
    let away = async || none_names(&world, gone).await;
    world.delist("i00").await;
    eventually("it is gone from every list", SOON, away).await;

    world.client().command(&["EVAL", LISTS_FALL_BACK, "0"]).await.expect("it falls back");
    // Nobody acts, and no version comes: else they would be renewed in minutes, and those of items in hours.
    eventually("it is gone from the lists of then, too", SOON, away).await;
    assert!(scorer.metric("scorer_refills_total").await.is_ok_and(|times| times >= 1.0));
    scorer.assert_alive();
}
