//! The servers of a demo: an embedded broker and a `redis-server` of its own, or those that already run.

use broker::{Broker, RedisServer};
use runtime::Context;
use runtime::config::{Kafka, Redis};
use runtime::kafka::admin;

use crate::cli::Place;
use crate::commands::topics;
use crate::error::Error;

/// Servers that end with the demo, unless somebody else started them.
pub(super) struct Servers {
    pub(super) kafka: Kafka,
    pub(super) redis: Redis,
    /// What runs, in words.
    pub(super) label: String,
    _broker: Option<Broker>,
    _redis: Option<RedisServer>,
}

impl Servers {
    /// Starts what `place` does not name, and creates the topics.
    pub(super) async fn start(place: &Place, partitions: i32) -> Result<Self, Error> {
        let shared = place.brokers.is_some() || place.redis.is_some();
        // On somebody's own servers a demo keeps to names of its own.
        let own = if shared { format!("demo-{}", Context::new("demo").now()) } else { String::new() };
        let prefix = |given: &Option<String>, separator: char| {
            given.clone().unwrap_or_else(|| if own.is_empty() { String::new() } else { format!("{own}{separator}") })
        };
        let (broker, brokers) = match &place.brokers {
            Some(brokers) => (None, brokers.clone()),
            None => {
                let broker = Broker::start()?;
                let brokers = broker.brokers();
                (Some(broker), brokers)
            }
        };
        let (server, url) = match &place.redis {
            Some(url) => (None, url.clone()),
            None => {
                let own = RedisServer::start().await.map_err(Error::Other)?;
                let url = own.url();
                (Some(own), url)
            }
        };
        let kafka = Kafka {
            brokers,
            topic_prefix: prefix(&place.topic_prefix, '.'),
            properties: Default::default(),
            signatures: Default::default(),
        };
        let redis = Redis { url, key_prefix: prefix(&place.key_prefix, ':') };
        admin::apply(&kafka, &topics::specs(&kafka.topic_prefix, partitions, None)).await?;
        let kind = if broker.is_some() { "embedded broker" } else { "Kafka" };
        let label = format!("{kind} at {}, Redis at {}", kafka.brokers, runtime::redis::redacted(&redis.url));
        Ok(Self { kafka, redis, label, _broker: broker, _redis: server })
    }
}
