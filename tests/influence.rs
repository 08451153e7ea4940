//! What one visitor, or one wrong clock, may do to what everybody sees: little.

use std::time::Duration;

use schemas::{Event, EventType};
use tests::{Name, SOON, World, click, eventually, learned_once, profile, served_once};

const MINUTE: i64 = 60_000;

fn act(user: &str, item: &str, kind: EventType, ts: i64) -> Event {
    click(user, item, kind, ts, format!("{user}-{item}-{ts}"))
}

/// 60 users, one after the other in the last minute: all view i01, and each one of ten more.
fn crowd(now: i64) -> Vec<Event> {
    let view = |n: i64, item: &str| act(&format!("u{n}"), item, EventType::View, now - MINUTE + n * 900);
    (0..60).flat_map(|n| [view(n, "i01"), view(n, &format!("i{:02}", 2 + n % 10))]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_59_minutes_fast_gives_a_view_and_five_purchases_no_more_weight_than_now() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let _trainer = world.start(Name::Trainer, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let now = world.ctx.now();
    let mut events = crowd(now);
    events.push(act("fast", "i28", EventType::View, now + 59 * MINUTE));
    events.extend((0..5).map(|n| act("fast", "i29", EventType::Purchase, now + 59 * MINUTE + n)));
    let sent = world.send(&events).await;
    scorer.ready().await;
    let manifest = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    assert!(manifest.event_ts <= world.ctx.now(), "the model's clock does not run ahead: {}", manifest.event_ts);
    eventually("hot is of what sixty people viewed", SOON, async || {
        let hot = world.slate(&world.keys.hot(None)).await?;
        let place = |id: &str| hot.items.iter().position(|entry| entry.id == id).unwrap_or(usize::MAX);
        let first = hot.items.first().map(|entry| entry.id.as_str());
        // Five purchases of now are worth something; a view of now is worth less than six views.
        let fair = first == Some("i01") && place("i28") > 9;
        if fair { Ok(()) } else { Err(format!("{:?}", hot.items.iter().map(|entry| &entry.id).collect::<Vec<_>>())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_time_user_costs_redis_a_day_and_one_who_comes_again_a_month() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    let now = world.ctx.now();
    let again = [act("again", "i1", EventType::View, now - 10), act("again", "i2", EventType::View, now)];
    let sent = world.send(&[vec![act("once", "i1", EventType::View, now)], again.to_vec()].concat()).await;
    served_once(&world, &sent).await;
    profile(&world, "once").await.expect("is kept for now");
    let day = Duration::from_secs(86_400);
    for (user, short) in [("once", true), ("again", false)] {
        for key in [world.keys.user(user), world.keys.recs(user)] {
            let ttl = world.client().ttl(&key).await.expect("Redis answers").expect("does not stay for ever");
            assert_eq!(ttl <= day, short, "{key} lives for {ttl:?}");
        }
    }
}
