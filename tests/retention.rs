//! Retention and compaction that pass a reader: what is gone is counted, everything else counts once, and nothing
//! hangs.
//!
//! Retention by time takes minutes; deleting records moves the beginning of a log in the same way, at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::{Manifest, Topic};
use tests::{
    Name, SOON, Sent, Service, Tail, Traffic, World, eventually, ingested_once, interactions, kafka_is_given,
    latest_manifest, learned_once, served_once,
};

/// Longer than a fetch that is under way when a process is stopped: what comes later lies in no socket.
const QUIET: Duration = Duration::from_millis(500);

/// Kafka's cleaner looks for work each 15 s, and begins a segment behind itself.
const CLEANED: Duration = Duration::from_secs(120);

#[allow(clippy::print_stdout, reason = "says why it proves nothing here")]
fn is_possible() -> bool {
    let given = kafka_is_given();
    if !given {
        println!(
            "skipped: the embedded broker compacts nothing and deletes only when told; set KAFKA_BROKERS to run this test"
        );
    }
    given
}

/// How a service misses what retention takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// It is stopped for a moment, and goes on.
    Stopped,
    /// It is not there, and starts again.
    Ended,
}

impl Absence {
    async fn begins(self, service: &mut Service) {
        match self {
            Self::Stopped => service.signal("STOP"),
            Self::Ended => assert!(service.terminate().await.success(), "a clean shutdown"),
        }
    }

    async fn ends(self, world: &World, name: Name, service: Service) -> Service {
        match self {
            Self::Stopped => {
                service.signal("CONT");
                service
            }
            Self::Ended => {
                drop(service);
                world.start(name, &[]).await
            }
        }
    }
}

/// The middle of what was written to each partition, and whether a record lies behind it.
fn middle(places: impl Iterator<Item = (i32, i64)>) -> BTreeMap<i32, i64> {
    let mut spans: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for (partition, offset) in places {
        let span = spans.entry(partition).or_insert((offset, offset));
        *span = (span.0.min(offset), span.1.max(offset));
    }
    spans.into_iter().map(|(partition, (first, last))| (partition, first + (last - first) / 2)).collect()
}

async fn counts(service: &Service, metric: &str, wanted: usize) {
    eventually(&format!("{metric} is {wanted}"), SOON, async || {
        let found = service.metric(metric).await?;
        if (found - wanted as f64).abs() < 0.5 { Ok(()) } else { Err(format!("{found}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_retention_took_before_ingest_read_them_are_counted_and_all_others_count_once() {
    if !is_possible() {
        return;
    }
    for absence in [Absence::Stopped, Absence::Ended] {
        let world = World::new().await;
        let mut traffic = Traffic::new(71, world.ctx.now()).with_users(20);
        let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
        let mut sent = world.send(&traffic.take(200)).await;
        served_once(&world, &sent).await;

        absence.begins(&mut ingest).await;
        tokio::time::sleep(QUIET).await;
        let missable = world.send(&traffic.take(400)).await;
        let first = middle(missable.iter().map(|sent| (sent.partition, sent.offset)));
        world.retain_from(Topic::Events, &first).await;
        let mut ingest = absence.ends(&world, Name::Ingest, ingest).await;

        let (kept, gone): (Vec<Sent>, Vec<Sent>) =
            missable.into_iter().partition(|sent| sent.offset >= first[&sent.partition]);
        assert!(gone.len() > 100, "{} are gone", gone.len());
        counts(&ingest, "ingest_missed_total", gone.len()).await;
        sent.extend(kept);
        sent.extend(world.send(&traffic.take(100)).await);
        ingested_once(&world, &sent).await;
        served_once(&world, &sent).await;
        learned_once(&world, &sent).await;
        for service in [&mut ingest, &mut trainer, &mut scorer] {
            service.ready().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_that_retention_took_before_trainer_and_scorer_read_them_are_counted_and_all_others_count_once() {
    if !is_possible() {
        return;
    }
    for absence in [Absence::Stopped, Absence::Ended] {
        let world = World::new().await;
        let mut traffic = Traffic::new(72, world.ctx.now()).with_users(20);
        let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
        let mut sent = world.send(&traffic.take(200)).await;
        served_once(&world, &sent).await;
        learned_once(&world, &sent).await;

        absence.begins(&mut trainer).await;
        absence.begins(&mut scorer).await;
        tokio::time::sleep(QUIET).await;
        let missable = world.send(&traffic.take(400)).await;
        ingested_once(&world, &[&sent[..], &missable].concat()).await;
        let new: BTreeSet<&str> = missable.iter().filter_map(|sent| sent.event.event_id.as_deref()).collect();
        let mut tail = Tail::open(&world, Topic::Interactions).await;
        let records = tail.read().await.to_vec();
        let places = || records.iter().zip(interactions(&records));
        let missed = places().filter(|(_, (_, interaction))| new.contains(interaction.event_id.as_str()));
        let first = middle(missed.map(|(record, _)| (record.partition, record.offset)));
        world.retain_from(Topic::Interactions, &first).await;
        let gone: BTreeSet<String> = places()
            .filter(|(record, (_, interaction))| {
                new.contains(interaction.event_id.as_str()) && record.offset < first[&record.partition]
            })
            .map(|(_, (_, interaction))| interaction.event_id)
            .collect();
        assert!(gone.len() > 100, "{} are gone", gone.len());
        let mut trainer = absence.ends(&world, Name::Trainer, trainer).await;
        let mut scorer = absence.ends(&world, Name::Scorer, scorer).await;

        counts(&trainer, "trainer_missed_total", gone.len()).await;
        counts(&scorer, "scorer_missed_total", gone.len()).await;
        sent.extend(missable.into_iter().filter(|sent| !gone.contains(sent.event.event_id.as_deref().unwrap_or(""))));
        sent.extend(world.send(&traffic.take(100)).await);
        served_once(&world, &sent).await;
        learned_once(&world, &sent).await;
        for service in [&mut ingest, &mut trainer, &mut scorer] {
            service.ready().await;
        }
    }
}

/// How many records of `checkpoints` are gone from between the first that is left and the end.
async fn cleaned(world: &World) -> Result<(), String> {
    let mut tail = Tail::open(world, Topic::Checkpoints).await;
    let records = tail.read().await;
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Err("it is empty".to_owned()) };
    let gone = last.offset + 1 - records.len() as i64;
    // More than the few in front: one version after the other, and what follows is read over gaps.
    if gone > 50 { Ok(()) } else { Err(format!("{gone} of {} to {} are gone", first.offset, last.offset)) }
}

async fn newest(world: &World) -> Manifest {
    let mut checkpoints = Tail::open(world, Topic::Checkpoints).await;
    latest_manifest(&mut checkpoints).await.expect("a version is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_of_checkpoints_passes_a_running_a_stopped_and_a_starting_scorer_and_all_serve_the_newest_version() {
    if !is_possible() {
        return;
    }
    let world = World::new().await;
    // As small and as hasty as Kafka lets it be.
    let hasty = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "1000"),
        ("min.compaction.lag.ms", "0"),
        ("max.compaction.lag.ms", "2000"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
    ];
    world.make_otherwise(Topic::Checkpoints, &hasty).await;
    let mut traffic = Traffic::new(73, world.ctx.now()).with_users(20);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let often = [("trainer.publish_every", "200ms"), ("trainer.snapshot_every", "1s"), ("trainer.keep_snapshots", "1")];
    let mut trainer = world.start(Name::Trainer, &often).await;
    let mut running = world.start(Name::Scorer, &[]).await;
    let of = |name: &str| [&world.kafka.topic_prefix, &world.redis.key_prefix].map(|prefix| format!("{prefix}{name}:"));
    let alone = async |name: &str| {
        let [group, keys] = of(name);
        world.start(Name::Scorer, &[("scorer.group", &group), ("redis.key_prefix", &keys)]).await
    };
    let mut slow = alone("slow").await;
    let mut sent = world.send(&traffic.take(200)).await;
    running.ready().await;
    slow.ready().await;

    slow.signal("STOP");
    let flow = async {
        let mut flowing = Vec::new();
        let began = std::time::Instant::now();
        loop {
            flowing.extend(world.flow(&traffic.take(50), 20).await);
            match cleaned(&world).await {
                Ok(()) => return flowing,
                Err(why) => assert!(began.elapsed() < CLEANED, "the topic is not compacted: {why}"),
            }
        }
    };
    sent.extend(flow.await);
    slow.signal("CONT");
    let mut starting = alone("starting").await;
    sent.extend(world.send(&traffic.take(100)).await);
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    for (scorer, what) in [(&mut running, "running"), (&mut slow, "stopped"), (&mut starting, "starting")] {
        scorer.ready().await;
        eventually(&format!("the {what} scorer serves the newest version"), SOON, async || {
            let newest = newest(&world).await;
            let log = scorer.log();
            // Versions come no more: the age that it shows is that of the newest.
            let age = scorer.metric("scorer_model_age_seconds").await?;
            let of_newest = (world.ctx.now() - newest.made_at) as f64 / 1_000.0;
            if (age - of_newest).abs() < 2.0 { Ok(()) } else { Err(format!("{age} s, not {of_newest} s old: {log}")) }
        })
        .await;
    }
    trainer.assert_alive();
}
