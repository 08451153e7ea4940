//! A user's profile as it lies in Redis, read within bounds, and how the model sees it. Pure.

use model::Seen;
use schemas::interaction::LATEST_TS;
use schemas::profile::ProfileError;
use schemas::{MAX_ID_BYTES, Profile, Source, StoredProfile, key_of, proto};

/// A longer value is no profile: whoever put it there would have the memory of each service that reads it.
pub const MOST_BYTES: usize = 256 << 10;

/// Partitions, besides that of the event applied last, whose place a profile keeps. A user has one, unless two
/// applications key events by different partitioners, or partitions were added. Beyond it the one longest not met goes:
/// were its records read again, they would count again.
pub const ELSEWHERE: usize = 31;

/// Numbers of kinds that a profile may count: with those of later releases, whose counts a release of before keeps.
const KINDS: usize = 32;

/// A user of whom nothing is known.
#[must_use]
pub fn unknown() -> StoredProfile {
    StoredProfile { source: Source { partition: -1, offset: -1, ..Source::default() }, profile: Profile::default() }
}

/// Reads the value of a user's key, of which [`MOST_BYTES`] and one more are enough. Anybody may have written it: what
/// it holds beyond what we write is left out, of the interactions all but the newest `history`.
///
/// # Errors
/// It is too long, or no profile that this release reads.
pub fn read(value: &[u8], history: usize) -> Result<StoredProfile, ProfileError> {
    if value.len() > MOST_BYTES {
        return Err(ProfileError::Long);
    }
    let mut stored = StoredProfile::decode(value)?;
    let is_id = |id: &str| !id.is_empty() && id.len() <= MAX_ID_BYTES;
    let is_time = |ts: &i64| (0..=LATEST_TS).contains(ts);
    let Profile { recent, counts, first_ts, last_ts, slate, elsewhere, owed: _ } = &mut stored.profile;
    recent.retain(|seen| is_id(&seen.item_id) && is_time(&seen.ts));
    recent.drain(..recent.len().saturating_sub(history));
    slate.retain(|id| is_id(id));
    counts.truncate(KINDS);
    elsewhere.truncate(ELSEWHERE);
    for ts in [first_ts, last_ts] {
        *ts = (*ts).clamp(0, LATEST_TS);
    }
    recent.shrink_to_fit();
    slate.shrink_to_fit();
    Ok(stored)
}

/// The history as the model takes it, oldest first, at most `history` long.
#[must_use]
pub fn seen(profile: &Profile, history: usize) -> Vec<Seen> {
    let skip = profile.recent.len().saturating_sub(history);
    let of = |seen: &proto::Seen| Seen { key: key_of(&seen.item_id), kind: seen.kind(), ts: seen.ts };
    profile.recent.iter().skip(skip).map(of).collect()
}

#[cfg(test)]
mod tests {
    use schemas::Kind;

    use super::*;

    fn at(partition: i32, offset: i64) -> Source {
        Source { partition, offset, ..Source::default() }
    }

    #[test]
    fn what_anybody_put_under_a_users_key_takes_no_more_memory_and_time_than_a_profile() {
        let seen = |id: &str, ts| proto::Seen { item_id: id.into(), kind: Kind::View.into(), ts };
        let mut forged = unknown();
        forged.source = at(0, 5);
        forged.profile = Profile {
            recent: vec![proto::Seen::default(); 10_000],
            counts: vec![u64::MAX; 1_000],
            first_ts: i64::MIN,
            last_ts: i64::MAX,
            slate: vec![String::new(); 10_000],
            elsewhere: vec![at(1, 7); 1_000],
            owed: true,
        };
        forged.profile.recent.extend([seen("a", i64::MAX), seen("b", 7), seen(&"x".repeat(257), 8), seen("c", 9)]);
        let Profile { recent, counts, first_ts, last_ts, slate, elsewhere, .. } =
            read(&forged.encode(), 16).expect("it is read").profile;
        let ids: Vec<&str> = recent.iter().map(|seen| seen.item_id.as_str()).collect();
        assert_eq!((ids, slate.len(), recent.capacity()), (vec!["b", "c"], 0, 2));
        assert_eq!((counts.len(), elsewhere.len(), first_ts, last_ts), (KINDS, ELSEWHERE, 0, LATEST_TS));
        assert!(read(&vec![0; MOST_BYTES + 1], 16).is_err());
    }
}
