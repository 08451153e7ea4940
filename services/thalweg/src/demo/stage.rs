//! What a demo plays on: the servers, the services on them, and what watches both.

use runtime::kafka::Producer;
use runtime::redis::Redis;
use runtime::telemetry::MetricsHandle;
use schemas::{Keys, Topics};

use super::servers::Servers;
use super::services::Services;
use super::watch::Manifests;
use crate::probe::Probe;

/// The demo's surroundings. They go in this order: the servers last.
pub(super) struct Stage {
    pub(super) probe: Probe,
    pub(super) redis: Redis,
    pub(super) manifests: Manifests,
    pub(super) metrics: MetricsHandle,
    pub(super) services: Services,
    /// What traffic is sent by.
    pub(super) producer: Producer,
    pub(super) servers: Servers,
}

impl Stage {
    pub(super) fn topics(&self) -> Topics {
        Topics::new(&self.servers.kafka.topic_prefix)
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::new(&self.servers.redis.key_prefix)
    }
}
