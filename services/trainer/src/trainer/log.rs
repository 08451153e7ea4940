//! Our versions on `checkpoints`: written, and still there, and nobody else's.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use runtime::kafka::{KafkaError, Next, Positions, Record};
use schemas::checkpoint::{Claim, LAST, Part, PayloadKind, VersionId, parse_key};
use schemas::signature::Distrust;
use tokio::task::JoinError;
use tracing::{debug, info, warn};
use versions::{believed, claim_record};

use super::{End, Trainer};
use crate::config::WhenSuperseded;
use crate::error::Error;
use crate::foreign::Foreign;
use crate::leadership::{Footing, Own, superseded};
use crate::ledger::{Keep, Ledger};
use crate::metrics::{CLAIMED_AGAIN, EPOCH, FOREIGN, PUBLISH, SUPERSEDED};
use crate::publisher::{Places, Published};
use crate::schedule::{Order, Schedule};

/// How often it is looked whether our versions are still on the topic: two questions to the broker.
const FOOTING: Duration = Duration::from_secs(2);
/// How long they may hold up training.
const QUESTION: Duration = Duration::from_secs(2);

impl Trainer {
    /// I9: an old trainer that sees a higher claim is none any more; that claim.
    pub(super) async fn obey(&mut self, records: &[Record]) -> Result<Option<Claim>, Error> {
        let mut made_again = false;
        let now = Instant::now();
        for record in records {
            made_again |= self.footing.0.read(record.offset);
            let Ok((version, part)) = parse_key(&record.key) else { continue };
            if version.epoch < self.own.epoch {
                continue; // of a superseded trainer, signed or not
            }
            if let Err(why) = believed(record, part, &self.trust, &self.publisher.topic) {
                self.distrust(why, version);
            } else if part == Part::Manifest && version.epoch == self.own.epoch && record.value.is_some() {
                self.foreign.read(version, record.offset, now);
            }
        }
        let is_believed = |record: &&Record| {
            let part = parse_key(&record.key).map(|(_, part)| part);
            part.is_ok_and(|part| believed(record, part, &self.trust, &self.publisher.topic).is_ok())
        };
        let claim = superseded(&self.own, records.iter().filter(is_believed));
        if claim.is_none() && made_again {
            self.claim_again().await?;
        }
        Ok(claim)
    }

    /// Ends as the settings say: what is learned here and in no version is learned by who claimed.
    pub(super) async fn step_down(mut self, claim: Claim) -> Result<End, Error> {
        let own = self.own.epoch;
        if self.config.when_superseded == WhenSuperseded::End {
            return Err(Error::Superseded { own, claim });
        }
        warn!(own, epoch = claim.epoch, trainer = claim.trainer, "another trainer claimed the log: standing by for it");
        counter!(SUPERSEDED).increment(1);
        self.publications.shutdown().await; // of our epoch: nobody would take it
        self.survey.shutdown().await;
        self.learning.end().await?;
        if let Some(rival) = self.rival {
            rival.end(&self.ctx).await;
        }
        Ok(End::Superseded)
    }

    /// Whether our snapshot is still there: a scorer that starts has nothing else.
    pub(super) async fn look_down(&mut self) -> Result<(), Error> {
        if self.footing.1.elapsed() < FOOTING {
            return Ok(());
        }
        self.footing.1 = Instant::now();
        let log = &self.log;
        let ask = async { Ok::<_, KafkaError>((log.beginning().await?, log.end().await?)) };
        let Ok(Ok((beginning, end))) = tokio::time::timeout(QUESTION, ask).await else { return Ok(()) };
        let of = |positions: &Positions| positions.get(&0).map(|next| next.0);
        match (of(&beginning), of(&end)) {
            (Some(beginning), Some(end)) if self.footing.0.is_lost(beginning, end) => self.claim_again().await,
            _ => Ok(()),
        }
    }

    /// `checkpoints` was emptied or made again: what is learned is still here, so a whole version of it goes there at
    /// once, under a claim of its own, for the one before is gone as well.
    pub(super) async fn claim_again(&mut self) -> Result<(), Error> {
        let epoch = self.own.epoch.saturating_add(1);
        if epoch > LAST {
            return Err(Error::Epochs { topic: self.publisher.topic.clone() });
        }
        warn!(
            topic = self.publisher.topic,
            epoch, "the topic lost our versions: it was emptied or made again; publishing all under a new claim"
        );
        counter!(CLAIMED_AGAIN).increment(1);
        let claim = Claim {
            epoch,
            trainer: self.own.trainer.clone(),
            claimed_at: self.ctx.now(),
            anew: self.learning_the_past,
        };
        self.bookmarks.claimed(&claim)?;
        let written = self.publisher.producer.send_all(&self.publisher.topic, [claim_record(&claim)]).await?;
        self.own = Own { epoch, trainer: claim.trainer, at: written.first().map(|(_, offset)| *offset) };
        gauge!(EPOCH).set(f64::from(epoch));
        self.schedule = Schedule::new(&self.config, epoch);
        self.schedule.changed();
        (self.ledger, self.footing.0, self.foreign) = (Ledger::default(), Footing::default(), Foreign::default());
        // What was good is gone with all else.
        (self.good, self.candidate, self.places) = (None, None, Places::default());
        self.learning.forget_good().await?;
        self.ctx.set("model", Err("no version of this epoch is published yet".to_owned()));
        Ok(())
    }

    pub(super) async fn publish(&mut self, order: Order) -> Result<(), Error> {
        let frozen = self.learning.freeze(order.kind, order.version).await?;
        self.will_answer(order.version);
        self.unpublished.ordered(Instant::now());
        let (mut known, before) = (self.places.clone(), Arc::clone(&self.sample));
        self.good.iter().for_each(|good| known.note(good.version, good.begins));
        self.publications.spawn(self.publisher.clone().publish(order, frozen, known, self.skip.clone(), before));
        Ok(())
    }

    /// I3: offsets are committed after the version that holds them is acknowledged.
    pub(super) async fn finish(&mut self, outcome: Result<Result<Published, Error>, JoinError>) -> Result<(), Error> {
        let Published { manifest, took, first, at, candidate, sample } = outcome.map_err(Error::Publication)??;
        let (version, kind, bytes) = (manifest.version, manifest.kind, manifest.bytes);
        if version.epoch != self.own.epoch {
            return Ok(()); // it was under way when we claimed again
        }
        if kind == PayloadKind::Snapshot {
            self.footing.0.published(first);
            self.places.note(version, Some(first));
            self.bookmarks.published(first).await;
        }
        self.sample = sample;
        self.foreign.wrote(version, first..=at);
        self.ledger.whole(version, kind, manifest.chunks, manifest.made_at);
        self.schedule.published(kind, bytes);
        self.ctx.latency(PUBLISH).record(took);
        crate::metrics::published(kind, bytes);
        match kind {
            PayloadKind::Snapshot => info!(%version, bytes, ?took, "published a snapshot"),
            PayloadKind::Delta => debug!(%version, bytes, ?took, "published a delta"),
        }
        let stands = manifest.through.iter().map(|(partition, through)| (*partition, Next(through.next))).collect();
        self.attendance.commit(self.intake.stream().topic(), &stands);
        self.unpublished.published();
        self.ctx.set("model", Ok(()));
        if self.good.map(|good| good.version) != manifest.good.map(|good| good.version) {
            info!(good = ?manifest.good.map(|good| good.version.to_string()), "another version is good");
            self.audit_good(&manifest).await;
        }
        if kind == PayloadKind::Snapshot {
            self.audit_snapshot(&manifest).await;
        }
        (self.good, self.candidate) = (manifest.good, candidate);
        self.answer_promotion().await?;
        self.propose(manifest.contest.as_ref()).await?;
        if kind == PayloadKind::Snapshot && !self.is_rolled_back() {
            self.tidy().await?;
            self.answer_for(&manifest).await?;
        }
        Ok(())
    }

    /// Versions that decisions name: the trainer's, and none of a challenger's.
    pub(super) fn named(&self) -> Vec<VersionId> {
        if self.rival.is_some() { Vec::new() } else { self.control.releases().named() }
    }

    /// Deletes what need not be kept, by what is decided now: nothing of what somebody has just named.
    async fn tidy(&mut self) -> Result<(), Error> {
        let ours = [self.good.map(|good| good.version), self.candidate].into_iter().flatten();
        let wanted: Vec<VersionId> = self.named().into_iter().chain(ours).collect();
        let retired = self.ledger.retire(&Keep {
            newest: self.config.keep_snapshots,
            retention: &self.config.retention,
            wanted: &wanted,
            now: self.ctx.now(),
        });
        debug!(records = retired.len(), "deleting what is old");
        self.publisher.retire(retired).await
    }

    /// Scorers may serve what somebody else wrote in our epoch: a snapshot of ours at once puts that right. What is
    /// learned and not published for too long turns `model` red.
    pub(super) async fn look(&mut self) {
        if let Some(version) = self.foreign.found(Instant::now()) {
            counter!(FOREIGN).increment(1);
            if self.trust.is_on() {
                self.distrust(Distrust::Replayed, version); // who checks signatures takes each version once
            } else {
                let doing = "publishing a snapshot at once";
                warn!(%version, doing, "somebody else wrote a version of our epoch, or ours again");
                self.schedule.hurry();
                self.audit_foreign(version).await;
            }
        }
        if let Some(reason) = self.unpublished.too_long(Instant::now()) {
            self.ctx.set("model", Err(reason));
        }
    }
}
