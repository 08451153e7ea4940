//! Since when something that was learned waits to be published, and when that is too long.

use std::time::{Duration, Instant};

/// Judges the trainer's own condition `model`.
#[derive(Debug)]
pub(crate) struct Unpublished {
    /// Zero: never too long.
    most: Duration,
    /// Since when something is learned that no version was ordered for.
    changed: Option<Instant>,
    /// Since when what the version under way holds waits.
    under_way: Option<Instant>,
}

impl Unpublished {
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, changed: None, under_way: None }
    }

    /// Something was learned.
    pub(crate) fn changed(&mut self, now: Instant) {
        self.changed.get_or_insert(now);
    }

    /// A version of it is on its way.
    pub(crate) fn ordered(&mut self, now: Instant) {
        self.under_way = Some(self.changed.take().unwrap_or(now));
    }

    /// The version is acknowledged.
    pub(crate) fn published(&mut self) {
        self.under_way = None;
    }

    /// Why the newest version is too old, if it is.
    pub(crate) fn too_long(&self, now: Instant) -> Option<String> {
        let waited = now.duration_since(self.under_way.or(self.changed)?);
        (!self.most.is_zero() && waited > self.most).then(|| {
            format!(
                "what was learned is not published for {} s, more than trainer.max_model_age; see whether Kafka takes it",
                waited.as_secs()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_learned_and_not_published_for_too_long_is_told_until_it_is() {
        let now = Instant::now();
        let mut unpublished = Unpublished::new(5 * MINUTE);
        assert_eq!(unpublished.too_long(now + 99 * MINUTE), None, "a quiet shop needs no newer version");
        unpublished.changed(now);
        unpublished.changed(now + 4 * MINUTE);
        assert_eq!(unpublished.too_long(now + 5 * MINUTE), None);
        assert!(unpublished.too_long(now + 6 * MINUTE).is_some_and(|told| told.contains("360 s")));
        unpublished.ordered(now + 6 * MINUTE);
        assert!(unpublished.too_long(now + 7 * MINUTE).is_some(), "it is on its way only");
        unpublished.changed(now + 7 * MINUTE);
        unpublished.published();
        assert_eq!(unpublished.too_long(now + 8 * MINUTE), None);
        assert!(unpublished.too_long(now + 13 * MINUTE).is_some(), "what was learned since waits again");
        assert_eq!(Unpublished { most: Duration::ZERO, ..unpublished }.too_long(now + 99 * MINUTE), None);
    }
}
