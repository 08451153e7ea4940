//! A Redis that forgot some or all of what it was told: profiles become right of their own accord (I1).

use runtime::kafka::Outgoing;
use schemas::{EventType, Topic};
use tests::{Name, SOON, Servers, Traffic, World, click, eventually, profile, served_once};

#[tokio::test(flavor = "multi_thread")]
async fn flushed_again_and_again_under_load_and_every_history_is_complete_afterwards() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let events = Traffic::new(41, world.ctx.now()).with_users(30).take(2_400);
    let _ingest = world.start(Name::Ingest, &[]).await;
    // Users held in memory and users read from Redis: a flush meets both.
    let mut scorer = world.start(Name::Scorer, &[("scorer.users", "10"), ("scorer.max_batch", "10")]).await;
    let (sent, ()) = tokio::join!(world.flow(&events, 300), async {
        for _ in 0..3 {
            // The moment is what the test is about; nothing waits for it.
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            world.client().command(&["FLUSHALL"]).await.expect("it is flushed");
        }
    });
    served_once(&world, &sent).await;
    scorer.assert_alive();
    let went_back = scorer.metric("scorer_went_back_total").await.expect("it answers");
    assert!(went_back > 0.0, "it noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_while_no_scorer_runs_and_while_nothing_flows_and_histories_come_back_without_an_event() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let sent = world.send(&Traffic::new(42, world.ctx.now()).with_users(10).take(300)).await;
    served_once(&world, &sent).await;
    world.client().command(&["FLUSHALL"]).await.expect("it is flushed");
    served_once(&world, &sent).await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    world.client().command(&["FLUSHALL"]).await.expect("it is flushed");
    let _scorer = world.start(Name::Scorer, &[]).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_from_an_older_snapshot_and_no_history_has_a_hole() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(43, world.ctx.now()).with_users(20);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(300)).await;
    served_once(&world, &sent).await;
    world.client().command(&["SAVE"]).await.expect("it is saved");
    for running in [true, false] {
        sent.extend(world.send(&traffic.take(300)).await);
        served_once(&world, &sent).await;
        if !running {
            assert!(scorer.terminate().await.success(), "a clean shutdown");
        }
        world.server().kill();
        assert!(world.server().come_back(), "Redis starts with what it saved");
        if !running {
            scorer = world.start(Name::Scorer, &[]).await;
        }
        sent.extend(world.send(&traffic.take(100)).await);
        served_once(&world, &sent).await;
    }
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_still_to_be_made_when_a_scorer_ends_are_made_by_the_next_one() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(45, world.ctx.now()).with_users(20);
    let [_ingest, _trainer] = [world.start(Name::Ingest, &[]).await, world.start(Name::Trainer, &[]).await];
    let mut scorer = world.start(Name::Scorer, &[("scorer.renew_per_second", "1")]).await;
    let mut sent = world.send(&traffic.take(300)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    world.client().command(&["SAVE"]).await.expect("it is saved");
    sent.extend(world.send(&traffic.take(300)).await);
    served_once(&world, &sent).await;
    world.server().kill();
    assert!(world.server().come_back(), "Redis starts with what it saved");
    eventually("profiles are complete again and lists wait", SOON, async || {
        let waiting = scorer.metric("scorer_renewals_entries").await?;
        if waiting >= 10.0 { Ok(()) } else { Err(format!("{waiting} wait")) }
    })
    .await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    let _next = world.start(Name::Scorer, &[]).await;
    served_once(&world, &sent).await;
}

/// What a replica has that did not get the last writes.
pub(crate) const SAVE: &str = "for _, key in ipairs(redis.call('KEYS', '*')) do
  if string.sub(key, 1, 6) ~= 'saved/' then redis.call('COPY', key, 'saved/' .. key, 'REPLACE') end
end";
pub(crate) const FALL_BACK: &str = "for _, key in ipairs(redis.call('KEYS', '*')) do
  if string.sub(key, 1, 6) ~= 'saved/' then redis.call('DEL', key) end
end
for _, key in ipairs(redis.call('KEYS', 'saved/*')) do redis.call('COPY', key, string.sub(key, 7)) end";

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_lost_the_last_writes_leaves_no_hole() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(44, world.ctx.now()).with_users(20);
    let _ingest = world.start(Name::Ingest, &[]).await;
    // No mark moves meanwhile: all that is lost are profiles.
    let scorer = world
        .start(Name::Scorer, &[("scorer.commit_every", "20s"), ("scorer.users", "5"), ("scorer.max_batch", "5")])
        .await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    for failovers in 1..=3 {
        world.client().command(&["EVAL", SAVE, "0"]).await.expect("it is saved");
        sent.extend(world.send(&traffic.take(200)).await);
        served_once(&world, &sent).await;
        world.client().command(&["EVAL", FALL_BACK, "0"]).await.expect("it falls back");
        sent.extend(world.send(&traffic.take(50)).await);
        // Most users are held by Redis alone, which has of them what was saved.
        served_once(&world, &sent).await;
        let went_back = scorer.metric("scorer_went_back_total").await.expect("it answers");
        assert!(went_back >= f64::from(failovers), "it noticed: {went_back}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_deleted_by_hand_does_not_come_back_from_a_scorers_memory() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let scorer = world.start(Name::Scorer, &[]).await;
    let at = |n: i64, kind| click("gone", &format!("i{n}"), kind, world.ctx.now() + n, format!("e{n}"));
    let before: Vec<_> = (0..5).map(|n| at(n, EventType::View)).chain([at(5, EventType::Dislike)]).collect();
    served_once(&world, &world.send(&before).await).await;
    let keys = [world.keys.user("gone"), world.keys.recs("gone")];
    assert_eq!(world.client().delete(&keys).await.expect("deleted"), 2);
    let after = world.send(&[at(6, EventType::View)]).await;
    served_once(&world, &after).await;
    let stored = profile(&world, "gone").await.expect("there is one");
    let items: Vec<&str> = stored.profile.recent.iter().map(|seen| seen.item_id.as_str()).collect();
    assert_eq!(items, ["i6"], "begun anew");
    let went_back = scorer.metric("scorer_went_back_total").await.expect("it answers");
    assert!(went_back.abs() < f64::EPSILON, "one key is no flush");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_split_over_partitions_has_40_of_40_interactions_with_two_scorers() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorers = [world.start(Name::Scorer, &[]).await, world.start(Name::Scorer, &[]).await];
    for scorer in &mut scorers {
        eventually("it has partitions", SOON, async || {
            let waits = scorer.missing().await?.contains_key("caught-up");
            if waits { Err("not yet".to_owned()) } else { Ok(()) }
        })
        .await;
    }
    // Two applications that place the same key by different partitioners.
    let event = |user: i64, n: i64| {
        let (user, now) = (format!("split{user}"), world.ctx.now());
        let event = click(&user, &format!("i{n}"), EventType::View, now, format!("{user}-{n}"));
        let value = serde_json::to_vec(&event).expect("an event is JSON");
        let partition = Some(i32::try_from(n % 4).expect("small"));
        Outgoing { partition, key: user.into(), value: Some(value.into()), ..Outgoing::default() }
    };
    world.write(Topic::Events, (0..40).flat_map(|n| (0..5).map(move |user| event(user, n))).collect()).await;
    eventually("every user has 40 of 40", SOON, async || {
        for user in 0..5 {
            let stored = profile(&world, &format!("split{user}")).await?;
            let items: std::collections::BTreeSet<&String> =
                stored.profile.recent.iter().map(|seen| &seen.item_id).collect();
            let counted: u64 = stored.profile.counts.iter().sum();
            assert!(counted <= 40, "none counts twice: {counted}");
            if (items.len(), counted) != (40, 40) {
                return Err(format!("user {user} has {} items, {counted} are counted", items.len()));
            }
        }
        Ok(())
    })
    .await;
    let mut split = 0.0;
    for scorer in &scorers {
        split += scorer.metric("scorer_split_users_total").await.expect("it answers");
    }
    assert!(split >= 5.0, "it is noticed: {split}");
    assert!(scorers.iter().any(|scorer| scorer.log().contains("events of one user come through several partitions")));
}
