//! The topic `checkpoints`, opened where a reader of versions begins.

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Bookmark, From, KafkaError, Next, Positions, Reader};
use schemas::checkpoint::Claim;
use schemas::{Topic, Topics};

use crate::walk::Walk;

/// The log of versions. A reader begins at the newest snapshot but one, if its place is known: two snapshots and
/// minutes of deltas lie there, whatever else the topic holds.
#[derive(Debug)]
pub struct Log {
    /// Reads it, and goes on behind its end.
    pub reader: Reader,
    topic: String,
    /// Where it was opened, and the claim before that place; `None` at its beginning.
    behind: Option<(i64, Claim)>,
}

impl Log {
    /// Opens the log at the newest snapshot but one; with its oldest record where no such place is known.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open(kafka: &Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let topics = Topics::new(&kafka.topic_prefix);
        let (topic, group) = (topics.name(Topic::Checkpoints), topics.snapshot_group());
        let mark = Bookmark::find(kafka, ctx.name(), &group, &topic).await;
        let behind = mark.and_then(|mark| Some((mark.offset, Claim::noted(&mark.note)?)));
        let from = match &behind {
            Some((at, _)) => From::At(Positions::from([(0, Next(*at))])),
            None => From::Beginning,
        };
        Ok(Self { reader: Reader::open(kafka, &topic, from, ctx).await?, topic, behind })
    }

    /// Opens the log with its oldest record.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open_whole(kafka: &Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let topic = Topics::new(&kafka.topic_prefix).name(Topic::Checkpoints);
        Ok(Self { reader: Reader::open(kafka, &topic, From::Beginning, ctx).await?, topic, behind: None })
    }

    /// Opens the log where a version of this epoch begins.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open_at(kafka: &Kafka, at: i64, epoch: u32, ctx: &Context) -> Result<Self, KafkaError> {
        let topic = Topics::new(&kafka.topic_prefix).name(Topic::Checkpoints);
        let from = From::At(Positions::from([(0, Next(at))]));
        // Who claimed it is not asked: versions of lower epochs are not what is looked for.
        let claim = Claim { epoch, trainer: String::new(), claimed_at: 0, anew: false };
        Ok(Self { reader: Reader::open(kafka, &topic, from, ctx).await?, topic, behind: Some((at, claim)) })
    }

    /// Whether it was opened with its oldest record, so that nothing lies before.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.behind.is_none()
    }

    /// The offset it was opened at; 0 where it was opened with its oldest record.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.behind.as_ref().map_or(0, |(at, _)| *at)
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// A walk that begins where the log was opened.
    #[must_use]
    pub fn walk(&self) -> Walk {
        self.behind.as_ref().map_or_else(Walk::default, |(_, claim)| Walk::behind(claim.clone()))
    }
}
