//! Records that are sent and not acknowledged: librdkafka tries again for ever and says nothing of it, so we do.
#![allow(
    clippy::disallowed_methods,
    reason = "waits and measures; the task ends with its client, which is before the service does"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};

use super::bootstrap::{self, Silence};
use super::link::Link;
use crate::lock::lock;

/// No acknowledgement for so long although records wait for one: told on `/readyz`, within 15 s with the time to
/// notice.
const SILENT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The longest single question to a broker.
const QUESTION: Duration = Duration::from_secs(2);

/// What one producer has sent, and when a record was acknowledged last.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    flights: BTreeMap<u64, Sent>,
    acknowledged: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Sent {
    topic: String,
    records: usize,
    at: Instant,
}

/// Records on their way; they have landed, or are given up, when this is dropped.
pub(super) struct OnTheWay<'a> {
    outstanding: &'a Outstanding,
    number: u64,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        lock(&self.outstanding.state).flights.remove(&self.number);
    }
}

impl Outstanding {
    pub(super) fn begin(&self, topic: &str, records: usize) -> OnTheWay<'_> {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        state.flights.insert(number, Sent { topic: topic.to_owned(), records, at: Instant::now() });
        OnTheWay { outstanding: self, number }
    }

    pub(super) fn acknowledged(&self) {
        lock(&self.state).acknowledged = Some(Instant::now());
    }

    /// The oldest records that wait, if none was acknowledged for too long, and for how long.
    fn silent(&self, now: Instant) -> Option<(Sent, Duration)> {
        let state = lock(&self.state);
        let oldest = state.flights.values().next()?.clone();
        let since = state.acknowledged.map_or(oldest.at, |acknowledged| acknowledged.max(oldest.at));
        let age = now.saturating_duration_since(since);
        (age >= SILENT).then_some((oldest, age))
    }
}

/// Turns the condition `kafka` red while nothing is acknowledged, with what can be found out, and tells the client of
/// its `brokers` anew.
pub(super) fn watch_acknowledgements<C: ProducerContext + 'static>(
    client: &Arc<ThreadedProducer<C>>,
    outstanding: &Arc<Outstanding>,
    link: &Arc<Link>,
    brokers: &str,
) {
    let (client, outstanding, link) = (Arc::downgrade(client), Arc::clone(outstanding), Arc::clone(link));
    let brokers = brokers.to_owned();
    tokio::spawn(async move {
        let silent = Link::new(link.ctx()); // a broker that answers may still acknowledge nothing
        let mut silence = Silence::begins(); // never ends: it only spaces what is told once nothing is acknowledged
        loop {
            // Until the end of the drain: a last write may hang, too.
            tokio::select! {
                () = link.ctx().grace_over() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if client.strong_count() == 0 {
                return;
            }
            let Some((sent, age)) = outstanding.silent(Instant::now()) else {
                silent.up();
                continue;
            };
            if silence.goes_on()
                && let Some(client) = client.upgrade()
            {
                bootstrap::tell(client.client(), &brokers);
            }
            if silent.is_down() {
                continue;
            }
            let (client, topic) = (client.clone(), sent.topic.clone());
            let look = move || client.upgrade().map_or_else(String::new, |client| examine(&client, &topic));
            let found = tokio::task::spawn_blocking(look).await;
            let last = link.last_error().map_or_else(String::new, |last| format!("; librdkafka said last: {last}"));
            silent.down(format!(
                "{} records for {} are not acknowledged for {} s: {}{last}",
                sent.records,
                sent.topic,
                age.as_secs(),
                found.unwrap_or_default()
            ));
        }
    });
}

/// What the brokers say of a topic that takes nothing; blocks.
fn examine<C: ProducerContext + 'static>(client: &ThreadedProducer<C>, topic: &str) -> String {
    let metadata = match client.client().fetch_metadata(Some(topic), QUESTION) {
        Ok(metadata) => metadata,
        Err(error) => return format!("no broker answers ({error})"),
    };
    let Some(topic) = metadata.topics().first() else { return "the topic is not there".to_owned() };
    match topic.partitions().iter().min_by_key(|partition| (partition.leader() >= 0, partition.isr().len())) {
        None => "the topic is not there".to_owned(),
        Some(partition) if partition.leader() < 0 => format!("partition {} has no leader", partition.id()),
        Some(partition) => format!(
            "partition {} has {} of {} replicas in sync; see whether its min.insync.replicas asks for more",
            partition.id(),
            partition.isr().len(),
            partition.replicas().len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_nobody_acknowledges_are_told_after_ten_seconds_and_slow_ones_are_not() {
        let outstanding = Outstanding::default();
        assert!(outstanding.silent(Instant::now() + 2 * SILENT).is_none(), "nothing was sent");
        let sent = outstanding.begin("interactions", 7);
        let now = Instant::now();
        assert!(outstanding.silent(now).is_none());
        let (oldest, _) = outstanding.silent(now + 2 * SILENT).expect("nobody acknowledges");
        assert_eq!((&*oldest.topic, oldest.records), ("interactions", 7));
        lock(&outstanding.state).acknowledged = Some(now + SILENT);
        assert!(outstanding.silent(now + SILENT + SILENT / 2).is_none(), "it is slow, but goes on");
        drop(sent);
        assert!(outstanding.silent(now + 9 * SILENT).is_none(), "it has landed");
    }
}
