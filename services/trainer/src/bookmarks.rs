//! Where the newest snapshot but one lies, for readers that start: they need not read what lies before.
//!
//! The newest but one, so that a reader has another where the newest is damaged. It is never deleted before the next is
//! there ([`crate::ledger`]).

use std::sync::Arc;
use std::time::Duration;

use runtime::Context;
use runtime::config::Kafka;
use runtime::kafka::Bookmark;
use schemas::Topics;
use schemas::checkpoint::Claim;
use schemas::signature::SigningKey;
use tracing::{debug, warn};
use versions::signing;

use crate::error::Error;

/// How long it may hold up training.
const QUESTION: Duration = Duration::from_secs(2);

/// Leaves bookmarks on a log of versions.
#[derive(Debug)]
pub(crate) struct Bookmarks {
    kafka: Kafka,
    topic: String,
    group: String,
    /// Our claim lies before our snapshots: the note carries it.
    claim: String,
    /// The newest snapshot.
    newest: Option<Bookmark>,
    signer: Option<Arc<SigningKey>>,
    ctx: Context,
}

impl Bookmarks {
    /// Goes on from the snapshot that was the newest before `claim`: where it begins, and behind which claim.
    pub(crate) fn new(
        topic: &str,
        kafka: &Kafka,
        claim: &Claim,
        newest: Option<&(i64, Claim)>,
        signer: Option<Arc<SigningKey>>,
        ctx: &Context,
    ) -> Result<Self, Error> {
        let (topic, group) = (topic.to_owned(), Topics::snapshot_group(topic));
        let note = |claim| signing::note(claim, &topic, signer.as_deref());
        let newest = newest.map(|(offset, claim)| note(claim).map(|note| Bookmark { offset: *offset, note }));
        let (claim, newest) = (note(claim)?, newest.transpose()?);
        Ok(Self { kafka: kafka.clone(), topic, group, claim, newest, signer, ctx: ctx.clone() })
    }

    /// Whether a snapshot is there.
    pub(crate) fn has_published(&self) -> bool {
        self.newest.is_some()
    }

    /// We claimed again, for the topic lost all that was there.
    pub(crate) fn claimed(&mut self, claim: &Claim) -> Result<(), Error> {
        (self.claim, self.newest) = (signing::note(claim, &self.topic, self.signer.as_deref())?, None);
        Ok(())
    }

    /// A snapshot was published, whose first chunk has this offset: the one before is bookmarked. A failure is no
    /// error: who starts then reads more than it needs.
    pub(crate) async fn published(&mut self, first: i64) {
        let newest = Bookmark { offset: first, note: self.claim.clone() };
        let Some(before) = self.newest.replace(newest) else { return };
        let left = before.leave(&self.kafka, self.ctx.name(), &self.group, &self.topic);
        match tokio::time::timeout(QUESTION, left).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(group = self.group, %error, "who starts reads more of checkpoints than it needs"),
            Err(_) => debug!(group = self.group, "leaving a bookmark takes long; going on"),
        }
    }
}
