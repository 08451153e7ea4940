//! What becomes of records that are not believed: they are counted, audited, and stand in nobody's way.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::time::{Duration, Instant};

use metrics::counter;
use schemas::signature::Distrust;
use schemas::{Topics, VersionId};
use tracing::{debug, info};
use versions::say;

use super::Trainer;
use crate::error::Error;
use crate::metrics::VERSIONS_REFUSED;

/// A snapshot comes out of turn this often at most for the same reason.
const HURRY_EVERY: Duration = Duration::from_secs(60);

/// Words are written again this often at most: a flood of forged ones must not become one of ours.
const REPEAT_EVERY: Duration = Duration::from_secs(5);

impl Trainer {
    /// Takes note of a claim or manifest that is not believed. One of our epoch may lie over a version of ours, which
    /// who starts after a compaction would lack: a snapshot goes behind it.
    pub(super) fn distrust(&mut self, why: Distrust, version: VersionId) {
        counter!(VERSIONS_REFUSED, "reason" => why.as_str()).increment(1);
        debug!(%version, %why, "refused a claim or manifest");
        self.refusals.note("checkpoints", (why.as_str(), &why.to_string()), Some(version), 1, Instant::now());
        let hurried = self.hurried.is_some_and(|at| at.elapsed() < HURRY_EVERY);
        if version.epoch == self.own.epoch && !hurried {
            self.hurried = Some(Instant::now());
            self.schedule.hurry();
        }
    }

    /// Writes to the audit what was refused, and writes the words that stand again where what was refused lies over
    /// them: after compaction, who starts would find that alone. Killed in between, the next trainer does it.
    pub(super) async fn defend(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        for (why, (records, reason)) in self.control.refused() {
            self.refusals.note("control", (why, &reason), None, records, now);
        }
        for deed in self.refusals.due(now) {
            info!(subject = deed.subject, reason = deed.reason, "refused records; the audit says how many");
            if !self.audit_deed(deed, self.ctx.now()).await {
                break; // each of the others would keep learning waiting as long
            }
        }
        if self.rival.is_some() || self.repeated.is_some_and(|at| now.duration_since(at) < REPEAT_EVERY) {
            return Ok(());
        }
        let words = self.control.overwritten();
        if words.is_empty() {
            return Ok(());
        }
        let topics = Topics::new(&self.kafka.topic_prefix);
        for (key, word) in words {
            info!(key, "writing a decision again: a refused record lies over it");
            say(key, word, (&self.publisher.producer, &topics)).await?;
        }
        self.repeated = Some(now);
        Ok(())
    }
}
