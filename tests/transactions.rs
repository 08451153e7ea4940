//! Applications that write in transactions: what was aborted was never said.

use schemas::EventType;
use tests::{Traffic, Transaction, World, click, ingested_once, learned_once, served_once};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_aborted_is_applied_by_nobody_and_what_one_committed_is_applied_once() {
    if std::env::var("KAFKA_BROKERS").is_ok_and(|brokers| !brokers.is_empty()) {
        transactions().await;
    } else {
        println!("not tested here: the embedded broker has no transactions; KAFKA_BROKERS names one that does");
    }
}

async fn transactions() {
    let world = World::new().await;
    let mut traffic = Traffic::new(31, world.ctx.now());
    let _services = world.start_all().await;
    let mut sent = world.send(&traffic.take(200)).await;

    let aborted = Transaction::begin(&world, "aborted").await;
    let regretted = |n| click("u1", "i00", EventType::Purchase, world.ctx.now(), format!("regretted-{n}"));
    aborted.send(&(0..20).map(regretted).collect::<Vec<_>>()).await;
    let committed = Transaction::begin(&world, "committed").await;
    let within = committed.send(&traffic.take(100)).await;
    sent.extend(within);
    aborted.abort().await;
    committed.commit().await;

    sent.extend(world.send(&traffic.take(100)).await);
    ingested_once(&world, &sent).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
}
