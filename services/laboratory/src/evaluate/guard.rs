//! The trainer's quality gate beside an evaluation: how often it would have gone back, and how soon after damage.

mod window;

use std::time::{Duration, Instant};

use model::{Gate, Learner, Model, Reference, Rules, Tested};
use schemas::VersionId;
use serde::Serialize;

use super::damage::Ordered;
use window::{Window, Windowed};

/// Tests between two snapshots: five minutes of a shop with 16 choices a second.
const SNAPSHOT_EVERY: u64 = 5_000;

/// What the gate found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Guarded {
    pub(crate) tests: u64,
    pub(crate) alarms: Vec<Raised>,
    /// Snapshots that were good.
    pub(crate) good: u64,
    /// The largest evidence beside the anchor that was seen.
    pub(crate) evidence: f64,
    /// What a test of a window beside the same anchor found.
    pub(crate) window: Windowed,
    /// Alarms beside the anchor before there was damage.
    pub(crate) false_alarms: FalseAlarms,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damage: Option<Damaged>,
}

/// Alarms while the learner is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub(crate) struct FalseAlarms {
    pub(crate) gate: u64,
    pub(crate) window: u64,
}

/// How soon damage was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Damaged {
    #[serde(flatten)]
    pub(crate) ordered: Ordered,
    /// Tests before it.
    pub(crate) test: u64,
    /// Whether a version was good by then: else there was nothing to hold the learner against.
    pub(crate) anchored: bool,
    /// Tests until the gate's alarm beside the anchor, and until the window's; `None`: none until the end.
    pub(crate) gate_after: Option<u64>,
    pub(crate) window_after: Option<u64>,
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
    window: Window,
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
        let window = Window::new();
        let found = Guarded {
            tests: 0,
            alarms: Vec::new(),
            good: 0,
            evidence: 0.0,
            window: window.found(),
            false_alarms: FalseAlarms::default(),
            damage: None,
        };
        Self { gate: Gate::new(rules, None), window, found, snapshots: 0, start: Instant::now() }
    }

    /// From the next test on the learner is damaged.
    pub(crate) fn damaged(&mut self, ordered: Ordered) {
        let (test, anchored) = (self.found.tests, self.found.good > 0);
        self.found.damage = Some(Damaged { ordered, test, anchored, gate_after: None, window_after: None });
    }

    pub(crate) fn test(&mut self, tested: &Tested<'_>) {
        self.gate.test(tested);
        self.window.test(tested);
        self.found.tests += 1;
    }

    /// After a micro-batch.
    pub(crate) fn look(&mut self, learner: &mut Learner) {
        self.found.evidence = self.found.evidence.max(self.gate.standing().evidence);
        let worse = self.window.look(self.found.tests);
        let mut alarmed = false;
        while let Some(alarm) = self.gate.alarm() {
            alarmed |= alarm.reference == Reference::Anchor;
            self.found.alarms.push(Raised { test: self.found.tests, reference: alarm.reference.name() });
        }
        self.tell(alarmed, worse);
        if self.found.tests >= u64::from(self.snapshots) * SNAPSHOT_EVERY {
            self.snapshots += 1;
            let version = VersionId { epoch: 1, sequence: self.snapshots };
            self.gate.made(version, || Model::of(learner.knowledge()), self.start);
        }
        if let Some(anchor) = self.gate.settle(self.start, || learner.recent_quality()) {
            self.found.good += 1;
            learner.set_anchor(anchor, self.gate.sample());
            self.window.begin_anew();
        }
    }

    /// Takes note of an alarm of the gate beside the anchor, and of one of the window.
    fn tell(&mut self, gate: bool, window: bool) {
        let Guarded { tests, false_alarms, damage, .. } = &mut self.found;
        match damage {
            Some(damage) => {
                let after = *tests - damage.test;
                damage.gate_after = damage.gate_after.or(gate.then_some(after));
                damage.window_after = damage.window_after.or(window.then_some(after));
            }
            None => {
                false_alarms.gate += u64::from(gate);
                false_alarms.window += u64::from(window);
            }
        }
    }

    pub(crate) fn found(self) -> Guarded {
        Guarded { window: self.window.found(), ..self.found }
    }
}

impl Guarded {
    /// What was found, in sentences.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Self { tests, alarms, good, evidence, window, false_alarms, damage } = self;
        let mut lines = vec![format!(
            "The gate: {} alarms in {tests} tests, {good} snapshots were good, the largest evidence was {evidence:.1e}",
            alarms.len()
        )];
        lines
            .extend(alarms.iter().map(|alarm| format!("  after {} tests: worse than {}", alarm.test, alarm.reference)));
        let FalseAlarms { gate, window: read } = false_alarms;
        lines.push(format!(
            "False alarms beside the anchor: {gate} of the gate, {read} of a test at 5 % of the last {} tests, of {} looks \
             in all",
            window.tests, window.looks
        ));
        if let Some(Damaged { ordered, test, anchored, gate_after, window_after }) = damage {
            let after =
                |tests: &Option<u64>| tests.map_or("no alarm".to_owned(), |n| format!("an alarm after {n} tests"));
            let without = if *anchored { "" } else { "; no version was good yet, so there was no anchor" };
            lines.push(format!(
                "Damage by {:?} at interaction {}, after {test} tests: the gate raised {}, the window {}{without}",
                ordered.kind,
                ordered.at,
                after(gate_after),
                after(window_after)
            ));
        }
        lines
    }
}
