//! A version of ours that no scorer may serve: it is not written, and training goes on from the newest one.
//!
//! If the process dies in here nothing is lost: what was learned since the newest version is in none, and is read
//! again.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::checkpoint::{Through, VersionId};
use tokio::task::JoinError;
use tracing::warn;

use super::{Carried, End, Past, Trainer};
use crate::error::Error;
use crate::publisher::Published;
use crate::restore::furthest;

/// A trainer goes back so often within [`WITHIN`]; then it ends, and somebody has to look.
const MOST: usize = 3;
const WITHIN: Duration = Duration::from_secs(3_600);

impl Past {
    /// Takes note of a refusal of a version that stood at `through`; false once there were too many. The first may be
    /// chance, and what lies behind the newest version is learned again; then it is tested and counted, and not
    /// trained on.
    fn refused(&mut self, through: &BTreeMap<i32, Through>, now: Instant) -> bool {
        self.refusals.retain(|at| now.duration_since(*at) < WITHIN);
        if !self.refusals.is_empty() {
            furthest(&mut self.spoiled, through);
        }
        self.refusals.push(now);
        self.refusals.len() <= MOST
    }
}

impl Trainer {
    /// Ends without the version: what is learned here is not gone on from.
    pub(super) async fn put_away(
        mut self,
        version: VersionId,
        through: BTreeMap<i32, Through>,
        source: model::Error,
    ) -> Result<End, Error> {
        let why = source.to_string();
        warn!(%version, why, "not published, because no scorer may serve it: going back to the newest version");
        self.audit_refusal(version, &why).await;
        if !self.past.refused(&through, Instant::now()) {
            return Err(Error::Unfit { version, through, source });
        }
        self.attendance.settle().await;
        self.learning.end().await?;
        let epoch = Some(self.own.epoch);
        let (attendance, promotion) = (Some(self.attendance), self.promotion);
        Ok(End::Refused(Carried { attendance, epoch, promotion, past: self.past }, why))
    }

    /// Finishes a publication of a trainer that ends: a version that no scorer may serve is not written, and that is
    /// all.
    pub(super) async fn finish_last(
        &mut self,
        outcome: Result<Result<Published, Error>, JoinError>,
    ) -> Result<(), Error> {
        if let Some((version, why)) = unfit(self.finish(outcome).await)? {
            warn!(%version, why, "not published, because no scorer may serve it");
            self.audit_refusal(version, &why).await;
        }
        Ok(())
    }
}

/// The version that was not written because no scorer may serve it, and why: for a trainer that ends, that is no error.
fn unfit(finished: Result<(), Error>) -> Result<Option<(VersionId, String)>, Error> {
    match finished {
        Err(Error::Unfit { version, source, .. }) => Ok(Some((version, source.to_string()))),
        finished => finished.map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_version_that_is_unfit_ends_no_trainer_that_drains_and_every_other_error_does() {
        let version = VersionId { epoch: 3, sequence: 7 };
        let spoiled = || model::Error::Doubted(model::Doubt::Lengths(9.0));
        let refused = unfit(Err(Error::Unfit { version, through: BTreeMap::new(), source: spoiled() }));
        assert_eq!(refused.expect("no error"), Some((version, spoiled().to_string())));
        assert_eq!(unfit(Ok(())).expect("no error"), None);
        assert!(matches!(unfit(Err(Error::LearnerGone)), Err(Error::LearnerGone)));
    }

    #[test]
    fn a_spoiled_learner_learns_again_once_then_skips_and_gives_up_after_three_times_in_an_hour() {
        let (mut past, start) = (Past::default(), Instant::now());
        let at = |next| BTreeMap::from([(0, Through { next, ..Through::NOTHING })]);
        let minutes = |n: u64| start + Duration::from_secs(60 * n);
        assert!(past.refused(&at(10), minutes(0)));
        assert!(past.spoiled.is_empty(), "the first may be chance");
        assert!(past.refused(&at(20), minutes(1)));
        assert_eq!(past.spoiled[&0].next, 20);
        assert!(past.refused(&at(15), minutes(2)));
        assert_eq!(past.spoiled[&0].next, 20, "the furthest counts");
        assert!(!past.refused(&at(30), minutes(3)));
        assert!(past.refused(&at(40), minutes(90)), "an hour later it may try again");
    }
}
