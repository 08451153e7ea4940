//! Three Kafka nodes, one of which is lost: others lead its partitions, and nobody notices for long.

use std::time::Duration;

use tests::{Servers, Traffic, World, ingested_once, learned_once, served_once};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_brokers_is_killed_and_nothing_is_lost_or_doubled() {
    if std::env::var("KAFKA_BROKERS").is_ok_and(|brokers| !brokers.is_empty()) {
        lose_one().await;
    } else {
        println!("not tested here: it wants three nodes of a real Kafka; KAFKA_BROKERS says that the tests run on one");
    }
}

async fn lose_one() {
    let world = World::on(Servers { cluster: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(41, world.ctx.now());
    let mut services = world.start_all().await;
    let mut sent = world.send(&traffic.take(300)).await;
    for service in &mut services {
        service.ready().await;
    }
    let events = traffic.take(1_500);
    let (during, ()) = tokio::join!(world.flow(&events, 150), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.broker().signal("KILL");
    });
    sent.extend(during);
    // Two are left: everything goes on without the third.
    for service in &mut services {
        service.ready().await;
    }
    ingested_once(&world, &sent).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
}
