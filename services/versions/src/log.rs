//! The topic `checkpoints`, opened where a reader of versions begins.

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::{Bookmark, KafkaError, Next, Positions, Reader, StartAt};
use schemas::checkpoint::Claim;
use schemas::signature::Trust;
use schemas::{Topic, Topics};
use tracing::warn;

use crate::assembler::room;
use crate::signing;
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
    trust: Trust,
}

impl Log {
    /// Opens the log `checkpoints` at the newest snapshot but one; with its oldest record where no such place is known.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open(kafka: &Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        Self::open_named(&Topics::new(&kafka.topic_prefix).name(Topic::Checkpoints), kafka, ctx).await
    }

    /// The same for another log of versions, such as a challenger's.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open_named(topic: &str, kafka: &Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let group = Topics::snapshot_group(topic);
        let mark = Bookmark::find(kafka, ctx.name(), &group, topic).await;
        let trust = signing::trust(kafka);
        let behind = mark.and_then(|mark| {
            let claim = signing::noted(&mark.note, topic, &trust);
            if claim.is_none() {
                warn!(topic, group, "the note where to begin is not believed; reading from the beginning");
            }
            Some((mark.offset, claim?))
        });
        let from = match &behind {
            Some((at, _)) => StartAt::Offsets(Positions::from([(0, Next(*at))])),
            None => StartAt::Beginning,
        };
        Ok(Self { reader: Reader::open(kafka, topic, from, ctx).await?, topic: topic.to_owned(), behind, trust })
    }

    /// Opens the log `checkpoints` with its oldest record.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open_whole(kafka: &Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        Self::open_whole_named(&Topics::new(&kafka.topic_prefix).name(Topic::Checkpoints), kafka, ctx).await
    }

    /// The same for another log of versions.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open_whole_named(topic: &str, kafka: &Kafka, ctx: &Context) -> Result<Self, KafkaError> {
        let (reader, trust) = (Reader::open(kafka, topic, StartAt::Beginning, ctx).await?, signing::trust(kafka));
        Ok(Self { reader, topic: topic.to_owned(), behind: None, trust })
    }

    /// Opens the log where a version of this epoch begins.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn open_at(kafka: &Kafka, at: i64, epoch: u32, ctx: &Context) -> Result<Self, KafkaError> {
        let topic = Topics::new(&kafka.topic_prefix).name(Topic::Checkpoints);
        let from = StartAt::Offsets(Positions::from([(0, Next(at))]));
        // Who claimed it is not asked: versions of lower epochs are not what is looked for.
        let claim = Claim { epoch, trainer: String::new(), claimed_at: 0, anew: false };
        let (reader, trust) = (Reader::open(kafka, &topic, from, ctx).await?, signing::trust(kafka));
        Ok(Self { reader, topic, behind: Some((at, claim)), trust })
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

    /// Whose records of it are believed.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// A walk that begins where the log was opened.
    #[must_use]
    pub fn walk(&self) -> Walk {
        let walk = self.behind.as_ref().map_or_else(Walk::default, |(_, claim)| Walk::behind(claim.clone()));
        walk.believing(self.trust.clone(), &self.topic).holding(room(runtime::allowed_memory()))
    }
}
