//! The trainer's quality gate beside an evaluation: how often it would have gone back.

use std::time::{Duration, Instant};

use model::{Gate, Learner, Model, Rules, Tested};
use schemas::VersionId;
use serde::Serialize;

/// Tests between two snapshots: five minutes of a shop with 16 choices a second.
const SNAPSHOT_EVERY: u64 = 5_000;

/// What the gate found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Guarded {
    pub(crate) tests: u64,
    pub(crate) alarms: Vec<Raised>,
    /// Snapshots that were good.
    pub(crate) good: u64,
    /// The largest evidence that was seen.
    pub(crate) evidence: f64,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Raised {
    /// After so many tests.
    pub(crate) test: u64,
    pub(crate) reference: &'static str,
}

/// Looks on as the trainer does, with its default rules. Nothing is gone back to.
#[derive(Debug)]
pub(crate) struct Guard {
    gate: Gate,
    found: Guarded,
    snapshots: u32,
    /// A replay has no clock: what is good is told by tests alone.
    start: Instant,
}

impl Guard {
    #[allow(clippy::disallowed_methods, reason = "any moment, always the same")]
    pub(crate) fn new() -> Self {
        let good_after = Duration::from_secs(600);
        let rules = Rules { tolerance: 0.002, threshold: 1e9, sample: 8, good_after_tests: 20_000, good_after };
        let found = Guarded { tests: 0, alarms: Vec::new(), good: 0, evidence: 0.0 };
        Self { gate: Gate::new(rules, None), found, snapshots: 0, start: Instant::now() }
    }

    pub(crate) fn test(&mut self, tested: &Tested<'_>) {
        self.gate.test(tested);
        self.found.tests += 1;
    }

    /// After a micro-batch.
    pub(crate) fn look(&mut self, learner: &mut Learner) {
        self.found.evidence = self.found.evidence.max(self.gate.standing().evidence);
        if let Some(alarm) = self.gate.alarm() {
            self.found.alarms.push(Raised { test: self.found.tests, reference: alarm.reference.name() });
        }
        if self.found.tests >= u64::from(self.snapshots) * SNAPSHOT_EVERY {
            self.snapshots += 1;
            let version = VersionId { epoch: 1, sequence: self.snapshots };
            self.gate.made(version, || Model::of(learner.knowledge()), self.start);
        }
        if let Some(anchor) = self.gate.settle(self.start, || learner.recent_quality()) {
            self.found.good += 1;
            learner.set_anchor(anchor, self.gate.sample());
        }
    }

    pub(crate) fn found(self) -> Guarded {
        self.found
    }
}
