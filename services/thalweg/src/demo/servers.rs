//! The servers of a demo: an embedded broker and a `redis-server` of its own, or those that already run.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use broker::Broker;
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
    _redis: Option<OwnRedis>,
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
        let (child, url) = match &place.redis {
            Some(url) => (None, url.clone()),
            None => {
                let child = OwnRedis::start()?;
                let url = child.url.clone();
                (Some(child), url)
            }
        };
        let kafka = Kafka { brokers, topic_prefix: prefix(&place.topic_prefix, '.'), properties: Default::default() };
        let redis = Redis { url, key_prefix: prefix(&place.key_prefix, ':') };
        if let Some(child) = &child {
            child.wait(&redis).await?;
        }
        admin::apply(&kafka, &topics::specs(&kafka.topic_prefix, partitions)).await?;
        let kind = if broker.is_some() { "embedded broker" } else { "Kafka" };
        let label = format!("{kind} at {}, Redis at {}", kafka.brokers, runtime::redis::redacted(&redis.url));
        Ok(Self { kafka, redis, label, _broker: broker, _redis: child })
    }
}

/// A `redis-server` on a free port that keeps nothing and ends with us.
struct OwnRedis {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl OwnRedis {
    fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| Error::Other(format!("no free port on 127.0.0.1: {e}")))?
            .port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| {
                Error::Other(format!(
                    "redis-server does not start ({e}): install it (`apt-get install redis-server`, or \
                     `sh infra/bootstrap.sh tools`) or name one that runs with --redis"
                ))
            })?;
        Ok(Self { child, url: format!("redis://127.0.0.1:{port}/0"), _folder: folder })
    }

    async fn wait(&self, redis: &Redis) -> Result<(), Error> {
        let ctx = Context::new("demo");
        let mut last = None;
        for _ in 0..100 {
            match runtime::redis::Redis::connect(redis, &ctx).await {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(last.map_or_else(|| Error::Other("redis-server does not answer".into()), Error::from))
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        // It may have ended already; there is nothing more to do about it then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
