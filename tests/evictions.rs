//! A Redis that evicts histories is noticed, by whoever scores then, and every history is made again.

use tests::{Name, Oracle, SOON, Sent, Servers, Service, Traffic, World, eventually, profile, served_once};

async fn number(world: &World, name: &str) -> u64 {
    world.client().info().await.expect("it answers")[name].parse().expect("a number")
}

/// Serves users on a Redis of its own, until the scorer knows that nothing was evicted.
async fn shop(seed: u64) -> (World, Service, Service, Vec<Sent>) {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(seed, world.ctx.now()).with_users(300);
    let ingest = world.start(Name::Ingest, &[]).await;
    let scorer = world.start(Name::Scorer, &[]).await;
    let sent = world.send(&traffic.take(1_500)).await;
    served_once(&world, &sent).await;
    eventually("the scorer knows that nothing was evicted", SOON, async || {
        let evicted = scorer.metric("scorer_redis_evicted_entries").await?;
        if evicted == 0.0 { Ok(()) } else { Err(format!("{evicted}")) }
    })
    .await;
    (world, ingest, scorer, sent)
}

/// Has Redis throw away what does not fit into less than it holds.
async fn make_room(world: &World) {
    let most = number(world, "used_memory").await.saturating_sub(150_000).to_string();
    let words = ["CONFIG", "SET", "maxmemory", &most, "maxmemory-policy", "allkeys-random"];
    world.client().command(&words).await.expect("it is set");
}

/// Waits until histories are gone.
async fn evicts(world: &World, sent: &[Sent]) {
    eventually("Redis evicts", SOON, async || {
        // It does so with the next write.
        world.client().command(&["SET", "somebody", "else"]).await.map_err(|error| error.to_string())?;
        let lacks = lacking(world, sent).await.is_err();
        if lacks { Ok(()) } else { Err(format!("{} keys", number(world, "evicted_keys").await)) }
    })
    .await;
}

/// From now on it keeps what it is given.
async fn keep(world: &World) {
    let words = ["CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction"];
    world.client().command(&words).await.expect("it is set");
}

async fn turns_red(world: &World, scorer: &mut Service) {
    eventually("profiles is red for what Redis evicted", SOON, async || {
        scorer.assert_alive();
        let missing = scorer.missing().await?;
        let said = missing.get("profiles").is_some_and(|why| why.contains("allkeys-random"));
        let evicted = number(world, "evicted_keys").await;
        if said { Ok(()) } else { Err(format!("missing: {missing:?}, evicted {evicted}")) }
    })
    .await;
}

/// Whose histories are not whole, without another event. A list that was evicted beside a profile that was not comes
/// with its user's next event.
async fn lacking(world: &World, sent: &[Sent]) -> Result<(), String> {
    let oracle = Oracle::of(sent);
    for user in oracle.users() {
        let findings = oracle.profile(user, &profile(world, user).await?);
        if !findings.is_clean() {
            return Err(findings.to_string());
        }
    }
    Ok(())
}

async fn is_mended(world: &World, scorer: &mut Service, sent: &[Sent]) {
    eventually("every history is whole", SOON, async || lacking(world, sent).await).await;
    eventually("profiles is green again", SOON, async || {
        if scorer.missing().await?.contains_key("profiles") { Err("still red".to_owned()) } else { Ok(()) }
    })
    .await;
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_evicts_histories_turns_profiles_red_and_they_are_made_again_once_it_keeps_what_it_is_given() {
    let (world, _ingest, mut scorer, sent) = shop(29).await;
    make_room(&world).await;
    turns_red(&world, &mut scorer).await;
    keep(&world).await;
    is_mended(&world, &mut scorer, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_after_a_scorer_that_was_red_is_red_and_makes_the_histories_again() {
    let (world, _ingest, mut scorer, sent) = shop(30).await;
    make_room(&world).await;
    turns_red(&world, &mut scorer).await;
    scorer.kill();
    evicts(&world, &sent).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    turns_red(&world, &mut scorer).await;
    keep(&world).await;
    is_mended(&world, &mut scorer, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_evicts_while_no_scorer_runs_is_noticed_by_the_next_though_redis_keeps_everything_by_then() {
    let (world, _ingest, mut scorer, sent) = shop(31).await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    make_room(&world).await;
    evicts(&world, &sent).await;
    keep(&world).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    is_mended(&world, &mut scorer, &sent).await;
}
