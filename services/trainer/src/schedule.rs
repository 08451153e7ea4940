//! When a version is due, what kind it is, and its name.

use std::time::{Duration, Instant};

use schemas::checkpoint::{PayloadKind, VersionId};

use crate::config::Trainer;

/// Deltas of this many bytes are no burden to a scorer that starts: it reads them in a fraction of a second.
const LIGHT_DELTAS: u64 = 32 << 20;

/// A snapshot of so many bytes is written within a drain.
const LIGHT_SNAPSHOT: u64 = 256 << 20;

/// Even when nothing changes a snapshot comes this often: `checkpoints` deletes what is older than a week, and with the
/// last snapshot the model would be gone.
const REFRESH: Duration = Duration::from_secs(86_400);

/// The rhythm of publication within one epoch.
#[derive(Debug)]
pub(crate) struct Schedule {
    publish_every: Duration,
    snapshot_every: Duration,
    snapshot_after_deltas: f64,
    epoch: u32,
    newest: Option<VersionId>,
    /// When the newest version, and the newest snapshot, were ordered.
    ordered: Option<(Instant, Instant)>,
    snapshot_bytes: u64,
    delta_bytes: u64,
    changed: bool,
}

/// A version to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    /// Its name.
    pub(crate) version: VersionId,
    /// What it builds on, if it is a delta.
    pub(crate) parent: Option<VersionId>,
    /// Whole or delta.
    pub(crate) kind: PayloadKind,
}

impl Schedule {
    /// Begins an epoch.
    pub(crate) fn new(config: &Trainer, epoch: u32) -> Self {
        Self {
            publish_every: config.publish_every,
            snapshot_every: config.snapshot_every,
            snapshot_after_deltas: config.snapshot_after_deltas,
            epoch,
            newest: None,
            ordered: None,
            snapshot_bytes: 0,
            delta_bytes: 0,
            changed: false,
        }
    }

    /// The next version is a snapshot, and due at once.
    pub(crate) fn hurry(&mut self) {
        self.ordered = None;
    }

    /// Takes note that the model is no longer as published.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// The next version, if it is time for one. Ask only while none is being published.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Order> {
        let Some((newest, snapshot)) = self.ordered else {
            // An epoch begins with a snapshot, so that it never builds on records of the one before (I9).
            return Some(self.order(PayloadKind::Snapshot, now));
        };
        let since_snapshot = now.duration_since(snapshot);
        if !self.changed {
            return (since_snapshot >= REFRESH).then(|| self.order(PayloadKind::Snapshot, now));
        }
        if now.duration_since(newest) < self.publish_every {
            return None;
        }
        let whole = since_snapshot >= self.snapshot_every || self.deltas_are_heavy();
        Some(self.order(if whole { PayloadKind::Snapshot } else { PayloadKind::Delta }, now))
    }

    /// The last version before the end: a snapshot, if the newest does not have everything, for deltas leave out what
    /// moved little, and who starts next is to go on exactly. Where it would take long, a delta.
    pub(crate) fn last(&mut self, now: Instant) -> Option<Order> {
        if self.snapshot_bytes > LIGHT_SNAPSHOT {
            return self.changed.then(|| self.order(PayloadKind::Delta, now));
        }
        (self.changed || self.delta_bytes > 0).then(|| self.order(PayloadKind::Snapshot, now))
    }

    /// Takes note of the size of a version that is published.
    pub(crate) fn published(&mut self, kind: PayloadKind, bytes: u64) {
        match kind {
            PayloadKind::Snapshot => (self.snapshot_bytes, self.delta_bytes) = (bytes, 0),
            PayloadKind::Delta => self.delta_bytes += bytes,
        }
    }

    fn deltas_are_heavy(&self) -> bool {
        let most = self.snapshot_bytes as f64 * self.snapshot_after_deltas;
        self.delta_bytes > LIGHT_DELTAS && self.delta_bytes as f64 > most
    }

    fn order(&mut self, kind: PayloadKind, now: Instant) -> Order {
        let version = VersionId { epoch: self.epoch, sequence: self.newest.map_or(1, |newest| newest.sequence + 1) };
        let parent = self.newest.filter(|_| kind == PayloadKind::Delta);
        let snapshot = match (kind, self.ordered) {
            (PayloadKind::Delta, Some((_, snapshot))) => snapshot,
            _ => now,
        };
        self.newest = Some(version);
        self.ordered = Some((now, snapshot));
        self.changed = false;
        Order { version, parent, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule() -> Schedule {
        let config = runtime::config::load::<crate::Config>(crate::DEFAULTS, None, &[], false).expect("loads");
        Schedule::new(&config.trainer, 3)
    }

    fn kind(order: Option<Order>) -> Option<PayloadKind> {
        order.map(|order| order.kind)
    }

    #[test]
    fn an_epoch_begins_with_a_snapshot_that_has_no_parent() {
        let order = schedule().due(Instant::now()).expect("is due at once");
        assert_eq!((order.kind, order.parent), (PayloadKind::Snapshot, None));
        assert_eq!(order.version, VersionId { epoch: 3, sequence: 1 });
    }

    #[test]
    fn a_delta_comes_every_second_while_something_changes() {
        let (mut schedule, start) = (schedule(), Instant::now());
        schedule.due(start);
        assert_eq!(schedule.due(start + SECOND), None, "nothing changed");
        schedule.changed();
        assert_eq!(schedule.due(start + SECOND / 2), None, "too early");
        let order = schedule.due(start + SECOND).expect("is due");
        assert_eq!((order.kind, order.version.sequence), (PayloadKind::Delta, 2));
        assert_eq!(order.parent, Some(VersionId { epoch: 3, sequence: 1 }));
        assert_eq!(schedule.due(start + SECOND * 2), None, "nothing changed since");
    }

    #[test]
    fn in_a_hurry_a_snapshot_comes_at_once_and_goes_on_counting() {
        let (mut schedule, start) = (schedule(), Instant::now());
        schedule.due(start);
        schedule.hurry();
        let order = schedule.due(start).expect("is due");
        assert_eq!((order.kind, order.version.sequence), (PayloadKind::Snapshot, 2));
    }

    #[test]
    fn a_snapshot_comes_every_five_minutes() {
        let (mut schedule, start) = (schedule(), Instant::now());
        schedule.due(start);
        schedule.changed();
        assert_eq!(kind(schedule.due(start + SECOND * 299)), Some(PayloadKind::Delta));
        schedule.changed();
        assert_eq!(kind(schedule.due(start + SECOND * 300)), Some(PayloadKind::Snapshot));
    }

    #[test]
    fn a_snapshot_comes_early_when_the_deltas_are_heavier_than_four_of_it() {
        let (mut schedule, start) = (schedule(), Instant::now());
        schedule.due(start);
        schedule.published(PayloadKind::Snapshot, 100 << 20);
        schedule.published(PayloadKind::Delta, 400 << 20);
        schedule.changed();
        assert_eq!(kind(schedule.due(start + SECOND)), Some(PayloadKind::Delta));
        schedule.published(PayloadKind::Delta, 1 << 20);
        schedule.changed();
        assert_eq!(kind(schedule.due(start + SECOND * 2)), Some(PayloadKind::Snapshot));
    }

    #[test]
    fn light_deltas_on_a_tiny_snapshot_do_not_hurry_the_next() {
        let (mut schedule, start) = (schedule(), Instant::now());
        schedule.due(start);
        schedule.published(PayloadKind::Snapshot, 1_000);
        schedule.published(PayloadKind::Delta, 1 << 20);
        schedule.changed();
        assert_eq!(kind(schedule.due(start + SECOND)), Some(PayloadKind::Delta));
    }

    #[test]
    fn a_model_that_does_not_change_is_written_again_before_the_topic_forgets_it() {
        let (mut schedule, start) = (schedule(), Instant::now());
        schedule.due(start);
        assert_eq!(schedule.due(start + REFRESH - SECOND), None);
        assert_eq!(kind(schedule.due(start + REFRESH)), Some(PayloadKind::Snapshot));
    }

    #[test]
    fn the_last_version_is_a_snapshot_if_the_newest_does_not_have_everything() {
        let (mut schedule, start) = (schedule(), Instant::now());
        assert_eq!(schedule.last(start), None);
        schedule.due(start);
        schedule.published(PayloadKind::Snapshot, 1_000);
        assert_eq!(schedule.last(start), None);
        schedule.published(PayloadKind::Delta, 100);
        assert_eq!(kind(schedule.last(start)), Some(PayloadKind::Snapshot), "a delta leaves out what moved little");
        schedule.published(PayloadKind::Snapshot, 1_000);
        schedule.changed();
        assert_eq!(kind(schedule.last(start)), Some(PayloadKind::Snapshot));
        // One that would take longer than the drain has.
        schedule.published(PayloadKind::Snapshot, 1 << 30);
        assert_eq!(schedule.last(start), None);
        schedule.changed();
        assert_eq!(kind(schedule.last(start)), Some(PayloadKind::Delta));
    }
}
