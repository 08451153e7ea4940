//! The servers a benchmark runs on: those that are named by `KAFKA_BROKERS` and `REDIS_URL`, or its own.

use std::env;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use broker::Broker;
use runtime::Context;
use runtime::config;
use runtime::kafka::admin::{self, TopicSpec};
use schemas::{Topic, Topics};
use tempfile::TempDir;

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
        let config = config::Kafka { brokers, topic_prefix: topic_prefix.clone(), properties: Default::default() };
        // On somebody's Kafka nothing of it stays for long.
        let settings = vec![("retention.ms".to_owned(), "600000".to_owned())];
        let spec = |(name, partitions)| TopicSpec { name, partitions, settings: settings.clone() };
        let copy = format!("{topic_prefix}copy");
        let known = |topic: Topic| (topics.name(topic), topic.partitions(PARTITIONS));
        let [events, interactions, dead_letters] = [Topic::Events, Topic::Interactions, Topic::DeadLetters].map(known);
        let specs = [events, interactions, dead_letters, (copy.clone(), PARTITIONS)].map(spec);
        admin::apply(&config, &specs).await?;
        Ok(Self { config, topics, copy, label, _broker: broker })
    }
}

/// A Redis; one of our own keeps nothing and ends with us.
pub(crate) struct Redis {
    pub(crate) config: config::Redis,
    own: Option<(Child, TempDir)>,
}

impl Redis {
    pub(crate) fn start() -> Result<Self, Error> {
        let key_prefix = format!("bench-{}:", Context::new("bench").now());
        if let Ok(url) = env::var("REDIS_URL") {
            return Ok(Self { config: config::Redis { url, key_prefix }, own: None });
        }
        let folder = tempfile::tempdir().map_err(Error::file(&env::temp_dir()))?;
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
            .map_err(|e| missing("redis-server", &e))?;
        let url = format!("redis://127.0.0.1:{port}/0");
        let server = Self { config: config::Redis { url, key_prefix }, own: Some((child, folder)) };
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Error::Other("redis-server does not answer; see what it says by `redis-server --port 6390`".into()))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            // It may have ended already; there is nothing more to do about it then.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A program that cannot be started.
pub(crate) fn missing(program: &str, error: &std::io::Error) -> Error {
    Error::Other(format!("{program} does not start ({error}): install it by `sh infra/bootstrap.sh tools`"))
}
