//! Looks at Redis as a downstream service does: was what the user chooses next in the slate that lay there?

use std::collections::VecDeque;

use model::SlidingPopularity;
use runtime::redis::{Answer, Redis, RedisError};
use schemas::{Event, Keys, Kind, Slate, key_of};

/// Choices that the recent hit rate looks back on.
const RECENT: usize = 5_000;
/// The window of the popularity it is compared with, in choices.
pub(crate) const POPULARITY_WINDOW: usize = 5_000;

/// Hit rates of what was served, beside the most popular of a sliding window on the same events.
pub(crate) struct Probe {
    redis: Redis,
    keys: Keys,
    popularity: SlidingPopularity,
    pub(crate) tested: u64,
    pub(crate) hits: u64,
    pub(crate) popularity_hits: u64,
    recent: VecDeque<bool>,
}

impl Probe {
    pub(crate) fn new(redis: Redis, keys: Keys) -> Self {
        Self {
            redis,
            keys,
            popularity: SlidingPopularity::new(POPULARITY_WINDOW),
            tested: 0,
            hits: 0,
            popularity_hits: 0,
            recent: VecDeque::with_capacity(RECENT),
        }
    }

    /// The version that a scorer made live last, as Redis says.
    pub(crate) async fn live_version(&self) -> Result<Option<String>, RedisError> {
        Ok(self.redis.hgetall(&self.keys.model()).await?.ok().and_then(|mut fields| fields.remove("version")))
    }

    /// Reads the slates of events that are about to be sent. An unknown user gets `hot`, as the contract says.
    pub(crate) async fn test(&mut self, events: &[Event]) -> Result<(), RedisError> {
        let chosen: Vec<&Event> = events.iter().filter(|event| Kind::from(event.kind).is_positive()).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let mut keys: Vec<String> = chosen.iter().map(|event| self.keys.recs(&event.user_id)).collect();
        keys.push(self.keys.hot(None));
        let mut values = self.redis.get_many(&keys).await?;
        let parse = |value: &Answer<Option<Vec<u8>>>| Slate::decode(value.as_ref().ok()?.as_ref()?).ok();
        let hot = values.pop().and_then(|value| parse(&value));
        for (event, value) in chosen.into_iter().zip(&values) {
            let own = parse(value);
            let slate = own.as_ref().or(hot.as_ref());
            let hit = slate.is_some_and(|slate| slate.items.iter().take(20).any(|item| item.id == event.item_id));
            let key = key_of(&event.item_id);
            self.tested += 1;
            self.hits += u64::from(hit);
            self.popularity_hits += u64::from(self.popularity.rank(key).is_some_and(|rank| rank < 20));
            self.popularity.record(key);
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(hit);
        }
        Ok(())
    }

    /// Over the last choices; `None` before the first.
    #[allow(clippy::cast_precision_loss)] // at most 5,000
    pub(crate) fn recent_hit_rate(&self) -> Option<f64> {
        let hits = self.recent.iter().filter(|hit| **hit).count();
        (!self.recent.is_empty()).then(|| hits as f64 / self.recent.len() as f64)
    }
}
