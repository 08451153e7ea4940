//! What every part of a service shares: readiness, named tasks, the drain, retries, latencies.
#![allow(clippy::disallowed_methods, reason = "this is where the time comes from")]

mod failure;
mod pulse;
mod retry;
mod tasks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::latency::Latency;
use crate::lock::lock;
pub use failure::{TaskError, chain};
use pulse::{Beats, Watched};
pub use pulse::{Busy, Pulse};
pub use retry::Outage;
pub(crate) use retry::Pauses;
pub use tasks::Thread;

/// The grace of a context that was not given one: Kubernetes allows 30 s between SIGTERM and SIGKILL.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// The same for `frame.stall`.
const DEFAULT_STALL: Duration = Duration::from_secs(60);

/// One service instance: its readiness, its tasks and its end. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    grace: Duration,
    stall: Duration,
    draining: CancellationToken,
    drain_began: OnceLock<Instant>,
    /// Kafka has answered once: the address is right.
    reached: AtomicBool,
    /// The start is over.
    started: AtomicBool,
    conditions: Mutex<BTreeMap<&'static str, Result<(), String>>>,
    /// What is unusual and yet no reason not to be ready.
    notes: Mutex<BTreeMap<&'static str, String>>,
    latencies: Mutex<BTreeMap<&'static str, Latency>>,
    /// Kafka clients that reach no broker, with the reason; see `kafka::link`.
    severed: Mutex<BTreeMap<u64, String>>,
    /// Signs of life of tasks, threads and streams.
    beats: Beats,
    tasks: TaskTracker,
    failure: OnceLock<TaskError>,
    failed: CancellationToken,
}

impl Context {
    /// A context for embedding (demo, tests); [`App`](crate::App) makes its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with_grace(name, DEFAULT_GRACE)
    }

    /// Like [`Context::new`], with the time in-flight work may take after [`drain`](Self::drain).
    #[must_use]
    pub fn with_grace(name: &str, grace: Duration) -> Self {
        Self::with_limits(name, grace, DEFAULT_STALL)
    }

    /// Like [`Context::with_grace`], with the time one piece of work may take before `/livez` turns red.
    #[must_use]
    pub fn with_limits(name: &str, grace: Duration, stall: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                grace,
                stall,
                draining: CancellationToken::new(),
                drain_began: OnceLock::new(),
                reached: AtomicBool::new(false),
                started: AtomicBool::new(false),
                conditions: Mutex::default(),
                notes: Mutex::default(),
                latencies: Mutex::default(),
                severed: Mutex::default(),
                beats: Beats::default(),
                tasks: TaskTracker::new(),
                failure: OnceLock::new(),
                failed: CancellationToken::new(),
            }),
        }
    }

    /// The service's name, as in logs and client ids.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The wall clock in milliseconds since 1970 (I10: pure code gets it passed in).
    #[must_use]
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Says whether a named condition of readiness holds, or why it does not. Changes are logged.
    pub fn set(&self, condition: &'static str, state: Result<(), String>) {
        let mut conditions = lock(&self.inner.conditions);
        let before = conditions.get(condition);
        if before == Some(&state) {
            return;
        }
        match (before, &state) {
            (Some(Ok(())), Err(reason)) => warn!(service = self.name(), condition, reason, "no longer ready"),
            (None, Err(reason)) => info!(service = self.name(), condition, reason, "not ready yet"),
            (Some(Err(_)), Err(reason)) => debug!(service = self.name(), condition, reason, "still not ready"),
            (Some(_), Ok(())) => info!(service = self.name(), condition, "ready"),
            (None, Ok(())) => debug!(service = self.name(), condition, "ready"),
        }
        conditions.insert(condition, state);
    }

    /// Says something of the service that `/readyz` shows beside its conditions, or that it holds no longer.
    pub fn note(&self, name: &'static str, text: Option<String>) {
        let mut notes = lock(&self.inner.notes);
        match text {
            Some(text) => notes.insert(name, text),
            None => notes.remove(name),
        };
    }

    /// What was noted, by name.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<&'static str, String> {
        lock(&self.inner.notes).clone()
    }

    /// Every condition with its state, by name.
    #[must_use]
    pub fn readiness(&self) -> Vec<(&'static str, Result<(), String>)> {
        lock(&self.inner.conditions).iter().map(|(name, state)| (*name, state.clone())).collect()
    }

    /// Whether at least one condition was set and all of them hold.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let conditions = lock(&self.inner.conditions);
        !conditions.is_empty() && conditions.values().all(Result::is_ok)
    }

    /// Whether Kafka and Redis answer, by the conditions that their clients set.
    pub(crate) fn reaches_its_neighbours(&self) -> bool {
        let conditions = lock(&self.inner.conditions);
        ["kafka", "redis"].iter().all(|name| conditions.get(name).is_none_or(Result::is_ok))
    }

    /// Says that the start is over. A topic that is missing, or a right, ends a service that starts, for somebody looks
    /// on; from now on it is an outage: told on `/readyz` and waited for.
    pub fn started(&self) {
        self.reached();
        self.inner.started.store(true, Ordering::Relaxed);
    }

    /// Whether [`started`](Self::started) was called.
    pub(crate) fn has_started(&self) -> bool {
        self.inner.started.load(Ordering::Relaxed)
    }

    /// Kafka has answered: from now on it is waited for whenever it is away.
    pub(crate) fn reached(&self) {
        self.inner.reached.store(true, Ordering::Relaxed);
    }

    /// Whether Kafka has ever answered.
    pub(crate) fn has_reached(&self) -> bool {
        self.inner.reached.load(Ordering::Relaxed)
    }

    /// Asks the service to finish its in-flight work and end. Asking twice is harmless.
    pub fn drain(&self) {
        if self.inner.drain_began.set(Instant::now()).is_ok() {
            debug!(service = self.name(), grace = ?self.inner.grace, "draining");
        }
        self.inner.draining.cancel();
    }

    /// Whether [`drain`](Self::drain) was called.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Resolves once [`drain`](Self::drain) was called.
    pub async fn drained(&self) {
        self.inner.draining.cancelled().await;
    }

    /// Resolves when the grace of the drain is over: whoever still waits gives up.
    pub async fn grace_over(&self) {
        self.drained().await;
        let began = self.inner.drain_began.get().copied().unwrap_or_else(Instant::now);
        tokio::time::sleep_until(began + self.inner.grace).await;
    }

    /// How long in-flight work may take after [`drain`](Self::drain).
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.inner.grace
    }

    /// How long one piece of work may take before `/livez` turns red.
    pub(crate) fn stall(&self) -> Duration {
        self.inner.stall
    }

    /// A new sign of life, watched for as long as somebody holds it.
    #[must_use]
    pub fn pulse(&self, name: &'static str) -> Pulse {
        self.inner.beats.add(name)
    }

    /// What is stuck, for people; empty while everything is alive.
    #[must_use]
    pub fn stalled(&self) -> Vec<String> {
        self.inner.beats.stalled(self.inner.stall, std::time::Instant::now())
    }

    /// How long a stream may stand still while there is work: ten times the usual while somebody is at what takes long
    /// by its nature, and has been for half the usual already.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        self.inner.beats.patience(usual, std::time::Instant::now())
    }

    /// Says that what follows `stream` has not moved for longer than it may, or that it moves again.
    pub(crate) fn stands_still(&self, stream: &str, reason: Option<String>) {
        self.inner.beats.stands_still(stream, reason);
    }

    /// Watches a future: it is at work from when it is woken until it waits again.
    pub(crate) fn watched<F: Future>(&self, name: &'static str, future: F) -> Watched<F> {
        Watched::new(self.pulse(name), future)
    }

    /// The latency recorder of that name, shared by all who ask for it.
    #[must_use]
    pub fn latency(&self, name: &'static str) -> Latency {
        lock(&self.inner.latencies).entry(name).or_default().clone()
    }

    /// Every latency recorder by name, for the `/metrics` page.
    #[must_use]
    pub fn latencies(&self) -> Vec<(&'static str, Latency)> {
        lock(&self.inner.latencies).iter().map(|(name, latency)| (*name, latency.clone())).collect()
    }

    /// The Kafka clients of this service that reach no broker.
    pub(crate) fn severed(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        lock(&self.inner.severed)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.inner.name)
            .field("draining", &self.draining())
            .field("readiness", &self.readiness())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_every_condition_that_was_named_holds() {
        let ctx = Context::new("test");
        assert!(!ctx.is_ready(), "nothing was said yet");
        ctx.set("kafka", Ok(()));
        ctx.set("model", Err("no version is live yet".into()));
        assert!(!ctx.is_ready());
        ctx.set("model", Ok(()));
        assert!(ctx.is_ready());
    }

    #[test]
    fn one_name_is_one_latency() {
        let ctx = Context::new("test");
        ctx.latency("swap").record(Duration::from_millis(3));
        ctx.latency("swap").record(Duration::from_millis(5));
        assert_eq!(ctx.latency("swap").snapshot().len(), 2);
    }

    #[tokio::test]
    async fn grace_is_over_only_after_the_drain_began() {
        let grace = Duration::from_millis(30);
        let ctx = Context::with_grace("test", grace);
        assert!(tokio::time::timeout(grace * 3, ctx.grace_over()).await.is_err());
        ctx.drain();
        let began = Instant::now();
        ctx.grace_over().await;
        assert!(began.elapsed() >= grace - Duration::from_millis(1));
    }
}
