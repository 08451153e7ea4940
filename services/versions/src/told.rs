//! What was told of refusals: of a flood of one kind, one a minute says enough.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metrics::counter;
use schemas::VersionId;
use tracing::{debug, warn};

/// How often a refusal of one kind is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Told {
    /// The counter's name.
    counted: &'static str,
    last: BTreeMap<&'static str, Instant>,
}

impl Told {
    /// Counts refusals under `counted`, by reason.
    pub(crate) fn new(counted: &'static str) -> Self {
        Self { counted, last: BTreeMap::new() }
    }

    /// A record of a topic must not be used: what was live or decided before it stands (I4).
    pub(crate) fn refused(&mut self, topic: &str, why: &'static str, version: Option<VersionId>, reason: &str) {
        counter!(self.counted, "reason" => why).increment(1);
        let version = version.map(tracing::field::display);
        if self.is_news(why, Instant::now()) {
            warn!(topic, version, reason, "refused a record; what stood before it stands");
        } else {
            debug!(topic, version, reason, "refused a record; what stood before it stands");
        }
    }

    fn is_news(&mut self, why: &'static str, now: Instant) -> bool {
        let news = self.last.get(why).is_none_or(|at| now.duration_since(*at) >= TELL_EVERY);
        if news {
            self.last.insert(why, now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_of_refusals_one_a_minute_of_each_reason_is_told() {
        let (mut told, start) = (Told::new("refused"), Instant::now());
        let at = |told: &mut Told, why, seconds| told.is_news(why, start + Duration::from_secs(seconds));
        let flood = (0..1_000).filter(|n| at(&mut told, "torn", n / 10)).count();
        assert_eq!(flood, 2, "100 seconds of them");
        assert!(at(&mut told, "payload", 100) && !at(&mut told, "torn", 100));
    }
}
