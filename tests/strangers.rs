//! What strangers may write to `checkpoints`, what they did not, and a trainer that finds nothing to go on from.

use runtime::kafka::{Outgoing, Record};
use schemas::checkpoint::{CHUNK_CHECKSUM, Part, key};
use schemas::{Topic, VersionId};
use tests::{Name, Tail, Traffic, World, ingested_once, learned_once, manifests, served_once};

fn record(key: impl Into<Vec<u8>>, value: &str) -> Outgoing {
    let headers = vec![(CHUNK_CHECKSUM, blake3::hash(value.as_bytes()).to_hex().to_string())];
    let key: Vec<u8> = key.into();
    Outgoing {
        partition: Some(0),
        key: key.into(),
        value: Some(value.to_owned().into()),
        headers,
        ..Outgoing::default()
    }
}

fn version(epoch: u32, sequence: u32) -> VersionId {
    VersionId { epoch, sequence }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_finds_no_usable_version_refuses_to_start_unless_told_anew_and_deletes_none_of_them() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut traffic = Traffic::new(31, world.ctx.now());
    let sent = world.send(&traffic.take(300)).await;
    let there = ingested_once(&world, &sent).await;
    let unread = key(version(1, 1), Part::Manifest);
    world
        .write(
            Topic::Checkpoints,
            vec![
                record(key(version(1, 0), Part::Claim), r#"{"epoch":1,"trainer":"another","claimed_at":0}"#),
                record(key(version(1, 1), Part::Chunk(0)), "of another program"),
                record(unread.clone(), r#"{"v":2}"#),
            ],
        )
        .await;

    let mut refusing = world.spawn(Name::Trainer, &[]);
    assert!(!refusing.end().await.success());
    let log = refusing.log();
    assert!(log.contains("trainer.anew") && log.contains("format 2"), "it says why, and what to do: {log}");
    let mut tail = Tail::open(&world, Topic::Checkpoints).await;
    assert!(manifests(tail.read().await).is_empty(), "it published nothing");

    let settings = [("trainer.anew", "true"), ("trainer.snapshot_every", "1s"), ("trainer.keep_snapshots", "1")];
    let _trainer = world.start(Name::Trainer, &settings).await;
    let mut all = sent;
    for _ in 0..4 {
        all.extend(world.send(&traffic.take(50)).await);
        learned_once(&world, &all).await;
    }
    let records = tail.read().await;
    let first = manifests(records).into_iter().next().expect("it published");
    assert!(first.interactions >= there as u64, "the first version knows what was there at the start: {first:?}");
    let deleted = records.iter().any(|record| record.key == unread && record.value.is_none());
    assert!(!deleted, "what it could not read is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_write_to_checkpoints_ends_nothing_and_locks_nobody_out() {
    let world = World::new().await;
    let mut traffic = Traffic::new(33, world.ctx.now());
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let claim = |epoch: u32| {
        let value = format!(r#"{{"epoch":{epoch},"trainer":"stranger","claimed_at":0}}"#);
        record(key(version(epoch, 0), Part::Claim), &value)
    };
    let strange = || {
        vec![
            claim(u32::MAX),
            claim(4_000_000_000),
            record(key(version(u32::MAX, u32::MAX), Part::Chunk(u32::MAX)), "x"),
            record(key(version(u32::MAX, 1), Part::Manifest), "{}"),
            record(b"\xff\x1b[31m/claim".to_vec(), "x"),
            record(key(version(1, 7), Part::Manifest), r#"{"v":1,"chunks":4294967295}"#),
            record(key(version(1, 0), Part::Claim), "\u{1b}[31m"),
        ]
    };
    world.write(Topic::Checkpoints, strange()[..5].to_vec()).await;
    let mut trainer = world.start(Name::Trainer, &[]).await;
    let mut sent = world.send(&traffic.take(300)).await;
    learned_once(&world, &sent).await;
    world.write(Topic::Checkpoints, strange()).await;
    sent.extend(world.send(&traffic.take(100)).await);
    let manifest = learned_once(&world, &sent).await;
    assert_eq!(manifest.version.epoch, 1, "the next epoch is one above the shop's own");
    served_once(&world, &sent).await;
    trainer.assert_alive();
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ingest_wrote_twice_is_told_apart_from_what_strangers_write_and_counts_once() {
    let world = World::new().await;
    let mut traffic = Traffic::new(34, world.ctx.now());
    let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(200)).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    // As a client does that takes over from one that did not hear of its acknowledgements.
    let mut tail = Tail::open(&world, Topic::Interactions).await;
    let written = tail.read().await;
    let again = |record: &Record| Outgoing {
        partition: Some(record.partition),
        key: record.key.clone(),
        value: record.value.clone(),
        timestamp: Some(record.timestamp),
        ..Outgoing::default()
    };
    let again: Vec<Outgoing> = written[written.len() - 20..].iter().map(again).collect();
    world.write(Topic::Interactions, again).await;
    assert!(ingest.terminate().await.success(), "a clean shutdown");
    let mut ingest = world.start(Name::Ingest, &[]).await;
    sent.extend(world.send(&traffic.take(100)).await);
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    for (service, name, counted) in [
        (&ingest, "ingest_rewritten_total", 20.0),
        (&ingest, "ingest_foreign_interactions_total", 0.0),
        (&trainer, "trainer_unreadable_total", 0.0),
        (&scorer, "scorer_foreign_interactions_total", 0.0),
    ] {
        assert_eq!(service.metric(name).await, Ok(counted), "{name}");
    }
    for service in [&mut ingest, &mut trainer, &mut scorer] {
        assert!(!service.log().contains("somebody else"), "nobody is accused");
        service.assert_alive();
    }
}
