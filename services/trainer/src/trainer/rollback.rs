//! Going back to an older version: because operator or gate said so, or because the gate is to say it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;

use metrics::counter;
use model::{Alarm, Model};
use schemas::control::{Action, GATE, Place};
use schemas::{Release, Topics};
use tracing::{info, warn};
use versions::{deed_of, say};

use super::{Carried, End, Trainer};
use crate::error::Error;
use crate::gate::{Conduct, conduct, of_the_hour};
use crate::metrics::{GATE_ALARMS, ROLLED_BACK};

impl Trainer {
    /// Whether operator or gate went back from a version of ours.
    pub(super) fn is_rolled_back(&self) -> bool {
        if self.rival.is_some() {
            return false; // a challenger's versions are nobody's to go back from
        }
        let back = self.control.releases().back().map(|(back, _)| back);
        back != self.back && back.is_some_and(|back| back.epoch >= self.own.epoch)
    }

    /// A hold of the gate is red until somebody has looked.
    pub(super) fn hear(&self) {
        if self.rival.is_some() {
            return;
        }
        let pin = self.control.releases().pin(self.ctx.now());
        let held = pin.filter(|(_, word)| Some(*word) == self.control.releases().gate());
        let told = |(place, word): (Place, &Release)| {
            format!("the gate holds {}: {}; see `thalweg release status`", place.version, word.reason)
        };
        self.ctx.set("gate", held.map_or(Ok(()), |held| Err(told(held))));
    }

    /// The newest good version was read again, or not: the learner may have gone on from one that is worse.
    pub(super) async fn hold_against(&mut self, read: Result<Model, String>) -> Result<(), Error> {
        match read {
            Ok(good) => {
                let (version, made_at) = (good.version(), good.manifest().map_or(0, |manifest| manifest.made_at));
                info!(
                    ?version,
                    "read the newest good version again: the gate holds the learner against it if it is that still"
                );
                self.learning.anchor(good, self.erasing.erased.keys(made_at).collect()).await
            }
            Err(_) if self.ctx.draining() => Ok(()),
            Err(reason) => {
                warn!(reason, "the learner is held against the version that it went on from, not the newest good one");
                Ok(())
            }
        }
    }

    /// The learner has become worse: does what is to be done about it.
    pub(super) async fn answer(&mut self, Alarm { reference, evidence, tests }: Alarm) -> Result<(), Error> {
        let (beside, reference) = (reference, reference.name());
        counter!(GATE_ALARMS, "reference" => reference).increment(1);
        let at = self.ctx.now();
        let (releases, said) = (self.control.releases(), self.said.as_ref());
        // What we said last is in force before we read it.
        let unheard = said.is_some_and(|said| releases.gate() != Some(said));
        let held = unheard || releases.pin(at).is_some();
        let good = self.good.map(|good| good.version);
        let mut rollbacks = of_the_hour(releases.gate(), at);
        let conduct = conduct(beside, self.config.gate.action, good, held, rollbacks.len());
        let reason = format!("worse than {reference}: evidence {evidence:.1e} after {tests} tests");
        warn!(reason, ?conduct, "the gate raises an alarm");
        let action = match conduct {
            Conduct::Back(_) => Action::Rollback,
            Conduct::Hold(_) => Action::Hold,
            Conduct::Tell(_) => return Ok(()),
        };
        let Some(place) = self.good else { return Ok(()) };
        let before = releases.gate().and_then(|word| word.back);
        let at = releases.moment(at);
        let back = if action == Action::Rollback { Some(releases.back_to(place, self.own.epoch, at)) } else { before };
        rollbacks.extend((action == Action::Rollback).then_some(at));
        let by = "gate".to_owned();
        let word = Release { action, place: Some(place), back, by, reason, at, expires: None, rollbacks };
        let evidence = BTreeMap::from([("evidence".to_owned(), evidence), ("tests".to_owned(), tests as f64)]);
        // An audit that takes no record must not keep a broken model live.
        self.audit_deed(deed_of(&word, evidence), at).await;
        let value = serde_json::to_vec(&word)?;
        let topics = Topics::new(&self.kafka.topic_prefix);
        say(GATE.to_owned(), value, (&self.publisher.producer, &topics)).await?;
        self.said = Some(word); // we go back as everybody does: when we read it
        Ok(())
    }

    /// Ends without another version: what is learned here is not gone on from.
    pub(super) async fn step_back(mut self) -> Result<End, Error> {
        counter!(ROLLED_BACK).increment(1);
        while let Some(outcome) = self.publications.join_next().await {
            self.finish_last(outcome).await?; // it is under way, and is rolled back with the others
        }
        self.attendance.settle().await;
        self.learning.end().await?;
        let epoch = Some(self.own.epoch);
        let (attendance, promotion) = (Some(self.attendance), self.promotion);
        Ok(End::RolledBack(Carried { attendance, epoch, promotion, past: self.past }))
    }
}
