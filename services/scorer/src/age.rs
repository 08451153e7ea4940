//! How old the live version is, and when that is too old: only while interactions wait for a newer one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::gauge;
use runtime::Context;
use runtime::kafka::{Positions, Stream};
use schemas::checkpoint::Through;

use crate::error::Error;
use crate::metrics::MODEL_AGE;
use crate::slot::Slot;

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
    /// The condition `model` for a version of this age that lacks so many interactions.
    fn state(&mut self, age: Duration, lacks: i64, now: Instant) -> Result<(), String> {
        if lacks <= 0 {
            self.lacking = None; // a quiet shop needs no newer version
            return Ok(());
        }
        let since = *self.lacking.get_or_insert(now);
        if self.most.is_zero() || age <= self.most || now.duration_since(since) <= self.most {
            return Ok(());
        }
        Err(format!(
            "the live version is {} s old and lacks {lacks} interactions; see whether the trainer runs and publishes",
            age.as_secs()
        ))
    }
}

/// Interactions applied here that the version was not trained on.
fn lacks(through: &BTreeMap<i32, Through>, applied: &Positions) -> i64 {
    let next = |partition: &i32| through.get(partition).map_or(0, |through| through.next);
    applied.iter().map(|(p, applied)| applied.saturating_sub(next(p)).max(0)).fold(0, i64::saturating_add)
}

/// Shows the live version's age, and turns `model` red when it is too old, until drained.
pub(crate) async fn watch(slot: Arc<Slot>, stream: Arc<Stream>, most: Duration, ctx: Context) -> Result<(), Error> {
    let mut judge = Age { most, lacking: None };
    gauge!(MODEL_AGE).set(f64::NAN);
    loop {
        tokio::select! {
            () = ctx.drained() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let live = slot.load();
        let Some(manifest) = live.model.manifest() else { continue }; // `model` is red already
        let ms = u64::try_from(ctx.now().saturating_sub(manifest.made_at)).unwrap_or(0); // clocks of two machines may differ
        let age = Duration::from_millis(ms);
        gauge!(MODEL_AGE).set(age.as_secs_f64());
        ctx.set("model", judge.state(age, lacks(&manifest.through, &stream.applied()), Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn model_turns_red_again_when_the_live_version_is_too_old_while_interactions_wait() {
        let now = Instant::now();
        let mut age = Age { most: 5 * MINUTE, lacking: None };
        assert_eq!(age.state(MINUTE, 10, now), Ok(()));
        assert_eq!(age.state(5 * MINUTE, 900, now + 4 * MINUTE), Ok(()));
        let told = age.state(7 * MINUTE, 1_500, now + 6 * MINUTE).expect_err("too old");
        assert!(told.contains("420 s old and lacks 1500 interactions"), "{told}");
        assert_eq!(age.state(Duration::ZERO, 3, now + 6 * MINUTE), Ok(()), "a new version is live");
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
        assert_eq!(lacks(&through, &Positions::from([(0, 14), (1, 3)])), 4 + 3);
        assert_eq!(lacks(&through, &Positions::from([(0, 2)])), 0);
    }
}
