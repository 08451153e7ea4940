//! A version that is not whole never goes live, and one trainer at a time makes them (I4, I9).

use bytes::Bytes;
use runtime::kafka::{Bookmark, Outgoing};
use schemas::checkpoint::{CHUNK_CHECKSUM, Part, PayloadKind, key};
use schemas::{Manifest, Topic, Topics, VersionId};
use serde_json::Value;
use tests::{
    Name, SOON, Service, Tail, Traffic, World, eventually, latest_manifest, learned_once, manifests, newest_snapshot,
    served_once,
};

/// A snapshot as it lies on the log, to be forged from.
struct Snapshot {
    manifest: Manifest,
    payload: Vec<u8>,
}

impl Snapshot {
    async fn newest(world: &World) -> Self {
        let (manifest, payload) = newest_snapshot(&mut Tail::open(world, Topic::Checkpoints).await).await;
        Self { manifest, payload }
    }

    /// The same payload under another name, sound in every part: a forgery starts from it.
    fn renamed(&self, version: VersionId) -> Forged {
        let half = self.payload.len() / 2;
        let chunks = [&self.payload[..half], &self.payload[half..]].map(|chunk| (chunk.to_vec(), hash(chunk)));
        Forged {
            manifest: Manifest { version, chunks: 2, ..self.manifest.clone() },
            chunks: chunks.into(),
            spoil: None,
        }
    }
}

/// What is written to the log in a version's name.
struct Forged {
    manifest: Manifest,
    /// With the checksum of its header.
    chunks: Vec<(Vec<u8>, String)>,
    /// Damages the manifest's bytes after their checksum was taken.
    spoil: Option<fn(&mut Vec<u8>)>,
}

impl Forged {
    fn records(self) -> Vec<Outgoing> {
        let version = self.manifest.version;
        let record = |part, value: Vec<u8>, headers| Outgoing {
            partition: Some(0),
            key: Bytes::from(key(version, part)),
            value: Some(value.into()),
            headers,
            ..Outgoing::default()
        };
        let manifest = serde_json::to_vec(&self.manifest).expect("a manifest is JSON");
        let mut written = manifest.clone();
        if let Some(spoil) = self.spoil {
            spoil(&mut written);
        }
        let chunk = |(n, (chunk, checksum))| record(Part::Chunk(n), chunk, vec![(CHUNK_CHECKSUM, checksum)]);
        let mut records: Vec<Outgoing> = (0..).zip(self.chunks).map(chunk).collect();
        records.push(record(Part::Manifest, written, vec![(CHUNK_CHECKSUM, hash(&manifest))]));
        records
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// What can go wrong with a sound version, and the reason that the scorer counts it under.
type Harm = (&'static str, &'static str, fn(&mut Forged));

const HARMS: [Harm; 8] = [
    ("with a flipped bit in its manifest", "torn", |forged| {
        // Still JSON, and of a version that exists: only the checksum tells that its offsets are not those trained
        // through.
        forged.spoil = Some(|manifest| {
            let digit = manifest.iter().rposition(u8::is_ascii_digit).expect("it holds numbers");
            manifest[digit] ^= 1;
        });
    }),
    ("torn", "torn", |forged| {
        forged.chunks.pop();
    }),
    ("truncated", "torn", |forged| {
        let (chunk, checksum) = &mut forged.chunks[1];
        chunk.truncate(chunk.len() / 2);
        *checksum = hash(chunk);
    }),
    ("bit-flipped", "torn", |forged| forged.chunks[0].0[4_000] ^= 1),
    ("bit-flipped, with the chunk's checksum made to fit", "torn", |forged| {
        let (chunk, checksum) = &mut forged.chunks[1];
        chunk[4_000] ^= 1;
        *checksum = hash(chunk);
    }),
    ("with another chunk's checksum", "torn", |forged| forged.chunks[0].1 = hash(b"another")),
    ("nonsense under good checksums", "payload", |forged| {
        let nonsense = vec![0xff; 5_000];
        forged.manifest.chunks = 1;
        forged.manifest.bytes = nonsense.len() as u64;
        forged.manifest.checksum = hash(&nonsense);
        forged.chunks = vec![(nonsense.clone(), hash(&nonsense))];
    }),
    ("a delta on a version that never was", "parent", |forged| {
        forged.manifest.kind = PayloadKind::Delta;
        forged.manifest.parent = Some(VersionId { epoch: 1, sequence: 900_000 });
    }),
];

async fn refused(scorer: &Service, reason: &str) -> Result<f64, String> {
    scorer.metric_with("scorer_versions_refused_total", &format!("reason=\"{reason}\"")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_truncated_or_bit_flipped_checkpoint_is_refused_and_the_live_version_keeps_serving() {
    let world = World::new().await;
    let mut traffic = Traffic::new(11, world.ctx.now());
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(600)).await;
    learned_once(&world, &sent).await;
    assert!(trainer.terminate().await.success(), "a clean shutdown");
    let mut checkpoints = Tail::open(&world, Topic::Checkpoints).await;
    let last = latest_manifest(&mut checkpoints).await.expect("it published").version;
    let live = async || {
        let version = world.model().await?.remove("version").unwrap_or_default();
        if version == last.to_string() { Ok(()) } else { Err(version) }
    };
    eventually("the last version is live", SOON, live).await;
    scorer.ready().await;

    let snapshot = Snapshot::newest(&world).await;
    for (sequence, (harm, reason, forge)) in (last.sequence + 1..).zip(HARMS) {
        let before = refused(&scorer, reason).await.expect("it answers");
        let mut forged = snapshot.renamed(VersionId { sequence, ..last });
        forge(&mut forged);
        world.write(Topic::Checkpoints, forged.records()).await;
        eventually(&format!("a version that is {harm} is counted as refused ({reason})"), SOON, async || {
            scorer.assert_alive();
            let now = refused(&scorer, reason).await?;
            if now > before { Ok(()) } else { Err(format!("{now} refused, {before} before")) }
        })
        .await;
        // The live version keeps serving: new slates come, and they are its.
        let acting = world.send(&traffic.take(40)).await;
        sent.extend(acting.iter().cloned());
        served_once(&world, &sent).await;
        for sent in &acting {
            let slate = world.slate(&world.keys.recs(&sent.event.user_id)).await.expect("it has a slate");
            assert_eq!(slate.model, last.to_string(), "after a version that is {harm}");
        }
    }
    assert!(scorer.log().contains("refused"), "it is logged");
    eventually("the key `model` names the live version", SOON, live).await;
    assert_eq!(scorer.missing().await.map(|missing| missing.len()), Ok(0), "it stays ready");

    // A sound one under the next name would have gone live: what refused the others was the harm.
    let _trainer = world.start(Name::Trainer, &[]).await;
    let next = learned_once(&world, &sent).await.version;
    assert_eq!(next.epoch, last.epoch + 1, "the trainer went on from the last whole version, in its own epoch");
    eventually("the next whole version goes live", SOON, async || {
        let version = world.model().await?.remove("version").unwrap_or_default();
        if version >= next.to_string() { Ok(()) } else { Err(version) }
    })
    .await;

    // Sound in every part, but in the name of an epoch that is over (I9).
    let late = snapshot.renamed(VersionId { sequence: 800_000, ..last });
    let before = refused(&scorer, "epoch").await.expect("it answers");
    world.write(Topic::Checkpoints, late.records()).await;
    eventually("an older epoch's version is counted as refused", SOON, async || {
        let now = refused(&scorer, "epoch").await?;
        if now > before { Ok(()) } else { Err(format!("{now} refused")) }
    })
    .await;
    let version = world.model().await.expect("it is there").remove("version").unwrap_or_default();
    assert!(version >= next.to_string(), "{version} is live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_starts_takes_over_and_the_one_before_ends() {
    let world = World::new().await;
    let events = Traffic::new(12, world.ctx.now()).take(2_000);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut first = world.start(Name::Trainer, &[("trainer.publish_every", "200ms")]).await;
    let (sent, mut second) = tokio::join!(world.flow(&events, 250), async {
        first.ready().await;
        let second = world.start(Name::Trainer, &[]).await;
        let status = first.end().await;
        assert!(!status.success(), "somebody has to look why there were two");
        second
    });
    second.ready().await;
    let last = learned_once(&world, &sent).await;
    assert_eq!(last.version.epoch, 2, "two epochs were claimed: {}", last.version);
}

/// Where a service began to read `checkpoints`, each time.
fn begun(service: &Service) -> Vec<i64> {
    let offset = |line: &str| {
        let digits = line.split(r#""positions":"{0: "#).nth(1)?.split('}').next()?;
        line.contains("checkpoints").then(|| digits.parse().expect("an offset"))
    };
    service.log().lines().filter_map(offset).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_reads_from_the_newest_snapshot_but_one_and_from_the_beginning_where_that_leads_to_nothing() {
    let world = World::new().await;
    let mut traffic = Traffic::new(13, world.ctx.now());
    let settings = [("trainer.snapshot_every", "1s"), ("trainer.publish_every", "300ms")];
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let mut checkpoints = Tail::open(&world, Topic::Checkpoints).await;
    let mut sent = Vec::new();
    let mut snapshots = 0;
    while snapshots < 4 {
        sent.extend(world.send(&traffic.take(50)).await);
        learned_once(&world, &sent).await;
        let manifests = manifests(checkpoints.read().await);
        snapshots = manifests.iter().filter(|manifest| manifest.kind == PayloadKind::Snapshot).count();
    }
    assert_eq!(begun(&trainer), [0], "the topic was empty");
    assert!(trainer.terminate().await.success(), "a clean shutdown");
    let last = latest_manifest(&mut checkpoints).await.expect("it published");
    assert_eq!(last.kind, PayloadKind::Snapshot, "who goes on finds everything");

    let live = |service: &'static str, version: VersionId| {
        let world = &world;
        async move {
            eventually(&format!("the last version is live in {service}"), SOON, async || {
                let version_now = world.model().await?.remove("version").unwrap_or_default();
                if version_now >= version.to_string() { Ok(()) } else { Err(version_now) }
            })
            .await;
        }
    };
    let scorer = world.start(Name::Scorer, &[]).await;
    live("a scorer", last.version).await;
    assert!(matches!(begun(&scorer)[..], [from] if from > 0), "{:?}", begun(&scorer));
    drop(scorer);

    // A bookmark that leads to nothing: behind it lies no snapshot.
    let end = world.write(Topic::Checkpoints, vec![Outgoing { key: Bytes::from("x"), ..Outgoing::default() }]).await;
    let note = serde_json::json!({"epoch": last.version.epoch, "trainer": "t", "claimed_at": 0}).to_string();
    let topic = world.topics.name(Topic::Checkpoints);
    let group = Topics::snapshot_group(&topic);
    let nothing = Bookmark { offset: end[0].1, note };
    nothing.leave(&world.kafka, "test", &group, &topic).await.expect("it is left");
    let mut scorer = world.start(Name::Scorer, &[]).await;
    scorer.ready().await;
    assert!(matches!(begun(&scorer)[..], [from, 0] if from > 0), "{:?}", begun(&scorer));
    let mut trainer = world.start(Name::Trainer, &settings).await;
    trainer.ready().await;
    assert!(matches!(begun(&trainer)[..], [from, 0] if from > 0), "{:?}", begun(&trainer));
    sent.extend(world.send(&traffic.take(50)).await);
    let next = learned_once(&world, &sent).await.version;
    assert_eq!(next.epoch, last.version.epoch + 1, "it went on from the last version");
    live("the scorer", next).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_command_reads_from_the_newest_snapshot_but_one_and_all_of_the_topic_when_asked() {
    let world = World::new().await;
    let mut traffic = Traffic::new(64, world.ctx.now());
    let settings =
        [("trainer.snapshot_every", "1s"), ("trainer.publish_every", "300ms"), ("trainer.keep_snapshots", "50")];
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &settings).await;
    let mut checkpoints = Tail::open(&world, Topic::Checkpoints).await;
    let is_snapshot = |manifest: &&Manifest| manifest.kind == PayloadKind::Snapshot;
    let (mut sent, mut there) = (Vec::new(), Vec::new());
    while there.iter().filter(is_snapshot).count() < 4 {
        sent.extend(world.send(&traffic.take(50)).await);
        learned_once(&world, &sent).await;
        there = manifests(checkpoints.read().await);
    }
    assert!(trainer.terminate().await.success(), "a clean shutdown");
    there = manifests(checkpoints.read().await);
    let snapshots: Vec<VersionId> = there.iter().filter(is_snapshot).map(|manifest| manifest.version).collect();
    let but_one = snapshots[snapshots.len() - 2];

    let listed = async |words: &[&str]| -> Vec<VersionId> {
        let list: Vec<Value> = serde_json::from_str(&world.operate(words).await).expect("it is JSON");
        let version = |it: &Value| {
            it["manifest"]["version"].as_str().expect("it is whole").parse::<VersionId>().expect("a version")
        };
        list.iter().map(version).collect()
    };
    let newest = listed(&["checkpoints", "list", "--json"]).await;
    assert_eq!(newest.first(), Some(&but_one));
    assert_eq!(newest.last(), there.last().map(|manifest| &manifest.version));
    let all = listed(&["checkpoints", "list", "--all", "--json"]).await;
    assert_eq!(all, there.iter().map(|manifest| manifest.version).collect::<Vec<_>>());
    assert!(world.operate(&["checkpoints", "show", "latest"]).await.contains(&newest.last().expect("one").to_string()));
    // What lies before is found all the same, and what is nowhere is nowhere.
    assert!(world.operate(&["checkpoints", "show", &all[0].to_string()]).await.contains("items.row"));
    assert!(world.try_operate(&["checkpoints", "show", "000099-00000001"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_stranger_wrote_in_the_trainers_epoch_is_followed_by_a_snapshot_of_the_trainers_at_once() {
    let world = World::new().await;
    let mut traffic = Traffic::new(14, world.ctx.now());
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let last = learned_once(&world, &sent).await.version;
    let forged = VersionId { sequence: 900_000, ..last };
    let live = async || {
        let version = world.model().await?.remove("version").unwrap_or_default();
        version.parse::<VersionId>()
    };
    world.write(Topic::Checkpoints, Snapshot::newest(&world).await.renamed(forged).records()).await;
    eventually("it is sound, so it goes live", SOON, async || match live().await {
        Ok(version) if version == forged => Ok(()),
        other => {
            // Unless the trainer was faster.
            let found = trainer.metric("trainer_foreign_versions_total").await?;
            if found > 0.0 { Ok(()) } else { Err(format!("{other:?}")) }
        }
    })
    .await;
    eventually("the trainer's own is live again", SOON, async || {
        let (version, found) = (live().await?, trainer.metric("trainer_foreign_versions_total").await?);
        (found > 0.0 && version != forged).then_some(()).ok_or_else(|| format!("{version}, {found} found"))
    })
    .await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    let next = learned_once(&world, &sent).await.version;
    assert!(next > last, "{next}");
    served_once(&world, &sent).await;
    [&mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}
