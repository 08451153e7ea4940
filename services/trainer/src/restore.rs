//! Where the model stands: puts the versions on `checkpoints` together, in the order of the log.
//!
//! A version holds weights, optimiser states, counters and the offsets trained through, and it is there as a whole or
//! not at all (I4). So a trainer that was killed at any moment continues from a model and offsets that agree: what it
//! had learned since is in no version, and is read and learned again. `manifest.interactions` is the number of distinct
//! interactions before `manifest.through`, whatever happened; the crash tests count them.

use std::collections::BTreeMap;

use model::{Model, Payload, unpack};
use runtime::kafka::Record;
use schemas::checkpoint::{Claim, Manifest, PayloadKind, Through, VersionId, parse_key};
use schemas::control::Back;
use schemas::signature::Distrust;
use versions::{Continuity, Held, Step, Version, Walk};

use crate::ledger::Ledger;

/// A record or version that is not usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Which version; `None` when not even its key is readable.
    pub(crate) version: Option<VersionId>,
    /// Why it is not believed; `None` where it is torn or does not fit.
    pub(crate) distrust: Option<Distrust>,
    /// Why.
    pub(crate) reason: String,
    /// It is itself sound, but builds on a version that is not there: refused before, or deleted since.
    pub(crate) orphan: bool,
}

/// Takes the records of `checkpoints` and keeps the newest whole version.
#[derive(Debug)]
pub(crate) struct Restorer {
    walk: Walk,
    /// The tip: the newest version that a model could be made of.
    model: Model,
    continuity: Continuity,
    ledger: Ledger,
    /// Where the newest whole snapshot begins, and behind which claim.
    snapshot: Option<(i64, Claim)>,
    /// Deltas behind the newest snapshot.
    held: Held,
    refusals: Vec<Refusal>,
    /// The newest version or claim that is not believed.
    distrusted: Option<VersionId>,
    /// No model is made of any version.
    only_looks: bool,
    /// Versions that were rolled back are not gone on from.
    back: Option<Back>,
    /// What somebody decided to go back to: what follows it follows no version that went back.
    decided: Option<Back>,
    /// Where the newest of them stood.
    rolled_back: BTreeMap<i32, Through>,
}

impl Restorer {
    /// Begins where the walk does.
    pub(crate) fn new(model: Model, walk: Walk) -> Self {
        let (ledger, held) = (Ledger::default(), Held::default());
        let (refusals, rolled_back, distrusted) = (Vec::new(), BTreeMap::new(), None);
        let (continuity, snapshot, only_looks) = (Continuity::default(), None, false);
        Self {
            walk,
            model,
            continuity,
            ledger,
            snapshot,
            held,
            refusals,
            distrusted,
            only_looks,
            back: None,
            decided: None,
            rolled_back,
        }
    }

    /// Makes no model, and only looks at what is there.
    pub(crate) fn only_looking(self) -> Self {
        Self { only_looks: true, ..self }
    }

    /// Knows what somebody decided to go back to, if anybody did.
    pub(crate) fn decided(self, decided: Option<Back>) -> Self {
        Self { decided, ..self }
    }

    /// Passes over what was rolled back.
    pub(crate) fn back(self, back: Back) -> Self {
        Self { back: Some(back), ..self }
    }

    /// Takes records in the order of the log. Applying a snapshot takes time: call it off the async threads. Of a long
    /// log only the last snapshot and its deltas count, so deltas wait until [`Self::settle`].
    pub(crate) fn take(mut self, records: &[Record]) -> Self {
        records.iter().for_each(|record| self.push(record));
        self
    }

    /// Applies the deltas that wait: call it where the log ends, off the async threads.
    pub(crate) fn settle(mut self) -> Self {
        self.apply_held();
        self
    }

    fn push(&mut self, record: &Record) {
        if let Ok((version, part)) = parse_key(&record.key) {
            self.ledger.note(version, part, record.value.is_none());
        }
        match self.walk.take(record) {
            Step::Whole(version) => self.whole(version),
            Step::Refused { version, distrust, reason } => {
                if distrust.is_some_and(|why| why != Distrust::Replayed) {
                    self.distrusted = self.distrusted.max(version);
                }
                self.refusals.push(Refusal { version, distrust, reason, orphan: false });
            }
            Step::Stale(version) => self.ledger.superseded(version),
            Step::Kept | Step::Deleted(..) | Step::Claimed(_) => {}
        }
    }

    fn whole(&mut self, version: Version) {
        if self.only_looks {
            return self.look_at(&version);
        }
        if self.back.is_some_and(|back| back.covers(version.manifest.version)) {
            self.look_at(&version);
            furthest(&mut self.rolled_back, &version.manifest.through);
            furthest(&mut self.rolled_back, &version.manifest.untrained);
            return;
        }
        if version.manifest.kind == PayloadKind::Delta {
            for due in self.held.push(version) {
                self.apply(&due);
            }
        } else if self.apply(&version) {
            self.pass_over_held();
        } else {
            self.apply_held();
        }
    }

    fn apply_held(&mut self) {
        for version in self.held.take() {
            self.apply(&version);
        }
    }

    /// Deltas before a snapshot are only looked at: what could not be read is never deleted.
    fn pass_over_held(&mut self) {
        for version in self.held.take() {
            self.look_at(&version);
        }
    }

    fn look_at(&mut self, Version { manifest, payload, .. }: &Version) {
        match unpack(payload).and_then(|payload| Payload::open(&payload)?.verify(manifest)) {
            Ok(()) => self.ledger.whole(manifest.version, manifest.kind, manifest.chunks, manifest.made_at),
            Err(error) => self.refuse(manifest, &error),
        }
    }

    fn refuse(&mut self, manifest: &Manifest, error: &model::Error) {
        let orphan = matches!(error, model::Error::Parent { .. });
        self.refusals.push(Refusal {
            version: Some(manifest.version),
            distrust: None,
            orphan,
            reason: error.to_string(),
        });
    }

    /// Makes the next version of the newest; false, and nothing changed, if it does not fit, or is doubted.
    fn apply(&mut self, Version { manifest, payload, first }: &Version) -> bool {
        let made = self.model.apply(manifest, payload).and_then(|next| {
            let free = self.model.version().is_some_and(|tip| self.decided.is_some_and(|back| back.covers(tip)));
            let judged = self.continuity.judge(&self.model, &next, self.walk.claim(), free);
            judged.map(|_| next).map_err(model::Error::Doubted)
        });
        match made {
            Ok(model) => {
                self.model = model;
                if manifest.kind == PayloadKind::Snapshot {
                    self.snapshot = first.and_then(|at| Some((at, self.walk.claim()?.clone())));
                }
                self.ledger.whole(manifest.version, manifest.kind, manifest.chunks, manifest.made_at);
                true
            }
            Err(error) => {
                self.refuse(manifest, &error);
                false
            }
        }
    }

    /// The newest whole version.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Where versions stood that were rolled back: the furthest of them, by partition.
    pub(crate) fn rolled_back(&self) -> &BTreeMap<i32, Through> {
        &self.rolled_back
    }

    /// What was refused since this was asked last.
    pub(crate) fn refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }

    /// An epoch above every other on the topic that everyone else will take, and that was not rolled back before it
    /// began; `None` where none is left.
    pub(crate) fn next_epoch(&self, back: Option<Back>) -> Option<u32> {
        self.walk.next_epoch_above(back)
    }

    /// The newest version on the topic, where there are some and none is usable. What is of an epoch that no trainer
    /// claimed is no version: a stranger may have written it, and locks nobody out. Where nothing is claimed that is
    /// signed, what is not may be all that was learned before signatures were asked for.
    pub(crate) fn unusable(&self) -> Option<VersionId> {
        let unsigned = self.distrusted.filter(|_| self.walk.epoch() == 0);
        self.ledger.newest(self.walk.epoch()).or(unsigned).filter(|_| self.model.manifest().is_none())
    }

    /// Lets go of the model: the next one knows nothing.
    pub(crate) fn begin_anew(&mut self, empty: Model) {
        (self.model, self.snapshot) = (empty, None);
        self.held.clear();
    }

    /// The highest epoch claimed, and by whom.
    pub(crate) fn leadership(&self) -> (u32, Option<&str>) {
        (self.walk.epoch(), self.walk.claim().map(|claim| claim.trainer.as_str()))
    }

    /// Where the newest whole snapshot begins, and behind which claim.
    pub(crate) fn snapshot(&self) -> Option<&(i64, Claim)> {
        self.snapshot.as_ref()
    }

    /// The newest whole version and what lies on the topic.
    pub(crate) fn into_parts(self) -> (Model, Ledger) {
        (self.model, self.ledger)
    }
}

/// Moves each partition on to the later of two places. A place in another life of the log is the later one.
pub(crate) fn furthest(places: &mut BTreeMap<i32, Through>, others: &BTreeMap<i32, Through>) {
    for (partition, other) in others {
        let place = places.entry(*partition).or_insert(*other);
        if place.log != other.log || place.next < other.next {
            *place = *other;
        }
    }
}

#[cfg(test)]
mod tests;
