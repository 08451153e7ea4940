//! Bad events are refused with a reason, and repeated ones are applied once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use runtime::kafka::{Outgoing, Record};
use schemas::dead_letter::headers;
use schemas::{Reason, Topic};
use tests::{Name, SOON, Tail, Traffic, World, eventually, interactions};

/// Every reason, with an event that deserves it.
fn bad_events(now: i64) -> Vec<(Reason, Vec<u8>)> {
    let event = |fields: &str| format!("{{{fields}}}").into_bytes();
    let rest = format!(r#""user_id":"u1","item_id":"i1","ts":{now}"#);
    let long = "x".repeat(257);
    let many = vec![r#""i1""#; 201].join(",");
    let hours_ahead = now + 7 * 3_600_000;
    vec![
        (Reason::Empty, Vec::new()),
        (Reason::TooLarge, event(&format!(r#""type":"view",{rest},"note":"{}""#, "x".repeat(70_000)))),
        (Reason::NotJson, b"view,u1,i1".to_vec()),
        (Reason::NotJson, b"{\"type\":\"view\",\"user_id\":\"\xff\"}".to_vec()),
        (Reason::MissingField, event(&format!(r#""type":"view","user_id":"u1","ts":{now}"#))),
        (Reason::EmptyField, event(&format!(r#""type":"view","user_id":"","item_id":"i1","ts":{now}"#))),
        (Reason::Nobody, event(&format!(r#""type":"view","user_id":"undefined","item_id":"i1","ts":{now}"#))),
        (Reason::WrongType, event(&format!(r#""type":"view","user_id":true,"item_id":"i1","ts":{now}"#))),
        (Reason::WrongType, b"[1,2,3]".to_vec()),
        (Reason::UnknownType, event(&format!(r#""type":"stare",{rest}"#))),
        (Reason::IdTooLong, event(&format!(r#""type":"view","user_id":"{long}","item_id":"i1","ts":{now}"#))),
        (Reason::TooManyItems, event(&format!(r#""type":"impression",{rest},"items":[{many}]"#))),
        (Reason::InFuture, event(&format!(r#""type":"view","user_id":"u1","item_id":"i1","ts":{hours_ahead}"#))),
        (Reason::TooOld, event(r#""type":"view","user_id":"u1","item_id":"i1","ts":1700000000"#)),
    ]
}

fn header(record: &Record, name: &str) -> String {
    let value = record.header(name).unwrap_or_else(|| panic!("a dead letter has the header {name}"));
    String::from_utf8(value.to_vec()).expect("headers are text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_becomes_a_dead_letter_with_a_reason() {
    let world = World::new().await;
    let ingest = world.start(Name::Ingest, &[]).await;
    let bad = bad_events(world.ctx.now());
    let covered: BTreeSet<Reason> = bad.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(covered, BTreeSet::from(Reason::OF_EVENTS), "every reason is tried");

    let outgoing = |(n, (_, value)): (usize, &(Reason, Vec<u8>))| Outgoing {
        key: Bytes::from(format!("k{n}")),
        value: Some(Bytes::from(value.clone())),
        ..Outgoing::default()
    };
    let positions = world.write(Topic::Events, bad.iter().enumerate().map(outgoing).collect()).await;
    let good = Traffic::new(1, world.ctx.now()).take(20);
    world.send(&good).await;

    let mut letters = Tail::open(&world, Topic::DeadLetters).await;
    let mut accepted = Tail::open(&world, Topic::Interactions).await;
    eventually("every event is an interaction or a dead letter", SOON, async || {
        let seen = (letters.read().await.len(), accepted.read().await.len());
        if seen == (bad.len(), good.len()) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;

    let by_origin: BTreeMap<(String, String), &Record> = letters
        .read()
        .await
        .iter()
        .map(|letter| ((header(letter, headers::PARTITION), header(letter, headers::OFFSET)), letter))
        .collect();
    for (n, ((reason, value), (partition, offset))) in bad.iter().zip(positions).enumerate() {
        let letter = by_origin[&(partition.to_string(), offset.to_string())];
        assert_eq!(header(letter, headers::REASON), reason.as_str(), "event {n}");
        assert!(!header(letter, headers::DETAIL).is_empty(), "event {n} is told what is wrong");
        assert_eq!(header(letter, headers::TOPIC), world.topics.name(Topic::Events));
        assert_eq!(letter.value.as_deref().unwrap_or_default(), value, "event {n} is kept as it came");
        assert_eq!(letter.key, format!("k{n}"));
    }
    for reason in Reason::OF_EVENTS {
        let sent = bad.iter().filter(|(of, _)| *of == reason).count();
        // Counted once Kafka has acknowledged it, which is after it can be read.
        eventually(&format!("{reason} is counted"), SOON, async || {
            let label = format!("reason=\"{reason}\"");
            let counted = ingest.metric_with("ingest_dead_letters_total", &label).await?;
            if counted >= sent as f64 { Ok(()) } else { Err(format!("{counted} of {sent}")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_id_twice_is_applied_once() {
    let world = World::new().await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let events = Traffic::new(2, world.ctx.now()).take(100);
    let (first, second) = events.split_at(50);

    // In one batch, in a later one, and after ingest was killed: its memory of ids comes from the log.
    world.send(first).await;
    world.send(first).await;
    let mut accepted = Tail::open(&world, Topic::Interactions).await;
    eventually("the repeats are dropped", SOON, async || {
        let dropped = ingest.metric("ingest_repeated_events_total").await?;
        if dropped >= first.len() as f64 { Ok(()) } else { Err(format!("{dropped} dropped")) }
    })
    .await;
    ingest.kill();
    let ingest = world.start(Name::Ingest, &[]).await;
    world.send(first).await;
    world.send(second).await;
    eventually("the rest is accepted", SOON, async || {
        let there = accepted.read().await.len();
        if there >= events.len() { Ok(()) } else { Err(format!("{there} interactions")) }
    })
    .await;

    let ids: Vec<String> = interactions(accepted.read().await).into_iter().map(|(_, it)| it.event_id).collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (events.len(), events.len()), "each id once");
    let dropped = ingest.metric("ingest_repeated_events_total").await.expect("ingest answers");
    assert!(dropped >= first.len() as f64, "{dropped} repeats dropped after the restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_sent_again() {
    let world = World::new().await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    let bad = bad_events(world.ctx.now());
    let outgoing =
        |(_, value): &(Reason, Vec<u8>)| Outgoing { value: Some(value.clone().into()), ..Outgoing::default() };
    world.write(Topic::Events, bad.iter().map(outgoing).collect()).await;
    let mut letters = Tail::open(&world, Topic::DeadLetters).await;
    eventually("every one is a dead letter", SOON, async || {
        let there = letters.read().await.len();
        if there == bad.len() { Ok(()) } else { Err(format!("{there}")) }
    })
    .await;

    let listed = world.operate(&["dead-letters", "list", "--json"]).await;
    for (reason, _) in &bad {
        assert!(listed.contains(&format!("\"reason\":\"{reason}\"")), "{reason} is listed: {listed}");
    }
    assert_eq!(listed.lines().count(), bad.len());

    // The cause is mended: a larger limit. What was refused for it goes through the front door again.
    ingest.kill();
    let _ingest = world.start(Name::Ingest, &[("ingest.max_message_bytes", "100000")]).await;
    world.operate(&["dead-letters", "replay", "--reason", Reason::TooLarge.as_str()]).await;
    let mut accepted = Tail::open(&world, Topic::Interactions).await;
    eventually("it is an interaction now", SOON, async || {
        let there = accepted.read().await.len();
        if there == 1 { Ok(()) } else { Err(format!("{there} interactions")) }
    })
    .await;
    assert_eq!(letters.read().await.len(), bad.len(), "and no dead letter again");

    // Of one that did not fit only a part is kept: it is shown, and never sent.
    let huge = Outgoing { value: Some(vec![b'x'; 950_000].into()), ..Outgoing::default() };
    world.write(Topic::Events, vec![huge]).await;
    eventually("it is a dead letter", SOON, async || {
        let there = letters.read().await.len();
        if there == bad.len() + 1 { Ok(()) } else { Err(format!("{there}")) }
    })
    .await;
    let listed = world.operate(&["dead-letters", "list", "--reason", "too_large"]).await;
    assert!(listed.contains("(cut from 950000 bytes)"), "{listed}");
    let again = world.operate(&["dead-letters", "replay", "--reason", "too_large", "--json"]).await;
    let again: serde_json::Value = serde_json::from_str(&again).expect("it is JSON");
    assert_eq!((&again["of"], &again["sent"], &again["cut"]), (&2.into(), &1.into(), &1.into()));
}
