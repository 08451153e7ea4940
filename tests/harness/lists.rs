//! The lists in Redis: which name an item, and what they show.

use schemas::Slate;
use schemas::keys::Kind;

use crate::oracle::{Findings, Oracle};
use crate::world::World;

/// Keys of lists that are looked at, of each sort.
const MOST: usize = 10_000;

/// Every list of this world. A key that went meanwhile, or is somebody else's, is none.
async fn lists(world: &World) -> Result<Vec<(String, Slate)>, String> {
    let mut lists = Vec::new();
    for pattern in ["recs:*", "similar:*", "hot*", "new*"] {
        let pattern = format!("{}{pattern}", world.redis.key_prefix);
        let keys = world.client().keys(&pattern, MOST).await.map_err(|error| error.to_string())?;
        let values = world.client().get_many(&keys).await.map_err(|error| error.to_string())?;
        for (key, value) in keys.into_iter().zip(values) {
            let Ok(Some(value)) = value else { continue };
            let slate = Slate::decode(&value).map_err(|error| format!("{key}: {error}"))?;
            lists.push((key, slate));
        }
    }
    Ok(lists)
}

/// Every list of this world that names an item which is meant, or is one's own.
pub async fn naming(world: &World, is_meant: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let names = |(key, slate): &(String, Slate)| {
        let own = matches!(world.keys.kind(key.as_bytes()), Some(Kind::Similar(item)) if is_meant(item));
        own || slate.items.iter().any(|entry| is_meant(&entry.id))
    };
    Ok(lists(world).await?.into_iter().filter(names).map(|(key, _)| key).collect())
}

/// Whether no list names such an item; an error says which do.
pub async fn none_names(world: &World, is_meant: impl Fn(&str) -> bool) -> Result<(), String> {
    let named = naming(world, is_meant).await?;
    if named.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
}

/// Compares what every list shows with what was sent, in a world without a catalog.
///
/// # Errors
/// Redis does not answer, there is no list of what is hot, or no version is live that knows items.
pub async fn shown(world: &World, oracle: &Oracle) -> Result<Findings, String> {
    let model = world.model().await?;
    if model.get("interactions").is_none_or(|learned| learned == "0") {
        return Err(format!("the live version knows nothing: {model:?}"));
    }
    world.slate(&world.keys.hot(None)).await?;
    let recs = world.keys.recs("");
    let recs = recs.trim_end_matches('}');
    let mut findings = Findings::default();
    for (key, slate) in lists(world).await? {
        let user = key.strip_prefix(recs).and_then(|rest| rest.strip_suffix('}'));
        findings.extend(oracle.shows(&key, user, &slate));
    }
    Ok(findings)
}
