//! Why the trainer ends, and what to do about it.

use std::collections::BTreeMap;

use runtime::kafka::KafkaError;
use runtime::{Outage, TaskError};
use schemas::checkpoint::{Claim, Through, VersionId};

/// Ends the service. A version or record that is not usable is no error: it is counted, logged and skipped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka refused something that waiting does not cure.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The key to sign with is gone, or nobody would believe it.
    #[error("{0}")]
    SignKey(String),
    /// The model refuses its settings, or a version of another shape.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A thread panicked.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// I9: somebody else is the trainer now.
    #[error(
        "{} claimed epoch {} after our epoch {own}: only one writes versions, so this trainer ends; what it learned since \
         its last version is not in one. A trainer, a promotion or an import claims: if you asked for none of them, two \
         trainers run, and one is to be stopped",
        claim.trainer, claim.epoch
    )]
    Superseded {
        /// Our epoch.
        own: u32,
        /// The claim that ended it.
        claim: Claim,
    },
    /// The order of versions is the order of the log, so there is one partition.
    #[error(
        "topic {topic} has {partitions} partitions; it must have 1: delete it, then create it with `thalweg topics apply`"
    )]
    Partitions {
        /// Name of the topic `checkpoints`.
        topic: String,
        /// How many it has.
        partitions: usize,
    },
    /// A version would be refused by everyone.
    #[error("a version has {bytes} bytes, more than the {most} that are accepted; lower model.max_items or model.dim")]
    TooLarge {
        /// The payload's length.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// Nobody would take it: the learner's state is spoiled. Its state and offsets agree in versions alone, so the
    /// trainer goes back to the newest one, and ends where that does not help.
    #[error(
        "version {version} was not published, because no scorer may serve it ({source}); the last good one stays. Start \
         the trainer again: it goes on from there. If it comes to the same again, lower model.row_learning_rate and \
         model.dense_learning_rate, or go back further with `thalweg release rollback`"
    )]
    Unfit {
        /// Its name.
        version: VersionId,
        /// Where it stood.
        through: BTreeMap<i32, Through>,
        /// What is wrong with it.
        source: model::Error,
    },
    /// There are versions, and none that this trainer can go on from.
    #[error(
        "{topic} holds versions up to {newest}, and none that this trainer can go on from ({reason}). Beginning with nothing \
         would put an empty model in the place of a good one. Start the program or the settings that wrote them; or, to \
         learn anew from the oldest interaction that is still there, set trainer.anew = true"
    )]
    Unusable {
        /// Name of the topic `checkpoints`.
        topic: String,
        /// The newest version found.
        newest: VersionId,
        /// Why it cannot be used.
        reason: String,
    },
    /// The version that operator or gate went back to cannot be gone on from.
    #[error(
        "{topic} was rolled back to {to}, which is not on it or cannot be read: `thalweg release rollback` lists what there \
         is to go back to"
    )]
    GoneBackTo {
        /// Name of the topic `checkpoints`.
        topic: String,
        /// The version.
        to: VersionId,
    },
    /// A challenger was promoted whose own log holds nothing to go on from.
    #[error("{topic} holds no version to go on from: the challenger cannot be the trainer before it has published one")]
    NothingToPromote {
        /// Name of the challenger's topic.
        topic: String,
    },
    /// Following the version that is live ended.
    #[error(transparent)]
    Live(#[from] versions::Error),
    /// Somebody wrote claims up to the last epoch.
    #[error(
        "no epoch is left to claim on {topic}: stop trainer and scorers, delete the topic, and create it with `thalweg topics apply`"
    )]
    Epochs {
        /// Name of the topic `checkpoints`.
        topic: String,
    },
    /// A record of ours does not serialise: a fault of the program.
    #[error("cannot write a manifest or claim")]
    Json(#[from] serde_json::Error),
    /// The learner's thread ended; its panic is reported by the context.
    #[error("the learner's thread is gone; its panic is in the log before this line")]
    LearnerGone,
    /// A publication panicked.
    #[error("a publication did not come to its end")]
    Publication(#[source] tokio::task::JoinError),
}

impl Outage for Error {
    fn is_outage(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_outage(),
            Self::Live(error) => error.is_outage(),
            _ => false,
        }
    }
}
