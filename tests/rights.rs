//! Rights and settings that an operator takes from a running Thalweg: it waits, says what is missing, and goes on by
//! itself. Only a real Kafka has them.

use schemas::Topic;
use tests::{
    Name, SOON, Servers, Service, Traffic, World, eventually, ingested_once, kafka_is_given, learned_once, served_once,
};

/// Waits until `/readyz` names all of this in one reason.
async fn says(service: &mut Service, words: &[&str]) {
    eventually(&format!("/readyz says {words:?}"), SOON, async || {
        service.assert_alive();
        let missing = service.missing().await?;
        let said = missing.values().any(|why| words.iter().all(|word| why.contains(word)));
        if said { Ok(()) } else { Err(format!("missing: {missing:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "says why it proves nothing here")]
async fn a_right_that_is_taken_from_a_topic_is_waited_for_with_the_reason_and_nothing_is_lost() {
    if !kafka_is_given() {
        println!("not tested here: the embedded broker has no rights; KAFKA_BROKERS says that the tests run on Kafka");
        return;
    }
    let world = World::on(Servers { own_broker: true, rights: true, ..Servers::default() }).await;
    let mut traffic = Traffic::new(94, world.ctx.now());
    let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(300)).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;

    let (interactions, checkpoints) = (world.topics.name(Topic::Interactions), world.topics.name(Topic::Checkpoints));
    world.forbid_writing(Topic::Interactions).await;
    world.forbid_writing(Topic::Checkpoints).await;
    sent.extend(world.send(&traffic.take(200)).await);
    says(&mut ingest, &["WRITE", &interactions]).await;
    world.permit_writing(Topic::Interactions).await;
    says(&mut trainer, &["WRITE", &checkpoints]).await;
    world.permit_writing(Topic::Checkpoints).await;

    for service in [&mut ingest, &mut trainer, &mut scorer] {
        service.ready().await;
    }
    ingested_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "says why it proves nothing here")]
async fn a_topic_that_takes_no_record_any_more_for_its_size_is_waited_for_with_the_reason_and_nothing_is_lost() {
    if !kafka_is_given() {
        println!("not tested here: the embedded broker takes any size; KAFKA_BROKERS says that the tests run on Kafka");
        return;
    }
    let world = World::new().await;
    let mut traffic = Traffic::new(95, world.ctx.now());
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut sent = world.send(&traffic.take(200)).await;
    ingest.ready().await;
    ingested_once(&world, &sent).await;

    world.alter(Topic::Interactions, &[("max.message.bytes", "60")]).await; // less than a batch's head
    sent.extend(world.send(&traffic.take(200)).await);
    says(&mut ingest, &["too big", &world.topics.name(Topic::Interactions), "max.message.bytes"]).await;
    world.alter(Topic::Interactions, &[]).await;

    ingest.ready().await;
    ingested_once(&world, &sent).await;
}
