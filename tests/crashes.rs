//! SIGKILL at any moment: nothing is lost, and nothing is applied twice.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::kafka::Outgoing;
use schemas::Topic;
use tests::{
    Name, SOON, Service, Tail, Traffic, World, eventually, ingested_once, learned_once, manifests, served_once,
};

/// Kills a service at seeded moments after it got to work, and starts it again each time; each time it must find done
/// what the metric `recognised` counts, so that the kill did fall between the work and its commit.
async fn torment(
    world: &World,
    mut service: Service,
    (name, worked, recognised): (Name, &str, Option<&str>),
    lives: &[&[(&str, &str)]],
    latest: Duration,
    seed: u64,
) -> Service {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    for settings in lives {
        eventually(&format!("{name} gets to work"), SOON, async || {
            service.assert_alive();
            let done = service.metric(worked).await?;
            if done > 0.0 { Ok(()) } else { Err(format!("{worked} is {done}")) }
        })
        .await;
        // The moment is what the test is about; nothing waits for it.
        tokio::time::sleep(latest.mul_f64(chance.random())).await;
        service.kill();
        service = world.start(name, settings).await;
        if let Some(recognised) = recognised {
            eventually(&format!("{name} meets what it did before the kill"), SOON, async || {
                let met = service.metric(recognised).await?;
                if met > 0.0 { Ok(()) } else { Err(format!("{recognised} is {met}")) }
            })
            .await;
        }
    }
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_killed_between_produce_and_commit_applies_once() {
    let world = World::new().await;
    let mut traffic = Traffic::new(3, world.ctx.now());
    // It commits so rarely that every kill falls between produce and commit.
    let (rarely, default): (&[_], &[_]) = (&[("ingest.commit_every", "1m")], &[]);
    let ingest = world.start(Name::Ingest, rarely).await;
    let worked = (Name::Ingest, "ingest_interactions_total", Some("ingest_replayed_total"));
    let lives = [rarely, rarely, default];
    let torment = torment(&world, ingest, worked, &lives, Duration::from_millis(300), 31);
    let (sent, _ingest) = world.flow_until(&mut traffic, 200, torment).await;
    ingested_once(&world, &sent).await;

    let _trainer = world.start(Name::Trainer, &[]).await;
    learned_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_killed_at_any_moment_loses_nothing_and_applies_nothing_twice() {
    const BAD: usize = 100;
    let world = World::new().await;
    let mut traffic = Traffic::new(6, world.ctx.now());
    let ingest = world.start(Name::Ingest, &[]).await;
    let worked = (Name::Ingest, "ingest_interactions_total", None);
    let lives: [&[_]; 4] = [&[]; 4];
    // Bad events among the good: they leave by another way, and are committed at once.
    let misbehave = async {
        for n in 0..BAD {
            let value = Some(format!("no JSON, number {n}").into());
            world.write(Topic::Events, vec![Outgoing { value, ..Outgoing::default() }]).await;
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    };
    let torment = torment(&world, ingest, worked, &lives, Duration::from_millis(1_500), 61);
    let harm = async { tokio::join!(misbehave, torment) };
    let (sent, ((), _ingest)) = world.flow_until(&mut traffic, 250, harm).await;
    ingested_once(&world, &sent).await;

    // At least once for what is refused: a kill between the dead letter and its commit may write it again.
    let mut letters = Tail::open(&world, Topic::DeadLetters).await;
    eventually("every bad event is a dead letter", SOON, async || {
        let values: BTreeSet<_> = letters.read().await.iter().filter_map(|letter| letter.value.clone()).collect();
        if values.len() == BAD { Ok(()) } else { Err(format!("{} of {BAD}", values.len())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_killed_at_any_moment_loses_nothing_and_its_offsets_and_weights_agree() {
    let world = World::new().await;
    let mut traffic = Traffic::new(4, world.ctx.now());
    let _ingest = world.start(Name::Ingest, &[]).await;
    // Versions so often that a kill is likely to tear one.
    let busy: &[_] = &[("trainer.publish_every", "200ms"), ("trainer.snapshot_every", "600ms")];
    let trainer = world.start(Name::Trainer, busy).await;
    let (worked, lives) = ((Name::Trainer, "trainer_interactions_total", None), [busy; 5]);
    let torment = torment(&world, trainer, worked, &lives, Duration::from_millis(1_500), 41);
    let (sent, mut trainer) = world.flow_until(&mut traffic, 250, torment).await;
    ingested_once(&world, &sent).await;
    let last = learned_once(&world, &sent).await;
    trainer.assert_alive();

    // At every version on the log, not only at the last, the weights are trained on just what the offsets say.
    let mut checkpoints = Tail::open(&world, Topic::Checkpoints).await;
    let versions = manifests(checkpoints.read().await);
    for manifest in &versions {
        let through: i64 = manifest.through.values().map(|through| through.next).sum();
        assert_eq!(manifest.interactions, through.cast_unsigned(), "offsets and weights of {}", manifest.version);
    }
    assert!(versions.is_sorted_by_key(|manifest| manifest.version), "versions are in order on the log");
    assert!(last.version.epoch >= 6, "six trainers claimed an epoch each: {}", last.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_killed_at_any_moment_loses_nothing_and_applies_nothing_twice() {
    let world = World::new().await;
    let mut traffic = Traffic::new(5, world.ctx.now());
    let _ingest = world.start(Name::Ingest, &[]).await;
    let _trainer = world.start(Name::Trainer, &[]).await;
    let (rarely, default): (&[_], &[_]) = (&[("scorer.commit_every", "1m")], &[]);
    let scorer = world.start(Name::Scorer, rarely).await;
    let worked = (Name::Scorer, "scorer_slates_total", None);
    let lives = [default, rarely, default];
    let torment = torment(&world, scorer, worked, &lives, Duration::from_millis(1_000), 51);
    let (sent, _scorer) = world.flow_until(&mut traffic, 250, torment).await;
    served_once(&world, &sent).await;
}
