//! A server that is away for a while: services wait, say so, and go on; nothing is lost.

use tests::{SOON, Servers, Service, Traffic, World, eventually, ingested_once, learned_once, outage, served_once};

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
