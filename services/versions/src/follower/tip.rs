//! From the tip to the next version, where that fits and follows it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::Instant;

use metrics::counter;
use model::Error as Unfit;
use schemas::VersionId;
use schemas::signature::Distrust;
use tracing::{debug, info, warn};

use super::Follower;
use crate::continuity::Follows;
use crate::error::Error;
use crate::walk::Version;

impl Follower {
    /// Takes note of what a trainer wrote and this release cannot use. What is of an epoch that nobody claimed is a
    /// stranger's.
    ///
    /// Where nothing is claimed that is signed, a trainer may have written it before signatures were asked for.
    pub(super) fn refuse(&mut self, version: VersionId, distrust: Option<Distrust>, reason: &str) {
        let claimed = self.walk.epoch();
        if claimed > 0 && version.epoch <= claimed || claimed == 0 && distrust.is_some() {
            self.refused = Some(format!("{version}: {reason}"));
            self.slot.keep(|kept| kept.refused = Some((version, reason.to_owned())));
        }
    }

    /// The next version is held against what the tip would show, too.
    pub(super) async fn ask_from_tip(&mut self) -> Result<(), Error> {
        let (tip, mut continuity) = (self.tip.clone(), std::mem::take(&mut self.continuity));
        let asking = self.worker.run(move || {
            continuity.ask_from(&tip);
            continuity
        });
        self.continuity = asking.await?;
        Ok(())
    }

    /// Moves the tip on to the next version; false, and nothing changed, if it does not fit, or is doubted.
    pub(super) async fn apply(&mut self, Version { manifest, payload, .. }: Version) -> Result<bool, Error> {
        let (tip, before) = (self.tip.clone(), self.before.take());
        let started = Instant::now();
        let version = manifest.version;
        // What went on from a version that was gone back to knows what that one knew.
        let back = self.releases.back().map(|(back, _)| back);
        let rolled_back = tip.version().is_some_and(|tip| back.is_some_and(|back| back.covers(tip)));
        let known = if rolled_back { self.slot.load().model.knowledge().items() } else { tip.knowledge().items() };
        let claim = self.walk.claim().cloned();
        let may_be_empty = known == 0 || claim.as_ref().is_some_and(|claim| claim.anew);
        let mut continuity = std::mem::take(&mut self.continuity);
        let made = self.worker.run(move || {
            drop(before);
            let made = tip.apply(&manifest, &payload).and_then(|next| match next.knowledge().items() {
                0 if !may_be_empty => Err(Unfit::Empty),
                _ => Ok(next),
            });
            let made = made.and_then(|next| {
                let judged = continuity.judge(&tip, &next, claim.as_ref(), rolled_back);
                judged.map(|follows| (next, follows)).map_err(Unfit::Doubted)
            });
            (made, continuity)
        });
        let (made, continuity) = made.await?;
        self.continuity = continuity;
        let aside = self.continuity.aside().map(|(version, doubt)| (version, doubt.to_string()));
        self.slot.keep(|kept| kept.suspect = aside);
        match made {
            Ok((next, follows)) => {
                self.load.record(started.elapsed());
                let replaced = std::mem::replace(&mut self.tip, next).version();
                if follows == Follows::InPlaceOf {
                    warn!(?replaced, %version, "the version before was none of the chain; this one takes its place");
                    self.withdraw(|version| Some(version) == replaced);
                }
                if std::mem::take(&mut self.waiting) {
                    info!(%version, "the chain of versions goes on");
                }
                Ok(true)
            }
            Err(error @ Unfit::Parent { .. }) => {
                counter!(self.names.refused, "reason" => "parent").increment(1);
                if self.waiting || self.tip.version().is_none() {
                    debug!(%error, "waiting for a snapshot");
                } else {
                    warn!(%error, "the chain of versions is broken; the live one keeps serving until the next snapshot");
                }
                self.waiting = true;
                Ok(false)
            }
            Err(error @ Unfit::Doubted(_)) => {
                self.tell("suspect", Some(version), &error.to_string());
                Ok(false)
            }
            Err(error) => {
                self.refuse(version, None, &error.to_string());
                self.tell("payload", Some(version), &error.to_string());
                Ok(false)
            }
        }
    }

    /// Counts the lists that users were given by versions that are gone back from.
    pub(super) fn withdraw(&self, gone: impl Fn(VersionId) -> bool) {
        let lists = self.slot.withdraw(gone);
        if let Some(withdrawn) = self.names.withdrawn.filter(|_| lists > 0) {
            counter!(withdrawn).increment(lists);
            warn!(lists, "users were given lists by versions that are gone back from");
        }
    }
}
