//! The quality gate (I8): notices that the learner has become worse, and knows which version is good. Pure.
//!
//! Every test of the learner is held against three references: the *anchor*, an earlier version kept frozen;
//! co-visitation; and popularity. Each has detectors of its own. A snapshot is *good* when enough was tested since it
//! was made and the learner has not become worse than its anchor; then it is the next anchor, and the version to go
//! back to. What is found beside a simple method is told and decides nothing. What is done about an alarm is the
//! trainer's business.

mod detector;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::checkpoint::Quality;
use schemas::{UserKey, VersionId};

use crate::learner::Tested;
use crate::version::served::Model;
use detector::Detector;

/// A version is not good by time alone: so much must have been tested. An anchor that takes one test in eight sees 500
/// of these, enough to find a loss of 20 points.
const LEAST_TESTS: u64 = 4_000;

/// How much worse than a simple method the learner may become, beyond what it was when its anchor was made.
const BESIDE_SIMPLE: f64 = 0.05;

/// When a version is good, and when the learner is worse.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How much worse than its anchor the learner may be, as a share of the tests.
    pub tolerance: f64,
    /// Evidence that raises an alarm; the tests between two false ones are at least as many on average.
    pub threshold: f64,
    /// Of how many tests the anchor takes one; 0: the gate is off.
    pub sample: u64,
    /// A snapshot is good after so many tests,
    pub good_after_tests: u64,
    /// or after this time.
    pub good_after: Duration,
}

/// What the learner is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// An earlier version, kept as it was.
    Anchor,
    /// The items that others chose next.
    Covisitation,
    /// The items that others chose most.
    Popularity,
}

impl Reference {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Anchor, Self::Covisitation, Self::Popularity];

    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Covisitation => "covisitation",
            Self::Popularity => "popularity",
        }
    }
}

/// Evidence against the learner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// What the learner is worse than.
    pub reference: Reference,
    /// How sure that is.
    pub evidence: f64,
    /// Tests since the detector began.
    pub tests: u64,
}

/// Where the gate stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// The newest good version.
    pub good: Option<VersionId>,
    /// The snapshot that may become good next.
    pub candidate: Option<VersionId>,
    /// The evidence that the learner has become worse than its anchor.
    pub evidence: f64,
}

/// Hits and reciprocal ranks beside one reference.
#[derive(Debug)]
struct Beside {
    reference: Reference,
    hits: Detector,
    ranks: Detector,
}

impl Beside {
    fn new(reference: Reference, (hits, ranks): (f64, f64)) -> Self {
        Self { reference, hits: Detector::new(hits), ranks: Detector::new(ranks) }
    }

    fn test(&mut self, learner: (f64, f64), reference: (f64, f64)) {
        self.hits.test(learner.0 - reference.0);
        self.ranks.test(learner.1 - reference.1);
    }

    fn evidence(&self) -> f64 {
        self.hits.evidence().max(self.ranks.evidence())
    }

    /// What it has found, if that raises an alarm: either of its two detectors may be wrong.
    fn alarm(&self, threshold: f64) -> Option<Alarm> {
        let (reference, evidence, tests) = (self.reference, self.evidence(), self.hits.tests());
        (evidence >= 2.0 * threshold).then_some(Alarm { reference, evidence, tests })
    }

    /// Forgets what was found.
    fn begin_anew(&mut self) {
        *self = Self::new(self.reference, (self.hits.tolerance(), self.ranks.tolerance()));
    }
}

/// A snapshot on its way to be good.
#[derive(Debug)]
struct Candidate {
    version: VersionId,
    model: Model,
    since: Instant,
    /// Tests when it was made.
    tests: u64,
}

/// Judges the learner of one epoch.
#[derive(Debug)]
pub struct Gate {
    rules: Rules,
    good: Option<VersionId>,
    candidate: Option<Candidate>,
    anchor: Beside,
    /// None before the first good version: there is nothing that the learner could fall from.
    simple: Vec<Beside>,
    tests: u64,
}

impl Gate {
    /// Begins where a version stands whose newest good one is `good`.
    #[must_use]
    pub fn new(rules: Rules, good: Option<VersionId>) -> Self {
        let anchor = Beside::new(Reference::Anchor, (rules.tolerance, rules.tolerance));
        Self { rules, good, candidate: None, anchor, simple: Vec::new(), tests: 0 }
    }

    /// Takes a test of the learner in.
    pub fn test(&mut self, tested: &Tested<'_>) {
        if self.rules.sample == 0 {
            return;
        }
        self.tests += 1;
        let learner = figures(tested.rank);
        for beside in std::iter::once(&mut self.anchor).chain(&mut self.simple) {
            let reference = match beside.reference {
                Reference::Anchor => tested.anchor,
                Reference::Covisitation => Some(tested.covisitation),
                Reference::Popularity => Some(tested.popularity),
            };
            if let Some(rank) = reference {
                beside.test(learner, figures(rank));
            }
        }
    }

    /// An alarm, that beside the anchor first; what was found beside its reference, and beside no other, is then
    /// forgotten.
    pub fn alarm(&mut self) -> Option<Alarm> {
        if let Some(alarm) = self.anchor.alarm(self.rules.threshold) {
            self.candidate = None; // it may be what is bad
            self.anchor.begin_anew();
            return Some(alarm);
        }
        let threshold = self.rules.threshold;
        self.simple.iter_mut().find_map(|beside| {
            let alarm = beside.alarm(threshold)?;
            beside.begin_anew();
            Some(alarm)
        })
    }

    /// A snapshot was made of what is known now: the next candidate, if there is none.
    pub fn made(&mut self, version: VersionId, model: impl FnOnce() -> Model, now: Instant) {
        if self.candidate.is_none() && self.rules.sample > 0 {
            let tests = self.tests;
            self.candidate = Some(Candidate { version, model: model(), since: now, tests });
        }
    }

    /// The model of the candidate that has just become good: the next anchor. `recent` gives the figures of learner and
    /// simple methods over the sliding window.
    pub fn settle(&mut self, now: Instant, recent: impl FnOnce() -> BTreeMap<String, Quality>) -> Option<Model> {
        let candidate = self.candidate.as_ref()?;
        let tests = self.tests - candidate.tests;
        let long = now.duration_since(candidate.since) >= self.rules.good_after && tests >= LEAST_TESTS;
        if tests < self.rules.good_after_tests && !long {
            return None;
        }
        // Half way to an alarm nothing is good: the anchor of before stays.
        if self.anchor.evidence() > self.rules.threshold.sqrt() {
            return None;
        }
        let Candidate { version, model, .. } = self.candidate.take()?;
        self.good = Some(version);
        let recent = recent();
        let of = |method: &str| recent.get(method).map_or((0.0, 0.0), |quality| (quality.hr20, quality.mrr20));
        let learner = of("model");
        let tolerated = |reference: Reference| {
            let (hits, ranks) = of(reference.name());
            ((hits - learner.0).max(0.0) + BESIDE_SIMPLE, (ranks - learner.1).max(0.0) + BESIDE_SIMPLE)
        };
        let simple = [Reference::Covisitation, Reference::Popularity];
        self.simple = simple.map(|reference| Beside::new(reference, tolerated(reference))).into();
        self.anchor.begin_anew();
        Some(model)
    }

    /// The newest good version was read again, and is the anchor from now on; false where another is good by now.
    pub fn anchored(&mut self, version: Option<VersionId>) -> bool {
        let is_anchor = self.rules.sample > 0 && version.is_some() && self.good == version;
        if is_anchor {
            self.anchor.begin_anew(); // it was held against another
        }
        is_anchor
    }

    /// Forgets users, by their keys, in what is kept beside the learner.
    pub fn forget_users(&mut self, keys: &[UserKey]) {
        if let Some(candidate) = &mut self.candidate {
            candidate.model.forget(keys);
        }
    }

    /// No version is known to be good any more: all are gone.
    pub fn forget(&mut self) {
        (self.good, self.candidate) = (None, None);
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let candidate = self.candidate.as_ref().map(|candidate| candidate.version);
        Standing { good: self.good, candidate, evidence: self.anchor.evidence() }
    }

    /// The evidence beside each reference.
    pub fn evidence(&self) -> impl Iterator<Item = (&'static str, f64)> {
        std::iter::once(&self.anchor).chain(&self.simple).map(|beside| (beside.reference.name(), beside.evidence()))
    }

    /// Of how many tests the anchor takes one; 0: the gate is off.
    #[must_use]
    pub fn sample(&self) -> u64 {
        self.rules.sample
    }
}

/// Hit and reciprocal rank within the first 20.
pub(crate) fn figures(rank: Option<usize>) -> (f64, f64) {
    rank.filter(|rank| *rank < 20).map_or((0.0, 0.0), |rank| (1.0, 1.0 / (rank as f64 + 1.0)))
}

#[cfg(test)]
mod tests;
