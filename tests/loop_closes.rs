//! The main job: events in, a model learned from them, slates out that foresee the next event.

use schemas::Event;
use tests::{Name, SOON, Traffic, World, eventually, ingested_once, learned_once, served_once, slate_through};

/// A slate's first so many count as a hit. By popularity the next of 60 items is among them one time out of twelve.
const FIRST: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_closes() {
    let world = World::new().await;
    let mut traffic = Traffic::new(15, world.ctx.now());
    world.list(&Traffic::catalog()).await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let missing = scorer.missing().await.expect("it answers");
    assert!(missing.contains_key("model"), "without a version a scorer is not ready, and says why: {missing:?}");
    let mut trainer = world.start(Name::Trainer, &[]).await;

    // A version is published about every second while something changes, and goes live.
    let mut sent = world.flow(&traffic.take(2_500), 500).await;
    for service in [&mut ingest, &mut trainer, &mut scorer] {
        service.ready().await;
    }
    eventually("versions are swapped in as they come", SOON, async || {
        sent.extend(world.send(&traffic.take(25)).await);
        let swapped = scorer.metric("scorer_versions_swapped_total").await?;
        if swapped >= 4.0 { Ok(()) } else { Err(format!("{swapped} swapped")) }
    })
    .await;
    let learned = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    // Was the item in the slate that lay in Redis when the event was sent?
    let (mut hits, mut asked) = (0, 0);
    for event in traffic.take(200) {
        if let Some(hit) = foreseen(&world, &event).await {
            hits += u32::from(hit);
            asked += 1;
        }
        let [now]: [_; 1] = world.send(&[event]).await.try_into().expect("one event was sent");
        eventually("its slate is there", SOON, async || slate_through(&world, &now).await).await;
        sent.push(now);
    }
    let rate = f64::from(hits) / f64::from(asked);
    assert!(rate > 0.4, "{hits} of {asked} were among the first {FIRST}; by popularity it would be 8 %");

    let (model, popularity) = (learned.quality_overall["model"], learned.quality_overall["popularity"]);
    assert!(model.hr20 > popularity.hr20 + 0.2, "model {model:?}, popularity {popularity:?}");

    // Nothing was lost on the way, and everybody ends when asked.
    ingested_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    for mut service in [ingest, trainer, scorer] {
        let status = service.terminate().await;
        assert!(status.success(), "a clean shutdown: {status}\n{}", service.log());
    }
}

/// Whether the event's item is among the first of the user's slate; `None` for a user who has none yet.
async fn foreseen(world: &World, event: &Event) -> Option<bool> {
    let slate = world.slate(&world.keys.recs(&event.user_id)).await.ok()?;
    Some(slate.items.iter().take(FIRST).any(|entry| entry.id == event.item_id))
}
