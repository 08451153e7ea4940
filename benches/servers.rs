//! The servers a benchmark runs on: those that are named by `KAFKA_BROKERS` and `REDIS_URL`, or its own.

use std::env;

use broker::{Broker, RedisServer};
use runtime::Context;
use runtime::config;
use runtime::kafka::admin::{self, TopicSpec};
use schemas::{Topic, Topics};

use crate::error::Error;

/// Partitions of `events` and `interactions`, as `thalweg topics apply` makes them.
const PARTITIONS: i32 = 4;

/// Kafka with fresh topics.
pub(crate) struct Kafka {
    pub(crate) config: config::Kafka,
    pub(crate) topics: Topics,
    /// A topic like `events` that no service knows.
    pub(crate) copy: String,
    /// What it is, in words.
    pub(crate) label: &'static str,
    _broker: Option<Broker>,
}

impl Kafka {
    pub(crate) async fn fresh() -> Result<Self, Error> {
        let (broker, brokers, label) = match env::var("KAFKA_BROKERS") {
            Ok(brokers) => (None, brokers, "Kafka"),
            Err(_) => {
                let broker = Broker::start()?;
                let brokers = broker.brokers();
                (Some(broker), brokers, "embedded broker")
            }
        };
        let topic_prefix = format!("bench-{}.", Context::new("bench").now());
        let topics = Topics::new(&topic_prefix);
        let config = config::Kafka {
            brokers,
            topic_prefix: topic_prefix.clone(),
            properties: Default::default(),
            signatures: Default::default(),
        };
        // On somebody's Kafka nothing of it stays for long.
        let settings = vec![("retention.ms".to_owned(), "600000".to_owned())];
        let spec = |(name, partitions)| TopicSpec {
            name,
            partitions,
            may_grow: false,
            copies: Some(1),
            settings: settings.clone(),
        };
        let copy = format!("{topic_prefix}copy");
        let known = |topic: Topic| (topics.name(topic), topic.partitions(PARTITIONS));
        let ours = Topic::ALL.into_iter().map(known).chain([(copy.clone(), PARTITIONS)]);
        let specs: Vec<TopicSpec> = ours.map(spec).collect();
        admin::apply(&config, &specs).await?;
        Ok(Self { config, topics, copy, label, _broker: broker })
    }
}

/// A Redis; one of our own keeps nothing and ends with us.
pub(crate) struct Redis {
    pub(crate) config: config::Redis,
    _own: Option<RedisServer>,
}

impl Redis {
    pub(crate) async fn start() -> Result<Self, Error> {
        let key_prefix = format!("bench-{}:", Context::new("bench").now());
        let (url, own) = match env::var("REDIS_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let own = RedisServer::start().await.map_err(Error::Other)?;
                (own.url(), Some(own))
            }
        };
        Ok(Self { config: config::Redis { url, key_prefix }, _own: own })
    }
}

/// A program that cannot be started.
pub(crate) fn missing(program: &str, error: &std::io::Error) -> Error {
    Error::Other(format!("{program} does not start ({error}): install it by `sh infra/bootstrap.sh tools`"))
}
