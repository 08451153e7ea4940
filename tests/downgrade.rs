//! An older release meets what a later one wrote: it says so in one sentence, serves on, and puts nothing poorer in the
//! place of what it cannot read.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::kafka::Outgoing;
use schemas::checkpoint::{CHUNK_CHECKSUM, Part, key};
use schemas::{EventType, Slate, Topic, VersionId};
use tests::{Name, SOON, Sent, Servers, Tail, Traffic, World, click, eventually, learned_once, profile, served_once};

/// Long enough not to expire here.
const HOUR: Duration = Duration::from_secs(3_600);

/// What lies under a key.
async fn value(world: &World, key: &str) -> Vec<u8> {
    let values = world.client().get_many(&[key.to_owned()]).await.expect("Redis answers");
    values.into_iter().next().expect("one").expect("a string").expect("is there")
}

async fn put(world: &World, key: &str, value: Vec<u8>) {
    let set = world.client().set_many(vec![(key.to_owned(), value, HOUR)]).await.expect("Redis answers");
    set.into_iter().for_each(|answer| answer.expect("is written"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_of_a_later_format_is_left_as_it_is_and_lacks_nothing_once_that_release_runs_again() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    // In real time: what is ahead of its arrival counts as of then, and would change places with u1's own.
    let mut traffic = Traffic::new(61, world.ctx.now()).with_users(12).with_step(1);
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");

    // A later release comes, has u1's profile in its own format, and goes.
    let (user, recs) = (world.keys.user("u1"), world.keys.recs("u1"));
    let ours = value(&world, &user).await;
    let mut theirs = ours.clone();
    theirs[0] += 1;
    put(&world, &user, theirs.clone()).await;
    let list = value(&world, &recs).await;
    for _ in 0..2 {
        let mut scorer = world.start(Name::Scorer, &[]).await;
        let acts = |n| click("u1", "i00", EventType::View, world.ctx.now(), format!("later-{}-{n}", sent.len()));
        let events = (0..3).map(acts).chain(traffic.take(100)).collect::<Vec<_>>();
        sent.extend(world.send(&events).await);
        let others: Vec<Sent> = sent.iter().filter(|sent| sent.event.user_id != "u1").cloned().collect();
        served_once(&world, &others).await;
        eventually("it is counted", SOON, async || {
            let found = scorer.metric("scorer_later_profiles_total").await?;
            if found > 0.0 { Ok(()) } else { Err(format!("{found}")) }
        })
        .await;
        assert!(value(&world, &user).await == theirs && value(&world, &recs).await == list, "both are as they were");
        let log = scorer.log();
        assert_eq!(log.matches("profile of format 3").count(), 1, "it is told once: {log}");
        assert!(log.contains("start the release that wrote them again"), "with what to do: {log}");
        assert!(scorer.terminate().await.success(), "a clean shutdown");
    }

    // The later release is back: to it, its format is its own.
    put(&world, &user, ours).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    served_once(&world, &sent).await;
}

/// A version as a later release might write it.
fn later_version(version: VersionId) -> Vec<Outgoing> {
    let record = |part, value: String| {
        let headers = vec![(CHUNK_CHECKSUM, blake3::hash(value.as_bytes()).to_hex().to_string())];
        let key = key(version, part).into();
        Outgoing { partition: Some(0), key, value: Some(value.into()), headers, ..Outgoing::default() }
    };
    let manifest = format!(r#"{{"v":2,"version":"{version}","release":"9.1.0","parts":["later"]}}"#);
    vec![record(Part::Chunk(0), "of a later release".into()), record(Part::Manifest, manifest)]
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_later_format_are_refused_by_name_the_live_one_serves_on_and_no_list_gets_poorer() {
    let world = World::on(Servers { own_redis: true, ..Servers::default() }).await;
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut traffic = Traffic::new(62, world.ctx.now()).with_users(12);
    let mut sent = world.send(&traffic.take(300)).await;
    scorer.ready().await;
    let manifest = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;
    assert!(trainer.terminate().await.success(), "a clean shutdown");

    // A running scorer: what is live serves on.
    let claim = |epoch: u32| Outgoing {
        partition: Some(0),
        key: key(VersionId { epoch, sequence: 0 }, Part::Claim).into(),
        value: Some(format!(r#"{{"epoch":{epoch},"trainer":"later","claimed_at":0,"later":1}}"#).into()),
        ..Outgoing::default()
    };
    let epoch = manifest.version.epoch + 1;
    let later = [vec![claim(epoch)], later_version(VersionId { epoch, sequence: 1 })].concat();
    world.write(Topic::Checkpoints, later).await;
    let sentence = "its manifest is of format 2";
    eventually("it is told", SOON, async || {
        let log = scorer.log();
        if log.contains(sentence) { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(scorer.log().contains("start Thalweg 9.1.0 again"), "with what to do: {}", scorer.log());
    sent.extend(world.send(&traffic.take(100)).await);
    served_once(&world, &sent).await;
    scorer.ready().await;
    let lists = lists(&world, &sent).await;
    assert!(lists.values().all(|list| list.model != Slate::NO_MODEL), "all are made by a version");
    eventually("everybody's list is there", SOON, async || world.slate(&world.keys.hot(None)).await).await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");

    // Nothing else is on the topic any more. Whoever starts has no version, and says why.
    world.make_again(Topic::Checkpoints).await;
    let only = [vec![claim(1)], later_version(VersionId { epoch: 1, sequence: 1 })].concat();
    world.write(Topic::Checkpoints, only).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let acts = [("u1", "i00"), ("newcomer", "i01")];
    let acts = acts.map(|(user, item)| click(user, item, EventType::View, world.ctx.now(), format!("{user}-later")));
    sent.extend(world.send(&acts).await);
    eventually("what came is in the profile, and a newcomer has a list", SOON, async || {
        let held = profile(&world, "u1").await?.profile.recent;
        let last = held.last().map(|seen| seen.item_id.clone());
        let newcomer = world.slate(&world.keys.recs("newcomer")).await?;
        let good = last.as_deref() == Some("i00") && newcomer.model == Slate::NO_MODEL;
        if good { Ok(()) } else { Err(format!("{last:?}, {}", newcomer.model)) }
    })
    .await;
    let now = lists_of(&world, lists.keys()).await;
    assert!(now == lists, "who has a list by a version keeps it");
    let hot = world.slate(&world.keys.hot(None)).await.expect("there is one");
    assert_ne!(hot.model, Slate::NO_MODEL, "and so does everybody");
    let missing = scorer.missing().await.expect("it answers");
    let why = missing.get("model").expect("it is not ready");
    assert!(why.contains(sentence) && why.contains("start Thalweg 9.1.0 again"), "{why}");
    scorer.assert_alive();

    let mut tail = Tail::open(&world, Topic::Checkpoints).await;
    let before = tail.read().await.len();
    let mut refusing = world.spawn(Name::Trainer, &[]);
    assert!(!refusing.end().await.success());
    let log = refusing.log();
    assert!(log.contains(sentence) && log.contains("start Thalweg 9.1.0 again"), "{log}");
    assert_eq!(tail.read().await.len(), before, "it wrote nothing and deleted nothing");
}

/// Everybody's list, by user.
async fn lists(world: &World, sent: &[Sent]) -> BTreeMap<String, Slate> {
    let users: Vec<String> = sent.iter().map(|sent| sent.event.user_id.clone()).collect();
    lists_of(world, &users).await
}

async fn lists_of(world: &World, users: impl IntoIterator<Item = &String>) -> BTreeMap<String, Slate> {
    let mut lists = BTreeMap::new();
    for user in users {
        lists.insert(user.clone(), world.slate(&world.keys.recs(user)).await.expect("everybody has one"));
    }
    lists
}
