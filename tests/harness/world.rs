//! One test's world: topics and Redis keys of its own on servers that it shares, and the children it starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runtime::config;
use runtime::context::Context;
use runtime::kafka::admin::{self, TopicSpec};
use runtime::kafka::{Next, Outgoing, Producer};
use runtime::redis::Redis;
use schemas::{Event, Item, Keys, Slate, Topic, Topics};
use tempfile::TempDir;
use tokio::sync::SemaphorePermit;

use crate::binaries::{Name, binary};
use crate::given::{given, kafka_is_given, shared_brokers};
use crate::outgoing;
use crate::own_broker::OwnBroker;
use crate::redis_server::RedisServer;
use crate::sent::Sent;
use crate::service::{Service, read};
use crate::traffic::Traffic;
use crate::turns::turn;

/// Partitions of `events` and `interactions`.
pub const PARTITIONS: i32 = 4;

/// Between two handfuls of a flow: a twentieth of a second.
const TICK: Duration = Duration::from_millis(50);

/// How long a service may refuse to start while servers are away.
const PATIENCE: Duration = Duration::from_secs(120);

/// Lines of each child's log that a failed test prints.
const LOG_LINES: usize = 60;

/// Which servers a test needs for itself because it maltreats them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Servers {
    /// A broker that no other test sees: embedded, or a real Kafka where the tests run on one.
    pub own_broker: bool,
    /// A `redis-server` that no other test sees.
    pub own_redis: bool,
    /// A real Kafka as the broker of its own, wherever the tests run.
    pub real_kafka: bool,
    /// Three nodes of it, and every record on each.
    pub cluster: bool,
    /// A real Kafka that knows rights: everybody has all, but where something is said of a topic.
    pub rights: bool,
}

/// A test's world.
#[derive(Debug)]
pub struct World {
    /// Where Kafka is.
    pub kafka: config::Kafka,
    /// Where Redis is.
    pub redis: config::Redis,
    /// The names of this test's topics.
    pub topics: Topics,
    /// The names of this test's Redis keys.
    pub keys: Keys,
    /// For clients of the test itself.
    pub ctx: Context,
    producer: Producer,
    client: Redis,
    broker: Option<OwnBroker>,
    server: Option<RedisServer>,
    started: AtomicU32,
    /// Whom the operator believes, as `kafka.trust` has it.
    trust: OnceLock<String>,
    logs: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl World {
    /// Waits for its turn, then makes topics; on shared servers.
    pub async fn new() -> Self {
        Self::on(Servers::default()).await
    }

    /// The same, on servers of its own.
    ///
    /// # Panics
    /// When a server does not start or answer.
    pub async fn on(servers: Servers) -> Self {
        let nodes =
            (servers.real_kafka || servers.cluster || kafka_is_given()).then_some(if servers.cluster { 3 } else { 1 });
        let owns_broker = servers.own_broker || servers.cluster;
        let turn = turn(if owns_broker { nodes.unwrap_or(0) } else { 0 }).await;
        let name = unique_name();
        let own = owns_broker.then(|| OwnBroker::start(nodes, servers.rights));
        let brokers = own.as_ref().map_or_else(shared_brokers, OwnBroker::brokers);
        let given = given("REDIS_URL").filter(|_| !servers.own_redis);
        let server = given.is_none().then(RedisServer::start);
        let url = server.as_ref().map(RedisServer::url).or(given).expect("one or the other");

        let kafka = config::Kafka {
            brokers,
            topic_prefix: format!("{name}."),
            properties: BTreeMap::new(),
            signatures: Default::default(),
        };
        let redis = config::Redis { url, key_prefix: format!("{name}:") };
        let topics = Topics::new(&kafka.topic_prefix);
        let ctx = Context::new("tests");
        let specs: Vec<TopicSpec> = Topic::ALL.into_iter().map(|topic| spec(&topics, topic)).collect();
        admin::apply(&kafka, &specs).await.expect("the topics are made");
        Self {
            producer: Producer::connect(&kafka, &ctx).expect("the settings are good"),
            client: Redis::connect(&redis, &ctx).await.expect("Redis answers"),
            keys: Keys::new(&redis.key_prefix),
            topics,
            kafka,
            redis,
            ctx,
            broker: own,
            server,
            started: AtomicU32::new(0),
            trust: OnceLock::new(),
            logs: tempfile::tempdir().expect("a temporary folder"),
            _turn: turn,
        }
    }

    /// Deletes a topic and makes it again, empty.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn make_again(&self, topic: Topic) {
        self.make_otherwise(topic, &[]).await;
    }

    /// The same, with settings over those of the contract.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn make_otherwise(&self, topic: Topic, settings: &[(&str, &str)]) {
        self.take_away(topic).await;
        self.give_back(topic, settings).await;
    }

    /// Deletes a topic.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn take_away(&self, topic: Topic) {
        admin::delete(&self.kafka, &[&self.topics.name(topic)]).await.expect("it is deleted");
    }

    /// Makes a topic that is not there, with settings over those of the contract.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn give_back(&self, topic: Topic, settings: &[(&str, &str)]) {
        let mut spec = spec(&self.topics, topic);
        spec.settings.retain(|(key, _)| settings.iter().all(|(other, _)| key != other));
        spec.settings.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        admin::apply(&self.kafka, &[spec]).await.expect("it is made");
        self.ctx.started(); // a broker that has not heard of it yet is waited for, as services do
    }

    /// Takes the beginning of a topic away, as retention does.
    ///
    /// # Panics
    /// When Kafka does not.
    pub async fn retain_from(&self, topic: Topic, first: &BTreeMap<i32, i64>) {
        let name = self.topics.name(topic);
        let first = first.iter().map(|(partition, offset)| (*partition, Next(*offset))).collect();
        admin::delete_records(&self.kafka, &name, &first).await.expect("its beginning is deleted");
    }

    /// Starts what a shop needs.
    pub async fn start_all(&self) -> [Service; 3] {
        [self.start(Name::Ingest, &[]).await, self.start(Name::Trainer, &[]).await, self.start(Name::Scorer, &[]).await]
    }

    /// Starts a service with `section.key` settings over those that lead it into this world; it listens when this
    /// returns.
    pub async fn start(&self, name: Name, settings: &[(&str, &str)]) -> Service {
        self.spawn(name, settings).listening().await
    }

    /// Starts a service while servers may be away: one that refuses to start for that is started again.
    ///
    /// # Panics
    /// When it does not start within two minutes.
    pub async fn start_patiently(&self, name: Name, settings: &[(&str, &str)]) -> Service {
        let began = Instant::now();
        loop {
            match self.spawn(name, settings).try_listening().await {
                Ok(service) => return service,
                Err(why) => assert!(began.elapsed() < PATIENCE, "{name} does not start within {PATIENCE:?}: {why}"),
            }
        }
    }

    /// Starts a service that may refuse to.
    pub fn spawn(&self, name: Name, settings: &[(&str, &str)]) -> Service {
        let group = format!("{}{name}", self.kafka.topic_prefix);
        let mut all: Vec<(String, String)> = [
            ("frame.admin.listen", "127.0.0.1:0"),
            ("frame.log.level", "info"),
            ("kafka.brokers", &self.kafka.brokers),
            ("kafka.topic_prefix", &self.kafka.topic_prefix),
            // The shortest that Kafka takes: after a SIGKILL the group waits so long for the dead.
            ("kafka.properties.session.timeout.ms", "6000"),
            ("redis.url", &self.redis.url),
            ("redis.key_prefix", &self.redis.key_prefix),
            (&format!("{name}.group"), &group),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Service::spawn(name, &all, self.logs.path().join(format!("{number:02}-{name}.log")))
    }

    /// Runs the operator's command, which must succeed; what it printed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn operate(&self, words: &[&str]) -> String {
        self.try_operate(words).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs the operator's command; what it printed.
    ///
    /// # Errors
    /// Its exit code is not 0; with what it said.
    pub async fn try_operate(&self, words: &[&str]) -> Result<String, String> {
        let mut command = tokio::process::Command::new(binary(Name::Thalweg));
        let here = ["--brokers", &self.kafka.brokers, "--topic-prefix", &self.kafka.topic_prefix];
        command.args(words).args(here).args(["--redis", &self.redis.url, "--key-prefix", &self.redis.key_prefix]);
        command.envs(self.trust.get().map(|trust| ("THALWEG__KAFKA__TRUST", trust)));
        let output = command.kill_on_drop(true).output().await.expect("the command runs");
        if !output.status.success() {
            return Err(format!("`thalweg {}` failed: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// From now on the operator believes only what these keys signed.
    pub fn believe(&self, trust: String) {
        self.trust.get_or_init(|| trust);
    }

    /// Writes events as an application does.
    pub async fn send(&self, events: &[Event]) -> Vec<Sent> {
        let positions = self.write(Topic::Events, events.iter().map(outgoing::event).collect()).await;
        let sent = |(event, (partition, offset)): (&Event, _)| Sent { event: event.clone(), partition, offset };
        events.iter().zip(positions).map(sent).collect()
    }

    /// Writes events that were sent before once more, as an application does that missed the acknowledgement.
    pub async fn send_again(&self, sent: &[Sent]) {
        let events: Vec<Event> = sent.iter().map(|sent| sent.event.clone()).collect();
        self.write(Topic::Events, events.iter().map(outgoing::event).collect()).await;
    }

    /// Writes events at a steady pace: traffic in which a test does its harm.
    pub async fn flow(&self, events: &[Event], per_second: usize) -> Vec<Sent> {
        let mut ticks = tokio::time::interval(TICK);
        let mut sent = Vec::with_capacity(events.len());
        for events in events.chunks((per_second / 20).max(1)) {
            ticks.tick().await;
            sent.extend(self.send(events).await);
        }
        sent
    }

    /// Writes events at a steady pace until something is done.
    pub async fn flow_until<T>(
        &self,
        traffic: &mut Traffic,
        per_second: usize,
        done: impl Future<Output = T>,
    ) -> (Vec<Sent>, T) {
        let (mut ticks, mut sent) = (tokio::time::interval(TICK), Vec::new());
        let mut done = pin!(done);
        loop {
            tokio::select! {
                biased;
                done = &mut done => return (sent, done),
                _ = ticks.tick() => sent.extend(self.send(&traffic.take((per_second / 20).max(1))).await),
            }
        }
    }

    /// Writes catalog records.
    pub async fn list(&self, items: &[Item]) {
        self.write(Topic::Items, items.iter().map(outgoing::item).collect()).await;
    }

    /// Takes an item out of the catalog.
    pub async fn delist(&self, item_id: &str) {
        self.write(Topic::Items, vec![outgoing::delisting(item_id)]).await;
    }

    /// Writes records to a topic; partition and offset of each.
    pub async fn write(&self, topic: Topic, records: Vec<Outgoing>) -> Vec<(i32, i64)> {
        let sent = self.producer.send_all(&self.topics.name(topic), records).await;
        sent.expect("every record is acknowledged")
    }

    /// Redis, as downstream services see it.
    #[must_use]
    pub fn client(&self) -> &Redis {
        &self.client
    }

    /// The list under a key; an error is a reason to look again.
    pub async fn slate(&self, key: &str) -> Result<Slate, String> {
        let values = self.client.get_many(&[key.to_owned()]).await.map_err(|error| error.to_string())?;
        let value = values.into_iter().flatten().next().flatten().ok_or_else(|| format!("no {key}"))?;
        Slate::decode(&value).map_err(|error| format!("{key}: {error}"))
    }

    /// The fields of the key `model`.
    pub async fn model(&self) -> Result<BTreeMap<String, String>, String> {
        let fields = self.client.hgetall(&self.keys.model()).await.map_err(|error| error.to_string())?;
        let fields = fields.map_err(|wrong| wrong.to_string())?;
        if fields.is_empty() { Err("no key `model`".to_owned()) } else { Ok(fields) }
    }

    /// The broker, for a world with its own.
    #[must_use]
    pub fn broker(&self) -> &OwnBroker {
        self.broker.as_ref().expect("this world was made with `own_broker`")
    }

    /// The `redis-server`, for a world with its own.
    #[must_use]
    pub fn server(&self) -> &RedisServer {
        self.server.as_ref().expect("this world was made with `own_redis`")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ctx.drain();
        if std::thread::panicking() {
            self.print_logs();
        }
    }
}

impl World {
    /// Prints the last lines of every service's log.
    #[allow(clippy::print_stderr, reason = "a failed test shows what its services said")]
    pub fn print_logs(&self) {
        let folder = std::fs::read_dir(self.logs.path()).into_iter().flatten();
        let mut logs: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
        logs.sort();
        for log in logs {
            let text = read(&log);
            let lines: Vec<&str> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES)..];
            let name = log.file_name().unwrap_or_default().to_string_lossy();
            eprintln!("--- {name}, the last {} of {} lines\n{}", shown.len(), lines.len(), shown.join("\n"));
        }
    }
}

/// What a topic of the contract looks like here.
fn spec(topics: &Topics, topic: Topic) -> TopicSpec {
    let settings = topic.settings().iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    TopicSpec {
        name: topics.name(topic),
        partitions: topic.partitions(PARTITIONS),
        may_grow: true,
        copies: None,
        settings: settings.collect(),
    }
}

/// The test's name, short, and something that no earlier run had.
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("test").rsplit("::").next().unwrap_or("test");
    let short: String = test.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{short}-{since:x}{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
