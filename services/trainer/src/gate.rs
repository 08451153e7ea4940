//! The quality gate (I8): notices that the learner has become worse, and knows which version is good. Pure.
//!
//! Every test of the learner is held against three references: the *anchor*, an earlier version kept frozen; co-visitation;
//! and popularity. A snapshot is *good* when enough was tested since it was made and nothing raised an alarm; then it is
//! the next anchor, and the version to go back to.

mod detector;

use std::time::{Duration, Instant};

use model::{Model, Tested};
use schemas::VersionId;
use serde::Deserialize;

use detector::Detector;

/// A version is not good by time alone: so much must have been tested.
const LEAST_TESTS: u64 = 500;

/// How much worse than a simple method the learner may become, beyond what it was when its anchor was made.
const BESIDE_SIMPLE: f64 = 0.02;

/// Automatic action is taken so often in an hour; then a version is held, and somebody has to look.
pub(crate) const MOST_ROLLBACKS: usize = 3;

/// Section `[trainer.gate]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// What an alarm does.
    pub action: Action,
    /// How much worse than its anchor the learner may be, as a share of the tests.
    pub tolerance: f64,
    /// Evidence that raises an alarm; the tests between two false ones are at least as many.
    pub threshold: f64,
    /// Of how many tests the anchor takes one.
    pub sample: u64,
    /// A snapshot is good after so many tests,
    pub good_after_tests: u64,
    /// or after this time.
    #[serde(with = "humantime_serde")]
    pub good_after: Duration,
}

/// What an alarm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Goes back to the newest good version.
    Rollback,
    /// Has scorers serve the newest good version; training goes on.
    Hold,
    /// Is told and counted.
    Alarm,
    /// Nothing is tested against the anchor.
    Off,
}

/// What the learner is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    Anchor,
    Covisitation,
    Popularity,
}

impl Reference {
    pub(crate) const ALL: [Self; 3] = [Self::Anchor, Self::Covisitation, Self::Popularity];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Covisitation => "covisitation",
            Self::Popularity => "popularity",
        }
    }
}

/// Evidence against the learner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Alarm {
    pub(crate) reference: Reference,
    pub(crate) evidence: f64,
    /// Tests since the detector began.
    pub(crate) tests: u64,
}

/// Where the gate stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Standing {
    /// The newest good version.
    pub(crate) good: Option<VersionId>,
    /// The largest evidence against the learner.
    pub(crate) evidence: f64,
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
pub(crate) struct Gate {
    settings: Settings,
    good: Option<VersionId>,
    candidate: Option<Candidate>,
    detectors: Vec<Beside>,
    tests: u64,
}

impl Gate {
    /// Begins where a version stands whose newest good one is `good`.
    pub(crate) fn new(settings: Settings, good: Option<VersionId>) -> Self {
        let anchor = Beside::new(Reference::Anchor, (settings.tolerance, settings.tolerance));
        Self { settings, good, candidate: None, detectors: vec![anchor], tests: 0 }
    }

    /// Takes a test of the learner in.
    pub(crate) fn test(&mut self, tested: &Tested<'_>) {
        self.tests += 1;
        let learner = figures(tested.rank);
        for beside in &mut self.detectors {
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

    /// The strongest evidence that raises an alarm, if any does; what was found so far is then forgotten.
    pub(crate) fn alarm(&mut self) -> Option<Alarm> {
        if self.settings.action == Action::Off {
            return None;
        }
        let worst = self.detectors.iter().max_by(|a, b| a.evidence().total_cmp(&b.evidence()))?;
        let (reference, evidence, tests) = (worst.reference, worst.evidence(), worst.hits.tests());
        if evidence < self.settings.threshold {
            return None;
        }
        self.candidate = None; // it may be what is bad
        self.detectors.iter_mut().for_each(|beside| {
            *beside = Beside::new(beside.reference, (beside.hits.tolerance(), beside.ranks.tolerance()));
        });
        Some(Alarm { reference, evidence, tests })
    }

    /// A snapshot was made of what is known now: the next candidate, if there is none.
    pub(crate) fn made(&mut self, version: VersionId, model: impl FnOnce() -> Model, now: Instant) {
        if self.candidate.is_none() && self.settings.action != Action::Off {
            let tests = self.tests;
            self.candidate = Some(Candidate { version, model: model(), since: now, tests });
        }
    }

    /// The model of the candidate that has just become good: the next anchor. `simple` gives the hit rate and mean
    /// reciprocal rank that each simple method is ahead of the learner by, or 0.
    pub(crate) fn settle(&mut self, now: Instant, simple: impl Fn(Reference) -> (f64, f64)) -> Option<Model> {
        let candidate = self.candidate.as_ref()?;
        let tests = self.tests - candidate.tests;
        let long = now.duration_since(candidate.since) >= self.settings.good_after && tests >= LEAST_TESTS;
        if tests < self.settings.good_after_tests && !long {
            return None;
        }
        let Candidate { version, model, .. } = self.candidate.take()?;
        self.good = Some(version);
        let tolerated = |reference| match reference {
            Reference::Anchor => (self.settings.tolerance, self.settings.tolerance),
            reference => {
                let (hits, ranks) = simple(reference);
                (hits.max(0.0) + BESIDE_SIMPLE, ranks.max(0.0) + BESIDE_SIMPLE)
            }
        };
        self.detectors =
            Reference::ALL.map(|reference| Beside::new(reference, tolerated(reference))).into_iter().collect();
        Some(model)
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> Standing {
        let evidence = self.detectors.iter().map(Beside::evidence).fold(0.0, f64::max);
        Standing { good: self.good, evidence }
    }

    /// The evidence beside each reference.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.detectors.iter().map(|beside| (beside.reference.name(), beside.evidence()))
    }

    /// Whether the anchor takes the `n`-th test.
    pub(crate) fn sample(&self) -> u64 {
        if self.settings.action == Action::Off { 0 } else { self.settings.sample }
    }
}

/// Hit and reciprocal rank within the first 20.
fn figures(rank: Option<usize>) -> (f64, f64) {
    rank.filter(|rank| *rank < 20).map_or((0.0, 0.0), |rank| (1.0, 1.0 / (rank as f64 + 1.0)))
}

/// What is done about an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Go back to this version.
    Back(VersionId),
    /// Have scorers stay on this version.
    Hold(VersionId),
    /// Tell it; why nothing else is done.
    Tell(&'static str),
}

/// Automatic action only ever goes back, never over a person's word, and at most three times an hour.
pub(crate) fn conduct(action: Action, good: Option<VersionId>, held: bool, rollbacks: usize) -> Conduct {
    match (action, good) {
        (Action::Alarm | Action::Off, _) => Conduct::Tell("trainer.gate.action says so"),
        _ if held => Conduct::Tell("a version is pinned or held already"),
        (_, None) => Conduct::Tell("no version is known to be good"),
        (Action::Rollback, Some(good)) if rollbacks < MOST_ROLLBACKS => Conduct::Back(good),
        (Action::Rollback | Action::Hold, Some(good)) => Conduct::Hold(good),
    }
}

#[cfg(test)]
mod tests;
