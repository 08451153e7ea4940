//! What scorers refuse is on record: once for a flood, and by one of them.

use runtime::kafka::Outgoing;
use schemas::audit::REFUSED;
use schemas::checkpoint::{Part, key};
use schemas::control::OPERATOR;
use schemas::{Manifest, Topic, VersionId};
use serde_json::Value;
use tests::{Name, SOON, Tail, Traffic, World, eventually, latest_manifest, learned_once, served_once};

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
