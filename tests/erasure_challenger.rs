//! A challenger forgets an erased user as the trainer does, and where it does not run the operator is told.

use std::path::Path;

use schemas::{EventType, Topics};
use serde_json::Value;
use tests::{Name, SOON, Traffic, World, click, eventually, learned_once, served_once};

const VICTIM: &str = "victim-4712";
const SECRET: (&str, &str) = ("privacy.secret", "0123456789abcdef0123456789abcdef");
const TRAINER: [(&str, &str); 2] = [SECRET, ("trainer.snapshot_every", "2s")];
const OTHER: [(&str, &str); 4] =
    [SECRET, ("trainer.snapshot_every", "2s"), ("trainer.role", "challenger"), ("trainer.name", "other")];

/// What `thalweg erase --verify` says; an error where the id is where it should not be.
async fn verified(world: &World, file: &Path) -> Result<Value, String> {
    let file = file.to_str().expect("UTF-8");
    let said = world.try_operate(&["erase", VICTIM, "--verify", "--json", "--config", file]).await?;
    serde_json::from_str(&said).map_err(|error| error.to_string())
}

/// How many versions of the challenger are listed as from before the erasure.
fn of_challenger(said: &Value, world: &World) -> u64 {
    let topic = Topics::new(&world.kafka.topic_prefix).challenger("other");
    let found = said["found"].as_array().expect("a list").iter();
    found.filter(|found| found["place"] == topic).filter_map(|found| found["number"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_forgets_an_erased_user_and_purges_also_where_it_runs_only_later_and_verify_looks_there() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("thalweg.toml");
    std::fs::write(&file, format!("[privacy]\nsecret = \"{}\"\n", SECRET.1)).expect("is written");
    let _ingest = world.start(Name::Ingest, &[SECRET]).await;
    let _trainer = world.start(Name::Trainer, &TRAINER).await;
    let _scorer = world.start(Name::Scorer, &[SECRET]).await;
    let mut challenger = world.start(Name::Trainer, &OTHER).await;
    let mut sent = world.send(&Traffic::new(54, world.ctx.now()).with_users(10).take(300)).await;
    let now = world.ctx.now();
    let view = |n: usize, item: &str| click(VICTIM, item, EventType::View, now + n as i64, format!("{VICTIM}-{n}"));
    let views: Vec<_> = ["i10", "i11", "i12", "alone"].iter().enumerate().map(|(n, item)| view(n, item)).collect();
    sent.extend(world.send(&views).await);
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    let erase = async |purge: &[&str]| {
        let config = file.to_str().expect("UTF-8");
        let words = ["erase", VICTIM, "--reason", "a test", "--by", "ann", "--json", "--config", config];
        let said = world.operate(&[&words[..], purge].concat()).await;
        serde_json::from_str::<Value>(&said).expect("it is JSON")
    };

    // A clean shutdown ends with a snapshot, which knows the user, and nobody waits for a challenger.
    let topic = Topics::new(&world.kafka.topic_prefix).challenger("other");
    eventually("a version of the challenger knows the user", SOON, async || match verified(&world, &file).await {
        Err(told) if told.contains(&topic) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(challenger.terminate().await.success());
    assert_eq!(erase(&["--purge"]).await["done"], true);
    let told = verified(&world, &file).await.expect_err("the challenger's newest version knows the user");
    assert!(told.contains(&topic), "{told}");

    // It reads of the erasure and the purge at its next start, when both are done.
    let mut challenger = world.start(Name::Trainer, &OTHER).await;
    eventually("the challenger has forgotten the user, and its older versions are gone", SOON, async || {
        let said = verified(&world, &file).await?;
        let before = of_challenger(&said, &world);
        if before == 0 { Ok(()) } else { Err(format!("{before} versions from before: {said}")) }
    })
    .await;
    challenger.assert_alive();
}
