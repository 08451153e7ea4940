//! What happens at a bound, where only the whole chain shows it.

use tests::{Name, Traffic, World, served_once};

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_that_holds_two_users_reads_the_others_from_redis_and_forgets_nothing() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let scorer = world.start(Name::Scorer, &[("scorer.users", "2"), ("scorer.max_batch", "2")]).await;
    let now = world.ctx.now();
    let sent = world.send(&Traffic::new(31, now - 100_000).with_users(12).take(240)).await;
    // Every event in its user's profile, whoever acted in between.
    served_once(&world, &sent).await;
    let held = scorer.metric("scorer_users_entries").await.expect("tells");
    assert!((1.0..=2.0).contains(&held), "holds {held}");
}
