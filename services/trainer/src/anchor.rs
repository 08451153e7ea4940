//! What the gate holds a learner against that was just started: the newest good version, read again beside the start.
//!
//! A trainer goes on from the newest version, which may be the one that is bad. Until the good one is read, which takes
//! seconds, and where it cannot be, the learner is held against the version that it went on from.

use model::{Model, RowEncoding};
use runtime::Context;
use schemas::VersionId;
use schemas::control::Place;
use tokio::task::JoinSet;
use tracing::info;
use versions::{Worker, fetch};

use crate::config::Config;

/// The reading, where there is any: the version, or why there is none. Dropping it ends that.
pub(crate) type Reading = JoinSet<Result<Model, String>>;

/// Begins to read the version that is good, where the learner does not go on from just that.
pub(crate) fn read(good: Option<Place>, tip: Option<VersionId>, config: &Config, ctx: &Context) -> Reading {
    let mut reading = JoinSet::new();
    let Some(good) = good.filter(|good| tip.is_some() && tip != Some(good.version)) else { return reading };
    let (config, ctx) = (config.clone(), ctx.clone());
    reading.spawn(async move {
        let version = good.version;
        if !has_room(runtime::resident_memory(), runtime::allowed_memory()) {
            return Err(format!("{version} is not read, for it may take as much memory again as there is in use"));
        }
        let failed = |why: &dyn std::fmt::Display| format!("{version} cannot be read: {why}");
        // As a scorer holds it: the items' vectors, and not what a learner goes on from.
        let empty = Model::serving(&config.model.device, RowEncoding::F32).map_err(|error| failed(&error))?;
        let worker = Worker::in_background("trainer-anchor", &ctx);
        let model = fetch(good, &empty, &config.kafka, &worker, &ctx).await.map_err(|error| failed(&error))?;
        let model = model.ok_or_else(|| failed(&"it is not on checkpoints any more"))?;
        info!(%version, "read the newest good version again");
        Ok(model)
    });
    reading
}

/// Whether a version fits in beside what is in use, which holds one already. Where the system does not tell, it does.
fn has_room(in_use: Option<u64>, allowed: Option<u64>) -> bool {
    in_use.zip(allowed).is_none_or(|(in_use, allowed)| in_use.saturating_mul(2) <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_good_version_is_read_again_only_where_there_is_as_much_memory_again_as_is_in_use() {
        assert!(has_room(Some(4 << 30), Some(8 << 30)) && !has_room(Some((4 << 30) + 1), Some(8 << 30)));
        assert!(has_room(None, Some(1)) && has_room(Some(1), None));
    }

    #[tokio::test]
    async fn nothing_is_read_where_the_learner_goes_on_from_the_good_version_or_from_nothing() {
        let config = runtime::config::load::<Config>(crate::DEFAULTS, None, &[], false).expect("loads");
        let version = VersionId { epoch: 1, sequence: 7 };
        let good = Some(Place { version, begins: None });
        for (good, tip) in [(good, Some(version)), (good, None), (None, Some(version))] {
            assert!(read(good, tip, &config, &Context::new("test")).is_empty());
        }
    }
}
