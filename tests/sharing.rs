//! Several scorers share the load; when one leaves, the others take over, and it cannot spoil what they wrote.

use std::collections::BTreeMap;

use schemas::Topic;
use tests::{
    Name, PARTITIONS, SOON, Sent, Service, Tail, Traffic, World, eventually, kafka_is_given, learned_once, profile,
    served_once,
};

/// Interactions that a scorer has applied.
fn applied(service: &Service) -> impl Future<Output = Result<f64, String>> {
    service.metric("scorer_interactions_total")
}

#[tokio::test(flavor = "multi_thread")]
async fn several_scorers_share_the_load_and_take_over() {
    let world = World::new().await;
    let mut traffic = Traffic::new(9, world.ctx.now());
    let [_ingest, _trainer, mut first] = world.start_all().await;
    let mut sent = world.send(&traffic.take(500)).await;
    first.ready().await;
    served_once(&world, &sent).await;

    // A second one joins under traffic and gets its share.
    let mut second = world.start(Name::Scorer, &[]).await;
    second.ready().await;
    eventually("the second scorer has work of its own", SOON, async || {
        sent.extend(world.send(&traffic.take(50)).await);
        let work = applied(&second).await?;
        if work > 0.0 { Ok(()) } else { Err("nothing yet".to_owned()) }
    })
    .await;
    let before = applied(&first).await.expect("it answers");
    sent.extend(world.flow(&traffic.take(400), 400).await);
    served_once(&world, &sent).await;
    assert!(applied(&first).await.expect("it answers") > before, "the first still has its share");

    // One leaves politely.
    assert!(first.terminate().await.success(), "a clean shutdown");
    sent.extend(world.send(&traffic.take(300)).await);
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_killed_beside_another_is_taken_over() {
    let world = World::new().await;
    let mut traffic = Traffic::new(16, world.ctx.now());
    let [_ingest, _trainer, mut first] = world.start_all().await;
    let mut second = world.start(Name::Scorer, &[]).await;
    first.ready().await;
    second.ready().await;
    let mut sent = world.send(&traffic.take(500)).await;
    served_once(&world, &sent).await;

    // Without a word, in the middle of the traffic.
    let events = traffic.take(1_000);
    let (during, ()) = tokio::join!(world.flow(&events, 300), async {
        eventually("both have work", SOON, async || {
            let work = (applied(&first).await?, applied(&second).await?);
            if work.0 > 0.0 && work.1 > 0.0 { Ok(()) } else { Err(format!("{work:?}")) }
        })
        .await;
        first.kill();
    });
    sent.extend(during);
    served_once(&world, &sent).await;
}

/// On a real Kafka: the embedded broker lets members into a group that have no strategy in common.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "says why it proves nothing here")]
async fn a_trainer_that_is_given_the_scorers_group_takes_no_partition_from_them() {
    if !kafka_is_given() {
        println!("skipped: set KAFKA_BROKERS to run this test");
        return;
    }
    let world = World::new().await;
    let mut traffic = Traffic::new(63, world.ctx.now());
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    let group = format!("{}{}", world.kafka.topic_prefix, Name::Scorer);
    let trainer = world.start(Name::Trainer, &[("trainer.group", &group)]).await;
    eventually("the trainer says that it is not in the group", SOON, async || {
        if trainer.log().contains("let nobody else use this group") { Ok(()) } else { Err(trainer.log()) }
    })
    .await;
    sent.extend(world.send(&traffic.take(200)).await);
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    let members = world.group(&group).await.expect("Kafka answers").members;
    assert!(members.iter().all(|member| member.client_id.starts_with("scorer-")), "{members:?}");
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_owner_cannot_overwrite_a_newer_slate() {
    let world = World::new().await;
    let mut traffic = Traffic::new(10, world.ctx.now()).with_users(12);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let _trainer = world.start(Name::Trainer, &[]).await;
    // Two groups: each believes that it owns every partition, as an owner does that was cut off and does not know yet.
    let group = format!("{}old-owner", world.kafka.topic_prefix);
    // Its session outlasts the standstill, or it would forget its users when it wakes.
    let patient = ("kafka.properties.session.timeout.ms", "60000");
    let old = world.start(Name::Scorer, &[("scorer.group", &group), ("scorer.max_batch", "2"), patient]).await;
    let _new = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    caught_up(&world, &old, &sent).await;

    // While it stands still, with its users in memory, the new owner goes on.
    old.signal("STOP");
    sent.extend(world.send(&traffic.take(400)).await);
    served_once(&world, &sent).await;
    let newest = positions(&world, &sent).await;
    old.signal("CONT");
    caught_up(&world, &old, &sent).await;

    assert_eq!(positions(&world, &sent).await, newest, "nobody was set back");
    served_once(&world, &sent).await;
    let refused = old.metric("scorer_slates_refused_total").await.expect("it answers");
    assert!(refused > 0.0, "the old owner tried, and was refused");
}

/// Waits until a scorer has seen every event, applied or not, and never sees a user set back meanwhile.
async fn caught_up(world: &World, scorer: &Service, sent: &[Sent]) {
    let mut tail = Tail::open(world, Topic::Interactions).await;
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    eventually("the old owner has seen everything", SOON, async || {
        for (user, offset) in positions(world, sent).await {
            let before = newest.insert(user.clone(), offset).unwrap_or(-1);
            assert!(offset >= before, "{user} was set back from {before} to {offset}");
        }
        let there = tail.read().await.len() as f64;
        let seen = applied(scorer).await? + scorer.metric("scorer_replayed_total").await?;
        if seen >= there { Ok(()) } else { Err(format!("{seen} of {there}")) }
    })
    .await;
}

/// For each user the offset of the event that profile and slate were made through.
async fn positions(world: &World, sent: &[Sent]) -> BTreeMap<String, i64> {
    let mut positions = BTreeMap::new();
    for sent in sent {
        let user = &sent.event.user_id;
        if positions.contains_key(user) {
            continue;
        }
        if let Ok(profile) = profile(world, user).await {
            assert!((0..PARTITIONS).contains(&profile.source.partition));
            positions.insert(user.clone(), profile.source.offset);
        }
    }
    positions
}
