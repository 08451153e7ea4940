//! An exported version can be published again: a backup where its topic was lost, a model in another cluster.

use std::collections::BTreeSet;

use schemas::{Manifest, Topic, VersionId};
use serde_json::Value;
use tempfile::TempDir;
use tests::{Name, SOON, Tail, Traffic, World, eventually, latest_manifest, learned_once, manifests, served_once};

async fn import(world: &World, file: &str, words: &[&str]) -> Result<Value, String> {
    let all = [&["checkpoints", "import", file, "--reason", "a test", "--json"], words].concat();
    world.try_operate(&all).await.map(|text| serde_json::from_str(&text).expect("it is JSON"))
}

fn named(imported: &Value) -> VersionId {
    imported["version"].as_str().and_then(|text| text.parse().ok()).expect("a version")
}

/// The versions that `audit` says were imported.
async fn imports(world: &World) -> Vec<VersionId> {
    let audit: Vec<Value> = serde_json::from_str(&world.operate(&["audit", "show", "--json"]).await).expect("JSON");
    audit.iter().filter(|entry| entry["action"] == "import" && entry["subject"] == "checkpoints").map(named).collect()
}

async fn newest(world: &World) -> Manifest {
    latest_manifest(&mut Tail::open(world, Topic::Checkpoints).await).await.expect("one is there")
}

/// The items of the list `hot` once this version made it.
async fn hot(world: &World, maker: VersionId) -> BTreeSet<String> {
    eventually(&format!("`hot` is made by {maker}"), SOON, async || {
        let slate = world.slate(&world.keys.hot(None)).await?;
        let right = slate.model == maker.to_string();
        right.then(|| slate.items.into_iter().map(|entry| entry.id).collect()).ok_or(slate.model)
    })
    .await
}

/// Learns in one world and exports: the file, the version, what it calls hot.
async fn exported(
    world: &World,
    traffic: &mut Traffic,
    folder: &TempDir,
) -> (String, Manifest, BTreeSet<String>, Vec<tests::Sent>) {
    let [_ingest, mut trainer, _scorer] = world.start_all().await;
    let sent = world.send(&traffic.take(600)).await;
    learned_once(world, &sent).await;
    served_once(world, &sent).await;
    assert!(trainer.terminate().await.success(), "a clean shutdown");
    let last = newest(world).await;
    let hot = hot(world, last.version).await;
    let file = folder.path().join("model.safetensors").display().to_string();
    world.operate(&["checkpoints", "export", "latest", &file]).await;
    (file, last, hot, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_version_is_imported_where_its_topic_was_lost_and_training_goes_on_where_it_stood() {
    let (world, folder) = (World::new().await, tempfile::tempdir().expect("a temporary folder"));
    let mut traffic = Traffic::new(71, world.ctx.now());
    let (file, last, before, mut sent) = exported(&world, &mut traffic, &folder).await;

    // A trainer that leads is not ended by the way, and a dry run writes nothing.
    let refused = import(&world, &file, &[]).await;
    assert!(refused.as_ref().is_err_and(|why| why.contains("--yes")), "{refused:?}");
    let dry = import(&world, &file, &["--dry-run"]).await.expect("it is looked at");
    assert_eq!((dry["written"].as_bool(), dry["exported"].as_str()), (Some(false), Some(&*last.version.to_string())));
    assert_eq!(newest(&world).await.version, last.version);

    world.make_again(Topic::Checkpoints).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let imported = import(&world, &file, &[]).await.expect("nobody claimed the new topic");
    assert_eq!((imported["with_offsets"].as_bool(), imported["written"].as_bool()), (Some(true), Some(true)));
    let version = named(&imported);
    let lying = manifests(Tail::open(&world, Topic::Checkpoints).await.read().await);
    assert_eq!(lying.iter().map(|manifest| manifest.version).collect::<Vec<_>>(), [version]);
    assert_eq!((&lying[0].through, lying[0].interactions), (&last.through, last.interactions));
    assert_eq!(hot(&world, version).await, before, "scorers serve the same lists");

    // Where it stood: nothing of before is learned again, and nothing since is left out.
    let _ingest = world.start(Name::Ingest, &[]).await;
    sent.extend(world.send(&traffic.take(200)).await);
    let mut trainer = world.start(Name::Trainer, &[]).await;
    let next = learned_once(&world, &sent).await;
    assert_eq!(next.version.epoch, version.epoch + 1, "it went on from the import");
    served_once(&world, &sent).await;

    // A trainer that runs ends when somebody imports over it, and the next one goes on from there.
    let again = import(&world, &file, &["--yes"]).await.expect("it is said twice");
    assert!(again["superseded"].as_str().is_some_and(|name| name.starts_with("trainer-")), "{again}");
    assert!(!trainer.end().await.success(), "somebody has to look why");
    let _trainer = world.start(Name::Trainer, &[]).await;
    let last = learned_once(&world, &sent).await;
    assert!(last.version.epoch > named(&again).epoch, "{}", last.version);
    scorer.assert_alive();
    assert_eq!(imports(&world).await, [named(&imported), named(&again)]);
    assert!(world.operate(&["audit", "verify"]).await.contains("0 faults"));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_another_cluster_are_never_taken_and_without_them_a_model_moves_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // One after the other: each world waits for its turn.
    let other = World::new().await;
    let (file, last, before, _) = exported(&other, &mut Traffic::new(71, other.ctx.now()), &folder).await;
    drop(other);

    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    // What is here before the model comes is learned, too.
    let mut traffic = Traffic::new(73, world.ctx.now());
    let mut sent = world.send(&traffic.take(100)).await;
    let refused = import(&world, &file, &[]).await;
    assert!(refused.as_ref().is_err_and(|why| why.contains("--without-offsets")), "{refused:?}");
    let imported = import(&world, &file, &["--without-offsets"]).await.expect("it is written");
    assert_eq!(imported["with_offsets"], false);
    let version = named(&imported);
    assert_eq!(newest(&world).await.through, Default::default());
    assert_eq!(hot(&world, version).await, before, "scorers serve the same lists");

    let _trainer = world.start(Name::Trainer, &[]).await;
    sent.extend(world.send(&traffic.take(100)).await);
    let knows = last.interactions + sent.len() as u64;
    eventually("what lies here is learned on top, all of it once", SOON, async || {
        let Manifest { version: newest, interactions, .. } = newest(&world).await;
        let right = newest.epoch > version.epoch && interactions == knows;
        right.then_some(()).ok_or_else(|| format!("{newest} knows {interactions} of {knows}"))
    })
    .await;
    served_once(&world, &sent).await;
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_or_no_export_is_refused_in_a_sentence_and_nothing_is_written() {
    let (world, folder) = (World::new().await, tempfile::tempdir().expect("a temporary folder"));
    let (file, last, ..) = exported(&world, &mut Traffic::new(71, world.ctx.now()), &folder).await;
    let whole = std::fs::read(&file).expect("it was exported");
    let of_format = |format: u32| {
        let (old, new) = (r#"\"v\":1,"#, format!(r#"\"v\":{format},"#));
        let at = whole.windows(old.len()).position(|bytes| bytes == old.as_bytes()).expect("the manifest is in it");
        [&whole[..at], new.as_bytes(), &whole[at + old.len()..]].concat()
    };
    let cases: [(Vec<u8>, &str); 4] = [
        (whole[..whole.len() / 2].to_vec(), "no whole file of `thalweg checkpoints export`"),
        (b"user,item,time\nu1,i1,1700000000\n".to_vec(), "no whole file of `thalweg checkpoints export`"),
        (of_format(7), "is of format 7"),
        (Vec::new(), "no whole file of `thalweg checkpoints export`"),
    ];
    let written = folder.path().join("broken");
    for (bytes, why) in cases {
        std::fs::write(&written, bytes).expect("there is room");
        let refused = import(&world, &written.display().to_string(), &["--yes"]).await;
        assert!(refused.as_ref().is_err_and(|told| told.contains(why)), "{why}: {refused:?}");
    }
    let silent = world.try_operate(&["checkpoints", "import", &file, "--yes"]).await;
    assert!(silent.is_err_and(|why| why.contains("--reason")));
    assert_eq!(newest(&world).await.version, last.version);
    assert!(imports(&world).await.is_empty(), "nothing was done");
}
