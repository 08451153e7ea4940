//! Two trainers under a restart policy do not take turns: one leads, the other stands by and takes over.

use std::time::Duration;

use schemas::{Manifest, Topic};
use tests::{
    Name, SOON, Servers, Service, Tail, Traffic, World, eventually, latest_manifest, learned_once, outage, served_once,
};

const STAND_BY: &[(&str, &str)] = &[("trainer.when_superseded", "stand_by")];

/// The promise.
const WITHIN: Duration = Duration::from_secs(10);

/// Waits until a trainer stands by, ready, and says so.
async fn stands_by(trainer: &mut Service) {
    eventually("it stands by", SOON, async || {
        trainer.assert_alive();
        let standing = trainer.metric("trainer_standing_by").await?;
        if standing == 1.0 { Ok(()) } else { Err(format!("trainer_standing_by is {standing}")) }
    })
    .await;
    trainer.ready().await;
}

/// Waits for a version of a later epoch than this.
async fn later_epoch(world: &World, before: u32, within: Duration) -> Manifest {
    let mut checkpoints = Tail::open(world, Topic::Checkpoints).await;
    eventually("a version of a later epoch is there", within, async || {
        let newest = latest_manifest(&mut checkpoints).await.ok_or("none")?;
        if newest.version.epoch > before { Ok(newest) } else { Err(format!("{} is the newest", newest.version)) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_killed_with_a_stand_by_is_followed_by_the_next_version_within_ten_seconds() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut leader = world.start(Name::Trainer, STAND_BY).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(71, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let before = learned_once(&world, &sent).await;
    let mut other = world.start(Name::Trainer, STAND_BY).await;
    stands_by(&mut other).await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    assert_eq!(learned_once(&world, &sent).await.version.epoch, before.version.epoch, "it claims nothing");

    leader.kill();
    let next = later_epoch(&world, before.version.epoch, WITHIN);
    let (during, next) = world.flow_until(&mut traffic, 100, next).await;
    sent.extend(during);
    assert_eq!(next.version.epoch, before.version.epoch + 1, "one claim was enough");
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    assert_eq!(other.metric("trainer_standing_by").await, Ok(0.0));
    // The one that was killed comes back, as its restart policy has it.
    let mut leader = world.start(Name::Trainer, STAND_BY).await;
    stands_by(&mut leader).await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    assert_eq!(learned_once(&world, &sent).await.version.epoch, next.version.epoch, "they do not take turns");
    // And one that is asked to end is followed at once.
    assert_eq!(other.terminate().await.code(), Some(0));
    later_epoch(&world, next.version.epoch, WITHIN).await;
    learned_once(&world, &sent).await;
    leader.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_was_frozen_wakes_up_reads_that_another_leads_and_stands_by() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut frozen = world.start(Name::Trainer, STAND_BY).await;
    let mut traffic = Traffic::new(72, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let before = learned_once(&world, &sent).await;
    let mut other = world.start(Name::Trainer, STAND_BY).await;
    stands_by(&mut other).await;

    frozen.signal("STOP");
    let next = later_epoch(&world, before.version.epoch, SOON);
    let (during, next) = world.flow_until(&mut traffic, 100, next).await;
    sent.extend(during);
    frozen.signal("CONT");
    stands_by(&mut frozen).await;
    assert_eq!(frozen.metric("trainer_superseded_total").await, Ok(1.0));
    sent.extend(world.flow(&traffic.take(200), 100).await);
    let last = learned_once(&world, &sent).await;
    assert_eq!(last.version.epoch, next.version.epoch, "one epoch was claimed, and nobody claims back");
    other.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_takes_over_as_ever_is_stood_by_for_and_followed_when_it_is_gone() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut stand_by = world.start(Name::Trainer, STAND_BY).await;
    let mut traffic = Traffic::new(73, world.ctx.now());
    let mut sent = world.flow(&traffic.take(200), 200).await;
    let first = learned_once(&world, &sent).await;

    let mut ends = world.start(Name::Trainer, &[]).await;
    stands_by(&mut stand_by).await;
    sent.extend(world.flow(&traffic.take(300), 100).await);
    let second = learned_once(&world, &sent).await;
    assert_eq!(second.version.epoch, first.version.epoch + 1, "the one that was taken over from claims nothing back");
    ends.assert_alive();

    ends.kill();
    let third = later_epoch(&world, second.version.epoch, WITHIN).await;
    assert_eq!(third.version.epoch, second.version.epoch + 1);
    learned_once(&world, &sent).await;
    stand_by.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_broker_was_away_the_trainer_that_led_leads_and_nobody_claims() {
    let world = World::on(Servers { own_broker: true, ..Servers::default() }).await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut leader = world.start(Name::Trainer, STAND_BY).await;
    let mut traffic = Traffic::new(74, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let before = learned_once(&world, &sent).await;
    let mut other = world.start(Name::Trainer, STAND_BY).await;
    stands_by(&mut other).await;

    world.broker().go_away().await;
    tokio::time::sleep(outage()).await; // longer than the group keeps a member
    world.broker().come_back().await;
    let group = format!("{}trainer", world.kafka.topic_prefix);
    eventually("the leader is in its group again", SOON, async || {
        let members = world.group(&group).await?.members;
        if members.len() == 1 { Ok(()) } else { Err(format!("{members:?}")) }
    })
    .await;
    leader.ready().await;
    stands_by(&mut other).await;
    sent.extend(world.flow(&traffic.take(300), 100).await);
    assert_eq!(learned_once(&world, &sent).await.version.epoch, before.version.epoch, "nobody claimed");
    leader.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_leader_that_is_not_in_the_group_and_writes_versions_nobody_claims() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let elsewhere = format!("{}elsewhere", world.kafka.topic_prefix);
    let outside = [STAND_BY, &[("trainer.group", elsewhere.as_str())]].concat();
    let mut leader = world.start(Name::Trainer, &outside).await;
    let mut traffic = Traffic::new(75, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let before = learned_once(&world, &sent).await;
    let (during, mut other) = world.flow_until(&mut traffic, 100, world.start(Name::Trainer, STAND_BY)).await;
    sent.extend(during);
    let told = eventually("the one that stands by says what it sees", SOON, async || {
        let says = other.log().contains("a trainer writes versions that is not in the group");
        if says { Ok(()) } else { Err("it does not".to_owned()) }
    });
    let (during, ()) = world.flow_until(&mut traffic, 100, told).await;
    sent.extend(during);
    sent.extend(world.flow(&traffic.take(500), 100).await);
    let last = learned_once(&world, &sent).await;
    assert_eq!(last.version.epoch, before.version.epoch, "they do not take turns");
    stands_by(&mut other).await;
    leader.assert_alive();
}
