//! What faults fall on: a world of its own, its services, and what was sent so far.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemas::signature::SigningKey;
use tempfile::TempDir;
use tests::{Name, PARTITIONS, Servers, Service, World};
use tokio::sync::{Mutex, MutexGuard};

/// What runs: two of those that share partitions, one trainer.
const SERVICES: [Name; 5] = [Name::Ingest, Name::Ingest, Name::Trainer, Name::Scorer, Name::Scorer];

/// A service that cannot work says so within this time.
pub(crate) const RED: Duration = Duration::from_secs(15);

/// What a service says that is started while a server is away, and how soon it says it; whoever ran waits.
const REFUSALS: [&str; 2] = ["no Kafka broker answers", "no Redis answers"];
const REFUSES_WITHIN: Duration = Duration::from_secs(15);

/// Which services must say that they cannot work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    /// Each of these names.
    Each(&'static [Name]),
    /// One at least: who has no partition of those that are struck, or none at all, has nothing to say.
    OneOf(&'static [Name]),
}

impl Whose {
    const fn names(self) -> &'static [Name] {
        match self {
            Self::Each(names) | Self::OneOf(names) => names,
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().iter().map(|name| name.as_str()).collect();
        let which = match self {
            Self::Each(_) => "",
            Self::OneOf(_) => "a ",
        };
        f.pad(&format!("{which}{}", names.join(", ")))
    }
}

/// Everything that a fault may touch.
pub(crate) struct Field {
    pub(crate) world: World,
    services: Vec<Mutex<Service>>,
    /// Whether the broker is three nodes.
    pub(crate) cluster: bool,
    /// With which everything is signed, where it is.
    keys: Option<Keys>,
    /// Of `events`, as an operator has added them.
    pub(crate) partitions: Mutex<usize>,
    /// What was sent last, for an application that sends it again.
    pub(crate) recent: Mutex<Vec<tests::Sent>>,
    /// What faults themselves sent, as applications.
    pub(crate) also_sent: Mutex<Vec<tests::Sent>>,
}

impl Field {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn open(cluster: bool, signed: bool) -> Self {
        let servers = Servers { own_broker: true, own_redis: true, real_kafka: true, cluster, rights: false };
        let world = World::on(servers).await;
        let keys = signed.then(Keys::new);
        if let Some(keys) = &keys {
            world.believe(keys.trust.clone());
        }
        let (recent, also_sent, services) = (Mutex::default(), Mutex::default(), Vec::new());
        let partitions = Mutex::new(PARTITIONS as usize);
        let mut field = Self { world, services, cluster, keys, partitions, recent, also_sent };
        for name in SERVICES {
            let service = field.world.start(name, &field.settings(name)).await;
            field.services.push(Mutex::new(service));
        }
        field
    }

    /// Whether everything is signed.
    pub(crate) fn is_signed(&self) -> bool {
        self.keys.is_some()
    }

    /// Runs the operator's command, which signs where everything is signed; what it printed.
    pub(crate) async fn operate(&self, words: &[&str]) -> Result<String, String> {
        let key = self.keys.as_ref().map(|keys| keys.operator.to_string_lossy());
        let signs = key.as_deref().map(|key| ["--sign-key", key]);
        self.world.try_operate(&[words, signs.as_ref().map_or(&[], |signs| &signs[..])].concat()).await
    }

    /// Versions often, so that many are torn; commits at the default pace.
    fn settings(&self, name: Name) -> Vec<(&str, &str)> {
        let mut settings = Vec::new();
        if name == Name::Trainer {
            settings.extend([("trainer.publish_every", "500ms"), ("trainer.snapshot_every", "20s")]);
        }
        if let Some(keys) = &self.keys {
            settings.push(("kafka.trust", &keys.trust));
            if name == Name::Trainer {
                settings.push(("trainer.sign_key", keys.trainer.to_str().expect("a path that is text")));
            }
        }
        settings
    }

    /// The numbers of the services of that name.
    pub(crate) fn slots(&self, name: Name) -> Vec<usize> {
        (0..SERVICES.len()).filter(|slot| SERVICES[*slot] == name).collect()
    }

    /// One of the services of that name.
    pub(crate) fn draw(&self, name: Name, chance: &mut ChaCha8Rng) -> usize {
        let slots = self.slots(name);
        slots[chance.random_range(0..slots.len())]
    }

    pub(crate) async fn service(&self, slot: usize) -> MutexGuard<'_, Service> {
        self.services[slot].lock().await
    }

    /// Starts a service again in the place of one that has ended.
    pub(crate) async fn start_again(&self, slot: usize) {
        let name = SERVICES[slot];
        let started = self.world.start_patiently(name, &self.settings(name)).await;
        *self.service(slot).await = started;
    }

    /// One more of that name.
    pub(crate) async fn guest(&self, name: Name) -> Service {
        self.world.start_patiently(name, &self.settings(name)).await
    }

    /// Starts again whoever ended by itself; what to say of it.
    pub(crate) async fn revive(&self) -> Vec<String> {
        let mut ended = Vec::new();
        for (slot, name) in SERVICES.into_iter().enumerate() {
            let end = {
                let mut service = self.service(slot).await;
                service.ended().map(|status| (status, service.log(), service.lived()))
            };
            if let Some((status, log, lived)) = end {
                let last = log.lines().last().unwrap_or_default();
                // Whoever is started while a server is away refuses after 10 s; an orchestrator starts it again, as we
                // do.
                let refuses = REFUSALS.iter().any(|refusal| last.contains(refusal)) && lived < REFUSES_WITHIN;
                if !refuses {
                    ended.push(format!("{name} ended by itself after {lived:?} ({status}): {last}"));
                }
                self.start_again(slot).await;
            }
        }
        ended
    }

    /// What each service says is missing; empty when all are ready.
    pub(crate) async fn missing(&self) -> BTreeMap<String, String> {
        let mut missing = BTreeMap::new();
        for (slot, name) in SERVICES.into_iter().enumerate() {
            match self.service(slot).await.missing().await {
                Ok(conditions) if conditions.is_empty() => {}
                Ok(conditions) => drop(missing.insert(format!("{name}-{slot}"), format!("{conditions:?}"))),
                Err(error) => drop(missing.insert(format!("{name}-{slot}"), error)),
            }
        }
        missing
    }

    /// What each service that answers holds in memory, MB.
    pub(crate) async fn memory(&self) -> BTreeMap<String, u64> {
        let mut memory = BTreeMap::new();
        for (slot, name) in SERVICES.into_iter().enumerate() {
            if let Ok(bytes) = self.service(slot).await.metric("process_resident_memory_bytes").await {
                memory.insert(format!("{name}-{slot}"), bytes as u64 / 1_000_000);
            }
        }
        memory
    }

    /// Waits until those services are red that `whose` names; how long that took, be it longer than promised, or who is
    /// not after all.
    pub(crate) async fn turns_red(&self, whose: Whose, began: Instant) -> Result<Duration, String> {
        loop {
            let (mut green, mut red) = (Vec::new(), 0);
            for (slot, name) in SERVICES.into_iter().enumerate().filter(|(_, name)| whose.names().contains(name)) {
                let missing = self.service(slot).await.missing().await;
                if missing.is_ok_and(|missing| missing.is_empty()) {
                    green.push((name, slot));
                } else {
                    red += 1;
                }
            }
            if green.is_empty() || (red > 0 && matches!(whose, Whose::OneOf(_))) {
                return Ok(began.elapsed());
            }
            if began.elapsed() > RED + Duration::from_secs(5) {
                let mut told = format!("still ready after {:?}:", began.elapsed());
                for (name, slot) in green {
                    let log = self.service(slot).await.log();
                    let last: Vec<&str> = log.lines().rev().take(6).collect();
                    told.extend([format!(" {name}-{slot}, which said last (newest first) {}", last.join(" "))]);
                }
                return Err(told);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The keys of an installation; in tests nothing about them is secret.
struct Keys {
    /// `kafka.trust`: the trainer's key and the operator's.
    trust: String,
    trainer: PathBuf,
    operator: PathBuf,
    _folder: TempDir,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut trust = Vec::new();
        let [trainer, operator] = [("trainer", 1), ("operator", 2)].map(|(name, seed)| {
            let (file, key) = (folder.path().join(name), SigningKey::from_seed(&[seed; 32]));
            std::fs::write(&file, key.secret()).expect("the key is written");
            trust.push(format!("\"{}\"", key.public()));
            file
        });
        Self { trust: format!("[{}]", trust.join(", ")), trainer, operator, _folder: folder }
    }
}
