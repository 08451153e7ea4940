//! Faults of what is sent: by clocks that are wrong, and to a topic that gets one more partition.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemas::dead_letter::headers;
use schemas::{Event, EventType, Reason, Topic};
use tests::{PARTITIONS, Tail, click};

use crate::fault::Struck;
use crate::field::Field;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Events of each sender.
const EVENTS: i64 = 5;

/// Other faults may keep ingest from work for so long.
const JUDGED: Duration = Duration::from_secs(120);

/// Partitions that a campaign gives `events` at most.
const MOST: usize = PARTITIONS as usize + 4;

/// Senders whose clocks are wrong: what is up to an hour ahead counts, and what is of the past; the rest is refused.
pub(crate) async fn skewed_clocks(field: &Field, chance: &mut ChaCha8Rng) -> Struck {
    let world = &field.world;
    let number: u32 = chance.random();
    let events = |clock: &str, skew: i64| -> Vec<Event> {
        let user = format!("clock-{clock}-{number}");
        let event = |n: i64| click(&user, "i00", EventType::View, world.ctx.now() + skew + n, format!("{user}-{n}"));
        (0..EVENTS).map(event).collect()
    };
    // Five minutes of leeway, for as long as an outage may keep them from being judged.
    for (clock, skew) in [("behind", -HOUR), ("ahead", HOUR - 5 * MINUTE)] {
        let sent = world.send(&events(clock, skew)).await;
        field.also_sent.lock().await.extend(sent);
    }
    let refused = world.send(&events("far", 2 * HOUR)).await;
    let mut wanted: BTreeSet<(String, String)> =
        refused.iter().map(|sent| (sent.partition.to_string(), sent.offset.to_string())).collect();

    let (mut letters, began) = (Tail::open(world, Topic::DeadLetters).await, Instant::now());
    while !wanted.is_empty() && began.elapsed() < JUDGED {
        for record in letters.read().await {
            let header = |name| match record.header(name) {
                Some(value) => String::from_utf8_lossy(value).into_owned(),
                None => String::new(),
            };
            if header(headers::REASON) == Reason::InFuture.as_str() {
                wanted.remove(&(header(headers::PARTITION), header(headers::OFFSET)));
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let told = || format!("{} events two hours ahead are no dead letters after {JUDGED:?}", wanted.len());
    Struck { wrong: (!wanted.is_empty()).then(told).into_iter().collect(), ..Struck::default() }
}

/// `interactions`, then `events`, get one partition more, as an operator adds it. Kafka may be away: then it is added
/// again.
pub(crate) async fn added_partition(field: &Field) -> Struck {
    let mut last = String::new();
    for _ in 0..30 {
        match add(field).await {
            Ok(()) => return Struck::default(),
            Err(why) => last = why,
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Struck { wrong: vec![format!("no partition was added: {last}")], ..Struck::default() }
}

async fn add(field: &Field) -> Result<(), String> {
    let mut had = field.partitions.lock().await;
    if *had >= MOST {
        return Ok(());
    }
    field.operate(&["topics", "partitions", &(*had + 1).to_string()]).await?;
    *had += 1;
    Ok(())
}
