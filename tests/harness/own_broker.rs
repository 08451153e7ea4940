//! A broker that a test has for itself and may take away: the embedded one, or a real Kafka of its own beside the given.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use broker::Broker;

/// A broker of one test.
#[derive(Debug)]
pub enum OwnBroker {
    /// In this process.
    Embedded(Box<Broker>),
    /// A node that `infra/kafka/kafka.sh` runs.
    Kafka(Node),
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
}

impl OwnBroker {
    /// Starts one; a real Kafka when the tests run on one.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(kafka: bool) -> Self {
        if !kafka {
            return Self::Embedded(Box::new(Broker::start().expect("the broker starts")));
        }
        // A node of its own for each test that asks for one.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("outage-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let said = script(&["start", &name], None);
        let brokers = said.trim().trim_start_matches("KAFKA_BROKERS=").to_owned();
        Self::Kafka(Node { name, brokers })
    }

    /// `host:port`.
    pub(crate) fn brokers(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.brokers(),
            Self::Kafka(node) => node.brokers.clone(),
        }
    }

    /// Stops answering; topics stay.
    pub async fn go_away(&self) {
        match self {
            Self::Embedded(broker) => broker.go_away(),
            Self::Kafka(node) => node.tell("stop").await,
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
        let Self::Kafka(node) = self else { panic!("the embedded broker is no process of its own") };
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
            Self::Kafka(node) => node.tell("start").await,
        }
    }
}

impl Node {
    fn pid(&self) -> String {
        let state = format!("kafka-{}", self.name);
        let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".thalweg", "run", &state, "pid"].iter().collect();
        std::fs::read_to_string(file).expect("the script notes the pid").trim().to_owned()
    }

    async fn tell(&self, word: &'static str) {
        let (name, brokers) = (self.name.clone(), self.brokers.clone());
        let port = brokers.rsplit(':').next().map(str::to_owned);
        let told = tokio::task::spawn_blocking(move || script(&[word, &name], port.as_deref()));
        told.await.expect("the script succeeds");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = command(&["wipe", &self.name], None).output(); // an unused folder is no reason to fail
    }
}

fn command(words: &[&str], port: Option<&str>) -> Command {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "infra", "kafka", "kafka.sh"].iter().collect();
    let mut command = Command::new(script);
    command.args(words).envs(port.map(|port| ("KAFKA_PORT", port)));
    command
}

fn script(words: &[&str], port: Option<&str>) -> String {
    let output = command(words, port).output().expect("infra/kafka/kafka.sh runs");
    assert!(output.status.success(), "kafka.sh {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
