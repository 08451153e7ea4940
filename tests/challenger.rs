//! A challenger learns beside the trainer, is held against what is served, and takes its place without a gap.

use std::collections::BTreeSet;
use std::time::Instant;

use schemas::{Topic, VersionId};
use serde_json::Value;
use tests::{Name, SOON, Service, Tail, Traffic, World, eventually, learned_once, manifests, served_once};

use crate::leaps;

const STAND_BY: &[(&str, &str)] = &[("trainer.when_superseded", "stand_by")];

/// Another network, and every test taken by the live version as well.
const OTHER: &[(&str, &str)] = &[
    ("trainer.role", "challenger"),
    ("trainer.name", "other"),
    ("trainer.when_superseded", "stand_by"),
    ("trainer.challenger.sample", "1"),
    ("model.encoder", "pooling"),
    ("model.dim", "16"),
];

async fn release(world: &World, words: &[&str]) -> Value {
    let words = [&["release"], words, &["--json"]].concat();
    serde_json::from_str(&world.operate(&words).await).expect("it is JSON")
}

/// Waits until `release status` says of the challenger that it was compared in so many tests; what it says.
async fn compared(world: &World, least: u64) -> Value {
    eventually("the challenger was compared with the live version", SOON, async || {
        let status = release(world, &["status"]).await;
        let challenger = status["challengers"][0].clone();
        let tests = challenger["contest"]["tests"].as_u64().unwrap_or(0);
        if tests >= least { Ok(challenger) } else { Err(challenger.to_string()) }
    })
    .await
}

/// Waits until the version that is live is of a later epoch than this; which it is.
async fn live_behind(world: &World, epoch: u32) -> VersionId {
    eventually("a version of a later epoch is live", SOON, async || {
        let model = world.model().await?;
        let live: VersionId = model.get("version").and_then(|text| text.parse().ok()).ok_or("none is live")?;
        if live.epoch > epoch { Ok(live) } else { Err(format!("{live} is live")) }
    })
    .await
}

async fn stands_by(trainer: &mut Service) {
    eventually("it stands by", SOON, async || {
        trainer.assert_alive();
        let standing = trainer.metric("trainer_standing_by").await?;
        if standing == 1.0 { Ok(()) } else { Err(format!("trainer_standing_by is {standing}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_with_another_network_is_compared_and_promoted_under_load_without_a_gap_under_one_epoch() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, STAND_BY).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(81, world.ctx.now()).with_step(5);
    let mut sent = world.flow(&traffic.take(500), 500).await;
    let before = learned_once(&world, &sent).await.version;
    let mut challenger = world.start(Name::Trainer, OTHER).await;
    let refused = world.try_operate(&["release", "promote", "nobody", "--reason", "a test"]).await;
    assert!(refused.is_err_and(|why| why.contains("no challenger of this name")));

    let (during, found) = world.flow_until(&mut traffic, 200, compared(&world, 200)).await;
    sent.extend(during);
    let figures = &found["contest"]["hr20"];
    let [mean, lower, upper] = ["mean", "lower", "upper"].map(|bound| figures[bound].as_f64().expect("a number"));
    assert!(lower < mean && mean < upper && (-1.0..=1.0).contains(&lower), "{found}");
    assert_eq!(
        found["contest"]["live"].as_str().and_then(|live| live.parse().ok()).map(|v: VersionId| v.epoch),
        Some(1)
    );
    assert!(challenger.metric("trainer_challenger_tests").await.is_ok_and(|tests| tests >= 200.0));
    // It serves nobody, and claims nothing of the trainer's.
    assert_eq!(learned_once(&world, &sent).await.version.epoch, before.epoch);
    let dry = release(&world, &["promote", "other", "--reason", "a test", "--dry-run"]).await;
    assert_eq!(dry["written"], false);

    let asked = release(&world, &["promote", "other", "--reason", "a test", "--by", "ann"]).await;
    assert_eq!((&asked["written"], &asked["promotion"]["by"]), (&true.into(), &"ann".into()), "{asked}");
    let promoted = async {
        let mut slowest = std::time::Duration::ZERO;
        let began = Instant::now();
        // Lists go on being made while the trainer changes: no look at a user finds none.
        let user = sent[0].event.user_id.clone();
        loop {
            let look = Instant::now();
            world.slate(&world.keys.recs(&user)).await.expect("a list is there at every look");
            slowest = slowest.max(look.elapsed());
            let live = world.model().await.ok().and_then(|model| model.get("version")?.parse::<VersionId>().ok());
            if live.is_some_and(|live| live.epoch > before.epoch) {
                return slowest;
            }
            assert!(began.elapsed() < SOON, "no version of the challenger is live: {live:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let (during, _) = world.flow_until(&mut traffic, 500, promoted).await;
    sent.extend(during);
    stands_by(&mut trainer).await;
    sent.extend(world.flow(&traffic.take(500), 500).await);
    let last = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    let records = Tail::open(&world, Topic::Checkpoints).await.read().await.to_vec();
    let epochs: BTreeSet<u32> = manifests(&records).iter().map(|manifest| manifest.version.epoch).collect();
    assert_eq!(epochs, BTreeSet::from([before.epoch, before.epoch + 1]), "one epoch was claimed: {}", last.version);
    let status = release(&world, &["status"]).await;
    assert_eq!(status["promotion"]["epoch"], last.version.epoch, "{status}");
    for service in [&mut challenger, &mut scorer] {
        service.assert_alive();
    }
    let history = release(&world, &["history"]).await;
    let actions: Vec<&str> = history.as_array().into_iter().flatten().filter_map(|e| e["action"].as_str()).collect();
    assert_eq!(actions, ["promote", "promoted"]);

    // It stays the trainer when it is started again.
    challenger.kill();
    trainer.kill(); // of another shape, it could not go on from here
    let mut challenger = world.start(Name::Trainer, OTHER).await;
    sent.extend(world.flow(&traffic.take(200), 200).await);
    let after = learned_once(&world, &sent).await;
    assert!(after.version.epoch > last.version.epoch, "{}", after.version);
    live_behind(&world, last.version.epoch).await;
    challenger.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_is_better_promotes_itself_only_where_it_may_and_never_over_a_pin() {
    /// What shows the few items that are listed: the challenger is better soon.
    const POOR: &[(&str, &str)] = &[("trainer.when_superseded", "stand_by"), ("model.only_listed", "true")];
    const BETTER: &[(&str, &str)] = &[
        ("trainer.role", "challenger"),
        ("trainer.name", "better"),
        ("model.only_listed", "false"),
        ("trainer.challenger.sample", "1"),
        ("trainer.challenger.promote", "when_better"),
        ("trainer.challenger.margin", "0"),
        ("trainer.challenger.least_tests", "500"),
    ];
    let world = World::new().await;
    world.list(&Traffic::catalog()[..5]).await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut poor = world.start(Name::Trainer, POOR).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(82, world.ctx.now()).with_step(5);
    let mut sent = world.flow(&traffic.take(500), 500).await;
    let before = learned_once(&world, &sent).await.version;
    release(&world, &["hold", "--reason", "a test"]).await;
    eventually("a version is held", SOON, async || {
        let model = world.model().await?;
        let state = model.get("state").cloned().unwrap_or_default();
        if state == "hold" { Ok(()) } else { Err(state) }
    })
    .await;
    let mut better = world.start(Name::Trainer, BETTER).await;
    let (during, _) = world.flow_until(&mut traffic, 300, compared(&world, 1_000)).await;
    sent.extend(during);
    assert_eq!(learned_once(&world, &sent).await.version.epoch, before.epoch, "not while an operator holds a version");
    let status = release(&world, &["status"]).await;
    assert!(status["promotion"].is_null(), "{status}");

    release(&world, &["resume", "--reason", "a test"]).await;
    let (during, live) = world.flow_until(&mut traffic, 300, live_behind(&world, before.epoch)).await;
    sent.extend(during);
    stands_by(&mut poor).await;
    assert!(live.epoch > before.epoch);
    learned_once(&world, &sent).await;
    let status = release(&world, &["status"]).await;
    assert_eq!(status["promotion"]["by"], "challenger better", "{status}");
    better.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_challenger_that_knows_far_fewer_items_is_doubted_by_nobody_and_no_restart_throws_it_away() {
    /// The trainer's own settings, so that its versions are held against the trainer's.
    const FEW: &[(&str, &str)] =
        &[("trainer.role", "challenger"), ("trainer.name", "few"), ("trainer.when_superseded", "stand_by")];
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, STAND_BY).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let now = world.ctx.now();
    let mut sent = world.flow(&leaps::views("many", 240, 480, now - 60_000), 240).await;
    let before = learned_once(&world, &sent).await.version;
    served_once(&world, &sent).await;
    leaps::knows(&trainer, leaps::ALL).await;

    leaps::forget_interactions(&world).await;
    let mut challenger = world.start(Name::Trainer, FEW).await;
    sent.extend(world.flow(&leaps::views("few", 30, 120, now), 120).await);
    learned_once(&world, &sent).await;
    leaps::knows(&challenger, leaps::FEW).await;
    eventually("it has a version to be promoted with", SOON, async || {
        let words = ["release", "promote", "few", "--reason", "a test", "--json"];
        world.try_operate(&words).await.map(|_| ())
    })
    .await;
    // A doubted version would go live after half a minute at the earliest, with another snapshot.
    let live = live_behind(&world, before.epoch).await;
    let suspect = scorer.metric_with("scorer_versions_refused_total", "reason=\"suspect\"").await;
    assert_eq!(suspect, Ok(0.0), "{:?}", world.model().await);

    challenger.kill();
    trainer.kill();
    let mut challenger = world.start(Name::Trainer, FEW).await;
    world.flow(&leaps::views("few", 30, 60, now + 60_000), 60).await;
    live_behind(&world, live.epoch).await;
    leaps::knows(&challenger, leaps::FEW).await; // it went on from what it learned, not from what the trainer had
    [&mut challenger, &mut scorer].into_iter().for_each(Service::assert_alive);
}
