//! Versions that leap and are honest: no trainer refuses them, and they go live.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use schemas::{Event, EventType, Topic, VersionId};
use tests::{Name, SOON, Service, Tail, Traffic, World, click, eventually, latest_manifest, learned_once, served_once};

use crate::releases::{live, release, snapshot};

/// Items that a version knows that knows 240 or more, and one that knows less than half of them.
pub(crate) const ALL: Range<f64> = 240.0..400.0;
pub(crate) const FEW: Range<f64> = 1.0..120.0;

/// So many views of items of this name, each of several users, one a millisecond from a time on.
pub(crate) fn views(name: &str, items: usize, number: usize, from: i64) -> Vec<Event> {
    let view = |n: usize| {
        let (user, item) = (format!("u{}", n % 37), format!("{name}{}", n % items));
        click(&user, &item, EventType::View, from + n as i64, format!("{name}-{from}-{n}"))
    };
    (0..number).map(view).collect()
}

/// Retention takes every interaction: who begins now, or goes back, learns nothing of them.
pub(crate) async fn forget_interactions(world: &World) {
    let mut first = BTreeMap::new();
    for record in Tail::open(world, Topic::Interactions).await.read().await {
        first.insert(record.partition, record.offset + 1);
    }
    world.retain_from(Topic::Interactions, &first).await;
}

/// Waits for a version of a later epoch than this.
pub(crate) async fn behind(world: &World, epoch: u32) -> VersionId {
    let mut checkpoints = Tail::open(world, Topic::Checkpoints).await;
    eventually("a version of a later epoch is there", SOON, async || {
        let newest = latest_manifest(&mut checkpoints).await.ok_or("none")?.version;
        if newest.epoch > epoch { Ok(newest) } else { Err(newest.to_string()) }
    })
    .await
}

/// Waits until a trainer knows so many items.
pub(crate) async fn knows(trainer: &Service, items: Range<f64>) {
    eventually(&format!("it knows {items:?} items"), SOON, async || {
        let known = trainer.metric("trainer_items").await?;
        if items.contains(&known) { Ok(()) } else { Err(format!("{known}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_starts_after_a_rollback_to_a_version_of_half_the_items_and_goes_on_from_what_came_after_it() {
    let world = World::new().await;
    let settings = [("trainer.snapshot_every", "2s"), ("trainer.keep_snapshots", "50")];
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let now = world.ctx.now();
    let mut sent = world.flow(&views("few", 30, 240, now - 60_000), 60).await;
    learned_once(&world, &sent).await;
    let few = snapshot(&world).await;
    sent.extend(world.flow(&views("many", 240, 480, now), 120).await);
    let before = learned_once(&world, &sent).await.version;
    served_once(&world, &sent).await;
    knows(&trainer, ALL).await;

    forget_interactions(&world).await; // or it would know them all again
    release(&world, &["rollback", &few.to_string(), "--reason", "a test"]).await;
    let after = behind(&world, before.epoch).await;
    live(&world, "what went on from it is live", |version, _| version.epoch >= after.epoch).await;
    knows(&trainer, FEW).await;

    // Nothing more is learned before that, so one snapshot lies behind those that were rolled back.
    trainer.kill();
    let mut trainer = world.start(Name::Trainer, &settings).await;
    world.flow(&views("few", 30, 60, now + 60_000), 60).await;
    let last = behind(&world, after.epoch).await;
    live(&world, "the next trainer's versions are live", |version, _| version.epoch >= last.epoch).await;
    knows(&trainer, FEW).await; // it went on from what came after the rollback
    [&mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_expire_at_once_end_no_trainer_and_go_live_once_a_later_of_its_frequent_snapshots_confirms_it() {
    /// A doubted version is confirmed by a snapshot half a minute later; snapshots come three times as often.
    const CONFIRMED: Duration = Duration::from_secs(100);
    let world = World::new().await;
    let settings = [("model.expire_after_s", "3600"), ("trainer.snapshot_every", "10s")];
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let now = world.ctx.now();
    let sent = world.flow(&views("old", 240, 480, now - 36_000_000), 120).await;
    let old = learned_once(&world, &sent).await.version;
    live(&world, "the version that knows them all is live", |version, _| version >= old).await;
    knows(&trainer, ALL).await;

    // Ten hours later all are too old at once.
    let mut traffic = Traffic::new(91, now).with_step(20);
    let suspect = async || world.model().await.map(|mut model| model.remove("suspect").unwrap_or_default());
    let doubted = eventually("a scorer doubts it", SOON, async || {
        let suspect = suspect().await?;
        if suspect.contains("items") { Ok(suspect) } else { Err(suspect) }
    });
    let (_, doubted) = world.flow_until(&mut traffic, 50, doubted).await;
    let leapt = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.expect("one is there").version;
    let confirmed = eventually("a version behind it is live, and nothing is doubted", CONFIRMED, async || {
        let live: VersionId = world.model().await?.remove("version").unwrap_or_default().parse()?;
        let suspect = suspect().await?;
        (live > leapt && suspect.is_empty()).then_some(()).ok_or_else(|| format!("{live}, suspect: {suspect}"))
    });
    world.flow_until(&mut traffic, 50, confirmed).await;
    assert!(doubted.contains(" of 240 items"), "{doubted}");
    knows(&trainer, FEW).await;
    assert_eq!(trainer.metric("trainer_versions_unfit_total").await, Ok(0.0), "it refused none of its own");
    [&mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}
