//! What no honest learner can have come to never goes live, and what it can is never kept from it.

use bytes::Bytes;
use half::f16;
use model::testing::{Tensors, changed};
use runtime::kafka::Outgoing;
use schemas::checkpoint::{CHUNK_BYTES, CHUNK_CHECKSUM, Part, key};
use schemas::{Manifest, Topic, VersionId};
use serde_json::Value;
use tests::{
    Name, SOON, Service, Tail, Traffic, World, eventually, latest_manifest, learned_once, newest_snapshot, served_once,
};

/// The newest snapshot, unpacked.
async fn unpacked(world: &World) -> (Manifest, Vec<u8>) {
    let (manifest, packed) = newest_snapshot(&mut Tail::open(world, Topic::Checkpoints).await).await;
    (manifest, zstd::stream::decode_all(packed.as_slice()).expect("it is packed"))
}

/// A payload under a name, sound in every checksum.
fn records(manifest: &Manifest, version: VersionId, payload: &[u8]) -> Vec<Outgoing> {
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let record = |part, value: Vec<u8>| Outgoing {
        partition: Some(0),
        key: Bytes::from(key(version, part)),
        headers: vec![(CHUNK_CHECKSUM, hash(&value))],
        value: Some(value.into()),
        ..Outgoing::default()
    };
    let chunks = payload.chunks(CHUNK_BYTES);
    let manifest = Manifest {
        version,
        chunks: u32::try_from(chunks.len()).expect("is small"),
        bytes: payload.len() as u64,
        checksum: hash(payload),
        ..manifest.clone()
    };
    let manifest = record(Part::Manifest, serde_json::to_vec(&manifest).expect("a manifest is JSON"));
    (0..).zip(chunks).map(|(n, chunk)| record(Part::Chunk(n), chunk.to_vec())).chain([manifest]).collect()
}

/// What is done to a sound snapshot, the reason that a scorer counts it under, the field of `model` that names it, and
/// what that says.
type Harm = (&'static str, &'static str, &'static str, fn(&mut Tensors));

const HARMS: [Harm; 5] = [
    ("payload", "refused", "not finite", |tensors| {
        tensors.get_mut("items.row").expect("is there").2[..2].copy_from_slice(&f16::NAN.to_le_bytes());
    }),
    ("payload", "refused", "not finite", |tensors| {
        let (_, (_, _, bytes)) =
            tensors.iter_mut().find(|(name, _)| name.starts_with("ranker.")).expect("a ranker is there");
        bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    }),
    ("suspect", "suspect", "times as long", |tensors| {
        for name in ["items.row", "items.content"] {
            for value in tensors.get_mut(name).expect("is there").2.as_chunks_mut().0 {
                *value = f16::from_f32(f16::from_le_bytes(*value).to_f32() * 10.0).to_le_bytes();
            }
        }
    }),
    // Every item has what another one has learned.
    ("suspect", "suspect", "other items'", |tensors| {
        let widths = [("items.slot", 4), ("items.sightings", 4), ("items.chosen_by", 8), ("items.popularity", 32)];
        for (name, width) in widths {
            tensors.get_mut(name).expect("is there").2.rotate_left(7 * width);
        }
    }),
    ("payload", "refused", "points outside", |tensors| {
        let ends = &mut tensors.get_mut("sessions.end").expect("is there").2;
        let last = ends.len() - 8;
        ends[last..].copy_from_slice(&u64::MAX.to_le_bytes());
    }),
];

async fn refused(scorer: &Service, reason: &str) -> Result<f64, String> {
    scorer.metric_with("scorer_versions_refused_total", &format!("reason=\"{reason}\"")).await
}

async fn live(world: &World) -> Result<VersionId, String> {
    world.model().await?.remove("version").unwrap_or_default().parse()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_finite_ten_times_as_long_or_shuffled_is_never_live_and_no_trainer_goes_on_from_it() {
    let world = World::new().await;
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut traffic = Traffic::new(71, world.ctx.now());
    let mut sent = world.flow(&traffic.take(1_800), 600).await;
    learned_once(&world, &sent).await;
    assert!(trainer.terminate().await.success(), "a clean shutdown ends with a snapshot");
    let last = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.expect("it published");
    eventually("the last version is live", SOON, async || match live(&world).await? {
        version if version == last.version => Ok(()),
        version => Err(version.to_string()),
    })
    .await;
    let (manifest, payload) = unpacked(&world).await;
    assert_eq!(manifest.version, last.version);

    for (sequence, (reason, field, why, harm)) in (last.version.sequence + 1..).zip(HARMS) {
        let (before, version) =
            (refused(&scorer, reason).await.expect("it answers"), VersionId { sequence, ..last.version });
        world
            .write(Topic::Checkpoints, records(&manifest, version, &changed(&payload, |_, tensors| harm(tensors))))
            .await;
        eventually(&format!("{version}, {why}, is counted as {reason}"), SOON, async || {
            scorer.assert_alive();
            let now = refused(&scorer, reason).await?;
            (now > before).then_some(()).ok_or_else(|| format!("{now} refused"))
        })
        .await;
        eventually(&format!("`model` names {version}"), SOON, async || {
            let told = world.model().await?.remove(field).unwrap_or_default();
            (told.contains(&version.to_string()) && told.contains(why)).then_some(()).ok_or(told)
        })
        .await;
        let acting = world.send(&traffic.take(40)).await;
        sent.extend(acting.iter().cloned());
        served_once(&world, &sent).await;
        for sent in &acting {
            let slate = world.slate(&world.keys.recs(&sent.event.user_id)).await.expect("it has a slate");
            assert_eq!(slate.model, last.version.to_string(), "{why}");
        }
        assert_eq!(live(&world).await, Ok(last.version), "{why}");
    }
    assert_eq!(scorer.missing().await.map(|missing| missing.len()), Ok(0), "it stays ready");

    let mut trainer = world.start(Name::Trainer, &[]).await;
    let next = learned_once(&world, &sent).await.version;
    assert_eq!(next.epoch, last.version.epoch + 1);
    assert!(trainer.log().contains("times as long"), "the trainer passed over it");
    eventually("its versions go live, and nothing is doubted any more", SOON, async || {
        let (version, model) = (live(&world).await?, world.model().await?);
        let suspect = model.get("suspect").cloned().unwrap_or_default();
        (version >= next && suspect.is_empty()).then_some(()).ok_or_else(|| format!("{version}, suspect: {suspect}"))
    })
    .await;
    trainer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_honest_version_is_doubted_through_pauses_kills_a_pin_and_a_rollback() {
    let world = World::new().await;
    let settings = [("trainer.snapshot_every", "2s"), ("trainer.keep_snapshots", "50")];
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(72, world.ctx.now());
    let mut sent = world.flow(&traffic.take(600), 300).await;
    let early = learned_once(&world, &sent).await;
    let go_back_to = {
        let (manifest, _) = unpacked(&world).await;
        manifest.version.to_string()
    };
    // The scorer stands still while many versions come, and reads them all at once.
    scorer.signal("STOP");
    sent.extend(world.flow(&traffic.take(1_200), 300).await);
    scorer.signal("CONT");
    learned_once(&world, &sent).await;
    trainer.kill();
    let mut trainer = world.start(Name::Trainer, &settings).await;
    sent.extend(world.flow(&traffic.take(300), 150).await);
    learned_once(&world, &sent).await;
    world.operate(&["release", "hold", "--reason", "a test"]).await;
    sent.extend(world.flow(&traffic.take(300), 150).await);
    learned_once(&world, &sent).await;
    world.operate(&["release", "rollback", &go_back_to, "--reason", "a test"]).await;
    sent.extend(world.flow(&traffic.take(300), 150).await);
    let last = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    eventually("what went on from there is live", SOON, async || {
        let version = live(&world).await?;
        (version.epoch == last.version.epoch).then_some(()).ok_or_else(|| version.to_string())
    })
    .await;
    assert!(last.version.epoch > early.version.epoch);
    for reason in ["suspect", "payload"] {
        assert_eq!(refused(&scorer, reason).await, Ok(0.0), "{reason}: {:?}", world.model().await);
    }
    assert!(!trainer.log().contains("is doubted"), "the trainer doubted one of its own");
    [&mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_made_by_versions_that_are_gone_back_from_are_counted_and_the_audit_has_the_snapshots() {
    let world = World::new().await;
    let settings = [("trainer.snapshot_every", "1s"), ("trainer.keep_snapshots", "50")];
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let scorer = world.start(Name::Scorer, &[]).await;
    let mut traffic = Traffic::new(73, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    learned_once(&world, &sent).await;
    let (good, _) = unpacked(&world).await;
    sent.extend(world.flow(&traffic.take(300), 150).await);
    let newest = learned_once(&world, &sent).await.version;
    assert!(newest > good.version, "a later version is there");
    assert!(trainer.terminate().await.success(), "a clean shutdown");
    let newest = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.map_or(newest, |m| m.version);
    eventually("the newest version is live", SOON, async || {
        let version = live(&world).await?;
        (version == newest).then_some(()).ok_or_else(|| version.to_string())
    })
    .await;
    sent.extend(world.send(&traffic.take(40)).await);
    served_once(&world, &sent).await;
    assert_eq!(scorer.metric("scorer_slates_withdrawn_total").await, Ok(0.0));
    world.operate(&["release", "rollback", &good.version.to_string(), "--reason", "a test"]).await;
    eventually("the lists of the version are counted", SOON, async || {
        let lists = scorer.metric("scorer_slates_withdrawn_total").await?;
        (lists >= 1.0).then_some(()).ok_or_else(|| format!("{lists}"))
    })
    .await;
    eventually("the version gone back to is live", SOON, async || {
        let version = live(&world).await?;
        (version == good.version).then_some(()).ok_or_else(|| version.to_string())
    })
    .await;
    let model = world.model().await.expect("it is there");
    let p99 = model.get("slates_p99_ms").and_then(|ms| ms.parse::<u64>().ok());
    assert!(p99.is_some_and(|ms| ms > 0), "{model:?}");
    assert!(model.get("slates_empty").is_some_and(|count| count.parse::<u64>().is_ok()), "{model:?}");

    let audit: Vec<Value> = serde_json::from_str(&world.operate(&["audit", "show", "--json"]).await).expect("is JSON");
    let has = |action: &str, version: VersionId| {
        audit.iter().any(|entry| entry["action"] == action && entry["version"] == version.to_string())
    };
    assert!(has("publish", good.version) && has("rollback", good.version), "{audit:?}");
    assert!(has("start", VersionId { sequence: 0, ..good.version }), "{audit:?}");
    assert!(world.operate(&["audit", "verify"]).await.contains(" 0 faults"));
}
