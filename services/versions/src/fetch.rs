//! Reads one version from the log again, whatever is newer: a version that was pinned or gone back to.

use std::sync::Arc;

use model::Model;
use runtime::Context;
use runtime::config::Kafka;
use schemas::VersionId;
use schemas::checkpoint::PayloadKind;
use schemas::control::Place;

use crate::error::Error;
use crate::log::Log;
use crate::walk::{Step, Version};
use crate::worker::Worker;

/// Records of one read, at most 1 MB each.
const BATCH: usize = 16;

/// Puts the version together on top of `empty`; `None` if it is not on the topic any more, or was asked to drain.
///
/// # Errors
/// Kafka refuses something that waiting does not cure, or the worker is gone.
pub async fn fetch(
    place: Place,
    empty: &Model,
    kafka: &Kafka,
    worker: &Worker,
    ctx: &Context,
) -> Result<Option<Model>, Error> {
    let Place { version, begins } = place;
    if let Some(at) = begins {
        let log = Log::open_at(kafka, at, version.epoch, ctx).await?;
        if let Some(model) = fetch_from(log, version, empty, worker).await? {
            return Ok(Some(model));
        }
    }
    fetch_from(Log::open_whole(kafka, ctx).await?, version, empty, worker).await
}

async fn fetch_from(mut log: Log, wanted: VersionId, empty: &Model, worker: &Worker) -> Result<Option<Model>, Error> {
    let mut walk = log.walk();
    let Some(end) = log.reader.wait_for_end().await? else { return Ok(None) };
    // The snapshot and the deltas behind it that lead to the version; nothing is made of any other.
    let mut chain: Vec<Arc<Version>> = Vec::new();
    while let Some(batch) = log.reader.replay(&end, BATCH).await? {
        for record in batch.records {
            let Step::Whole(version) = walk.take(&record) else { continue };
            let id = version.manifest.version;
            if version.manifest.kind == PayloadKind::Snapshot {
                chain.clear();
            }
            chain.push(Arc::new(version));
            if id == wanted {
                let (mut model, chain) = (empty.clone(), std::mem::take(&mut chain));
                let made = worker.run(move || {
                    // What does not fit is none of the chain: somebody else wrote it.
                    for version in &chain {
                        if let Ok(next) = model.apply(&version.manifest, &version.payload) {
                            model = next;
                        }
                    }
                    Some(model).filter(|model| model.version() == Some(wanted))
                });
                if let Some(model) = made.await? {
                    return Ok(Some(model));
                }
            }
        }
    }
    Ok(None)
}
