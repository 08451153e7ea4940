//! A server that is away for a while: services wait, say so, and go on; nothing is lost.

use std::time::Duration;

use runtime::kafka::Outgoing;
use schemas::{Topic, VersionId};
use tests::{
    Name, SOON, Servers, Service, Traffic, World, eventually, ingested_once, learned_once, outage, served_once,
};

use crate::releases::{SETTINGS, live, release, snapshot};

/// A start gives up after 10 s.
const LONGER_THAN_A_START: Duration = Duration::from_secs(14);

/// Waits until `/readyz` is red for `condition`, and sees to it that the log says so.
pub(crate) async fn turns_red(service: &mut Service, condition: &str) {
    eventually(&format!("/readyz turns red for {condition}"), SOON, async || {
        service.assert_alive();
        let missing = service.missing().await?;
        if missing.contains_key(condition) { Ok(()) } else { Err(format!("missing: {missing:?}")) }
    })
    .await;
    let log = service.log();
    let condition = format!("\"condition\":\"{condition}\"");
    let says = |line: &str| line.contains("no longer ready") && line.contains(&condition);
    assert!(log.lines().any(says), "its log says that {condition} is away: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_away_and_services_wait_say_so_turn_red_go_on_and_lose_nothing() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let events = Traffic::new(6, world.ctx.now()).take(300 * outage().as_secs() as usize);
    let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
    let (before, during) = events.split_at(1_000);
    let mut sent = world.send(before).await;
    for service in [&mut ingest, &mut trainer, &mut scorer] {
        service.ready().await;
    }

    world.server().stop();
    let (during, ()) = tokio::join!(world.flow(during, 150), async {
        turns_red(&mut scorer, "redis").await;
        tokio::time::sleep(outage()).await;
        assert_eq!(ingest.missing().await.map(|missing| missing.len()), Ok(0), "ingest does not need Redis");
        assert_eq!(trainer.missing().await.map(|missing| missing.len()), Ok(0), "nor does the trainer");
    });
    sent.extend(during);
    world.server().go_on();

    scorer.ready().await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_away_and_services_wait_say_so_turn_red_go_on_and_lose_nothing() {
    let world = World::on(Servers { own_broker: true, ..Servers::default() }).await;
    let events = Traffic::new(7, world.ctx.now()).take(200 * outage().as_secs() as usize);
    let mut services = world.start_all().await;
    let (before, during) = events.split_at(1_000);
    let mut sent = world.send(before).await;
    for service in &mut services {
        service.ready().await;
    }

    served_once(&world, &sent).await;

    // In the middle of the traffic: the application waits as well.
    let (during, ()) = tokio::join!(world.flow(during, 150), async {
        world.broker().go_away().await;
        for service in &mut services {
            turns_red(service, "kafka").await;
        }
        tokio::time::sleep(outage()).await;
        world.broker().come_back().await;
    });
    sent.extend(during);

    for service in &mut services {
        service.ready().await;
    }
    ingested_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
}

/// Takes the broker away for longer than a start waits, and `until` is over; nobody ends.
async fn away_for_long(world: &World, services: &mut [&mut Service], until: Duration) {
    world.broker().go_away().await;
    for service in services.iter_mut() {
        turns_red(service, "kafka").await;
    }
    tokio::time::sleep(LONGER_THAN_A_START + until).await;
    services.iter_mut().for_each(|service| service.assert_alive());
    world.broker().come_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_with_the_broker_away_for_longer_than_a_start_waits_ends_no_trainer_and_loses_nothing() {
    let world = World::on(Servers { own_broker: true, ..Servers::default() }).await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, SETTINGS).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(91, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 100).await;
    learned_once(&world, &sent).await;
    let first = snapshot(&world).await;
    release(&world, &["pin", &first.to_string(), "--reason", "to be gone back to"]).await;
    live(&world, "the version is pinned", |version, _| version == first).await;
    sent.extend(world.flow(&traffic.take(300), 150).await);
    let bad = learned_once(&world, &sent).await;

    release(&world, &["rollback", &first.to_string(), "--reason", "a test"]).await;
    eventually("the trainer goes back", SOON, async || {
        let times = trainer.metric("trainer_rolled_back_total").await?;
        if times >= 1.0 { Ok(()) } else { Err(times.to_string()) }
    })
    .await;
    away_for_long(&world, &mut [&mut trainer, &mut scorer, &mut ingest], Duration::ZERO).await;

    for service in [&mut ingest, &mut trainer, &mut scorer] {
        service.ready().await;
    }
    live(&world, "what went on from it is live", |version, _| version.epoch > bad.version.epoch).await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_wanted_with_the_broker_away_for_longer_than_a_start_waits_is_live_afterwards() {
    let world = World::on(Servers { own_broker: true, ..Servers::default() }).await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, SETTINGS).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(92, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 100).await;
    learned_once(&world, &sent).await;
    let older = snapshot(&world).await;
    // What somebody wants once the operator's pin has ended by itself.
    let hold = async || {
        let at = world.ctx.now();
        let word = format!(r#"{{"action":"hold","version":"{older}","by":"gate","reason":"a test","at":{at}}}"#);
        let record = Outgoing { key: "gate".into(), value: Some(word.into()), ..Outgoing::default() };
        world.write(Topic::Control, vec![record]).await;
    };
    hold().await;
    live(&world, "the older version is held", |version, state| version == older && state == "hold").await;
    sent.extend(world.flow(&traffic.take(300), 150).await);
    learned_once(&world, &sent).await;
    let newer: VersionId = snapshot(&world).await;
    assert!(newer > older);
    const PINNED: Duration = Duration::from_secs(15);
    let expires = format!("{}s", PINNED.as_secs());
    release(&world, &["pin", &newer.to_string(), "--expires", &expires, "--reason", "a test"]).await;
    hold().await;
    live(&world, "the newer version is pinned", |version, state| version == newer && state == "pin").await;

    away_for_long(&world, &mut [&mut scorer, &mut trainer, &mut ingest], PINNED).await;

    live(&world, "the older version is held again", |version, state| version == older && state == "hold").await;
    for service in [&mut ingest, &mut scorer] {
        service.ready().await;
    }
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_gone_under_traffic_is_an_outage_and_what_was_sent_meanwhile_comes_when_it_is_back() {
    let world = World::on(Servers { own_broker: true, ..Servers::default() }).await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut traffic = Traffic::new(93, world.ctx.now());
    let before = world.send(&traffic.take(200)).await;
    ingested_once(&world, &before).await;

    world.take_away(Topic::Interactions).await;
    let gone = async {
        turns_red(&mut ingest, "kafka").await;
        tokio::time::sleep(outage()).await; // longer than a topic may be on its way
        let missing = ingest.missing().await.expect("it answers");
        assert!(missing["kafka"].contains("thalweg topics apply"), "{missing:?}");
        ingest.assert_alive();
        world.give_back(Topic::Interactions, &[]).await;
    };
    let (during, ()) = world.flow_until(&mut traffic, 50, gone).await;

    ingest.ready().await;
    ingested_once(&world, &during).await;
}
