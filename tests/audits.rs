//! What is noted for the audit never stands in the way of what is done.

use std::time::Duration;

use runtime::kafka::Outgoing;
use schemas::audit::Entry;
use schemas::erasure::Receipts;
use schemas::{Erasure, Secret, Topic};
use tests::{Name, PARTITIONS, SOON, Service, Tail, Traffic, World, eventually, learned_once, served_once};

/// A receipt that was not taken is given again half a minute later, or with the next snapshot.
const AGAIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_takes_no_record_freezes_no_service_each_says_so_and_receipts_come_once_it_does() {
    let world = World::new().await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &[("trainer.snapshot_every", "15s")]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(92, world.ctx.now()).with_step(20).with_users(10);
    let mut sent = world.flow(&traffic.take(200), 200).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    world.take_away(Topic::Audit).await;
    // All three are to answer for somebody who never came.
    let (user, at) = (Secret::default().hash("nobody"), world.ctx.now());
    let (by, reason) = ("ann".to_owned(), "a test".to_owned());
    let word = Erasure { by, reason, at, purge: false, secret: None, done: None, lifted: None };
    let value = serde_json::to_vec(&word).expect("it is JSON");
    let key = Erasure::key(user).into();
    let record = Outgoing { partition: Some(0), key, value: Some(value.into()), ..Outgoing::default() };
    world.write(Topic::Control, vec![record]).await;
    let said = eventually("each says that the audit takes nothing", SOON, async || {
        for service in [&ingest, &scorer] {
            let log = service.log();
            log.contains("the audit takes no receipt").then_some(()).ok_or("a service says nothing")?;
        }
        let failed = trainer.metric("trainer_audit_failed_total").await?;
        if failed >= 1.0 { Ok(()) } else { Err(format!("trainer: {failed}")) }
    });
    let (during, ()) = world.flow_until(&mut traffic, 50, said).await;
    sent.extend(during);
    // Through more than one pause and snapshot.
    for _ in 0..3 {
        sent.extend(world.flow(&traffic.take(400), 50).await);
        learned_once(&world, &sent).await;
        served_once(&world, &sent).await;
    }
    assert!(trainer.metric("trainer_audit_failed_total").await.is_ok_and(|failed| failed >= 2.0), "it tried again");

    world.give_back(Topic::Audit, &[]).await;
    let mut audit = Tail::open(&world, Topic::Audit).await;
    let partitions = usize::try_from(PARTITIONS).expect("is small");
    let answered = eventually("every partition is answered for", AGAIN, async || {
        let mut receipts = Receipts::default();
        let values = audit.read().await.iter().filter_map(|record| record.value.as_deref());
        let entries = values.filter_map(|value| serde_json::from_slice::<Entry>(value).ok());
        entries.for_each(|entry| receipts.take(&entry, &user.to_string()));
        let missing = receipts.missing(partitions, partitions);
        if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
    });
    let (during, ()) = world.flow_until(&mut traffic, 50, answered).await;
    sent.extend(during);
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    [&mut ingest, &mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}
