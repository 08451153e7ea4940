//! Servers that run already, and the broker that tests share where none does.

use std::env;
use std::sync::OnceLock;

use broker::Broker;

/// `KAFKA_BROKERS`, or one embedded broker for all tests.
pub(crate) fn shared_brokers() -> String {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    given("KAFKA_BROKERS")
        .unwrap_or_else(|| SHARED.get_or_init(|| Broker::start().expect("the broker starts")).brokers())
}

/// A server that runs already; an empty variable is none.
pub(crate) fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Whether Kafka is one that runs already, not the embedded broker.
#[must_use]
pub fn kafka_is_given() -> bool {
    given("KAFKA_BROKERS").is_some()
}
