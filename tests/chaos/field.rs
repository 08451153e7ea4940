//! What faults fall on: a world of its own, its services, and what was sent so far.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tests::{Name, Servers, Service, World};
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
pub(crate) enum Whose<'a> {
    /// Each of these names.
    Each(&'a [Name]),
    /// One at least: who has no partition of those that are struck, or none at all, has nothing to say.
    OneOf(&'a [Name]),
}

impl<'a> Whose<'a> {
    const fn names(self) -> &'a [Name] {
        match self {
            Self::Each(names) | Self::OneOf(names) => names,
        }
    }
}

/// Everything that a fault may touch.
pub(crate) struct Field {
    pub(crate) world: World,
    services: Vec<Mutex<Service>>,
    /// What was sent last, for an application that sends it again.
    pub(crate) recent: Mutex<Vec<tests::Sent>>,
    /// What faults themselves sent, as applications.
    pub(crate) also_sent: Mutex<Vec<tests::Sent>>,
}

impl Field {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn open(cluster: bool) -> Self {
        let world = World::on(Servers { own_broker: true, own_redis: true, real_kafka: true, cluster }).await;
        let mut services = Vec::new();
        for name in SERVICES {
            services.push(Mutex::new(world.start(name, &settings(name)).await));
        }
        Self { world, services, recent: Mutex::default(), also_sent: Mutex::default() }
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
        let started = self.world.start_patiently(name, &settings(name)).await;
        *self.service(slot).await = started;
    }

    /// One more of that name.
    pub(crate) async fn guest(&self, name: Name) -> Service {
        self.world.start_patiently(name, &settings(name)).await
    }

    /// Starts again whoever ended by itself; what to say of it.
    pub(crate) async fn revive(&self) -> Vec<String> {
        let mut ended = Vec::new();
        for (slot, name) in SERVICES.into_iter().enumerate() {
            let status = self.service(slot).await.ended();
            if let Some(status) = status {
                let (log, lived) = (self.service(slot).await.log(), self.service(slot).await.lived());
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
    pub(crate) async fn turns_red(&self, whose: Whose<'_>, began: Instant) -> Result<Duration, String> {
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

/// Versions often, so that many are torn; commits at the default pace.
fn settings(name: Name) -> Vec<(&'static str, &'static str)> {
    match name {
        Name::Trainer => vec![("trainer.publish_every", "500ms"), ("trainer.snapshot_every", "20s")],
        _ => Vec::new(),
    }
}
