//! A slate is what the contract says, to the letter: other people's programs read it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::slate::Encoding;
use schemas::{Slate, Topic};
use tests::{Name, SOON, Sent, Tail, Traffic, World, eventually, learned_once, manifests, served_once};

const FROM: [&str; 7] = ["sequence", "covisitation", "sessions", "content", "popularity", "repeat", "new"];
const SLATE_ITEMS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn slates_name_the_version_and_the_event_that_made_them() {
    let world = World::new().await;
    let begun = world.ctx.now();
    let mut traffic = Traffic::new(14, begun);
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(1_000)).await;
    scorer.ready().await;
    learned_once(&world, &sent).await;
    let started = world.ctx.now();
    sent.extend(world.flow(&traffic.take(600), 300).await);
    served_once(&world, &sent).await;

    let mut checkpoints = Tail::open(&world, Topic::Checkpoints).await;
    let versions: BTreeSet<String> =
        manifests(checkpoints.read().await).iter().map(|manifest| manifest.version.to_string()).collect();
    let mut users: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for sent in &sent {
        users.entry(&sent.event.user_id).or_default().push(sent);
    }
    let mut explained = 0;
    for (user, acts) in users {
        let last = acts.last().expect("everybody did something");
        let slate = world.slate(&world.keys.recs(user)).await.expect("everybody has a slate");
        assert_eq!(slate.v, Slate::V);
        assert!(versions.contains(&slate.model), "{} was published", slate.model);
        assert_eq!(slate.source, format!("{}/{}@{}", world.topics.name(Topic::Events), last.partition, last.offset));
        // Its own time, or that of its arrival where its clock is ahead.
        let (ts, arrival) = (last.event.ts.0, begun - 1_000..=slate.made_at + 1_000);
        assert!(slate.event_ts == ts || slate.event_ts < ts && arrival.contains(&slate.event_ts), "{}", slate.event_ts);
        assert!(slate.made_at <= world.ctx.now() && slate.made_at >= started - 3_600_000, "{}", slate.made_at);
        explained += check_items(user, &slate, &acts);
    }
    assert!(explained > 0, "some items say because of what they are there");
    for key in [world.keys.hot(None), world.keys.new_items(None), world.keys.similar("i00")] {
        let slate = world.slate(&key).await.expect("the list is there");
        assert!(versions.contains(&slate.model), "{key} names its version");
        assert_eq!(slate.source, "", "no single event made {key}");
        check_items(&key, &slate, &sent.iter().collect::<Vec<_>>());
        lasts(&world, &key).await;
    }
    let user = &sent[0].event.user_id;
    for key in [world.keys.recs(user), world.keys.user(user), world.keys.model()] {
        lasts(&world, &key).await;
    }
}

async fn lasts(world: &World, key: &str) {
    let ttl = world.client().ttl(key).await.expect("Redis answers");
    assert!(ttl.is_some(), "{key} does not stay for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_lists_say_the_same_in_fewer_bytes() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let _scorer = world.start(Name::Scorer, &[("scorer.encoding", "packed")]).await;
    let sent = world.flow(&Traffic::new(16, world.ctx.now()).take(600), 300).await;
    served_once(&world, &sent).await;
    let keys = [world.keys.recs(&sent[0].event.user_id), world.keys.hot(None)];
    made_by(&world, &keys[1], |_| true).await; // it follows the slates
    for (key, value) in keys.iter().zip(world.client().get_many(&keys).await.expect("Redis answers")) {
        let packed = value.expect("a string").expect("the list is there");
        let json = world.slate(key).await.expect("it is a slate").encode(Encoding::Json);
        assert!(packed[0] != b'{' && packed.len() < json.len() / 2, "{key}: {} and {}", packed.len(), json.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_model_and_for_unknown_users_there_is_popularity() {
    let world = World::new().await;
    let mut traffic = Traffic::new(15, world.ctx.now());
    world.list(&Traffic::catalog()).await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    let sent = world.flow(&traffic.take(600), 300).await;
    served_once(&world, &sent).await;

    let chosen: BTreeSet<&str> = sent.iter().map(|sent| sent.event.item_id.as_str()).collect();
    let users: BTreeSet<&str> = sent.iter().map(|sent| sent.event.user_id.as_str()).collect();
    let lists = || users.iter().map(|user| world.keys.recs(user)).chain([world.keys.hot(None)]);
    for key in lists() {
        let slate = made_by(&world, &key, |model| model == Slate::NO_MODEL).await;
        assert!(!slate.items.is_empty());
        assert!(slate.items.iter().all(|entry| entry.from == "popularity" && chosen.contains(entry.id.as_str())));
        assert!(slate.items.is_sorted_by(|a, b| a.score >= b.score));
    }

    // The trainer comes: who was served by popularity is served anew, without doing anything.
    let _trainer = world.start(Name::Trainer, &[]).await;
    for key in lists() {
        made_by(&world, &key, |model| model != Slate::NO_MODEL).await;
    }
}

async fn made_by(world: &World, key: &str, whom: impl Fn(&str) -> bool) -> Slate {
    let look = async || {
        let slate = world.slate(key).await?;
        if whom(&slate.model) { Ok(slate) } else { Err(format!("made by {}", slate.model)) }
    };
    eventually(key, SOON, look).await
}

/// Checks what is in a list; how many of its items are explained.
fn check_items(whose: &str, slate: &Slate, acts: &[&Sent]) -> usize {
    let history: BTreeSet<&str> = acts.iter().map(|sent| sent.event.item_id.as_str()).collect();
    assert!((1..=SLATE_ITEMS).contains(&slate.items.len()), "{whose} has {} items", slate.items.len());
    let ids: BTreeSet<&str> = slate.items.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids.len(), slate.items.len(), "{whose} names no item twice");
    assert!(slate.items.is_sorted_by(|a, b| a.score >= b.score), "{whose} is best first: {:?}", slate.items);
    for entry in &slate.items {
        assert!(entry.score.is_finite());
        assert!(FROM.contains(&entry.from.as_str()), "{whose}: `{}` is a source of the contract", entry.from);
        for because in &entry.because {
            assert!(history.contains(because.as_str()), "{whose} did something with {because}");
        }
    }
    slate.items.iter().filter(|entry| !entry.because.is_empty()).count()
}
