//! Applications that write in transactions: what was aborted was never said.

use schemas::{EventType, Topic};
use tests::{
    Name, SOON, Service, Traffic, Transaction, World, click, eventually, ingested_once, kafka_is_given, learned_once,
    served_once,
};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_open_transaction_on_checkpoints_turns_a_trainer_red_with_the_reason_also_before_its_claim() {
    if !kafka_is_given() {
        println!("not tested here: the embedded broker has no transactions; KAFKA_BROKERS names one that does");
        return;
    }
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &[]).await;
    let sent = world.send(&Traffic::new(94, world.ctx.now()).take(200)).await;
    learned_once(&world, &sent).await;

    let open = Transaction::begin_on(&world, Topic::Checkpoints, "stranger").await;
    open.write("stranger", "nothing").await;
    waits_for_it(&mut trainer).await;
    // Its claim lies behind the transaction: it cannot read it.
    let mut next = world.start(Name::Trainer, &[]).await;
    waits_for_it(&mut next).await;
    open.abort().await;

    next.ready().await;
    assert!(!trainer.end().await.success(), "the one before reads the claim");
    learned_once(&world, &sent).await;
}

/// Waits until it says that a transaction holds `checkpoints` back.
async fn waits_for_it(trainer: &mut Service) {
    eventually("it says what holds it up", SOON, async || {
        trainer.assert_alive();
        let missing = trainer.missing().await?;
        let told =
            missing.get("progress").is_some_and(|why| why.contains("transaction") && why.contains("checkpoints"));
        if told { Ok(()) } else { Err(format!("{missing:?}")) }
    })
    .await;
}
