//! Which version is served is the operator's word, through crashes and restarts, and a rollback takes training along.

use schemas::{Topic, VersionId};
use serde_json::Value;
use tests::{
    Name, SOON, Service, Tail, Traffic, World, eventually, latest_manifest, learned_once, manifests, served_once,
};

/// Snapshots come every two seconds, and none stays for its age: what stays does so for somebody's word.
pub(crate) const SETTINGS: &[(&str, &str)] =
    &[("trainer.snapshot_every", "2s"), ("trainer.keep_snapshots", "1"), ("trainer.retention.ages", "[]")];

pub(crate) async fn release(world: &World, words: &[&str]) -> Value {
    let words = [&["release"], words, &["--json"]].concat();
    serde_json::from_str(&world.operate(&words).await).expect("it is JSON")
}

/// The newest snapshot that there is to go back to.
pub(crate) async fn snapshot(world: &World) -> VersionId {
    eventually("a snapshot that knows something is there", SOON, async || {
        let ladder = release(world, &["rollback"]).await;
        let newest = ladder.as_array().and_then(|all| all.last()).ok_or("there is none")?;
        if newest["interactions"] == 0 {
            return Err(format!("{newest} knows nothing"));
        }
        newest["version"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| newest.to_string())
    })
    .await
}

/// Waits until the hash `model` says this.
pub(crate) async fn live(world: &World, what: &str, right: impl Fn(VersionId, &str) -> bool) {
    eventually(what, SOON, async || {
        let model = world.model().await?;
        let version = model.get("version").and_then(|text| text.parse().ok()).ok_or("no version is live")?;
        let state = model.get("state").map_or("", String::as_str);
        right(version, state).then_some(()).ok_or_else(|| format!("{version} is live, as {state}"))
    })
    .await;
}

async fn started(world: &World) -> [Service; 3] {
    let ingest = world.start(Name::Ingest, &[]).await;
    let trainer = world.start(Name::Trainer, SETTINGS).await;
    [ingest, trainer, world.start(Name::Scorer, &[]).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_stands_through_crashes_of_scorer_and_trainer_until_it_is_lifted() {
    let world = World::new().await;
    let [_ingest, mut trainer, mut scorer] = started(&world).await;
    let mut traffic = Traffic::new(41, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 100).await;
    learned_once(&world, &sent).await;
    let pinned = snapshot(&world).await;
    let said = release(&world, &["pin", &pinned.to_string(), "--reason", "a test", "--by", "ann"]).await;
    assert_eq!((said["written"].as_bool(), said["release"]["by"].as_str()), (Some(true), Some("ann")), "{said}");
    let is_pinned = |version: VersionId, state: &str| version == pinned && state == "pin";
    live(&world, "the pinned version is live", is_pinned).await;

    for round in 0..3 {
        sent.extend(world.flow(&traffic.take(200), 100).await);
        match round {
            0 => {}
            1 => {
                scorer.kill();
                scorer = world.start(Name::Scorer, &[]).await;
            }
            _ => {
                trainer.kill();
                trainer = world.start(Name::Trainer, SETTINGS).await;
            }
        }
        let last = learned_once(&world, &sent).await;
        assert!(last.version > pinned, "training goes on");
        served_once(&world, &sent).await;
        live(&world, "the pinned version stays live", is_pinned).await;
        let user = world.slate(&world.keys.recs(&sent[sent.len() - 1].event.user_id)).await.expect("a list");
        assert_eq!(user.model, pinned.to_string(), "lists are made by the pinned version");
    }
    let status = release(&world, &["status"]).await;
    assert_eq!(status["to_be_served"], pinned.to_string(), "{status}");
    assert_eq!((&status["live"], &status["decided"]["by"]), (&status["to_be_served"], &"ann".into()), "{status}");
    let compared = release(&world, &["diff", &pinned.to_string(), "latest"]).await;
    assert!(compared["lists"].as_array().is_some_and(|lists| !lists.is_empty()), "{compared}");

    release(&world, &["unpin", "--reason", "the test is over"]).await;
    live(&world, "the newest version is live", |version, state| version > pinned && state == "live").await;
    for service in [&mut trainer, &mut scorer] {
        service.assert_alive();
    }
    let history = release(&world, &["history"]).await;
    let actions: Vec<&str> =
        history.as_array().into_iter().flatten().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["pin", "unpin"]);
    assert!(world.operate(&["audit", "verify"]).await.contains(" 0 faults"), "the trainers' records are there, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_to_a_version_that_knows_nothing_takes_nobody_their_list_and_whoever_comes_meanwhile_gets_one_after_it() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let keeps = [("trainer.snapshot_every", "2s"), ("trainer.keep_snapshots", "100")]; // the first one, too
    let _trainer = world.start(Name::Trainer, &keeps).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let empty = eventually("the first version is there", SOON, async || {
        let newest = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await;
        newest.map(|manifest| manifest.version).ok_or_else(|| "there is none".to_owned())
    })
    .await;
    let mut traffic = Traffic::new(46, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    // Of whom a scorer starts with nothing, and of whom nothing is in Redis.
    let pinned = release(&world, &["pin", &empty.to_string(), "--reason", "a test"]).await;
    assert_eq!(pinned["written"], true, "{pinned}");
    let warned = |said: &Value| said["warning"].as_str().is_some_and(|why| why.contains("no list can be made"));
    assert!(warned(&pinned), "{pinned}");
    for words in [["pin", &empty.to_string()], ["rollback", &empty.to_string()]] {
        let tried = release(&world, &[&words[..], &["--reason", "a test", "--dry-run"]].concat()).await;
        assert!(warned(&tried) && tried["written"] == false, "{tried}");
    }
    let ladder = release(&world, &["rollback"]).await;
    let full = ladder.as_array().and_then(|all| all.last()).and_then(|newest| newest["items"].as_u64());
    assert!(full.is_some_and(|items| items > 0), "{ladder}");
    live(&world, "the first version is pinned", |version, state| version == empty && state == "pin").await;
    scorer.kill();
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let last = &sent[sent.len() - 1].event;
    let (there, item, ts) = (last.user_id.clone(), sent[0].event.item_id.clone(), last.ts.0 + 1);
    let view = |user: &str| tests::click(user, &item, schemas::EventType::View, ts, format!("of {user}"));
    let (again, newcomer) = (view(&there), view("a newcomer"));
    let before = world.slate(&world.keys.recs(&there)).await.expect("a list").items.len();
    assert!(before > 0);
    let last = world.send(&[again, newcomer]).await;
    eventually("both are known to have acted", SOON, async || {
        for sent in &last {
            let source = tests::profile(&world, &sent.event.user_id).await?.source;
            (source.offset == sent.offset).then_some(()).ok_or_else(|| format!("{source:?}"))?;
        }
        Ok::<_, String>(())
    })
    .await;
    sent.extend(last);
    let after = world.slate(&world.keys.recs(&there)).await.expect("a list").items.len();
    assert!(after > 0, "what a version made that knew more stays");
    release(&world, &["unpin", "--reason", "the test is over"]).await;
    served_once(&world, &sent).await;
    eventually("both have a list by a version that knows items", SOON, async || {
        for user in ["a newcomer", &there] {
            let slate = world.slate(&world.keys.recs(user)).await?;
            let right = !slate.items.is_empty() && slate.model != schemas::Slate::NO_MODEL;
            right.then_some(()).ok_or_else(|| format!("{user}: by {}", slate.model))?;
        }
        Ok::<_, String>(())
    })
    .await;
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_the_newest_version_and_ends_by_itself_when_it_expires() {
    let world = World::new().await;
    let [_ingest, _trainer, _scorer] = started(&world).await;
    let mut traffic = Traffic::new(42, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    learned_once(&world, &sent).await;
    let said = release(&world, &["hold", "--expires", "8s", "--reason", "a test"]).await;
    let held: VersionId = said["release"]["version"].as_str().and_then(|v| v.parse().ok()).expect("a version");
    sent.extend(world.flow(&traffic.take(300), 150).await);
    live(&world, "the version is held", |version, state| version == held && state == "hold").await;
    learned_once(&world, &sent).await;
    live(&world, "the hold expired", |version, state| version > held && state == "live").await;
    // Nothing is held any more: there is nothing to lift.
    assert!(world.operate(&["release", "resume", "--reason", "a test"]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rollback_training_goes_on_from_the_version_and_nothing_is_lost_or_counted_twice() {
    let world = World::new().await;
    let [_ingest, mut trainer, mut scorer] = started(&world).await;
    let mut traffic = Traffic::new(43, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 100).await;
    learned_once(&world, &sent).await;
    let first = snapshot(&world).await;
    // It is to stay though newer snapshots come.
    release(&world, &["pin", &first.to_string(), "--reason", "to be gone back to"]).await;
    live(&world, "the version is pinned", |version, _| version == first).await;
    sent.extend(world.flow(&traffic.take(300), 100).await);
    let bad = learned_once(&world, &sent).await;
    let dry = release(&world, &["rollback", &first.to_string(), "--reason", "a test", "--dry-run"]).await;
    assert_eq!(dry["written"], false);
    release(&world, &["rollback", &first.to_string(), "--reason", "a test"]).await;

    // Under a claim of its own, and with all that was sent.
    let back = eventually("a version of a later epoch knows all", SOON, async || {
        let newest = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.ok_or("none")?;
        let right = newest.version.epoch > bad.version.epoch && newest.interactions == bad.interactions;
        right.then_some(newest.version).ok_or_else(|| format!("{} with {}", newest.version, newest.interactions))
    })
    .await;
    live(&world, "what went on from it is live", |version, state| version >= back && state == "live").await;
    assert!(trainer.metric("trainer_rolled_back_total").await.is_ok_and(|times| times >= 1.0));
    assert!(trainer.metric("trainer_left_out_total").await.is_ok_and(|examples| examples > 0.0), "they are skipped");
    sent.extend(world.flow(&traffic.take(200), 100).await);
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    // The same while no trainer runs: scorers go back at once, and the next trainer goes on from there.
    let second = snapshot(&world).await;
    trainer.kill();
    let newest = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.expect("one is there");
    release(&world, &["rollback", &second.to_string(), "--reason", "a test"]).await;
    if newest.version > second {
        live(&world, "the version is live", |version, state| version == second && state == "rollback").await;
    }
    sent.extend(world.flow(&traffic.take(100), 100).await);
    served_once(&world, &sent).await;
    let mut trainer = world.start(Name::Trainer, SETTINGS).await;
    let last = learned_once(&world, &sent).await;
    assert!(last.version.epoch > newest.version.epoch, "{}", last.version);
    live(&world, "what went on from it is live", |version, state| {
        version.epoch == last.version.epoch && state == "live"
    })
    .await;
    for service in [&mut trainer, &mut scorer] {
        service.assert_alive();
    }
    let records = Tail::open(&world, Topic::Checkpoints).await.read().await.to_vec();
    let of_last = |version: VersionId| version.epoch == last.version.epoch;
    assert!(manifests(&records).iter().any(|manifest| of_last(manifest.version)));
}

/// A gate that finds a version good and a learner bad within hundreds of tests; and what breaks the learner.
pub(crate) const GATE: &[(&str, &str)] = &[
    ("trainer.snapshot_every", "2s"),
    ("trainer.gate.sample", "1"),
    ("trainer.gate.threshold", "1e8"),
    ("trainer.gate.good_after_tests", "1500"),
];
pub(crate) const BROKEN: [(&str, &str); 3] =
    [("model.row_learning_rate", "10"), ("model.dense_learning_rate", "1"), ("model.ranker_learning_rate", "10")];

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_that_breaks_goes_back_to_the_newest_good_version_by_itself_and_holds_it_after_three_times() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, GATE).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(45, world.ctx.now());
    let mut sent = Vec::new();
    let good = loop {
        sent.extend(world.flow(&traffic.take(500), 500).await);
        let newest = learned_once(&world, &sent).await;
        if let Some(good) = newest.good {
            break good.version;
        }
        assert!(sent.len() < 12_000, "none became good");
    };
    assert_eq!(trainer.terminate().await.code(), Some(0));

    let settings = [GATE, &BROKEN].concat();
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let (mut decisions, mut killed) = (Vec::new(), false);
    while decisions.last().is_none_or(|action| action != "hold") {
        if decisions.len() == 2 && !std::mem::replace(&mut killed, true) {
            trainer.kill();
            trainer = world.start(Name::Trainer, &settings).await; // it counts on
        }
        sent.extend(world.flow(&traffic.take(250), 500).await);
        learned_once(&world, &sent).await;
        let history = release(&world, &["history"]).await;
        let entries = history.as_array().cloned().unwrap_or_default();
        assert!(entries.iter().all(|entry| entry["actor"] == "gate" && entry["evidence"]["evidence"].is_number()));
        decisions = entries.iter().map(|entry| entry["action"].as_str().unwrap_or_default().to_owned()).collect();
        trainer.assert_alive();
        assert!(sent.len() < 30_000, "{decisions:?}");
    }
    assert_eq!(decisions, ["rollback", "rollback", "rollback", "hold"]);
    live(&world, "a good version is held", |version, state| version >= good && state == "hold").await;
    let missing = trainer.missing().await.expect("it answers");
    assert!(missing.get("gate").is_some_and(|why| why.contains("worse than")), "{missing:?}");
    served_once(&world, &sent).await;
    release(&world, &["resume", "--reason", "the settings are mended"]).await;
    live(&world, "versions go live again", |_, state| state == "live").await;
    eventually("the trainer is ready again", SOON, async || {
        let missing = trainer.missing().await?;
        (!missing.contains_key("gate")).then_some(()).ok_or_else(|| format!("{missing:?}"))
    })
    .await;
    scorer.assert_alive();
    assert!(world.operate(&["audit", "verify"]).await.contains("0 faults"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_lies_on_control_ends_nobody_and_a_version_that_is_not_there_is_told() {
    let world = World::new().await;
    let [_ingest, mut trainer, mut scorer] = started(&world).await;
    let sent = world.flow(&Traffic::new(44, world.ctx.now()).take(200), 200).await;
    learned_once(&world, &sent).await;
    let record = |key: &str, value: &str| runtime::kafka::Outgoing {
        partition: Some(0),
        key: key.to_owned().into(),
        value: Some(value.to_owned().into()),
        ..runtime::kafka::Outgoing::default()
    };
    let nowhere = r#"{"action":"pin","version":"000001-00999999","by":"x","reason":"y","at":1700000000000}"#;
    let far = r#"{"action":"rollback","version":"000001-00000001","back":{"to":{"version":"000001-00000001"},
        "epoch":3000000000,"at":1},"by":"x","reason":"y","at":1}"#;
    let records =
        ["{", "[]", far, r#"{"action":"pin","version":"4294967295-1","by":"x","reason":"y","at":1}"#, nowhere];
    world.write(Topic::Control, records.map(|value| record("release", value)).into()).await;
    world.write(Topic::Control, vec![record("\u{1}", "x"), record("gate", nowhere)]).await;
    eventually("the scorer says that the version is not there", SOON, async || {
        let missing = scorer.missing().await?;
        let told =
            missing.get("release").is_some_and(|why| why.contains("000001-00999999") && why.contains("stays live"));
        told.then_some(()).ok_or_else(|| format!("{missing:?}"))
    })
    .await;
    release(&world, &["unpin", "--reason", "a test"]).await;
    live(&world, "versions go live again", |_, state| state == "live").await;
    scorer.ready().await;
    assert!(scorer.metric_with("scorer_versions_refused_total", "control").await.is_ok_and(|times| times >= 3.0));
    for service in [&mut trainer, &mut scorer] {
        service.assert_alive();
    }
    let refused = world.try_operate(&["release", "rollback", "000001-00999999", "--reason", "a test"]).await;
    assert!(refused.is_err_and(|why| why.contains("is not on checkpoints")));
    let silent = world.try_operate(&["release", "pin", "000001-00000001"]).await;
    assert!(silent.is_err_and(|why| why.contains("--reason")));
}
