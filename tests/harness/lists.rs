//! Which lists in Redis name an item.

use schemas::Slate;
use schemas::keys::Kind;

use crate::world::World;

/// Every list of this world that names an item which is meant, or is one's own. A key that went meanwhile names
/// nothing.
pub async fn naming(world: &World, is_meant: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for pattern in ["recs:*", "similar:*", "hot*", "new*"] {
        let pattern = format!("{}{pattern}", world.redis.key_prefix);
        let keys = world.client().keys(&pattern, 10_000).await.map_err(|error| error.to_string())?;
        let values = world.client().get_many(&keys).await.map_err(|error| error.to_string())?;
        for (key, value) in keys.into_iter().zip(values) {
            let Ok(Some(value)) = value else { continue };
            let slate = Slate::decode(&value).map_err(|error| format!("{key}: {error}"))?;
            let own = matches!(world.keys.kind(key.as_bytes()), Some(Kind::Similar(item)) if is_meant(item));
            if own || slate.items.iter().any(|entry| is_meant(&entry.id)) {
                found.push(key);
            }
        }
    }
    Ok(found)
}

/// Whether no list names such an item; an error says which do.
pub async fn none_names(world: &World, is_meant: impl Fn(&str) -> bool) -> Result<(), String> {
    let named = naming(world, is_meant).await?;
    if named.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
}
