//! What is not signed by a trusted key neither serves nor decides, whoever can write to the topics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime::kafka::{Outgoing, Record};
use schemas::audit::Entry;
use schemas::checkpoint::{CHUNK_CHECKSUM, Part, key, parse_key};
use schemas::control::{Action, OPERATOR, Place};
use schemas::signature::{SIGNATURE, SigningKey};
use schemas::{Release, Topic, VersionId};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    Name, SOON, Service, Tail, Traffic, World, binary, eventually, kafka_is_given, latest_manifest, learned_once,
    served_once,
};

/// Keys in files, as an operator makes them.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The public key of this name, made when it is first asked for.
    async fn public(&self, name: &str) -> String {
        let file = self.file(name).to_string_lossy().into_owned();
        let what = if self.file(name).exists() { "show" } else { "new" };
        let (good, said) = thalweg(&["keys", what, &file]).await;
        assert!(good, "{said}");
        said.lines().next().unwrap_or_default().to_owned()
    }

    async fn secret(&self, name: &str) -> SigningKey {
        self.public(name).await;
        SigningKey::read(&std::fs::read_to_string(self.file(name)).expect("is there")).expect("is a key")
    }

    /// The value of `kafka.trust` for these.
    async fn list(&self, names: &[&str]) -> String {
        let mut list = Vec::new();
        for name in names {
            list.push(format!("\"{}\"", self.public(name).await));
        }
        format!("[{}]", list.join(", "))
    }

    /// Runs the operator's command, which trusts `trainer` and `operator` and signs as `operator`.
    async fn operate(&self, world: &World, words: &[&str]) -> String {
        let config = self.file("config.toml");
        let trust = self.list(&["trainer", "operator"]).await;
        std::fs::write(&config, format!("[kafka]\ntrust = {trust}\n")).expect("is written");
        let (config, key) =
            (config.to_string_lossy().into_owned(), self.file("operator").to_string_lossy().into_owned());
        world.operate(&[words, &["--config", &config, "--sign-key", &key]].concat()).await
    }
}

/// Runs the command away from any server: whether it succeeded, and what it printed and said.
async fn thalweg(words: &[&str]) -> (bool, String) {
    let output = tokio::process::Command::new(binary(Name::Thalweg)).args(words).kill_on_drop(true).output().await;
    let output = output.expect("the command runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A trainer that signs as `signer`, where `trusted` are believed.
async fn trainer(world: &World, keys: &Keys, signer: &str, trusted: &[&str], more: &[(&str, &str)]) -> Service {
    let (trust, file) = (keys.list(trusted).await, keys.file(signer).to_string_lossy().into_owned());
    let settings = [&[("kafka.trust", &*trust), ("trainer.sign_key", &file)], more].concat();
    world.start(Name::Trainer, &settings).await
}

async fn scorer(world: &World, keys: &Keys, trusted: &[&str]) -> Service {
    world.start(Name::Scorer, &[("kafka.trust", &keys.list(trusted).await)]).await
}

const BOTH: &[&str] = &["trainer", "operator"];

async fn started(world: &World, keys: &Keys) -> [Service; 3] {
    world.believe(keys.list(BOTH).await); // a stranger's version is the newest for who believes everybody
    let ingest = world.start(Name::Ingest, &[]).await;
    [ingest, trainer(world, keys, "trainer", BOTH, &[]).await, scorer(world, keys, BOTH).await]
}

/// A record of anybody, signed by `signer` if there is one.
fn record(world: &World, topic: Topic, key: &str, value: Vec<u8>, signer: Option<&SigningKey>) -> Outgoing {
    let mut headers = vec![(CHUNK_CHECKSUM, blake3::hash(&value).to_hex().to_string())];
    headers.extend(signer.map(|by| (SIGNATURE, by.sign(&world.topics.name(topic), key.as_bytes(), &value))));
    Outgoing {
        partition: Some(0),
        key: key.to_owned().into(),
        value: Some(value.into()),
        headers,
        ..Outgoing::default()
    }
}

/// A record as it lies on a topic, to be written there once more.
fn again(record: &Record) -> Outgoing {
    let header = |name: &'static str| Some((name, String::from_utf8_lossy(record.header(name)?).into_owned()));
    Outgoing {
        partition: Some(0),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: [CHUNK_CHECKSUM, SIGNATURE].into_iter().filter_map(header).collect(),
        ..Outgoing::default()
    }
}

/// Waits until a service has refused so many records for this reason.
async fn refused(service: &Service, metric: &str, why: &str, at_least: f64) {
    let label = format!("reason=\"{why}\"");
    eventually(&format!("{at_least} records are refused as {why}"), SOON, async || {
        let count = service.metric_with(metric, &label).await?;
        if count >= at_least { Ok(()) } else { Err(format!("{metric} of {why} is {count}")) }
    })
    .await;
}

/// Waits until the hash `model` says this.
async fn live(world: &World, what: &str, right: impl Fn(VersionId, &str) -> bool) {
    eventually(what, SOON, async || {
        let model = world.model().await?;
        let version = model.get("version").and_then(|text| text.parse().ok()).ok_or("no version is live")?;
        let state = model.get("state").map_or("", String::as_str);
        right(version, state).then_some(()).ok_or_else(|| format!("{version} is live, as {state}"))
    })
    .await;
}

const SCORER: &str = "scorer_versions_refused_total";
const TRAINER: &str = "trainer_versions_refused_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_version_claim_and_decision_are_refused_and_audited_and_the_live_version_keeps_serving() {
    let (world, keys) = (World::new().await, Keys::new());
    let [_ingest, mut trainer, mut scorer] = started(&world, &keys).await;
    let mut traffic = Traffic::new(181, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let before = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    let stranger = keys.secret("stranger").await;
    let VersionId { epoch, sequence } = before.version;
    let claim = |epoch: u32, signer: Option<&SigningKey>| {
        let value = format!(r#"{{"epoch":{epoch},"trainer":"stranger","claimed_at":0}}"#).into_bytes();
        let key = key(VersionId { epoch, sequence: 0 }, Part::Claim);
        record(&world, Topic::Checkpoints, &key, value, signer)
    };
    let next = VersionId { epoch, sequence: sequence + 10_000 };
    let forged = serde_json::to_vec(&schemas::Manifest { version: next, ..before.clone() }).expect("serialises");
    let forged = record(&world, Topic::Checkpoints, &key(next, Part::Manifest), forged, None);
    world.write(Topic::Checkpoints, vec![claim(epoch + 1, None), claim(epoch + 1, Some(&stranger)), forged]).await;
    let place = Some(Place { version: before.version, begins: None });
    let (by, reason, at) = ("stranger".to_owned(), "forged".to_owned(), world.ctx.now());
    let pin = Release { action: Action::Pin, place, back: None, by, reason, at, expires: None, rollbacks: Vec::new() };
    let pin = serde_json::to_vec(&pin).expect("serialises");
    let pins = [None, Some(&stranger)].map(|signer| record(&world, Topic::Control, OPERATOR, pin.clone(), signer));
    world.write(Topic::Control, pins.into()).await;

    for (service, metric) in [(&scorer, SCORER), (&trainer, TRAINER)] {
        refused(service, metric, "unsigned", 3.0).await;
        refused(service, metric, "foreign", 2.0).await;
    }
    sent.extend(world.flow(&traffic.take(100), 100).await);
    let after = learned_once(&world, &sent).await;
    assert_eq!(after.version.epoch, epoch, "no epoch was raised");
    served_once(&world, &sent).await;
    live(&world, "what the trainer made is live", |version, state| version > before.version && state == "live").await;
    trainer.assert_alive();
    scorer.assert_alive();

    eventually("the refusals are audited", SOON, async || {
        let shown: Value = serde_json::from_str(&keys.operate(&world, &["audit", "show", "--json"]).await)
            .map_err(|error| error.to_string())?;
        let told = |subject: &str, why: &str| {
            shown.as_array().into_iter().flatten().any(|entry| {
                let is_why = entry["reason"].as_str().is_some_and(|reason| reason.starts_with(why));
                entry["action"] == "refuse" && entry["subject"] == subject && is_why
            })
        };
        let all = ["checkpoints", "control"].iter().all(|at| told(at, "unsigned") && told(at, "foreign"));
        all.then_some(()).ok_or_else(|| shown.to_string())
    })
    .await;
    assert!(keys.operate(&world, &["audit", "verify"]).await.contains(" 0 faults"));

    let file = keys.file("model.safetensors").to_string_lossy().into_owned();
    keys.operate(&world, &["checkpoints", "export", "latest", &file]).await;
    keys.operate(&world, &["checkpoints", "verify", &file]).await;
    let mut bytes = std::fs::read(&file).expect("is there");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    std::fs::write(&file, bytes).expect("is written");
    let config = keys.file("config.toml").to_string_lossy().into_owned();
    let (good, said) = thalweg(&["checkpoints", "verify", &file, "--config", &config]).await;
    assert!(!good && said.contains("forged"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_signed_decision_written_again_is_refused_also_by_a_scorer_that_starts_afterwards() {
    let (world, keys) = (World::new().await, Keys::new());
    let [_ingest, mut trainer, mut first] = started(&world, &keys).await;
    let mut traffic = Traffic::new(182, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let pinned = learned_once(&world, &sent).await.version;
    keys.operate(&world, &["release", "pin", &pinned.to_string(), "--reason", "a test"]).await;
    live(&world, "the version is pinned", |version, state| version == pinned && state == "pin").await;
    keys.operate(&world, &["release", "unpin", "--reason", "a test"]).await;
    live(&world, "nothing is pinned", |_, state| state == "live").await;

    let mut control = Tail::open(&world, Topic::Control).await;
    let replay = again(&control.read().await[0]);
    let at = world.write(Topic::Control, vec![replay]).await[0].1;
    refused(&first, SCORER, "replayed", 1.0).await;
    refused(&trainer, TRAINER, "replayed", 1.0).await;
    eventually("the word that stands is written again", SOON, async || {
        let last = control.read().await.last().ok_or("nothing is there")?;
        let word = Release::read(last.value.as_deref().unwrap_or_default())?;
        let stands = last.offset > at && word.action == Action::Unpin && last.header(SIGNATURE).is_some();
        stands.then_some(()).ok_or_else(|| format!("{} at {}", word.action, last.offset))
    })
    .await;
    // As compaction leaves it: the old word, and behind it the one that stands. Kafka itself deletes no records of a
    // topic that is only compacted.
    if !kafka_is_given() {
        world.retain_from(Topic::Control, &BTreeMap::from([(0, at)])).await;
    }
    first.kill();
    let _second = scorer(&world, &keys, BOTH).await;
    sent.extend(world.flow(&traffic.take(200), 100).await);
    let newest = learned_once(&world, &sent).await.version;
    served_once(&world, &sent).await;
    live(&world, "the newest is live", |version, state| version >= newest && state == "live").await;
    trainer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_version_and_claim_written_again_change_nothing() {
    let (world, keys) = (World::new().await, Keys::new());
    let [_ingest, mut trainer, mut scorer] = started(&world, &keys).await;
    let mut traffic = Traffic::new(183, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 150).await;
    let before = learned_once(&world, &sent).await.version;
    served_once(&world, &sent).await;
    let mut log = Tail::open(&world, Topic::Checkpoints).await;
    let is_first = |record: &&Record| {
        parse_key(&record.key).is_ok_and(|(version, part)| part == Part::Claim || version.sequence == 1)
    };
    let first: Vec<Outgoing> = log.read().await.iter().filter(is_first).map(again).collect();
    assert!(first.len() >= 3, "a claim, a chunk and a manifest: {}", first.len());
    world.write(Topic::Checkpoints, first).await;
    refused(&scorer, SCORER, "replayed", 1.0).await;
    live(&world, "no older version is live", |version, state| version >= before && state == "live").await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    let after = learned_once(&world, &sent).await.version;
    assert_eq!(after.epoch, before.epoch);
    served_once(&world, &sent).await;
    refused(&trainer, TRAINER, "replayed", 1.0).await;
    trainer.assert_alive();
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trusted_keys_make_a_rotation_in_which_nothing_is_lost() {
    let (world, keys) = (World::new().await, Keys::new());
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut old = trainer(&world, &keys, "old", &["old"], &[]).await;
    let mut reading = scorer(&world, &keys, &["old", "new"]).await;
    let mut traffic = Traffic::new(184, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    let first = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    assert!(old.terminate().await.success());

    let mut new = trainer(&world, &keys, "new", &["old", "new"], &[]).await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    let both = learned_once(&world, &sent).await;
    assert!(both.interactions > first.interactions, "it went on from what the old key signed");
    served_once(&world, &sent).await;
    assert!(new.terminate().await.success());
    reading.kill();

    // Nobody trusts the old key any more.
    let _new = trainer(&world, &keys, "new", &["new"], &[]).await;
    let _reading = scorer(&world, &keys, &["new"]).await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_nobody_would_believe_does_not_start() {
    let (world, keys) = (World::new().await, Keys::new());
    let trust = keys.list(&["trainer"]).await;
    keys.public("other").await;
    let other = keys.file("other").to_string_lossy().into_owned();
    for (settings, said) in [
        (vec![("kafka.trust", &*trust), ("trainer.sign_key", &other)], "trainer.sign_key: nobody believes"),
        (vec![("kafka.trust", &*trust)], "trainer.sign_key: kafka.require_signature asks"),
        (vec![("kafka.require_signature", "yes")], "kafka.trust: name the keys"),
        (vec![("kafka.trust", "[\"ed25519:x\"]")], "kafka.trust: one is no public key"),
    ] {
        let mut service = world.spawn(Name::Trainer, &settings);
        let (status, log) = (service.end().await, service.log());
        assert_eq!(status.code(), Some(2), "{log}");
        let secret = std::fs::read_to_string(Path::new(&other)).expect("is there");
        assert!(log.contains(said) && !log.contains(secret.trim()), "it says `{said}`: {log}");
    }
    let mut tail = Tail::open(&world, Topic::Checkpoints).await;
    assert!(tail.read().await.is_empty(), "it claimed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_everything_works_unsigned_and_says_so_once() {
    let world = World::new().await;
    let [_ingest, trainer, scorer] = world.start_all().await;
    let mut traffic = Traffic::new(185, world.ctx.now());
    let sent = world.flow(&traffic.take(300), 300).await;
    learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    for service in [&trainer, &scorer] {
        assert_eq!(service.log().matches("signatures are off").count(), 1, "{}", service.log());
    }
    let mut tail = Tail::open(&world, Topic::Checkpoints).await;
    assert!(tail.read().await.iter().all(|record| record.header(SIGNATURE).is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_before_signatures_are_never_begun_anew_over_and_are_gone_on_from_while_keys_are_rolled_out() {
    let (world, keys) = (World::new().await, Keys::new());
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut unsigned = world.start(Name::Trainer, &[]).await;
    let mut traffic = Traffic::new(186, world.ctx.now());
    let mut sent = world.flow(&traffic.take(300), 300).await;
    learned_once(&world, &sent).await;
    assert!(unsigned.terminate().await.success());

    let (trust, file) = (keys.list(BOTH).await, keys.file("trainer").to_string_lossy().into_owned());
    let mut refusing = world.spawn(Name::Trainer, &[("kafka.trust", &trust), ("trainer.sign_key", &file)]);
    assert!(!refusing.end().await.success());
    assert!(refusing.log().contains("kafka.require_signature"), "{}", refusing.log());

    let mut lenient = trainer(&world, &keys, "trainer", BOTH, &[("kafka.require_signature", "no")]).await;
    sent.extend(world.flow(&traffic.take(100), 100).await);
    learned_once(&world, &sent).await;
    assert!(lenient.terminate().await.success());
    let signed = latest_manifest(&mut Tail::open(&world, Topic::Checkpoints).await).await.expect("is there");

    let [_trainer, _scorer] = [trainer(&world, &keys, "trainer", BOTH, &[]).await, scorer(&world, &keys, BOTH).await];
    sent.extend(world.flow(&traffic.take(100), 100).await);
    assert!(learned_once(&world, &sent).await.version.epoch > signed.version.epoch);
    served_once(&world, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_verify_finds_a_forged_entry_and_names_it() {
    let (world, keys) = (World::new().await, Keys::new());
    let trainer = keys.secret("trainer").await;
    let entry = |seq: u64, prev: &[u8], reason: &str| {
        let prev = if seq == 1 { String::new() } else { blake3::hash(prev).to_hex().to_string() };
        let [writer, actor, action, subject] = ["w", "ann", "pin", "release"].map(str::to_owned);
        let (at, evidence, reason) = (world.ctx.now(), BTreeMap::new(), reason.to_owned());
        let entry = Entry { writer, seq, prev, at, actor, action, subject, version: None, reason, evidence };
        serde_json::to_vec(&entry).expect("serialises")
    };
    let first = entry(1, b"", "true");
    let (forged, second) = (entry(2, &first, "forged"), entry(2, &first, "true"));
    let signed = |value: &[u8]| record(&world, Topic::Audit, "w", value.to_vec(), Some(&trainer));
    world.write(Topic::Audit, vec![signed(&first), signed(&second)]).await;
    assert!(keys.operate(&world, &["audit", "verify"]).await.contains("2 records, 0 faults"));

    world
        .write(Topic::Audit, vec![record(&world, Topic::Audit, "w", forged, None), signed(&entry(3, &second, "true"))])
        .await;
    let config = keys.file("config.toml").to_string_lossy().into_owned();
    let here = ["--brokers", &world.kafka.brokers, "--topic-prefix", &world.kafka.topic_prefix, "--config", &config];
    let (good, said) = thalweg(&[&["audit", "verify"], &here[..]].concat()).await;
    assert!(!good && said.contains("offset 2: record 2 of w is unsigned"), "{said}");
    assert!(said.contains("4 records, 1 faults"), "{said}");
    let shown = keys.operate(&world, &["audit", "show", "--json"]).await;
    assert!(!shown.contains("forged"), "it is not shown as if it were true: {shown}");
}
