//! What was sent, and what has to be true of it everywhere downstream: applied, and applied once.

use std::collections::BTreeMap;

use schemas::{Event, Slate, StoredProfile, Topic};

use crate::tail::{Tail, interactions, latest_manifest};
use crate::waiting::{SOON, eventually};
use crate::world::World;

/// An event with its place on the topic `events`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The event.
    pub event: Event,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// Waits until `interactions` holds every event, then checks that whoever drops what it applied before (I2) applies each
/// exactly once; how many records are there for it.
///
/// # Panics
/// When an event is lost, or would be applied twice or out of order.
pub async fn ingested_once(world: &World, sent: &[Sent]) -> usize {
    let mut tail = Tail::open(world, Topic::Interactions).await;
    eventually("every event is an interaction", SOON, async || {
        let applied = applied(&interactions(tail.read().await)).len();
        if applied >= sent.len() { Ok(()) } else { Err(format!("{applied} of {}", sent.len())) }
    })
    .await;
    let mut wanted: Vec<(i32, i64, String)> = sent
        .iter()
        .map(|sent| (sent.partition, sent.offset, sent.event.event_id.clone().unwrap_or_default()))
        .collect();
    wanted.sort();
    let records = interactions(tail.read().await);
    let mut found = applied(&records);
    found.sort();
    assert!(found == wanted, "each event is applied once: {} applied, {} sent", found.len(), wanted.len());
    records.len()
}

/// What a consumer applies that drops everything not beyond the source offset applied last.
fn applied(records: &[(i32, schemas::Interaction)]) -> Vec<(i32, i64, String)> {
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    let mut applied = Vec::new();
    for (partition, interaction) in records {
        let source = interaction.source.as_ref().expect("an interaction names its source");
        assert_eq!(source.partition, *partition, "partition p of events goes to partition p of interactions");
        let last = last.entry(*partition).or_insert(-1);
        if source.offset > *last {
            *last = source.offset;
            applied.push((*partition, source.offset, interaction.event_id.clone()));
        }
    }
    applied
}

/// Waits until the newest version was trained on every event, and on each once.
///
/// # Panics
/// When none is, or its offsets and its weights disagree.
pub async fn learned_once(world: &World, sent: &[Sent]) -> schemas::Manifest {
    let mut checkpoints = Tail::open(world, Topic::Checkpoints).await;
    let manifest = eventually("the newest version was trained on every event", SOON, async || {
        match latest_manifest(&mut checkpoints).await {
            Some(manifest) if manifest.interactions >= sent.len() as u64 => Ok(manifest),
            Some(manifest) => Err(format!("{} of {} in {}", manifest.interactions, sent.len(), manifest.version)),
            None => Err("no version".to_owned()),
        }
    })
    .await;
    assert_eq!(manifest.interactions, sent.len() as u64, "trained on each once");
    let mut tail = Tail::open(world, Topic::Interactions).await;
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for record in tail.read().await {
        ends.insert(record.partition, record.offset + 1);
    }
    let mut sources: BTreeMap<i32, i64> = BTreeMap::new();
    for Sent { partition, offset, .. } in sent {
        let last = sources.entry(*partition).or_insert(-1);
        *last = (*last).max(*offset);
    }
    for (partition, end) in ends {
        let through = manifest.through.get(&partition).copied().unwrap_or_default();
        assert_eq!((through.next, through.source), (end, sources[&partition]), "through partition {partition}");
    }
    manifest
}

/// Waits until every user's profile and slate in Redis were made through the user's last event, each event counted once.
///
/// # Panics
/// When they are not in time, or an event is counted twice.
pub async fn served_once(world: &World, sent: &[Sent]) {
    let mut users: BTreeMap<&str, (u64, &Sent)> = BTreeMap::new();
    for sent in sent {
        let (count, last) = users.entry(&sent.event.user_id).or_insert((0, sent));
        *count += 1;
        *last = sent;
    }
    eventually("every user is served through the last event, each event counted once", SOON, async || {
        for (user, (count, last)) in &users {
            up_to_date(world, user, *count, last).await?;
        }
        Ok(())
    })
    .await;
}

async fn up_to_date(world: &World, user: &str, count: u64, last: &Sent) -> Result<(), String> {
    let profile = profile(world, user).await?;
    let applied: u64 = profile.profile.counts.iter().sum();
    assert!(applied <= count, "{user} did {count} things, {applied} are counted");
    let seen = (profile.source.partition, profile.source.offset, applied);
    if seen != (last.partition, last.offset, count) {
        return Err(format!("{user} is at {seen:?}, wanted {:?}", (last.partition, last.offset, count)));
    }
    slate_through(world, last).await.map(|_| ())
}

/// The slate of the event's user, if it was made through this very event.
pub async fn slate_through(world: &World, sent: &Sent) -> Result<Slate, String> {
    let slate = world.slate(&world.keys.recs(&sent.event.user_id)).await?;
    let wanted = Slate::source_of(&world.topics.name(Topic::Events), sent.partition, sent.offset);
    if slate.source == wanted { Ok(slate) } else { Err(format!("a slate from {}, wanted {wanted}", slate.source)) }
}

/// A user's feature cache.
pub async fn profile(world: &World, user: &str) -> Result<StoredProfile, String> {
    let key = world.keys.user(user);
    let values = world.client().get_many(std::slice::from_ref(&key)).await.map_err(|error| error.to_string())?;
    let bytes = values.into_iter().next().flatten().ok_or_else(|| format!("no {key}"))?;
    StoredProfile::decode(&bytes).map_err(|error| error.to_string())
}
