//! Clocks that are wrong: events are judged and ordered by their own times and by Kafka's, not by a service's clock.

use std::process::Command;

use schemas::Topic;
use tests::{Name, SOON, Tail, Traffic, World, eventually, ingested_once, learned_once, served_once};

#[tokio::test(flavor = "multi_thread")]
async fn services_whose_clocks_are_an_hour_behind_or_ahead_refuse_and_lose_nothing() {
    if Command::new("faketime").arg("--version").output().is_err() {
        println!("not tested here: `faketime` is not installed (sh infra/bootstrap.sh tools)");
        return;
    }
    all_is_applied_with_clocks_off_by("-1h", 32).await;
    all_is_applied_with_clocks_off_by("+1h", 33).await;
}

async fn all_is_applied_with_clocks_off_by(offset: &str, seed: u64) {
    let world = World::new().await;
    let mut services = Vec::new();
    for name in [Name::Ingest, Name::Trainer, Name::Scorer] {
        services.push(world.start_with_clock(name, offset, &[]).await);
    }
    let mut traffic = Traffic::new(seed, world.ctx.now());
    let sent = world.flow(&traffic.take(400), 200).await;
    for service in &mut services {
        service.ready().await;
    }
    ingested_once(&world, &sent).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    assert_eq!(Tail::open(&world, Topic::DeadLetters).await.read().await.len(), 0, "nothing is refused");
    eventually("hot holds what people chose", SOON, async || {
        let hot = world.slate(&world.keys.hot(None)).await?;
        if hot.items.is_empty() { Err("it is empty".to_owned()) } else { Ok(()) }
    })
    .await;
}
