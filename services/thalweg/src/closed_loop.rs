//! `--closed-loop`: nobody does anything more before the list made through what they did last lies in Redis, as a
//! person looks at a list and then chooses. So quality is not that of lists which came too late; how late they come is
//! told apart.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use laboratory::output;
use runtime::redis::{Redis, RedisError};
use schemas::{Event, Keys, Slate, Topic, Topics};

/// A list that has not come by then is not waited for any more: the event may be a dead letter, or nobody serves.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at Redis.
const PAUSE: Duration = Duration::from_millis(1);

/// Which lists are waited for.
pub(crate) struct ClosedLoop {
    redis: Redis,
    keys: Keys,
    events: String,
    /// For each user who acted, what their list must name as its source.
    waiting: HashMap<String, String>,
    unanswered: u64,
}

impl ClosedLoop {
    pub(crate) fn new(redis: Redis, keys: Keys, topics: &Topics) -> Self {
        Self { redis, keys, events: topics.name(Topic::Events), waiting: HashMap::new(), unanswered: 0 }
    }

    /// How many lists did not come in time.
    pub(crate) const fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Waits until all of these events' users have the list of what they did before.
    pub(crate) async fn wait(&mut self, events: &[Event]) -> Result<(), RedisError> {
        let began = Instant::now();
        let mut open: Vec<(String, String)> =
            events.iter().filter_map(|event| self.waiting.remove_entry(&event.user_id)).collect();
        while !open.is_empty() {
            let keys: Vec<String> = open.iter().map(|(user, _)| self.keys.recs(user)).collect();
            let mut values = self.redis.get_many(&keys).await?.into_iter();
            open.retain(|(_, source)| {
                let value = values.next().and_then(Result::ok).flatten();
                value.and_then(|value| Slate::decode(&value).ok()).is_none_or(|slate| slate.source != *source)
            });
            if began.elapsed() > PATIENCE {
                if self.unanswered == 0
                    && let Some((user, source)) = open.first()
                {
                    let patience = PATIENCE.as_secs();
                    output::note(format!(
                        "no list of {user} through {source} came within {patience} s; going on without"
                    ));
                }
                self.unanswered += open.len() as u64;
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Takes note of where events lie, which are about to be answered by lists.
    pub(crate) fn sent(&mut self, events: &[Event], places: &[(i32, i64)]) {
        for (event, (partition, offset)) in events.iter().zip(places) {
            let source = Slate::source_of(&self.events, *partition, *offset);
            self.waiting.insert(event.user_id.clone(), source);
        }
    }
}

/// Parts events, in their order, so that no part holds two of one user.
pub(crate) fn handfuls(mut events: &[Event]) -> Vec<&[Event]> {
    let mut handfuls = Vec::new();
    while !events.is_empty() {
        let mut users = HashSet::new();
        let size = events.iter().take_while(|event| users.insert(&event.user_id)).count();
        let (handful, rest) = events.split_at(size);
        handfuls.push(handful);
        events = rest;
    }
    handfuls
}

#[cfg(test)]
mod tests {
    use schemas::{EventType, Timestamp};

    use super::*;

    #[test]
    fn no_handful_holds_two_events_of_one_user_and_all_keep_their_order() {
        let event = |(n, user): (usize, &str)| Event {
            event_id: None,
            kind: EventType::View,
            user_id: user.to_owned(),
            session_id: None,
            item_id: n.to_string(),
            ts: Timestamp(0),
            value: None,
            items: Vec::new(),
        };
        let events: Vec<Event> = ["a", "b", "a", "a", "c", "b"].into_iter().enumerate().map(event).collect();
        let sizes: Vec<usize> = handfuls(&events).iter().map(|handful| handful.len()).collect();
        assert_eq!(sizes, [2, 1, 3]);
        assert_eq!(handfuls(&events).concat(), events);
        assert!(handfuls(&[]).is_empty());
    }
}
