//! What the catalog says is what is shown, whatever else its records hold.

use bytes::Bytes;
use runtime::kafka::Outgoing;
use schemas::dead_letter::headers;
use schemas::{EventType, Topic};
use serde_json::{Value, json};
use tests::{Name, SOON, Tail, Traffic, World, click, eventually, served_once};

const DAY: i64 = 86_400_000;

/// Records of a shop's catalog as they come, each one odd in its way.
fn records(now: i64) -> Vec<(&'static str, Value)> {
    let dated = |id: &str, days: i64| json!({"item_id": id, "title": "hat", "categories": ["hats"], "published_at": now + days * DAY});
    vec![
        ("i00", json!({"item_id": "i00", "title": null, "available": false})),
        (
            "i01",
            json!({"item_id": "i01", "title": "Grey hat", "categories": null, "brand": null, "price": null, "published_at": null, "attributes": null}),
        ),
        ("i02", json!({"item_id": "i02", "title": "Red shoe", "categories": ["shoes"], "price": "79.00"})),
        ("i03", json!({"item_id": "i03", "categories": {"shoes": true}, "price": "cheap", "available": false})),
        ("i04", json!({"item_id": "i04", "title": "Blue shoe", "categories": ["shoes"], "published_at": "2024-11-03"})),
        ("i05", json!({"item_id": "i05", "title": "Green shoe", "categories": "shoes"})),
        ("i06", json!({"item_id": "i06", "title": "Old shoe", "categories": ["shoes"], "published_at": i64::MIN})),
        ("i07", json!({"item_id": "i07", "title": "White shoe", "categories": ["shoes", "shoes", ""]})),
        ("i08", dated("i08", -900)),
        ("i09", dated("i09", -800)),
        ("i09", dated("i09", -1)),
        ("coming", dated("coming", 30)),
        ("today", dated("today", 0)),
        ("many", json!({"item_id": "many", "categories": (0..5_000).map(|n| format!("c{n}")).collect::<Vec<_>>()})),
    ]
}

fn outgoing((key, value): &(&str, Value)) -> Outgoing {
    Outgoing { key: Bytes::from((*key).to_owned()), value: Some(value.to_string().into()), ..Outgoing::default() }
}

/// The ids of a list.
async fn ids(world: &World, key: &str) -> Result<Vec<String>, String> {
    Ok(world.slate(key).await?.items.into_iter().map(|entry| entry.id).collect())
}

async fn keys(world: &World, pattern: &str) -> Vec<String> {
    let pattern = format!("{}{pattern}", world.redis.key_prefix);
    world.client().keys(&pattern, 10_000).await.expect("Redis answers")
}

/// What must hold of the lists.
async fn holds(world: &World) -> Result<(), String> {
    let new = ids(world, &world.keys.new_items(None)).await?;
    let shoes = ids(world, &world.keys.new_items(Some("shoes"))).await?;
    let gone = ["i00", "i03", "coming", "stranger"];
    let mut problems = Vec::new();
    let mut check = |holds: bool, what: &str| problems.extend((!holds).then(|| what.to_owned()));
    // `many` has no date, and is as new as its record, which was written later.
    let newest = new.iter().find(|id| *id != "many");
    check(newest.is_some_and(|id| id == "today"), "today's item is not the newest");
    check(new.iter().all(|id| !gone.contains(&id.as_str())), "new shows what it must not");
    check(shoes.iter().filter(|id| *id == "i07").count() == 1, "i07 is not once in new:{shoes}");
    check(["i02", "i04", "i05", "i06", "i07"].iter().all(|id| shoes.iter().any(|s| s == id)), "a shoe is missing");
    let place = |id: &str| new.iter().position(|other| other == id);
    check(place("i09") < place("i08") || place("i08").is_none(), "i09 was corrected");
    check(keys(world, "*:{}").await.is_empty(), "there is a list without a name");
    check(keys(world, "similar:{stranger}").await.is_empty(), "what is not listed has a list");
    for pattern in ["recs:*", "similar:*", "hot*", "new*"] {
        for key in keys(world, pattern).await {
            let shown = ids(world, &key).await?;
            // What comes in a month may be looked for already; it is not new.
            let hidden = |id: &String| id != "coming" && gone.contains(&id.as_str());
            if let Some(id) = shown.iter().find(|id| hidden(id) || id.starts_with("i1")) {
                problems.push(format!("{key} shows {id}"));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("{problems:?}: new {new:?}, shoes {shoes:?}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_catalog_records_are_read_where_they_are_clear_and_bind_after_a_restart_too() {
    let world = World::new().await;
    let now = world.ctx.now();
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    // Without a catalog whatever is chosen is shown, but not what one user alone invents.
    let mut sent = world.send(&Traffic::new(21, now - 300_000).with_users(10).take(400)).await;
    let stranger = (0..3).map(|n| click("x", "stranger", EventType::View, now - 1_000 + n, format!("x{n}")));
    sent.extend(world.send(&stranger.collect::<Vec<_>>()).await);
    scorer.ready().await;
    served_once(&world, &sent).await;
    eventually("new has items, and not the stranger's", SOON, async || {
        let new = ids(&world, &world.keys.new_items(None)).await?;
        if new.is_empty() || new.iter().any(|id| id == "stranger") { Err(format!("{new:?}")) } else { Ok(()) }
    })
    .await;

    world.write(Topic::Items, records(now).iter().map(outgoing).collect()).await;
    eventually("the lists show what the catalog lists", SOON, async || holds(&world).await).await;
    let mut letters = Tail::open(&world, Topic::DeadLetters).await;
    let reasons = async |letters: &mut Tail| -> Vec<String> {
        let reason = |letter: &runtime::kafka::Record| {
            let topic = letter.header(headers::TOPIC).expect("has a topic");
            assert_eq!(topic, world.topics.name(Topic::Items).as_bytes());
            String::from_utf8_lossy(letter.header(headers::REASON).expect("has a reason")).into_owned()
        };
        let mut all: Vec<String> = letters.read().await.iter().map(reason).collect();
        all.sort();
        all
    };
    let wanted = ["out_of_range", "too_many", "wrong_type"];
    eventually("there is a letter of each record that was not taken whole", SOON, async || {
        let told = reasons(&mut letters).await;
        if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    let listed = world.operate(&["dead-letters", "list"]).await;
    assert!(listed.contains("too_many") && listed.contains("items/0@"), "{listed}");
    let again = world.operate(&["dead-letters", "replay", "--all", "--json"]).await;
    let again: Value = serde_json::from_str(&again).expect("it is JSON");
    assert_eq!((&again["sent"], &again["of_items"]), (&0.into(), &3.into()));
    assert!(keys(&world, "hot:*").await.len() < 50, "a record of 5,000 categories has lists for 32");

    // Who starts later comes to the same, and writes no letter twice.
    assert!(scorer.terminate().await.success());
    assert!(trainer.terminate().await.success());
    let _trainer = world.start(Name::Trainer, &[]).await;
    let _scorer = world.start(Name::Scorer, &[]).await;
    let sent = world.send(&Traffic::new(22, now - 100_000).with_users(10).take(100)).await;
    served_once_more(&world, &sent).await;
    eventually("the lists show the same", SOON, async || holds(&world).await).await;
    assert_eq!(reasons(&mut letters).await, wanted);
}

/// Waits until the user of each event has a slate made through the last of them.
async fn served_once_more(world: &World, sent: &[tests::Sent]) {
    let last = sent.last().expect("something was sent");
    eventually("the last event is served", SOON, async || tests::slate_through(world, last).await.map(|_| ())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_under_a_key_of_its_own_sells_an_item_out_and_keeps_the_rest() {
    let world = World::new().await;
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let sent = world.send(&Traffic::new(23, world.ctx.now()).with_users(10).take(600)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    let aisle = world.keys.new_items(Some("aisle-0"));
    let shown = async |there: bool| {
        let found = ids(&world, &aisle).await?;
        if found.iter().any(|id| id == "i00") == there { Ok(()) } else { Err(format!("{found:?}")) }
    };
    eventually("it is in its category", SOON, async || shown(true).await).await;
    let stock = |available: bool| ("i00#stock", json!({"item_id": "i00", "update": true, "available": available}));
    world.write(Topic::Items, vec![outgoing(&stock(false))]).await;
    eventually("it is sold out", SOON, async || shown(false).await).await;
    world.write(Topic::Items, vec![outgoing(&stock(true))]).await;
    eventually("it is back in its category", SOON, async || shown(true).await).await;
}
