//! What was sent, and what has to be true of it everywhere downstream: applied, and applied once.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use schemas::{Event, Slate, StoredProfile, Topic};

use crate::oracle::{Findings, Oracle};
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

/// Waits until `interactions` holds every event, and each just once for whoever drops what it applied before (I2), with
/// the event's own content and in its order; how many records are there for it.
///
/// # Panics
/// When an event is lost, would be applied twice, or says something else.
pub async fn ingested_once(world: &World, sent: &[Sent]) -> usize {
    let oracle = Oracle::of(sent);
    let mut tail = Tail::open(world, Topic::Interactions).await;
    eventually("every event is an interaction", SOON, async || {
        let findings = oracle.interactions(&interactions(tail.read().await));
        assert!(findings.doubled.is_empty() && findings.wrong.is_empty(), "{findings}");
        clean(&findings)
    })
    .await;
    // Once more, for what came since.
    let records = interactions(tail.read().await);
    let findings = oracle.interactions(&records);
    assert!(findings.is_clean(), "{findings}");
    records.len()
}

/// Waits until the newest version was trained on every event, and on each once.
///
/// # Panics
/// When none is, when its offsets and its weights disagree, or when it counts one item for another.
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
    let findings = Oracle::of(sent).sightings(&sightings(world).await.expect("the newest version is exported"));
    if !findings.is_clean() {
        // What was exported is a version of another epoch where the trainer went back meanwhile.
        let epoch = latest_manifest(&mut checkpoints).await.map_or(0, |newest| newest.version.epoch);
        assert!(epoch > manifest.version.epoch, "{}: {findings}", manifest.version);
        return Box::pin(learned_once(world, sent)).await;
    }
    manifest
}

/// How often the newest version has seen each item chosen, by the item's id.
///
/// # Errors
/// There is no version, or Kafka does not answer.
///
/// # Panics
/// When what is exported is no safetensors file of the contract.
pub async fn sightings(world: &World) -> Result<BTreeMap<String, u32>, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("model.safetensors");
    world.try_operate(&["checkpoints", "export", "latest", &file.display().to_string()]).await?;
    let bytes = std::fs::read(&file).expect("it was written");
    let tensors = SafeTensors::deserialize(&bytes).expect("it is a safetensors file");
    let column = |name: &str| tensors.tensor(name).expect("the contract names it").data();
    let counts = column("items.sightings").as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four));
    let ends = column("items.id_end").as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four) as usize);
    let bytes_of_ids = column("items.id");
    let starts = std::iter::once(0).chain(ends.clone());
    let ids = starts.zip(ends).map(|(start, end)| String::from_utf8_lossy(&bytes_of_ids[start..end]).into_owned());
    Ok(ids.zip(counts).collect())
}

/// Waits until every user's profile holds just what the user did, and the user's list was made through the last of it.
///
/// # Panics
/// When that is not so in time.
pub async fn served_once(world: &World, sent: &[Sent]) {
    let oracle = Oracle::of(sent);
    eventually("every user is served through the last event, each event remembered once", SOON, async || {
        clean(&served(world, &oracle).await?)
    })
    .await;
}

/// Compares every profile and list in Redis with what was sent.
///
/// # Errors
/// Redis does not answer, or a user has no profile or list yet.
pub async fn served(world: &World, oracle: &Oracle) -> Result<Findings, String> {
    let events = world.topics.name(Topic::Events);
    let users: Vec<&str> = oracle.users().collect();
    let keys = |of: &dyn Fn(&str) -> String| users.iter().map(|user| of(user)).collect::<Vec<String>>();
    let read = async |keys: Vec<String>| world.client().get_many(&keys).await.map_err(|error| error.to_string());
    let profiles = read(keys(&|user| world.keys.user(user))).await?;
    let slates = read(keys(&|user| world.keys.recs(user))).await?;
    let mut findings = Findings::default();
    for ((user, profile), slate) in users.iter().zip(profiles).zip(slates) {
        let profile = profile.map_err(|error| error.to_string())?.ok_or_else(|| format!("{user} has no profile"))?;
        let profile = StoredProfile::decode(&profile).map_err(|error| format!("{user}: {error}"))?;
        findings.extend(oracle.profile(user, &profile));
        let slate = slate.map_err(|error| error.to_string())?.ok_or_else(|| format!("{user} has no list"))?;
        let slate = Slate::decode(&slate).map_err(|error| format!("{user}: {error}"))?;
        findings.extend(oracle.slate(user, &slate, &events));
    }
    Ok(findings)
}

fn clean(findings: &Findings) -> Result<(), String> {
    if findings.is_clean() { Ok(()) } else { Err(findings.to_string()) }
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
    let bytes = values.into_iter().flatten().next().flatten().ok_or_else(|| format!("no {key}"))?;
    StoredProfile::decode(&bytes).map_err(|error| error.to_string())
}
