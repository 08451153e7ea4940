//! A broker that a test has for itself and may take away: the embedded one, or a real Kafka of its own beside the
//! given.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use broker::{Broker, free_port};

/// Settings of a node that knows rights: whoever is told nothing of a topic may do everything with it.
const RIGHTS: &str = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true";

/// A broker of one test.
#[derive(Debug)]
pub enum OwnBroker {
    /// In this process.
    Embedded(Box<Broker>),
    /// Nodes that `infra/kafka/kafka.sh` runs: one, or three that hold every record three times. Harm befalls the last,
    /// which leads a third of the partitions then, and controls nothing.
    Kafka(Vec<Node>),
}

/// A broker that keeps its sockets and answers nothing; it goes on when this is dropped.
#[derive(Debug)]
pub enum Hung<'a> {
    /// Its threads stand still.
    Embedded(broker::Hung),
    /// Its process is stopped.
    Kafka(&'a OwnBroker),
}

impl Drop for Hung<'_> {
    fn drop(&mut self) {
        if let Self::Kafka(broker) = self {
            broker.signal("CONT");
        }
    }
}

/// A Kafka node, known to the script by its name; wiped when dropped.
#[derive(Debug)]
pub struct Node {
    name: String,
    brokers: String,
    /// What the script is told by its environment.
    place: Place,
}

/// A node's place among its kind.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Number and copies, where there are several.
    of: Option<(u32, u32)>,
    /// The first node, which has the controller.
    first: Option<String>,
    port: Option<String>,
    /// Whether it knows rights.
    rights: bool,
}

impl OwnBroker {
    /// Starts the embedded one, or so many nodes of a real Kafka, which know rights if that is wanted.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(kafka: Option<u32>, rights: bool) -> Self {
        let Some(nodes) = kafka else {
            return Self::Embedded(Box::new(Broker::start().expect("the broker starts")));
        };
        // A node of its own for each test that asks for one.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("outage-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let node = |number: u32| {
            let several = nodes > 1;
            let first = (number > 1).then(|| format!("{name}-1"));
            let place = Place { of: several.then_some((number, nodes)), first, port: None, rights };
            Node::start(if several { format!("{name}-{number}") } else { name.clone() }, place)
        };
        Self::Kafka((1..=nodes).map(node).collect())
    }

    /// `host:port`.
    pub(crate) fn brokers(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.brokers(),
            Self::Kafka(nodes) => nodes.iter().map(|node| node.brokers.as_str()).collect::<Vec<_>>().join(","),
        }
    }

    /// Stops answering; topics stay.
    pub async fn go_away(&self) {
        match self {
            Self::Embedded(broker) => broker.go_away(),
            Self::Kafka(nodes) => last(nodes).tell("stop").await,
        }
    }

    /// Answers nothing, with every socket open, until the guard is dropped.
    #[must_use]
    pub fn hang(&self) -> Hung<'_> {
        match self {
            Self::Embedded(broker) => Hung::Embedded(broker.hang()),
            Self::Kafka(_) => {
                self.signal("STOP");
                Hung::Kafka(self)
            }
        }
    }

    /// Sends a signal to the process of a real Kafka: `STOP` leaves its sockets open, `KILL` ends it in the middle.
    ///
    /// # Panics
    /// When the broker is the embedded one.
    pub fn signal(&self, signal: &str) {
        let Self::Kafka(nodes) = self else { panic!("the embedded broker is no process of its own") };
        let node = last(nodes);
        let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {}", node.pid())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the node {} is gone", node.name);
    }

    /// Answers again, where it did before.
    ///
    /// # Panics
    /// When it does not.
    pub async fn come_back(&self) {
        match self {
            Self::Embedded(broker) => broker.come_back().expect("its port is free"),
            Self::Kafka(nodes) => last(nodes).tell("start").await,
        }
    }
}

fn last(nodes: &[Node]) -> &Node {
    nodes.last().expect("there is one at least")
}

impl Node {
    fn start(name: String, mut place: Place) -> Self {
        // Left to itself the script asks for the usual port, as do nodes that others start at this moment.
        place.port = Some(free_port().expect("a free port").to_string());
        let said = script(&["start", &name], &place);
        let brokers = said.trim().trim_start_matches("KAFKA_BROKERS=").to_owned();
        Self { name, brokers, place }
    }

    fn pid(&self) -> String {
        let state = format!("kafka-{}", self.name);
        let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".thalweg", "run", &state, "pid"].iter().collect();
        std::fs::read_to_string(file).expect("the script notes the pid").trim().to_owned()
    }

    async fn tell(&self, word: &'static str) {
        let (name, place) = (self.name.clone(), self.place.clone());
        let told = tokio::task::spawn_blocking(move || script(&[word, &name], &place));
        told.await.expect("the script succeeds");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = command(&["wipe", &self.name], &self.place).output(); // an unused folder is no reason to fail
    }
}

fn command(words: &[&str], place: &Place) -> Command {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "infra", "kafka", "kafka.sh"].iter().collect();
    let mut command = Command::new(script);
    command.args(words).envs(place.port.iter().map(|port| ("KAFKA_PORT", port)));
    command.envs(place.first.iter().map(|first| ("KAFKA_JOINS", first)));
    command.envs(place.rights.then_some(("KAFKA_SETTINGS", RIGHTS)));
    if let Some((number, copies)) = place.of {
        command.env("KAFKA_NODE", number.to_string()).env("KAFKA_COPIES", copies.to_string());
    }
    command
}

fn script(words: &[&str], place: &Place) -> String {
    let output = command(words, place).output().expect("infra/kafka/kafka.sh runs");
    assert!(output.status.success(), "kafka.sh {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
