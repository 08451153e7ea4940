//! A user who is erased is forgotten everywhere, for good, and only a lift lets them begin anew.

use std::path::PathBuf;

use runtime::kafka::{Outgoing, Record};
use schemas::{Event, EventType, Topic, VersionId};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    Name, SOON, Sent, Servers, Service, Tail, Traffic, World, click, eventually, interactions, latest_manifest,
    learned_once, profile, served_once,
};

const VICTIM: &str = "victim-4711";
const SECRET: (&str, &str) = ("privacy.secret", "0123456789abcdef0123456789abcdef");
/// Snapshots come every two seconds, so that some are there from before an erasure.
const TRAINER: [(&str, &str); 2] = [SECRET, ("trainer.snapshot_every", "2s")];

/// A world with a secret, which the operator's command reads from a file.
struct Shop {
    world: World,
    folder: TempDir,
    traffic: Traffic,
}

impl Shop {
    async fn new(seed: u64) -> Self {
        let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("thalweg.toml");
        std::fs::write(file, format!("[privacy]\nsecret = \"{}\"\n", SECRET.1)).expect("is written");
        let traffic = Traffic::new(seed, world.ctx.now()).with_users(10);
        Self { world, folder, traffic }
    }

    async fn start(&self) -> [Service; 3] {
        let ingest = self.world.start(Name::Ingest, &[SECRET]).await;
        let trainer = self.world.start(Name::Trainer, &TRAINER).await;
        [ingest, trainer, self.world.start(Name::Scorer, &[SECRET]).await]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("thalweg.toml")
    }

    /// Runs `thalweg erase VICTIM` with these words.
    async fn try_erase(&self, words: &[&str]) -> Result<Value, String> {
        let file = self.file();
        let words = [&["erase", VICTIM, "--json", "--config", file.to_str().expect("UTF-8")], words].concat();
        let said = self.world.try_operate(&words).await?;
        Ok(serde_json::from_str(&said).unwrap_or_default())
    }

    async fn erase(&self, words: &[&str]) -> Value {
        let words = [&["--reason", "a test", "--by", "ann", "--timeout", "45s"], words].concat();
        let said = self.try_erase(&words).await.expect("all services answer");
        assert_eq!((&said["done"], &said["missing"]), (&true.into(), &Value::Array(Vec::new())), "{said}");
        said
    }

    /// What the victim does: they view these items, one after the other.
    fn views(&self, first: usize, items: &[&str]) -> Vec<Event> {
        let now = self.world.ctx.now();
        let view = |(n, item): (usize, &&str)| {
            let n = first + n;
            click(VICTIM, item, EventType::View, now + n as i64, format!("{VICTIM}-{n}"))
        };
        items.iter().enumerate().map(view).collect()
    }

    /// Others and the victim act, and are served and learned.
    async fn busy(&mut self) -> (Vec<Sent>, Vec<Sent>) {
        let victim = self.views(0, &["i10", "i11", "i12", "i13", "alone"]);
        let mut sent = self.world.send(&self.traffic.take(300)).await;
        sent.extend(self.world.send(&victim).await);
        served_once(&self.world, &sent).await;
        learned_once(&self.world, &sent).await;
        let (victim, others) = sent.into_iter().partition(|sent| sent.event.user_id == VICTIM);
        (others, victim)
    }

    /// Whether a list or a profile lies in Redis.
    async fn is_served(&self) -> bool {
        let redis = self.world.client();
        let (recs, user) = (self.world.keys.recs(VICTIM), self.world.keys.user(VICTIM));
        redis.exists(&recs).await.expect("answers") || redis.exists(&user).await.expect("answers")
    }

    async fn records(&self, topic: Topic) -> Vec<Record> {
        Tail::open(&self.world, topic).await.read().await.to_vec()
    }

    async fn interactions_of_victim(&self) -> usize {
        let all = interactions(&self.records(Topic::Interactions).await);
        all.iter().filter(|(_, interaction)| interaction.user_id == VICTIM).count()
    }
}

/// Where the id was found; each place says until when.
fn places(said: &Value, world: &World) -> Vec<String> {
    let found = said["found"].as_array().expect("a list");
    let place = |found: &Value| {
        let until = found["until"].as_i64();
        assert!(until.is_some_and(|until| until > world.ctx.now()), "it says until when: {found}");
        found["place"].as_str().unwrap_or_default().trim_start_matches(&world.kafka.topic_prefix).to_owned()
    };
    found.iter().map(place).collect()
}

fn holds_id(record: &Record) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(VICTIM.len()).any(|part| part == VICTIM.as_bytes());
    holds(&record.key) || record.value.as_deref().is_some_and(holds)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_found_nowhere_but_on_events_and_interactions_and_does_not_come_back() {
    let mut shop = Shop::new(51).await;
    let [ingest, _trainer, mut scorer] = shop.start().await;
    let (mut others, victim) = shop.busy().await;
    assert!(shop.is_served().await);
    assert!(shop.try_erase(&["--verify"]).await.is_err(), "Redis and the model know the user");
    let dry = shop.try_erase(&["--reason", "a test", "--dry-run"]).await.expect("shows it");
    assert_eq!(dry["written"], false);
    assert!(shop.is_served().await, "a dry run changes nothing");

    let said = shop.erase(&[]).await;
    assert!(said["version"].is_string() && said["keys_deleted"].as_u64().is_some_and(|keys| keys <= 2), "{said}");
    assert!(!shop.is_served().await);
    let verified = shop.try_erase(&["--verify"]).await.expect("is only where it may be");
    assert_eq!(verified["state"], "erased");
    let places = places(&verified, &shop.world);
    assert!(["events", "interactions"].iter().all(|topic| places.iter().any(|place| place == topic)), "{places:?}");
    assert!(places.iter().all(|place| ["events", "interactions", "checkpoints"].contains(&place.as_str())));
    for topic in [Topic::Control, Topic::Audit, Topic::DeadLetters, Topic::Checkpoints] {
        assert!(!shop.records(topic).await.iter().any(holds_id), "{topic:?} names the user");
    }

    // What the user does from now on is dropped and counted, also what would be a dead letter.
    let mut later = shop.views(10, &["i20", "i21"]);
    later.extend(shop.views(20, &[""]));
    shop.world.send(&later).await;
    others.extend(shop.world.flow(&shop.traffic.take(100), 100).await);
    eventually("later events are dropped", SOON, async || {
        let dropped = ingest.metric("ingest_erased_total").await?;
        if dropped >= 3.0 { Ok(()) } else { Err(format!("{dropped} were")) }
    })
    .await;
    served_once(&shop.world, &others).await;
    assert_eq!(shop.interactions_of_victim().await, victim.len());
    assert!(!shop.records(Topic::DeadLetters).await.iter().any(holds_id));

    // A scorer that did not see the erasure happen, and reads the past again, makes nothing of it either.
    scorer.kill();
    let mut scorer = shop.world.start(Name::Scorer, &[SECRET]).await;
    others.extend(shop.world.flow(&shop.traffic.take(200), 100).await);
    served_once(&shop.world, &others).await;
    shop.world.client().command(&["FLUSHALL"]).await.expect("it is flushed");
    others.extend(shop.world.flow(&shop.traffic.take(200), 100).await);
    served_once(&shop.world, &others).await;
    assert!(!shop.is_served().await, "their lists do not come back");
    scorer.assert_alive();
    assert!(shop.world.operate(&["audit", "verify"]).await.contains("0 faults"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_version_has_nothing_of_an_erased_user_also_after_a_restart_and_a_purge_takes_the_older_ones() {
    let mut shop = Shop::new(52).await;
    let [_ingest, mut trainer, _scorer] = shop.start().await;
    shop.busy().await;
    let said = shop.erase(&[]).await;
    let first = latest_manifest(&mut Tail::open(&shop.world, Topic::Checkpoints).await).await.expect("one is there");
    assert!(said["version"].as_str().is_some_and(|version| version <= first.version.to_string().as_str()), "{said}");
    shop.try_erase(&["--verify"]).await.expect("the newest version does not know the user");

    // The next trainer reads the past again to rebuild histories, from a version of before or after.
    trainer.kill();
    let mut trainer = shop.world.start(Name::Trainer, &TRAINER).await;
    shop.world.send(&shop.traffic.take(100)).await;
    let mut checkpoints = Tail::open(&shop.world, Topic::Checkpoints).await;
    eventually("a version of the next epoch is there", SOON, async || {
        let newest = latest_manifest(&mut checkpoints).await.ok_or("none")?;
        let new = newest.version.epoch > first.version.epoch && newest.interactions > first.interactions;
        if new { Ok(()) } else { Err(newest.version.to_string()) }
    })
    .await;
    shop.try_erase(&["--verify"]).await.expect("nor does the next trainer's");

    let purged = shop.erase(&["--purge"]).await;
    assert_eq!(purged["erasure"]["purge"], true);
    let verified = shop.try_erase(&["--verify"]).await.expect("is only where it may be");
    assert!(!places(&verified, &shop.world).iter().any(|place| place == "checkpoints"), "{verified}");
    trainer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn control_made_again_under_running_services_brings_nobody_back_and_the_erasure_is_on_it_again() {
    let mut shop = Shop::new(58).await;
    let [mut ingest, _trainer, _scorer] = shop.start().await;
    shop.busy().await;
    shop.erase(&[]).await;
    shop.world.make_again(Topic::Control).await;
    let erasure = |record: &Record| record.key.starts_with(b"erase:") && record.value.is_some();
    eventually("the trainer writes the erasure again", SOON, async || {
        let there = shop.records(Topic::Control).await.iter().any(erasure);
        if there { Ok(()) } else { Err("it is not there".to_owned()) }
    })
    .await;
    // Who starts now knows nothing but the topic.
    ingest.kill();
    let ingest = shop.world.start(Name::Ingest, &[SECRET]).await;
    shop.world.send(&shop.views(10, &["i20"])).await;
    eventually("the event is dropped", SOON, async || {
        let dropped = ingest.metric("ingest_erased_total").await?;
        if dropped >= 1.0 { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
    assert!(profile(&shop.world, VICTIM).await.is_err(), "nothing of the user comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lift_lets_the_user_begin_anew_and_nothing_old_returns() {
    let mut shop = Shop::new(53).await;
    let [ingest, mut trainer, mut scorer] = shop.start().await;
    let (others, old) = shop.busy().await;
    shop.erase(&[]).await;
    shop.world.send(&shop.views(10, &["i20"])).await;
    eventually("what was sent meanwhile is judged", SOON, async || {
        let dropped = ingest.metric("ingest_erased_total").await?;
        if dropped >= 1.0 { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
    let lifted = shop.try_erase(&["--lift", "--reason", "came back"]).await.expect("is lifted");
    assert!(lifted["erasure"]["lifted"].is_number(), "{lifted}");
    // Until every service has read it, the user's events are dropped; so they try again.
    let mut tries = 100;
    eventually("the user may act again", SOON, async || {
        tries += 1;
        shop.world.send(&shop.views(tries, &["i30"])).await;
        let recent = profile(&shop.world, VICTIM).await?.profile.recent;
        if recent.is_empty() { Err("nothing yet".to_owned()) } else { Ok(()) }
    })
    .await;

    // Everything is read again by scorer and trainer, and what lies before the lift counts for nobody.
    for service in [&mut trainer, &mut scorer] {
        service.kill();
    }
    let _trainer = shop.world.start(Name::Trainer, &TRAINER).await;
    let _scorer = shop.world.start(Name::Scorer, &[SECRET]).await;
    shop.world.send(&shop.views(900, &["i31"])).await;
    let recent = eventually("the last view is there", SOON, async || {
        let recent = profile(&shop.world, VICTIM).await?.profile.recent;
        let last = recent.last().map(|seen| seen.item_id.clone());
        if last.as_deref() == Some("i31") { Ok(recent) } else { Err(format!("{last:?}")) }
    })
    .await;
    assert!(recent.iter().all(|seen| ["i30", "i31"].contains(&seen.item_id.as_str())), "{recent:?}");
    // What came before the lift was read by everybody may be in no version; nothing is in one twice.
    let on_log = interactions(&shop.records(Topic::Interactions).await).len() as u64;
    let least = (others.len() + old.len()) as u64 + 1;
    eventually("the version knows what the user did since", SOON, async || {
        let newest = latest_manifest(&mut Tail::open(&shop.world, Topic::Checkpoints).await).await.ok_or("none")?;
        let known = newest.interactions;
        if (least..=on_log).contains(&known) { Ok(()) } else { Err(format!("{known} of {least} to {on_log}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_a_version_from_before_an_erasure_brings_nobody_back_while_it_stands_and_after_it_was_lifted() {
    let mut shop = Shop::new(55).await;
    let [_ingest, mut trainer, mut scorer] = shop.start().await;
    shop.busy().await;
    let file = shop.folder.path().join("before.safetensors").display().to_string();
    shop.world.operate(&["checkpoints", "export", "latest", &file]).await;
    assert!(shop.try_erase(&["--verify", "--model", &file]).await.is_err(), "the file knows the user");
    shop.erase(&[]).await;
    for lifted in [false, true] {
        if lifted {
            let word = shop.try_erase(&["--lift", "--reason", "came back"]).await.expect("is lifted");
            assert!(word["erasure"]["lifted"].is_number(), "{word}");
        }
        assert!(trainer.terminate().await.success(), "a clean shutdown");
        let words = ["checkpoints", "import", &file, "--reason", "a test", "--yes", "--json"];
        let imported: Value = serde_json::from_str(&shop.world.operate(&words).await).expect("it is JSON");
        let imported: VersionId = imported["version"].as_str().and_then(|v| v.parse().ok()).expect("a version");
        trainer = shop.world.start(Name::Trainer, &TRAINER).await;
        let mut checkpoints = Tail::open(&shop.world, Topic::Checkpoints).await;
        eventually("a trainer went on from the import", SOON, async || {
            let newest = latest_manifest(&mut checkpoints).await.ok_or("none")?.version;
            if newest.epoch > imported.epoch { Ok(()) } else { Err(newest.to_string()) }
        })
        .await;
        let verified = shop.try_erase(&["--verify"]).await.expect("its versions do not know the user");
        assert_eq!(verified["state"], if lifted { "lifted" } else { "erased" }, "{verified}");
        assert!(!shop.is_served().await);
    }
    [&mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_somebody_did_not_answer_is_not_done_and_the_same_command_finishes_it() {
    let mut shop = Shop::new(54).await;
    let [mut ingest, mut trainer, mut scorer] = shop.start().await;
    shop.busy().await;
    scorer.kill();
    let early = shop.try_erase(&["--reason", "a test", "--timeout", "3s"]).await;
    assert!(early.is_err_and(|why| why.contains("run the command again")));
    assert!(!shop.is_served().await, "what lies in Redis is deleted all the same");
    assert!(shop.try_erase(&["--lift", "--reason", "a test"]).await.is_err_and(|why| why.contains("is not done")));
    let named = shop.try_erase(&["--reason", &format!("request of {VICTIM}")]).await;
    assert!(named.is_err_and(|why| why.contains("leave the id out")), "what is kept for ever names nobody");
    assert!(shop.try_erase(&[]).await.is_err_and(|why| why.contains("--reason")));

    // What nobody could have written ends no service.
    let record = |key: &str, value: &str| Outgoing {
        partition: Some(0),
        key: key.to_owned().into(),
        value: Some(value.to_owned().into()),
        ..Outgoing::default()
    };
    let key = format!("erase:{}", "a".repeat(32));
    let records = vec![record("erase:", "{}"), record("erase:u42", "{}"), record(&key, "{"), record(&key, "[]")];
    shop.world.write(Topic::Control, records).await;
    let mut scorer = shop.world.start(Name::Scorer, &[SECRET]).await;
    shop.erase(&[]).await;
    eventually("ingest has counted them", SOON, async || {
        let refused = ingest.metric("ingest_control_refused_total").await?;
        if refused >= 4.0 { Ok(()) } else { Err(format!("{refused}")) }
    })
    .await;
    [&mut ingest, &mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}
