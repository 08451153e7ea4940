//! How old the live version is, and when that is too old: only while interactions wait for a newer one.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::gauge;
use runtime::Context;
use runtime::kafka::{Positions, Stream};
use schemas::checkpoint::Through;
use versions::Decided;

use crate::Sources;
use crate::error::Error;
use crate::metrics::MODEL_AGE;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Judges the live version, once a second.
#[derive(Debug)]
struct Age {
    /// Zero: never too old.
    most: Duration,
    /// Since when the version lacks interactions that were applied here.
    lacking: Option<Instant>,
}

impl Age {
    /// The condition `model` for a version that has been live for so long and lacks so many interactions. When it was
    /// made is told by the trainer's clock, which may be an hour off: it decides nothing.
    fn state(&mut self, live_for: Duration, lacks: i64, now: Instant) -> Result<(), String> {
        if lacks <= 0 {
            self.lacking = None; // a quiet shop needs no newer version
            return Ok(());
        }
        let since = *self.lacking.get_or_insert(now);
        if self.most.is_zero() || live_for <= self.most || now.duration_since(since) <= self.most {
            return Ok(());
        }
        Err(format!(
            "no version has come for {} s and the live one lacks {lacks} interactions; see whether the trainer runs and publishes",
            live_for.as_secs()
        ))
    }
}

/// Interactions applied here that the version was not trained on.
fn lacks(through: &BTreeMap<i32, Through>, applied: &Positions) -> i64 {
    let next = |partition: &i32| through.get(partition).map_or(0, |through| through.next);
    applied.iter().map(|(p, applied)| applied.0.saturating_sub(next(p)).max(0)).fold(0, i64::saturating_add)
}

/// Shows the live version's age, and turns `model` red when it is too old, until drained.
pub(crate) async fn watch(
    sources: Arc<Sources>,
    stream: Arc<Stream>,
    most: Duration,
    ctx: Context,
) -> Result<(), Error> {
    let mut judge = Age { most, lacking: None };
    gauge!(MODEL_AGE).set(f64::NAN);
    loop {
        tokio::select! {
            () = ctx.drained() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let live = sources.slot.load();
        let Some(manifest) = live.model.manifest() else { continue }; // `model` is red already
        let ms = u64::try_from(ctx.now().saturating_sub(manifest.made_at)).unwrap_or(0); // clocks of two machines may differ
        gauge!(MODEL_AGE).set(Duration::from_millis(ms).as_secs_f64());
        if live.decided.as_ref().is_some_and(Decided::stays) {
            ctx.set("model", Ok(())); // somebody wants it to be old
            continue;
        }
        let trained = sources.trained(&manifest.through).map(|(partition, through)| (*partition, *through)).collect();
        let (lacks, now) = (lacks(&trained, &stream.applied()), Instant::now());
        ctx.set("model", judge.state(now.saturating_duration_since(live.since), lacks, now));
    }
}

#[cfg(test)]
mod tests {
    use runtime::kafka::Next;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn model_turns_red_again_when_the_live_version_is_too_old_while_interactions_wait() {
        let now = Instant::now();
        let mut age = Age { most: 5 * MINUTE, lacking: None };
        assert_eq!(age.state(MINUTE, 10, now), Ok(()));
        assert_eq!(age.state(5 * MINUTE, 900, now + 4 * MINUTE), Ok(()));
        let told = age.state(7 * MINUTE, 1_500, now + 6 * MINUTE).expect_err("too old");
        assert!(told.contains("for 420 s and the live one lacks 1500 interactions"), "{told}");
        assert_eq!(age.state(Duration::ZERO, 3, now + 6 * MINUTE), Ok(()), "a new version is live");
    }

    #[test]
    fn a_trainers_clock_an_hour_off_turns_model_neither_red_while_versions_come_nor_green_while_none_does() {
        let now = Instant::now();
        let mut age = Age { most: 5 * MINUTE, lacking: None };
        // A version a second, and never all interactions in it: whatever `made_at` says, the last one has just come.
        for second in 0..3_600 {
            assert_eq!(age.state(Duration::ZERO, 10, now + Duration::from_secs(second)), Ok(()));
        }
        let last = now + 60 * MINUTE;
        age.state(6 * MINUTE, 10, last + 6 * MINUTE).expect_err("though it says that it was made in an hour");
    }

    #[test]
    fn an_old_version_in_a_quiet_shop_is_not_too_old_nor_at_once_when_somebody_comes() {
        let now = Instant::now();
        let mut age = Age { most: 5 * MINUTE, lacking: None };
        assert_eq!(age.state(600 * MINUTE, 0, now), Ok(()));
        assert_eq!(age.state(601 * MINUTE, 1, now + MINUTE), Ok(()), "the trainer has a moment for it");
        assert!(age.state(607 * MINUTE, 1, now + 7 * MINUTE).is_err());
        assert_eq!(Age { most: Duration::ZERO, lacking: None }.state(600 * MINUTE, 9, now), Ok(()), "no bound");
    }

    #[test]
    fn what_a_version_lacks_is_counted_over_our_partitions() {
        let through = BTreeMap::from([(0, Through { next: 10, ..Through::default() })]);
        assert_eq!(lacks(&through, &Positions::from([(0, Next(14)), (1, Next(3))])), 4 + 3);
        assert_eq!(lacks(&through, &Positions::from([(0, Next(2))])), 0);
    }
}
