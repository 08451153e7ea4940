//! What a learner is held against after a start: the newest good version, not the one that it went on from.

use tests::{Name, Traffic, World, learned_once};

use crate::releases::{BROKEN, GATE, release};

/// What leaves it as it is: no worse than what it goes on from, and no better.
const STILL: &[(&str, &str)] =
    &[("model.row_learning_rate", "0"), ("model.dense_learning_rate", "0"), ("model.ranker_learning_rate", "0")];

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_goes_on_from_a_bad_version_is_held_against_the_newest_good_one_and_goes_back_to_it() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, GATE).await;
    let (mut traffic, mut sent) = (Traffic::new(46, world.ctx.now()), Vec::new());
    loop {
        sent.extend(world.flow(&traffic.take(500), 500).await);
        // One that was made in the middle of the traffic.
        if learned_once(&world, &sent).await.good.is_some_and(|good| good.version.sequence > 8) {
            break;
        }
        assert!(sent.len() < 12_000, "none became good");
    }
    assert_eq!(trainer.terminate().await.code(), Some(0));
    // It breaks while nobody tests it.
    let untested = [GATE, &[("trainer.gate.action", "off")], &BROKEN].concat();
    let mut trainer = world.start(Name::Trainer, &untested).await;
    sent.extend(world.flow(&traffic.take(3_000), 500).await);
    let bad = learned_once(&world, &sent).await;
    let good = bad.good.expect("what was good stays so").version;
    assert_eq!(trainer.terminate().await.code(), Some(0));

    // Compared with the version that it goes on from, it would be no worse: less evidence does here.
    let mut trainer = world.start(Name::Trainer, &[GATE, STILL, &[("trainer.gate.threshold", "1e3")]].concat()).await;
    let gone_back_to = loop {
        sent.extend(world.flow(&traffic.take(250), 500).await);
        learned_once(&world, &sent).await;
        let history = release(&world, &["history"]).await;
        let decided = history.as_array().and_then(|all| all.iter().find(|entry| entry["action"] == "rollback"));
        if let Some(entry) = decided {
            break entry["version"].as_str().unwrap_or_default().to_owned();
        }
        trainer.assert_alive();
        assert!(sent.len() < 24_000, "it is held against the bad version, than which it is no worse");
    };
    assert_eq!(gone_back_to, good.to_string());
    learned_once(&world, &sent).await;
    trainer.assert_alive();
}
