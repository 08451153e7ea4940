//! Whether a client reaches its brokers, as the readiness condition `kafka` and in the log.
#![allow(clippy::disallowed_methods, reason = "the task ends with its client, which is before the service does")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use tracing::{debug, warn};

use crate::context::Context;
use crate::lock::lock;

/// The readiness condition.
const CONDITION: &str = "kafka";
/// How long one probe of a broker that was away may take.
const PROBE: Duration = Duration::from_secs(2);
/// How often it is probed: how late its return may be noticed.
const EVERY: Duration = Duration::from_secs(1);

/// One client's view of the brokers. The condition is green when every client of the service reaches them.
#[derive(Debug)]
pub(super) struct Link {
    ctx: Context,
    id: u64,
    down: AtomicBool,
    /// What librdkafka said last.
    last: Mutex<Option<String>>,
}

impl Link {
    pub(super) fn new(ctx: &Context) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { ctx: ctx.clone(), id, down: AtomicBool::new(false), last: Mutex::default() }
    }

    pub(super) fn ctx(&self) -> &Context {
        &self.ctx
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// The client reached a broker.
    pub(super) fn up(&self) {
        // Called for each batch: the common case is one load.
        if self.down.swap(false, Ordering::Relaxed) {
            self.show(None);
        }
    }

    /// Nothing answers, for this reason.
    pub(super) fn down(&self, reason: String) {
        if !self.down.swap(true, Ordering::Relaxed) {
            self.show(Some(reason));
        }
    }

    /// The same for what a broker that answers refuses: the newest reason counts.
    pub(super) fn refused(&self, reason: String) {
        self.down.store(true, Ordering::Relaxed);
        self.show(Some(reason));
    }

    /// Says that the client works, once it was checked.
    pub(super) fn opened(&self) {
        self.down.store(false, Ordering::Relaxed);
        self.show(None);
    }

    /// Asks the brokers whether they are back; blocks for up to [`PROBE`]. An idle client would not notice.
    pub(super) fn probe<C: ClientContext>(&self, client: &Client<C>) {
        // All topics: asking for one by name could create it.
        match client.fetch_metadata(None, PROBE) {
            Ok(_) => self.up(),
            Err(error) => debug!(%error, "Kafka is still away"),
        }
    }

    fn show(&self, reason: Option<String>) {
        let mut severed = self.ctx.severed();
        match reason {
            Some(reason) => severed.insert(self.id, reason),
            None => severed.remove(&self.id),
        };
        let state = severed.values().next().map_or(Ok(()), |reason| Err(reason.clone()));
        self.ctx.set(CONDITION, state);
    }

    /// What librdkafka said last of its connections, if it said anything.
    pub(super) fn last_error(&self) -> Option<String> {
        lock(&self.last).clone()
    }

    /// What librdkafka calls a global error: mostly news of connections, which it mends itself.
    pub(super) fn heard(&self, error: &ClientError, reason: &str) {
        *lock(&self.last) = Some(reason.to_owned());
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => self.down(format!("no broker answers: {reason}")),
            Some(Code::SaslAuthenticationFailed | Code::Authentication | Code::SSL) => {
                self.down(format!("the broker refuses us: {reason}; correct kafka.properties"));
            }
            _ => debug!(service = self.ctx.name(), %error, reason, "librdkafka"),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A client that is gone holds the condition neither red nor green.
        if self.is_down() {
            self.show(None);
        }
    }
}

/// Passes a line of librdkafka's own log on.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        // Broken connections come as errors, every second of an outage; the condition says it once.
        _ if matches!(facility, "FAIL" | "ERROR") => debug!(target: "librdkafka", facility, line),
        // That what keeps records in order is experimental, at each start of a producer.
        _ if facility == "CONFWARN" && line.contains("enable.gapless.guarantee") => {
            debug!(target: "librdkafka", facility, line);
        }
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            warn!(target: "librdkafka", facility, line);
        }
        RDKafkaLogLevel::Warning => warn!(target: "librdkafka", facility, line),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => debug!(target: "librdkafka", facility, line),
        RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", facility, line),
    }
}

/// While a client is down, probes it every second, until it is dropped or the service drains.
pub(super) fn watch<T: Send + Sync + 'static>(client: &Arc<T>, link: &Arc<Link>, probe: fn(&T, &Link)) {
    let client = Arc::downgrade(client);
    let link = Arc::clone(link);
    tokio::spawn(async move {
        while client.strong_count() > 0 {
            tokio::select! {
                () = link.ctx.drained() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if link.is_down() {
                let (client, link) = (client.clone(), Arc::clone(&link));
                let asked = tokio::task::spawn_blocking(move || {
                    if let Some(client) = client.upgrade() {
                        probe(&client, &link);
                    }
                });
                let _ = asked.await; // fails only when the tokio runtime goes down
            }
        }
    });
}

/// The context of clients that only ask and administer: nobody's readiness depends on them.
#[derive(Debug)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        debug!(%error, reason, "librdkafka");
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {}
