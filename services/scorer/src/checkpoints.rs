//! How the scorer follows the log of versions: under its own names.

use std::sync::Arc;

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::Watch;
use tokio::sync::oneshot;
pub(crate) use versions::Log;
use versions::{Follower, Names, Slot};

use crate::metrics::{LOAD, MODEL_FRESHNESS, VERSIONS_REFUSED, VERSIONS_SWAPPED};

const NAMES: Names = Names {
    thread: "scorer-versions",
    swapped: VERSIONS_SWAPPED,
    refused: VERSIONS_REFUSED,
    load: LOAD,
    freshness: MODEL_FRESHNESS,
};

/// Makes versions live until drained; `loaded` is told once everything that was there at the start is live or refused.
pub(crate) async fn follow(
    log: Log,
    kafka: Kafka,
    slot: Arc<Slot>,
    loaded: oneshot::Sender<()>,
    watch: Watch,
    ctx: Context,
) -> Result<(), versions::Error> {
    Follower::new(slot, NAMES, ctx).follow(log, kafka, watch, loaded).await
}
