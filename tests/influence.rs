//! What one visitor, or one wrong clock, may do to what everybody sees: little.

use std::time::Duration;

use runtime::kafka::Outgoing;
use schemas::{Event, EventType, Reason, Topic, UserKey, VersionId};
use serde_json::Value;
use tests::{Name, SOON, Sent, Traffic, World, click, eventually, ingested_once, learned_once, profile, served_once};

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
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn phones_an_hour_ahead_or_behind_and_senders_whose_records_are_days_off_lose_nothing_and_bend_no_list() {
    const HOUR: i64 = 60 * MINUTE;
    let world = World::new().await;
    // The sender's own time is on each record, where the broker does not put its own in the place.
    let any = [("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", "9223372036854775807")];
    world.make_otherwise(Topic::Events, &any).await;
    let [ingest, _trainer, mut scorer] = world.start_all().await;
    let now = world.ctx.now();
    let mut sent = world.send(&crowd(now)).await;
    // Each has a clock of its own, and is alone with an item: (user, item, the event's time, the record's).
    let skewed = [
        ("ahead", "i30", HOUR - MINUTE, 0),
        ("behind", "i31", -HOUR, 0),
        ("record-ahead", "i32", 0, 72 * HOUR),
        ("record-behind", "i33", 0, -72 * HOUR),
        ("both-ahead", "i34", 72 * HOUR, 72 * HOUR),
        ("both-behind", "i35", -72 * HOUR, -72 * HOUR),
        ("record-in-seconds", "i36", 0, now / 1_000 - now),
        ("record-of-1970", "i37", 0, 1 - now),
    ];
    let (mut events, mut records) = (Vec::new(), Vec::new());
    for n in 0..8 {
        for (user, item, event, record) in skewed {
            let item = if n % 2 == 0 { item } else { "i01" };
            let event = act(user, item, EventType::View, now + event + n * 100);
            let value = serde_json::to_vec(&event).expect("an event is JSON");
            let timestamp = Some(now + record + n * 100);
            records.push(Outgoing { key: user.into(), value: Some(value.into()), timestamp, ..Outgoing::default() });
            events.push(event);
        }
    }
    let places = world.write(Topic::Events, records).await;
    sent.extend(events.into_iter().zip(places).map(|(event, (partition, offset))| Sent { event, partition, offset }));

    scorer.ready().await;
    ingested_once(&world, &sent).await;
    served_once(&world, &sent).await;
    let manifest = learned_once(&world, &sent).await;
    assert!(manifest.event_ts <= world.ctx.now(), "the model's clock does not run ahead: {}", manifest.event_ts);
    eventually("hot is of what sixty people viewed", SOON, async || {
        let hot = world.slate(&world.keys.hot(None)).await?;
        let ids: Vec<&str> = hot.items.iter().map(|entry| entry.id.as_str()).collect();
        let place = |id: &str| ids.iter().position(|other| *other == id).unwrap_or(usize::MAX);
        // Four views by one user each; those that six users viewed once are ten.
        let fair = ids.first() == Some(&"i01") && skewed.iter().all(|(_, item, ..)| place(item) > 9);
        if fair { Ok(()) } else { Err(format!("{ids:?}")) }
    })
    .await;
    for (user, item, ..) in skewed {
        let remembered = profile(&world, user).await.expect("everybody has one").profile.recent;
        let far = remembered.iter().filter(|seen| seen.ts > world.ctx.now()).count();
        assert_eq!((remembered.len(), far), (8, 0), "{user}, {item}");
    }

    // More than an hour ahead of both clocks is no time: a letter, and nothing else.
    world.send(&[act("far-ahead", "i36", EventType::View, world.ctx.now() + HOUR + MINUTE)]).await;
    eventually("it is a dead letter", SOON, async || {
        let label = format!("reason=\"{}\"", Reason::InFuture);
        let letters = ingest.metric_with("ingest_dead_letters_total", &label).await?;
        if (letters - 1.0).abs() < 0.5 { Ok(()) } else { Err(format!("{letters}")) }
    })
    .await;
}

/// The users of a shop of 60 items.
const USERS: usize = 300;

/// An hour of 4,000 views by 300 users, and the item that they view least.
fn honest(end: i64) -> (Vec<Event>, String) {
    let events = Traffic::new(81, end - 4_000 * 900).with_users(300).with_step(900).take(4_000);
    let views = |item: &str| events.iter().filter(|event| event.item_id == item).count();
    let least = Traffic::catalog().into_iter().map(|item| item.item_id).min_by_key(|item| views(item));
    (events, least.expect("a shop has items"))
}

/// What everybody sees of an item.
#[derive(Debug, PartialEq)]
struct Exposure {
    /// Users whose list has it.
    lists: usize,
    /// Users whose list has it in the first place.
    first: usize,
    /// Its place in `hot`, from 0; behind all others where it is not there.
    hot: usize,
}

/// Of the item that honest users view least, beside so many views of it by one user, spread over the hour.
async fn exposure(views: usize) -> Exposure {
    let world = World::new().await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let (honest, item) = honest(world.ctx.now());
    let every = honest.len() / views;
    let mut events = Vec::with_capacity(honest.len() + views);
    for (n, event) in honest.into_iter().enumerate() {
        let bot = (n % every == every / 2).then(|| act("bot", &item, EventType::View, event.ts.0));
        events.extend([event].into_iter().chain(bot));
    }
    let mut sent = world.send(&events).await;
    assert_eq!(sent.len(), 4_000 + views);
    scorer.ready().await;
    let known = learned_once(&world, &sent).await.version;
    eventually("a version that knows all of it is live", SOON, async || {
        let model = world.model().await?;
        let live: VersionId = model.get("version").and_then(|text| text.parse().ok()).ok_or("none is live")?;
        if live >= known { Ok(()) } else { Err(format!("{live} is live, not {known}")) }
    })
    .await;
    // Each user comes once more, five to each item, and has a list of that version or a later one.
    let (catalog, now) = (Traffic::catalog(), world.ctx.now());
    let user = |n: usize| format!("u{n}");
    let last = (0..USERS).map(|n| act(&user(n), &catalog[n % catalog.len()].item_id, EventType::View, now));
    sent.extend(world.send(&last.collect::<Vec<_>>()).await);
    served_once(&world, &sent).await;

    let hot = eventually("hot is of that version", SOON, async || {
        let hot = world.slate(&world.keys.hot(None)).await?;
        let made_by: VersionId = hot.model.parse().map_err(|_| format!("hot is by {}", hot.model))?;
        if made_by >= known { Ok(hot) } else { Err(format!("hot is by {made_by}")) }
    })
    .await;
    let place = hot.items.iter().position(|entry| entry.id == item).unwrap_or(catalog.len());
    let mut exposure = Exposure { lists: 0, first: 0, hot: place };
    for n in 0..USERS {
        let list = world.slate(&world.keys.recs(&user(n))).await.expect("everybody has a list");
        exposure.lists += usize::from(list.items.iter().any(|entry| entry.id == item));
        exposure.first += usize::from(list.items.first().is_some_and(|entry| entry.id == item));
    }
    exposure
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bot_user_gets_at_most_twice_its_honest_exposure() {
    let honest = exposure(1).await;
    let bent = exposure(2_000).await;
    // Five users stand before the item: where fewer see it first, that is chance.
    let first = honest.first.max(USERS / Traffic::catalog().len());
    assert!(bent.first <= 2 * first, "first for {} users instead of {}", bent.first, honest.first);
    assert!(bent.lists <= 2 * honest.lists.max(first), "{bent:?} instead of {honest:?}");
    // Twenty are in `hot`; a place more or less is chance.
    assert!(bent.hot > 0 && bent.hot >= honest.hot.min(20) / 2, "{bent:?} instead of {honest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_faster_than_people_is_answered_and_shown_and_nothing_is_learned_from_it() {
    let world = World::new().await;
    let _ingest = world.start(Name::Ingest, &[]).await;
    let trainer = world.start(Name::Trainer, &[("model.guard.rate", "60")]).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    let now = world.ctx.now();
    let mut events = crowd(now - MINUTE);
    let fast = (0..200).map(|n| act("bot", &format!("own{}", n % 100), EventType::View, now - 20_000 + n * 100));
    events.extend(fast);
    let sent = world.send(&events).await;
    let manifest = learned_once(&world, &sent).await;
    served_once(&world, &sent).await;

    // Of ten views a second about the first sixty are those of a minute.
    let fair = 130..=140;
    let told = manifest.guarded.expect("the trainer bounds the pace").most;
    assert_eq!(told.iter().map(|user| user.user).collect::<Vec<_>>(), [UserKey::of("bot")], "{told:?}");
    assert!(fair.contains(&told[0].interactions), "{told:?}");
    eventually("they are counted", SOON, async || {
        let guarded = trainer.metric("trainer_guarded_total").await?;
        if (guarded - told[0].interactions as f64).abs() < 0.5 { Ok(()) } else { Err(format!("{guarded}")) }
    })
    .await;
    let json = |text: String| serde_json::from_str::<Value>(&text).expect("it is JSON");
    let all = json(world.operate(&["guard", "show", "--json"]).await);
    assert_eq!(all["guarded"]["users"], 1, "{all}");
    for (user, guarded) in [("bot", true), ("u1", false)] {
        let one = json(world.operate(&["guard", "show", "--user", user, "--json"]).await);
        assert_eq!(one["is_guarded"], guarded, "{one}");
    }
    let table = world.operate(&["guard", "show"]).await;
    assert!(table.contains(&UserKey::of("bot").to_string()), "{table}");
}
