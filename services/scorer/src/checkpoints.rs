//! How the scorer follows the log of versions: under its own names.

use std::sync::{Arc, Mutex};

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{KafkaError, Watch};
use tokio::sync::oneshot;
use versions::{Control, Follower, Log, Names, Refusals, Slot};

use crate::metrics::{LOAD, MODEL_FRESHNESS, SLATES_WITHDRAWN, VERSIONS_REFUSED, VERSIONS_SWAPPED};

const NAMES: Names = Names {
    condition: "model",
    thread: "scorer-versions",
    swapped: VERSIONS_SWAPPED,
    refused: VERSIONS_REFUSED,
    withdrawn: Some(SLATES_WITHDRAWN),
    load: LOAD,
    freshness: MODEL_FRESHNESS,
};

/// Opens both logs that say what is live; `None` when asked to drain meanwhile.
pub(crate) async fn open(kafka: &Kafka, ctx: &Context) -> Result<Option<(Log, Control)>, KafkaError> {
    let Some(control) = Control::open(kafka, VERSIONS_REFUSED, ctx).await? else { return Ok(None) };
    Ok(Some((Log::open(kafka, ctx).await?, control)))
}

/// Makes versions live until drained; `loaded` is told once everything that was there at the start is live or refused.
pub(crate) async fn follow(
    (log, control): (Log, Control),
    kafka: Kafka,
    slot: Arc<Slot>,
    loaded: oneshot::Sender<()>,
    watch: Watch,
    refusals: Arc<Mutex<Refusals>>,
    ctx: Context,
) -> Result<(), versions::Error> {
    ctx.finish(
        Follower::new(slot, NAMES, kafka, ctx.clone()).noting(refusals).follow(log, control, watch, loaded).await,
    )
}
