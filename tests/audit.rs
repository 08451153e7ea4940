//! What is refused is on record, and the record stands in the way of nothing.

use std::time::Duration;

use runtime::kafka::Outgoing;
use schemas::audit::{Entry, REFUSED};
use schemas::checkpoint::{Part, key};
use schemas::control::OPERATOR;
use schemas::erasure::Receipts;
use schemas::{Erasure, Manifest, Secret, Topic, VersionId};
use serde_json::Value;
use tests::{
    Name, PARTITIONS, SOON, Service, Tail, Traffic, World, eventually, latest_manifest, learned_once, served_once,
};

/// A receipt that was not taken is given again half a minute later, or with the next snapshot.
const AGAIN: Duration = Duration::from_secs(90);
/// How many records are damaged, of versions and of decisions.
const FLOOD: u32 = 40;

fn record(key: String, value: Vec<u8>) -> Outgoing {
    Outgoing { partition: Some(0), key: key.into(), value: Some(value.into()), ..Outgoing::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_flood_of_damaged_versions_and_decisions_one_of_two_scorers_writes_one_entry_of_each_to_the_audit() {
    let world = World::new().await;
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut other = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(182, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    assert!(trainer.terminate().await.success(), "what the trainer refuses is another matter");
    let last = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.expect("it published");

    let torn = |n: u32| {
        let version = VersionId { sequence: last.version.sequence + n, ..last.version };
        let manifest = Manifest { version, ..last.clone() }; // whose chunks are nowhere
        record(key(version, Part::Manifest), serde_json::to_vec(&manifest).expect("serialises"))
    };
    world.write(Topic::Checkpoints, (1..=FLOOD).map(torn).collect()).await;
    let nonsense = (0..FLOOD).map(|_| record(OPERATOR.to_owned(), b"nonsense".to_vec()));
    world.write(Topic::Control, nonsense.collect()).await;
    for scorer in [&scorer, &other] {
        for reason in ["torn", "control"] {
            eventually(&format!("what is {reason} is counted"), SOON, async || {
                let counted =
                    scorer.metric_with("scorer_versions_refused_total", &format!("reason=\"{reason}\"")).await?;
                (counted >= f64::from(FLOOD)).then_some(()).ok_or_else(|| counted.to_string())
            })
            .await;
        }
    }

    let entries = eventually("both refusals are audited", SOON, async || {
        let shown = world.operate(&["audit", "show", "--json"]).await;
        let shown: Vec<Value> = serde_json::from_str(&shown).map_err(|error| error.to_string())?;
        let of_scorers = |entry: &Value| entry["actor"] == "scorer" && entry["action"] == REFUSED;
        let entries: Vec<Value> = shown.into_iter().filter(of_scorers).collect();
        let told = |subject: &str, why: &str| {
            let says = |entry: &Value| entry["reason"].as_str().is_some_and(|reason| reason.starts_with(why));
            entries.iter().any(|entry| entry["subject"] == subject && says(entry))
        };
        let all = told("checkpoints", "torn: ") && told("control", "control: ");
        if all { Ok(entries) } else { Err(format!("{entries:?}")) }
    })
    .await;
    assert_eq!(entries.len(), 2, "one of each: {entries:?}");
    assert_eq!(entries[0]["writer"], entries[1]["writer"], "by one of the two");
    assert!(entries.iter().all(|entry| entry["evidence"]["records"].as_f64().is_some_and(|records| records >= 1.0)));
    assert!(world.operate(&["audit", "verify"]).await.contains(" 0 faults"));

    sent.extend(world.flow(&traffic.take(100), 100).await);
    served_once(&world, &sent).await;
    scorer.assert_alive();
    other.assert_alive();
}

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
    world.write(Topic::Control, vec![record(Erasure::key(user), value)]).await;
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
