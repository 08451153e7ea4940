//! A trainer that learns beside the one that leads, into a log of its own, and is held against what is served.
//!
//! It follows the version that is live as a scorer does, and both are tested on the same interactions
//! ([`model::Comparison`]). A record on `control` makes it the trainer: it starts again in place, claims `checkpoints`
//! and goes on there with what it has learned.

use std::future::pending;
use std::sync::Arc;

use model::{Model, RowEncoding};
use runtime::Context;
use runtime::kafka::admin::{self, TopicSpec};
use runtime::kafka::{KafkaError, Watch};
use schemas::checkpoint::Contest;
use schemas::{Topic, Topics};
use serde::Deserialize;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::info;
use versions::{Control, Decided, Follower, Log, Names, Slot};

use crate::config::Config;
use crate::error::Error;
use crate::metrics::{LIVE_FRESHNESS, LIVE_LOAD, LIVE_SWAPPED, VERSIONS_REFUSED};

/// Section `[trainer.challenger]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Of how many tests the live version takes one.
    pub sample: u64,
    /// A stretch of the comparison has so many tests; then the next begins anew.
    pub window: u64,
    /// The chance that an interval of the comparison is ever wrong.
    pub error: f64,
    /// Who makes it the trainer.
    pub promote: Promote,
    /// It is better when it hits at least so much more often, beyond doubt, as a share of the tests.
    pub margin: f64,
    /// It is not better before so many tests.
    pub least_tests: u64,
}

/// Who makes a challenger the trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// `thalweg release promote`.
    ByOperator,
    /// The challenger itself, once it is better.
    WhenBetter,
}

impl Settings {
    /// Whether the challenger is better than what is served, beyond doubt: in hits by the margin, and in rank at all.
    pub(crate) fn is_better(&self, contest: &Contest) -> bool {
        contest.tests >= self.least_tests && contest.hr20.lower > self.margin && contest.mrr20.lower > 0.0
    }

    /// Settings that cannot be, each with what to change.
    pub(crate) fn problems(&self) -> [(bool, &'static str); 5] {
        [
            (self.sample == 0, "trainer.challenger.sample: at least 1, which tests the live version each time"),
            (self.window < 1_000, "trainer.challenger.window: at least 1000"),
            (!(1e-9..=0.5).contains(&self.error), "trainer.challenger.error: above 0, and at most 0.5"),
            (!(0.0..=1.0).contains(&self.margin), "trainer.challenger.margin: between 0 and 1"),
            (self.least_tests > self.window, "trainer.challenger.least_tests: at most trainer.challenger.window"),
        ]
    }
}

/// A challenger's topic as Kafka should have it; `copies` as in [`TopicSpec`].
#[must_use]
pub fn topic(topics: &Topics, name: &str, copies: Option<u16>) -> TopicSpec {
    let settings = Topic::Checkpoints.settings().iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    TopicSpec { name: topics.challenger(name), partitions: 1, may_grow: false, copies, settings: settings.collect() }
}

/// Makes the challenger's topic if it is not there.
pub(crate) async fn make_topic(config: &Config) -> Result<(), KafkaError> {
    let topics = Topics::new(&config.kafka.topic_prefix);
    let spec = topic(&topics, &config.trainer.name, None);
    match admin::check_partitions(&config.kafka, &[&spec.name]).await {
        Ok(_) => Ok(()),
        Err(KafkaError::MissingTopic { topic }) => {
            info!(topic, "making the challenger's topic");
            admin::apply(&config.kafka, &[spec]).await?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether this challenger was made the trainer before; `None` when asked to drain meanwhile.
pub(crate) async fn is_promoted(config: &Config, ctx: &Context) -> Result<Option<bool>, Error> {
    let control = Control::open(&config.kafka, VERSIONS_REFUSED, ctx).await?;
    Ok(control.map(|control| made(&control, config)))
}

/// The same, as far as it was read.
pub(crate) fn made(control: &Control, config: &Config) -> bool {
    control.releases().promotion().is_some_and(|promotion| promotion.made(&config.trainer.name))
}

/// The condition that holds once a version is live to be held against.
const CONDITION: &str = "live";

const NAMES: Names = Names {
    condition: CONDITION,
    thread: "trainer-live",
    swapped: LIVE_SWAPPED,
    refused: VERSIONS_REFUSED,
    withdrawn: None,
    load: LIVE_LOAD,
    freshness: LIVE_FRESHNESS,
};

/// Follows the version that is live. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Rival {
    slot: Arc<Slot>,
    swaps: watch::Receiver<u64>,
    following: JoinSet<Result<(), versions::Error>>,
}

impl Rival {
    /// Begins to follow; `None` when asked to drain meanwhile.
    pub(crate) async fn follow(config: &Config, watch: &Watch, ctx: &Context) -> Result<Option<Self>, Error> {
        // As a scorer serves it: it holds the items' vectors, and not what a learner goes on from.
        let slot = Arc::new(Slot::new(Model::serving(&config.model.device, RowEncoding::F32)?));
        let Some(control) = Control::open(&config.kafka, VERSIONS_REFUSED, ctx).await? else { return Ok(None) };
        let log = Log::open(&config.kafka, ctx).await?;
        ctx.set(
            CONDITION,
            Err("no version of the trainer is live yet; the challenger is held against nothing".to_owned()),
        );
        let swaps = slot.swaps();
        let follower = Follower::new(Arc::clone(&slot), NAMES, config.kafka.clone(), ctx.clone());
        let (loaded, _) = oneshot::channel(); // nobody waits for it
        let mut following = JoinSet::new();
        following.spawn(follower.follow(log, control, watch.clone(), loaded));
        Ok(Some(Self { slot, swaps, following }))
    }

    /// The next version that is live, and whether somebody keeps it so; never, where none is followed. Dropping the
    /// future loses nothing.
    pub(crate) async fn next(rival: &mut Option<Self>) -> Result<(Model, bool), Error> {
        let Some(Self { slot, swaps, following }) = rival else { return pending().await };
        tokio::select! {
            Ok(()) = swaps.changed() => {
                let live = slot.load();
                Ok((live.model.clone(), live.decided.as_ref().is_some_and(Decided::stays)))
            }
            Some(ended) = following.join_next() => {
                ended.map_err(Error::Publication)??;
                pending().await // it ends only when the service drains
            }
        }
    }

    /// What it said of the service is not said any more.
    pub(crate) async fn end(mut self, ctx: &Context) {
        self.following.shutdown().await;
        for condition in [CONDITION, "release"] {
            ctx.set(condition, Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::VersionId;
    use schemas::checkpoint::Interval;

    use super::*;

    #[test]
    fn a_challenger_is_better_when_both_lower_bounds_say_so_and_enough_was_tested() {
        let config = runtime::config::load::<Config>(crate::DEFAULTS, None, &[], false).expect("loads");
        let settings = Settings { margin: 0.005, ..config.trainer.challenger };
        assert_eq!(settings.promote, Promote::ByOperator, "nobody is promoted unless somebody says so");
        let interval = |lower: f64| Interval { mean: lower + 0.01, lower, upper: lower + 0.02 };
        let live = VersionId { epoch: 1, sequence: 1 };
        let contest = |tests: u64, hits: f64, ranks: f64| {
            settings.is_better(&Contest { live, tests, hr20: interval(hits), mrr20: interval(ranks) })
        };
        let enough = settings.least_tests;
        assert!(contest(enough, 0.006, 0.001));
        assert!(!contest(enough - 1, 0.006, 0.001), "too few tests");
        assert!(!contest(enough, 0.004, 0.001), "within the margin");
        assert!(!contest(enough, 0.006, -0.001), "the ranks may be worse");
    }

    #[test]
    fn a_challengers_topic_is_kept_as_checkpoints_is() {
        let spec = topic(&Topics::new("shop."), "gru", Some(3));
        assert_eq!((spec.name.as_str(), spec.partitions, spec.copies), ("shop.checkpoints.gru", 1, Some(3)));
        assert_eq!(spec.settings.len(), Topic::Checkpoints.settings().len());
    }
}
