//! Tells a client of its bootstrap servers once more.
//!
//! A broker that has just come back may answer for a moment that the cluster has no brokers: it is fenced until its
//! controller hears of it. librdkafka (2.10 to 2.13 at least, its issue 5301) then forgets every broker, the bootstrap
//! servers among them, and never connects again. librdkafka's Rust client does not show the call that mends it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]
#![allow(unsafe_code)]

use std::ffi::CString;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};

/// A client that nothing was heard of for so long is told. An outage looks the same: then it changes nothing. Of each
/// telling librdkafka keeps a copy of the text, so there is no more than one in this time.
const LOST: Duration = Duration::from_secs(8);

/// For how long nothing was heard of a client.
#[derive(Debug)]
pub(super) struct Silence {
    since: Instant,
}

impl Silence {
    pub(super) fn begins() -> Self {
        Self { since: Instant::now() }
    }

    /// Somebody answered.
    pub(super) fn ends(&mut self) {
        self.since = Instant::now();
    }

    /// Nobody has answered yet; whether the client is to be told now.
    pub(super) fn goes_on(&mut self) -> bool {
        let lost = self.since.elapsed() >= LOST;
        if lost {
            self.since = Instant::now();
        }
        lost
    }
}

/// Tells `client` of these servers. It knows each of them once, however often it is told.
pub(super) fn tell<C: ClientContext>(client: &Client<C>, brokers: &str) {
    let Ok(brokers) = CString::new(brokers) else { return }; // librdkafka took the same text as a setting
    // SAFETY: the client outlives the call, for it is borrowed; librdkafka locks by itself and copies the text.
    unsafe { rd::rd_kafka_brokers_add(client.native_ptr(), brokers.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn a_client_that_has_no_broker_to_turn_to_finds_those_it_is_told_of() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        let patience = Duration::from_secs(5);
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", "127.0.0.1:1").create().expect("settings are good");
        assert!(client.fetch_metadata(None, Duration::from_millis(300)).is_err(), "nobody listens there");
        for _ in 0..2 {
            tell(client.client(), &cluster.bootstrap_servers());
        }
        let found = client.fetch_metadata(None, patience).expect("it was told of one that answers");
        assert_eq!(found.brokers().len(), 1);
    }
}
