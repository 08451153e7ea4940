//! Users who are to be forgotten: the learner forgets them, the next version is without them, and that is answered for.

use std::collections::BTreeSet;
use std::sync::Arc;

use metrics::{counter, gauge};
use schemas::checkpoint::PayloadKind;
use schemas::{Erased, Erasure, Manifest, Topic, Topics, UserHash, UserKey, VersionId};
use tracing::{info, warn};
use versions::{Control, receipts};

use super::Trainer;
use super::audit::PATIENCE;
use crate::error::Error;
use crate::histories::Sorted;
use crate::ledger::Keep;
use crate::metrics::{AUDIT_FAILED, ERASED, ERASURES};
use crate::retention::Retention;

/// An erasure: of whom, and when it was decided.
type Wanted = (UserHash, i64);

/// Who is erased, and what is still to be done about it.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    pub(super) erased: Erased,
    /// The version under way, and whom it is the first to be without.
    under_way: Option<(VersionId, BTreeSet<Wanted>)>,
    /// Whom we have answered for.
    answered: BTreeSet<Wanted>,
    /// Older versions are to go with the next one.
    purge: bool,
    /// They went, but for those not known yet.
    pub(super) purged: bool,
}

impl Erasing {
    /// What is erased at a start from a version of this time, milliseconds since 1970. Nobody waits for a `challenger`:
    /// a purge may be done before it has read of it.
    pub(super) fn new(erased: Erased, made_at: Option<i64>, challenger: bool) -> Self {
        if erased.secret().mark().is_none() {
            info!("privacy.secret is not set: whoever has a list of user ids can tell whom a hash of one names");
        }
        let missed =
            |erasure: &Erasure| erasure.lifted.is_none() && made_at.is_some_and(|made_at| made_at < erasure.at);
        let missed = challenger && erased.erasures().iter().any(|(_, erasure)| erasure.purge && missed(erasure));
        let purge = missed || erased.wanting().any(|(_, erasure)| erasure.purge);
        tell(&erased);
        Self { erased, purge, ..Self::default() }
    }

    /// Whether the next version is one of those after which older ones go.
    pub(super) fn wants_purge(&self) -> bool {
        self.purge
    }

    fn unanswered(&self) -> BTreeSet<Wanted> {
        let wanting = self.erased.wanting().map(|(user, erasure)| (user, erasure.at));
        wanting.filter(|wanted| !self.answered.contains(wanted)).collect()
    }
}

/// Who is erased, by what was read so far.
pub(super) fn erased(control: &Control, of: &Erased) -> Erased {
    let erasures = Arc::clone(&control.erasures().borrow());
    Erased::new(of.secret().clone(), erasures)
}

fn tell(erased: &Erased) {
    gauge!(ERASURES).set(erased.erasures().len() as f64);
    let unknown = erased.unknown();
    if unknown > 0 {
        warn!(users = unknown, "erasures made under another privacy.secret are not followed here: set the same one");
    }
}

impl Trainer {
    /// Forgets who is erased since it was last looked. The next version comes at once, and is a snapshot without them.
    pub(super) async fn forget_erased(&mut self) -> Result<(), Error> {
        let now = erased(&self.control, &self.erasing.erased);
        let before = std::mem::replace(&mut self.erasing.erased, now);
        let erased = &self.erasing.erased;
        if erased.erasures() == before.erasures() {
            return Ok(());
        }
        tell(erased);
        let was = |user, at| before.erasures().get(user).is_some_and(|was| was.lifted.is_none() && was.at == at);
        let new = erased.erasures().iter().filter(|(user, now)| now.lifted.is_none() && !was(*user, now.at));
        let keys: Vec<UserKey> = new.map(|(user, _)| user.key()).collect();
        if keys.is_empty() {
            return Ok(()); // receipts are in, or somebody is no longer erased
        }
        info!(users = keys.len(), "forgetting users that are erased");
        // Done or not: nobody waits for a challenger.
        let mut now = erased.erasures().iter();
        let purge = now.any(|(user, now)| now.purge && now.lifted.is_none() && !was(user, now.at));
        self.learning.forget(erased.clone(), keys).await?;
        if purge {
            self.erasing.purge = true;
            self.learning.forget_good().await?; // what was good goes as well
        }
        self.schedule.changed();
        self.schedule.hurry();
        Ok(())
    }

    /// Leaves out what erased users did: of a place on the log nothing is to be learned then.
    pub(super) fn leave_out_erased(&self, sorted: &mut Sorted) {
        let erased = &self.erasing.erased;
        if erased.erasures().is_empty() {
            return;
        }
        let before = sorted.remember.len() + sorted.train.len();
        sorted.remember.retain(|it| !erased.covers(&it.user_id, it.arrived_at));
        let left_out =
            sorted.train.extract_if(.., |new| erased.covers(&new.interaction.user_id, new.interaction.arrived_at));
        sorted.passed_over.extend(left_out.map(|new| (new.partition, new.offset)));
        counter!(ERASED).increment((before - sorted.remember.len() - sorted.train.len()) as u64);
    }

    /// A version is frozen that is without all that are erased by now.
    pub(super) fn will_answer(&mut self, version: VersionId) {
        self.erasing.under_way = Some((version, self.erasing.unanswered()));
    }

    /// A version is published: answers for whom it is the first to be without, and deletes the ones before it if that
    /// was asked for. Should we die in between, the next trainer finds the erasure unanswered and does it again.
    pub(super) async fn answer_for(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let Some((version, wanted)) = self.erasing.under_way.take() else { return Ok(()) };
        if version != manifest.version || manifest.kind != PayloadKind::Snapshot {
            return Ok(());
        }
        if std::mem::take(&mut self.erasing.purge) {
            self.erasing.purged = true;
            self.purge().await?;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        if self.rival.is_some() {
            self.erasing.answered.extend(wanted);
            return Ok(()); // nobody is served by a challenger: what counts is the trainer's word
        }
        let users = wanted.iter().map(|(user, _)| (*user, Default::default())).collect();
        let (at, topics) = (self.ctx.now(), Topics::new(&self.kafka.topic_prefix));
        let to = (&self.publisher.producer, &topics);
        // An audit that takes no record keeps nobody from learning: the next snapshot answers.
        let written = receipts("trainer", users, (Some(version), at), &mut self.chain, to);
        let Ok(written) = tokio::time::timeout(PATIENCE, written).await else {
            self.chain.begin_anew(at); // they may be written yet
            counter!(AUDIT_FAILED).increment(1);
            warn!(topic = topics.name(Topic::Audit), "the audit takes no receipt; `thalweg erase` waits for it");
            return Ok(());
        };
        written?;
        info!(users = wanted.len(), %version, "published a version without users that are erased");
        self.erasing.answered.extend(wanted);
        Ok(())
    }

    /// Deletes every version but the newest snapshot and what decisions name: a person's word is not overruled.
    pub(super) async fn purge(&mut self) -> Result<(), Error> {
        let wanted = self.named();
        let retention = Retention::default();
        let keep = Keep { newest: 1, retention: &retention, wanted: &wanted, now: self.ctx.now() };
        let retired = self.ledger.retire(&keep);
        info!(records = retired.len(), named = wanted.len(), "deleting older versions, for they hold erased users");
        self.publisher.retire(retired).await
    }
}
