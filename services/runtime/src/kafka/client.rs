//! librdkafka's settings, all in one place, and the checks a client starts with.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};

use super::error::{KafkaError, is_outage};
use crate::config;

/// How long a start waits for a broker before it is refused: a broker that starts along with us may take some seconds.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The longest single question to a broker while starting.
const QUESTION: Duration = Duration::from_secs(3);
/// How long a topic that was just created may be unknown to a broker.
pub(super) const NEW_TOPIC: Duration = Duration::from_secs(1);
/// Pause between two questions.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// What holds for every client.
const COMMON: &[(&str, &str)] = &[
    // An outage's end is noticed within a second, not after the default of ten.
    ("reconnect.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
    // Small requests leave at once; Nagle would hold them up to 40 ms behind a delayed ACK.
    ("socket.nagle.disable", "true"),
    // A broker that vanished without a FIN is noticed.
    ("socket.keepalive.enable", "true"),
    // Added partitions are known within seconds, not within five minutes: members share them, readers and writers use
    // them.
    ("topic.metadata.refresh.interval.ms", "2000"),
];

/// What holds for whoever reads.
const READING: &[(&str, &str)] = &[
    // I3: offsets are committed by the service, after its outputs.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // A new group, or one whose position was deleted by retention, misses nothing that is still there.
    ("auto.offset.reset", "earliest"),
    // A broker answers as soon as there is a record, so a short wait costs only empty answers when idle (100/s), and
    // bounds what a broker that sleeps the whole wait would add to a hop.
    ("fetch.wait.max.ms", "10"),
    // After a full local queue fetching goes on at once; the default of 1 s would be seen as a gap.
    ("fetch.queue.backoff.ms", "5"),
    // I7: records waiting in memory, per client. 32 MB is 100 k records of 300 B, or 35 checkpoint chunks.
    ("queued.max.messages.kbytes", "32768"),
    // The end of a partition is how a reader over gaps knows that it is there.
    ("enable.partition.eof", "true"),
    // A typo in a topic's name must not create a topic.
    ("allow.auto.create.topics", "false"),
];

/// What holds for whoever only looks at the ends of topics and at the first record that waits.
const WATCHING: &[(&str, &str)] = &[
    // One record of each partition is looked at.
    ("queued.min.messages", "1"),
    ("fetch.message.max.bytes", "65536"),
];

/// What holds for members of a group.
const GROUP: &[(&str, &str)] = &[
    // Partitions of a killed instance go to the others after this; Kafka takes nothing below 6 s.
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "2000"),
];

/// What holds for members that share the work.
const SHARING: &[(&str, &str)] = &[
    // Only partitions that change hands stop: an instance that joins or leaves does not empty everyone's caches.
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// What holds for a member that reads nothing of what it is given.
const ATTENDING: &[(&str, &str)] = &[
    // Another strategy than that of who shares the work: were both given one group by mistake, partitions would go to
    // who reads nothing. So Kafka refuses whoever comes second, and that one says so.
    ("partition.assignment.strategy", "roundrobin"),
    // Who stands by for it takes over once the group has let go of it; Kafka takes nothing below 6 s.
    ("session.timeout.ms", "6000"),
];

/// What holds for whoever writes.
const WRITING: &[(&str, &str)] = &[
    // A retry never writes a record twice, nor out of order; acknowledged means on all in-sync replicas.
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // Behind a record that Kafka refuses none of its partition is written (I2): the client gives up, see `producer`.
    ("enable.gapless.guarantee", "true"),
    // I6: a record waits for its broker for ever; nothing is dropped.
    ("message.timeout.ms", "0"),
    // `send_all` hands over whole batches and waits for them: 1 ms is enough to fill a request, more only delays.
    ("linger.ms", "1"),
    // JSON and Protobuf events shrink about threefold at memory speed. librdkafka always brings LZ4 along.
    ("compression.codec", "lz4"),
    // I7: records waiting in memory, per client.
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "131072"),
    // Kafka's clients in Java place a key so; applications in both then agree on the partition of a user.
    ("partitioner", "murmur2_random"),
    // Kafka's default for a topic: a stock broker takes what we send, and too big is found out here.
    ("message.max.bytes", "1048588"),
    // A missing topic is an error after this, not after 30 s.
    ("topic.metadata.propagation.max.ms", "5000"),
];

/// What an operator may not set, and why: each would break a promise without a word.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "write kafka.brokers"),
    ("metadata.broker.list", "write kafka.brokers"),
    ("group.id", "write the group of the service's own section"),
    ("enable.auto.commit", "offsets are committed after every output is acknowledged (I3)"),
    ("auto.commit.enable", "offsets are committed after every output is acknowledged (I3)"),
    ("enable.auto.offset.store", "offsets are committed after every output is acknowledged (I3)"),
    ("auto.offset.reset", "a new group reads from the beginning, or events would be passed over"),
    ("enable.partition.eof", "the end of a partition is how a reader knows that it has caught up"),
    ("isolation.level", "what a transaction took back must not be read"),
    ("allow.auto.create.topics", "a typo in a topic's name must not create a topic"),
    ("acks", "a record counts as written when all in-sync replicas have it"),
    ("request.required.acks", "a record counts as written when all in-sync replicas have it"),
    ("enable.idempotence", "a retry must not write a record twice"),
    ("max.in.flight", "a retry must not change the order of records"),
    ("max.in.flight.requests.per.connection", "a retry must not change the order of records"),
    ("message.timeout.ms", "a record waits for its broker; none is given up"),
    ("delivery.timeout.ms", "a record waits for its broker; none is given up"),
    ("retries", "a record waits for its broker; none is given up"),
    ("message.send.max.retries", "a record waits for its broker; none is given up"),
    ("transactional.id", "the services write without transactions"),
    ("enable.gapless.guarantee", "a retry must not change the order of records"),
    ("queuing.strategy", "a retry must not change the order of records"),
    ("partitioner", "a user's events lie in the partition of the same number (I2)"),
    ("offset.store.method", "offsets are committed after every output is acknowledged (I3)"),
    ("partition.assignment.strategy", "all members of a group must hand partitions over in the same way"),
    ("group.protocol", "all members of a group must hand partitions over in the same way"),
    ("group.remote.assignor", "all members of a group must hand partitions over in the same way"),
    ("group.protocol.type", "all members of a group must hand partitions over in the same way"),
    ("delivery.report.only.error", "a record counts as written when its acknowledgement is reported"),
    ("queued.max.messages.kbytes", "what is read ahead is bounded (I7)"),
    ("enabled_events", "rebalances and acknowledgements are heard by callbacks"),
    ("topic.blacklist", "a topic that is not seen would be taken for one that is not there"),
    ("test.mock.num.brokers", "records would go to a broker that is none"),
    ("topic.metadata.refresh.interval.ms", "added partitions are read within seconds"),
];

/// What a client is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role<'a> {
    /// Asks and administers.
    Admin,
    /// Writes.
    Producer,
    /// Reads explicit partitions; asks what the group has committed.
    Reader(&'a str),
    /// Shares a topic with the other members of its group.
    Member(&'a str),
    /// Is in the group and reads nothing.
    Attendant(&'a str),
    /// Looks where topics end: their real end, or the end of what is committed.
    Watcher { committed: bool },
}

/// The group of clients that commit nothing; librdkafka asks for one. Nobody joins it.
pub(super) const NO_GROUP: &str = "thalweg-reader";

/// The settings of a client of the service `name`: ours, then the operator's.
pub(super) fn settings(config: &config::Kafka, name: &str, role: Role<'_>) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set_log_level(RDKafkaLogLevel::Info);
    client.set("bootstrap.servers", &config.brokers).set("client.id", client_id(name, role));
    let tables: &[&[(&str, &str)]] = match role {
        Role::Admin => &[COMMON],
        Role::Producer => &[COMMON, WRITING],
        Role::Reader(_) => &[COMMON, READING],
        Role::Member(_) => &[COMMON, READING, GROUP, SHARING],
        Role::Attendant(_) => &[COMMON, READING, GROUP, ATTENDING],
        Role::Watcher { .. } => &[COMMON, READING, WATCHING],
    };
    for (key, value) in tables.iter().copied().flatten() {
        client.set(*key, *value);
    }
    match role {
        Role::Reader(group) | Role::Member(group) | Role::Attendant(group) => client.set("group.id", group),
        Role::Watcher { committed } => {
            let level = if committed { "read_committed" } else { "read_uncommitted" };
            client.set("group.id", NO_GROUP).set("isolation.level", level)
        }
        Role::Admin | Role::Producer => &mut client,
    };
    for (key, value) in &config.properties {
        if fits(key, role) {
            client.set(key, value);
        }
    }
    client
}

/// Tells the members of a group apart, in the brokers' logs and in tools: service, group, machine, process.
///
/// An operator's own `client.id` comes last and counts: quotas go by it.
fn client_id(name: &str, role: Role<'_>) -> String {
    match role {
        Role::Member(group) | Role::Attendant(group) | Role::Reader(group) if group != NO_GROUP => {
            format!("{name}-{group}-{}-{}", machine(), std::process::id())
        }
        _ => format!("{name}-{}-{}", machine(), std::process::id()),
    }
}

/// This machine's name, as Linux has it.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// What the operator may not set, each with the reason.
pub(super) fn reserved_properties(properties: &BTreeMap<String, String>) -> Vec<String> {
    let reserved = RESERVED.iter().filter(|(key, _)| properties.contains_key(*key));
    reserved.map(|(key, why)| format!("kafka.properties.{key}: take it out; {why}")).collect()
}

/// What librdkafka, as it is built here, refuses of the operator's settings.
pub(super) fn refused_properties(properties: &BTreeMap<String, String>) -> Vec<String> {
    let refusal = |(key, value): (&String, &String)| {
        let refused = ClientConfig::new().set(key, value).create_native_config().err()?;
        let why = match refused {
            ClientError::ClientConfig(_, why, ..) => why,
            other => other.to_string(),
        };
        Some(format!("kafka.properties.{key}: {why}"))
    };
    properties.iter().filter_map(refusal).collect()
}

/// Keeps the operator's consumer settings from producers and the other way round: librdkafka warns of each.
fn fits(key: &str, role: Role<'_>) -> bool {
    let ours = |tables: &[&[(&str, &str)]]| tables.iter().copied().flatten().any(|(name, _)| *name == key);
    match role {
        Role::Admin => !ours(&[READING, GROUP, WRITING]),
        Role::Producer => !ours(&[READING, GROUP]),
        Role::Reader(_) | Role::Member(_) | Role::Attendant(_) => !ours(&[WRITING]),
        Role::Watcher { .. } => !ours(&[WRITING, WATCHING]),
    }
}

/// Runs a blocking call of librdkafka off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    what: &str,
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|_| Err(KafkaError::interrupted(what)))
}

/// How many partitions `topic` has; waits for a broker, and for leaders right after a creation.
///
/// Blocks for up to [`START_PATIENCE`].
pub(super) fn partitions<C: ClientContext>(client: &Client<C>, brokers: &str, topic: &str) -> Result<i32, KafkaError> {
    let began = Instant::now();
    loop {
        let error = match ask_partitions(client, topic) {
            Ok(count) => return Ok(count),
            Err(error) => error,
        };
        let passing = match &error {
            KafkaError::Failed { source, .. } => is_outage(source),
            // Right after its creation a topic may not be known to every broker yet.
            KafkaError::MissingTopic { .. } => began.elapsed() < NEW_TOPIC,
            _ => false,
        };
        if !passing {
            return Err(error);
        }
        if began.elapsed() >= START_PATIENCE {
            return Err(unreachable_or(error, brokers));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Asks again while the brokers are away or elect leaders, as long as a start may wait.
pub(super) fn patiently<T>(brokers: &str, mut ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(KafkaError::Failed { source, .. }) if is_outage(&source) && began.elapsed() < START_PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome.map_err(|error| unreachable_or(error, brokers)),
        }
    }
}

fn ask_partitions<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<i32, KafkaError> {
    let what = || format!("ask for topic {topic}");
    let metadata = client.fetch_metadata(Some(topic), QUESTION).map_err(|error| KafkaError::of(what(), error))?;
    let missing = || KafkaError::MissingTopic { topic: topic.to_owned() };
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(missing)?;
    let failed = |code| KafkaError::of(what(), rdkafka::error::KafkaError::MetadataFetch(code));
    if let Some(error) = found.error() {
        return Err(match Code::from(error) {
            Code::UnknownTopicOrPartition | Code::UnknownTopic => missing(),
            code => failed(code),
        });
    }
    if found.partitions().is_empty() {
        return Err(missing());
    }
    if found.partitions().iter().any(|partition| partition.leader() < 0) {
        return Err(failed(Code::LeaderNotAvailable));
    }
    i32::try_from(found.partitions().len()).map_err(|_| missing())
}

/// An outage at the start is told as what it is: nothing answers there.
pub(super) fn unreachable_or(error: KafkaError, brokers: &str) -> KafkaError {
    match error {
        KafkaError::Failed { source, .. } if is_outage(&source) => {
            KafkaError::Unreachable { brokers: brokers.to_owned() }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(properties: &[(&str, &str)]) -> config::Kafka {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        config::Kafka {
            brokers: "b:9092".into(),
            topic_prefix: String::new(),
            properties,
            signatures: Default::default(),
        }
    }

    #[test]
    fn operators_may_not_override_what_our_promises_rest_on() {
        for (key, why) in RESERVED {
            let told = reserved_properties(&kafka(&[(key, "x")]).properties);
            assert_eq!(told, [format!("kafka.properties.{key}: take it out; {why}")]);
        }
        let free = kafka(&[("session.timeout.ms", "6000"), ("sasl.password", "x"), ("client.id", "mine")]);
        assert_eq!(reserved_properties(&free.properties), [""; 0]);
    }

    #[test]
    fn what_is_reserved_is_known_to_librdkafka() {
        for (key, _) in RESERVED {
            let known = ClientConfig::new().set(*key, "nonsense").create_native_config();
            let told = known.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!told.contains("No such configuration property"), "{key}: {told}");
        }
    }

    #[test]
    fn each_member_of_a_group_has_a_client_id_of_its_own_unless_the_operator_names_one() {
        let id = |config: &config::Kafka, role| settings(config, "scorer", role).get("client.id").map(str::to_owned);
        let own = id(&kafka(&[]), Role::Member("shop")).expect("it has one");
        assert!(own.starts_with("scorer-shop-") && own.ends_with(&format!("-{}", std::process::id())), "{own}");
        assert_eq!(id(&kafka(&[("client.id", "mine")]), Role::Member("shop")).as_deref(), Some("mine"));
    }

    #[test]
    fn only_a_watcher_of_the_real_end_reads_what_is_uncommitted() {
        let level = |role| settings(&kafka(&[]), "x", role).get("isolation.level").map(str::to_owned);
        assert_eq!(level(Role::Watcher { committed: false }).as_deref(), Some("read_uncommitted"));
        assert_eq!(level(Role::Watcher { committed: true }).as_deref(), Some("read_committed"));
        assert_eq!(level(Role::Member("g")), None, "librdkafka's default reads what is committed");
    }
}
