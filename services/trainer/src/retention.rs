//! Which older snapshots stay to go back to: a ladder of ages. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::VersionId;
use serde::Deserialize;

/// Section `[trainer.retention]`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Retention {
    /// For each of these ages a snapshot stays that is about so old, up to half as much older.
    pub ages: Vec<Age>,
}

/// A duration as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Age(#[serde(with = "humantime_serde")] pub Duration);

impl Retention {
    /// Which of `snapshots`, each with the time it was made, stay at `now`; all in milliseconds since 1970.
    ///
    /// Time is cut into pieces of half an age, and the first snapshot of the present piece and of the two before stays.
    /// So what will be that old is there in time, and for each age at most three snapshots stay.
    pub(crate) fn keeps(&self, snapshots: &[(VersionId, i64)], now: i64) -> BTreeSet<VersionId> {
        let mut kept = BTreeSet::new();
        for Age(age) in &self.ages {
            let half = i64::try_from(age.as_millis() / 2).unwrap_or(i64::MAX).max(1);
            let present = now.div_euclid(half);
            let mut first: BTreeMap<i64, VersionId> = BTreeMap::new();
            for (version, made_at) in snapshots {
                let piece = made_at.div_euclid(half);
                if present.saturating_sub(piece) <= 2 {
                    first.entry(piece).or_insert(*version);
                }
            }
            kept.extend(first.into_values());
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_snapshot_of_about_each_age_is_there_at_any_time_and_few_are() {
        let ages = [5, 60, 6 * 60, 24 * 60, 7 * 24 * 60];
        let retention = Retention { ages: ages.map(|minutes| Age(Duration::from_secs(minutes * 60))).to_vec() };
        let (mut there, start): (Vec<(VersionId, i64)>, i64) = (Vec::new(), 1_700_000_000_000);
        for n in 0..(4 * 7 * 24 * 12) {
            let now = start + i64::from(n) * 5 * MINUTE;
            let kept = retention.keeps(&there, now);
            there.retain(|(version, _)| kept.contains(version));
            there.push((VersionId { epoch: 1, sequence: n + 1 }, now));
            assert!(there.len() <= 16, "{} snapshots", there.len());
            for minutes in ages {
                let (age, old) = (i64::try_from(minutes).expect("is small") * MINUTE, now - start);
                let about =
                    there.iter().any(|(_, made_at)| (age..=age * 3 / 2 + 10 * MINUTE).contains(&(now - made_at)));
                assert!(about || old < age * 3 / 2 + 10 * MINUTE, "none is about {minutes} minutes old at {old}");
            }
        }
    }

    #[test]
    fn without_ages_none_stays() {
        assert!(Retention::default().keeps(&[(VersionId { epoch: 1, sequence: 1 }, 0)], 1).is_empty());
    }
}
