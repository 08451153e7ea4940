//! A Redis that answers badly is an outage, and a key that is somebody else's is passed over: neither ends a scorer.

use std::time::Duration;

use schemas::{EventType, StoredProfile};
use tests::{Name, SOON, Sent, Servers, Service, Traffic, World, click, eventually, served_once};

/// Waits until `/readyz` is red for `redis` with Redis' own word.
async fn says(scorer: &mut Service, word: &str) {
    eventually(&format!("/readyz says {word}"), SOON, async || {
        scorer.assert_alive();
        let missing = scorer.missing().await?;
        let said = missing.get("redis").is_some_and(|reason| reason.contains(word));
        if said { Ok(()) } else { Err(format!("missing: {missing:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_full_read_only_short_of_replicas_or_without_its_disk_is_waited_out_across_restarts() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(26, world.ctx.now()).with_users(12);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(100)).await;
    served_once(&world, &sent).await;
    world.server().lose_its_disk();

    for (word, spoil, mend) in [
        ("OOM", &["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..]),
        ("READONLY", &["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (
            "NOREPLICAS",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        ("MISCONF", &["CONFIG", "SET", "save", "3600 1"], &["CONFIG", "SET", "save", ""]),
    ] {
        world.client().command(spoil).await.expect("it is spoiled");
        if word == "MISCONF" {
            world.client().command(&["BGSAVE"]).await.expect("it tries");
        }
        eventually("Redis refuses", SOON, async || match world.client().command(&["SET", "x", "y"]).await {
            Ok(_) => Err("it still writes".to_owned()),
            Err(error) if error.to_string().contains(word) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await;
        sent.extend(world.send(&traffic.take(100)).await);
        says(&mut scorer, word).await;
        // Whoever restarts it finds it waiting, not ending again.
        scorer.kill();
        scorer = world.start(Name::Scorer, &[]).await;
        says(&mut scorer, word).await;
        world.client().command(mend).await.expect("it is mended");
        served_once(&world, &sent).await;
        eventually("the condition is green again", SOON, async || {
            if scorer.missing().await?.contains_key("redis") { Err("still red".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    // Away while it drains: it ends cleanly, and what was not applied is applied by the next.
    world.client().command(&["CONFIG", "SET", "maxmemory", "1"]).await.expect("it is spoiled");
    sent.extend(world.send(&traffic.take(100)).await);
    says(&mut scorer, "OOM").await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    world.client().command(&["CONFIG", "SET", "maxmemory", "0"]).await.expect("it is mended");
    let _scorer = world.start(Name::Scorer, &[]).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_busy_with_a_script_is_waited_out_and_says_so() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(28, world.ctx.now()).with_users(12);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(100)).await;
    served_once(&world, &sent).await;
    world.client().command(&["CONFIG", "SET", "busy-reply-threshold", "50"]).await.expect("it is set");
    let _ = world.client().command(&["EVAL", "while true do end", "0"]).await; // has no answer in time
    sent.extend(world.send(&traffic.take(100)).await);
    says(&mut scorer, "BUSY").await;
    world.server().kill_its_script();
    served_once(&world, &sent).await;
}

/// Keys that are nobody's: each takes [`PER_KEY`] to load.
const FILLERS: &str = "for n = 1, 700 do redis.call('SET', 'filler:' .. n, n) end";
const PER_KEY: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_still_loading_is_waited_for_and_says_so() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(30, world.ctx.now()).with_users(12);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(100)).await;
    served_once(&world, &sent).await;
    world.client().command(&["EVAL", FILLERS, "0"]).await.expect("they are written");
    world.client().command(&["SAVE"]).await.expect("it is saved");
    world.server().kill();
    assert!(world.server().come_back_loading(PER_KEY), "it starts again");
    sent.extend(world.send(&traffic.take(100)).await);
    says(&mut scorer, "LOADING").await;
    served_once(&world, &sent).await;
    eventually("the condition is green again", SOON, async || {
        if scorer.missing().await?.contains_key("redis") { Err("still red".to_owned()) } else { Ok(()) }
    })
    .await;
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_are_counted_named_once_and_passed_over_and_nobody_else_suffers() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let (keys, redis) = (&world.keys, world.client());
    let item = Traffic::catalog()[0].item_id.clone();
    let theirs = [keys.user("u1"), keys.recs("u0"), keys.model(), keys.hot(None), keys.similar(&item)];
    for key in &theirs[..2] {
        redis.command(&["LPUSH", key, "theirs"]).await.expect("written");
    }
    redis.command(&["SET", &theirs[2], "theirs"]).await.expect("written");
    redis.command(&["SADD", &theirs[3], "theirs"]).await.expect("written");
    redis.command(&["HSET", &theirs[4], "whose", "theirs"]).await.expect("written");
    redis.command(&["SET", &keys.user("u2"), "no profile"]).await.expect("written");
    let odd = format!("return redis.call('SET', '{}user:{{\\255\\254}}', 'x')", world.redis.key_prefix);
    redis.command(&["EVAL", &odd, "0"]).await.expect("written");

    let mut traffic = Traffic::new(27, world.ctx.now()).with_users(12);
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(500)).await;
    scorer.ready().await;
    world.delist(&item).await; // so that the sweep meets them, too
    sent.extend(world.send(&traffic.take(500)).await);
    let others = |sent: &Sent| !["u0", "u1"].contains(&sent.event.user_id.as_str());
    let others: Vec<Sent> = sent.iter().filter(|sent| others(sent)).cloned().collect();
    served_once(&world, &others).await;
    eventually("every foreign key is named", SOON, async || {
        let log = scorer.log();
        let odd = "user:{\\\\xff\\\\xfe}".to_owned();
        for key in theirs[..4].iter().chain([&keys.user("u2"), &odd]) {
            let lines = log.lines().filter(|line| line.contains("passed over") && line.contains(key.as_str())).count();
            if lines != 1 {
                return Err(format!("{key} is named {lines} times"));
            }
        }
        Ok(())
    })
    .await;
    assert!(scorer.metric("scorer_foreign_keys_total").await.expect("it answers") > 5.0);
    for (key, kind) in theirs.iter().zip(["list", "list", "string", "set", "hash"]) {
        let held = redis.command(&["TYPE", key]).await.expect("it answers");
        assert!(format!("{held:?}").contains(kind), "{key} is left alone: {held:?}");
    }
    scorer.ready().await;
    world.operate(&["recs", "u3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_becomes_foreign_while_its_user_is_held_is_passed_over_and_is_ours_again_once_deleted() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let at = |n: i64, user: &str| click(user, "i1", EventType::View, world.ctx.now(), format!("e{n}"));
    served_once(&world, &world.send(&[at(1, "held")]).await).await;
    let (user, redis) = (world.keys.user("held"), world.client());
    redis.delete(std::slice::from_ref(&user)).await.expect("deleted");
    redis.command(&["HSET", &user, "whose", "theirs"]).await.expect("written");
    world.send(&[at(2, "held")]).await;
    served_once(&world, &world.send(&[at(3, "other")]).await).await;
    eventually("it is passed over", SOON, async || {
        let found = scorer.metric("scorer_foreign_keys_total").await?;
        if found > 0.0 { Ok(()) } else { Err(format!("{found}")) }
    })
    .await;
    assert!(redis.hgetall(&user).await.expect("it answers").is_ok(), "and left alone");
    redis.command(&["DEL", &user]).await.expect("deleted");
    world.send(&[at(4, "held")]).await;
    eventually("the user has a profile again", SOON, async || {
        let value = redis.get_many(std::slice::from_ref(&user)).await.map_err(|error| error.to_string())?.remove(0);
        let value = value.map_err(|wrong| wrong.to_string())?.ok_or("nothing")?;
        StoredProfile::decode(&value).map_err(|error| error.to_string())
    })
    .await;
    scorer.assert_alive();
}
