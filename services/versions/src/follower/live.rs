//! Which version is live: the tip, or what operator or gate decided.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use metrics::counter;
use model::Model;
use schemas::VersionId;
use schemas::checkpoint::PayloadKind;
use schemas::control::Serve;
use tracing::{debug, info, warn};

use super::Follower;
use crate::error::Error;
use crate::fetch::fetch;
use crate::slot::Decided;

/// How often a swap is told: one a second is no news.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(60);
/// A version that is wanted and was not on the topic is looked for again after so long.
const LOOK_EVERY: Duration = Duration::from_secs(60);

impl Follower {
    /// Has live follow the tip, unless operator or gate decided otherwise: then that version is live, and the chain
    /// goes on without it. Whether a newer version went live.
    pub(super) async fn follow_tip(&mut self) -> Result<bool, Error> {
        let (live, tip) = (self.slot.load(), self.tip.version());
        let is_live = live.model.version();
        let (place, decided) = match self.releases.serve(tip.unwrap_or_default(), self.ctx.now()) {
            Serve::Version(place, release) => (place, Decided::by(release)),
            Serve::Tip => {
                self.found();
                if tip.is_some() && (is_live != tip || live.decided.is_some()) {
                    self.go_live(self.tip.clone(), None);
                }
                return Ok(is_live != tip);
            }
        };
        let (wanted, same) = (place.version, is_live == Some(place.version));
        if same && live.decided.as_ref() == Some(&decided) {
            self.found();
            return Ok(false);
        }
        let model = match self.missing {
            _ if same => Some(live.model.clone()),
            _ if tip == Some(wanted) => Some(self.tip.clone()),
            Some((missing, at)) if missing == wanted && at.elapsed() < LOOK_EVERY => return Ok(false),
            _ => fetch(place, &self.empty, &self.kafka, &self.worker, &self.ctx).await?,
        };
        let Decided { action, by } = &decided;
        if let Some(model) = model {
            info!(version = %wanted, %action, by, "serving the version that was decided on");
            self.found();
            self.go_live(model, Some(decided));
            if let Some((back, _)) = self.releases.back() {
                self.withdraw(|version| back.covers(version));
            }
        } else {
            self.miss(wanted, format!("{action} of {wanted} by {by}"), live.model.version());
        }
        Ok(false)
    }

    /// A version is wanted that is not on the topic. Nobody is overruled: what is live stays, and where nothing is,
    /// lists in Redis stay.
    fn miss(&mut self, wanted: VersionId, decision: String, live: Option<VersionId>) {
        let serving = live.map_or_else(|| "lists stay as they are".to_owned(), |live| format!("{live} stays live"));
        let reason = format!("{decision}: the version is not on checkpoints; {serving}; see `thalweg release status`");
        if self.missing.is_none_or(|(missing, _)| missing != wanted) {
            warn!("{reason}");
        }
        if live.is_none() {
            self.slot.leave_lists();
        }
        self.ctx.set("release", Err(reason));
        self.missing = Some((wanted, Instant::now()));
    }

    fn found(&mut self) {
        if self.missing.take().is_some() {
            self.ctx.set("release", Ok(()));
        }
    }

    /// How old the interactions are that the live version is the first to know; not for what was published before we
    /// came.
    pub(super) fn measure(&self) {
        let (live, now) = (self.slot.load(), self.ctx.now());
        for (arrived_at, count) in live.model.manifest().into_iter().flat_map(|manifest| &manifest.arrivals) {
            let age = u64::try_from(now.saturating_sub(*arrived_at)).unwrap_or(0); // clocks of two machines may differ
            self.freshness.record_n(Duration::from_millis(age), u64::from(*count));
        }
    }

    /// Swaps a version in.
    fn go_live(&mut self, model: Model, decided: Option<Decided>) {
        let Some(manifest) = model.manifest() else { return };
        let now = self.ctx.now();
        let (version, age_ms) = (manifest.version, now.saturating_sub(manifest.made_at));
        let interactions = manifest.interactions;
        // Each second one: what an operator wants to see is that they come, and each that a scorer could start from.
        if manifest.kind == PayloadKind::Snapshot || self.announced.is_none_or(|at| at.elapsed() >= ANNOUNCE_EVERY) {
            info!(%version, interactions, age_ms, "swapped checkpoint");
            self.announced = Some(Instant::now());
        } else {
            debug!(%version, interactions, age_ms, "swapped checkpoint");
        }
        self.before = Some(self.slot.swap(model, decided, now));
        self.ctx.set(self.names.condition, Ok(()));
        counter!(self.names.swapped).increment(1);
    }
}
