//! A Redis that makes room by throwing keys away: noticed, said, and mended once it does so no more.
//!
//! Under a `maxmemory-policy` other than `noeviction` a full Redis deletes keys, and a history that is gone under a
//! mark that stands looks like a user who was deleted by hand. Only Redis' own count of evicted keys tells. So when it
//! rises the condition `profiles` turns red. To read everything again at once would only evict more; it is done when
//! Redis evicts no more: then the marks of our partitions go, and histories that are missing are made as after a flush
//! (I1).
#![allow(clippy::disallowed_methods, reason = "waits")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use runtime::Context;
use runtime::redis::{Redis, RedisError};
use schemas::Keys;
use tracing::{info, warn};

use crate::Sources;
use crate::error::Error;
use crate::metrics::EVICTED;

/// How often Redis is asked.
const EVERY: Duration = Duration::from_secs(5);

/// The readiness condition.
const PROFILES: &str = "profiles";

/// What Redis says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// Keys evicted since it started.
    evicted: u64,
    /// The policy by which it may evict, if it may.
    policy: Option<String>,
}

impl Said {
    /// Out of the answer to `INFO`; `None` where it does not say.
    fn of(info: &BTreeMap<String, String>) -> Option<Self> {
        let evicted = info.get("evicted_keys")?.parse().ok()?;
        let bounded = info.get("maxmemory")?.parse::<u64>().ok()? > 0;
        let policy = info.get("maxmemory_policy")?;
        Some(Self { evicted, policy: Some(policy.clone()).filter(|policy| bounded && policy != "noeviction") })
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Nothing,
    /// It was not said yet that Redis may evict.
    Warn(String),
    /// Histories may be gone, and others would go if they were made anew.
    Red(String),
    /// Histories may be gone, and Redis keeps what it is given from now on.
    Rebuild(u64),
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Evictions {
    /// Redis' count at the last look.
    last: Option<u64>,
    /// Keys that it evicted since histories were known to be whole.
    lost: u64,
    warned: bool,
}

impl Evictions {
    fn look(&mut self, said: &Said) -> Due {
        // A count below the last one is that of a Redis that was started again: what it evicted since counts.
        let risen = match self.last.replace(said.evicted) {
            Some(last) => said.evicted.checked_sub(last).unwrap_or(said.evicted),
            None => 0, // of before we looked: who knows when, and of whose keys
        };
        self.lost = self.lost.saturating_add(risen);
        match &said.policy {
            Some(policy) if self.lost > 0 => Due::Red(format!(
                "Redis has evicted {} keys, histories of users among them perhaps: set its maxmemory-policy to noeviction \
                 (it is {policy}) and its maxmemory high enough; then they are made anew",
                self.lost
            )),
            None if self.lost > 0 => Due::Rebuild(self.lost),
            Some(policy) if !std::mem::replace(&mut self.warned, true) => Due::Warn(policy.clone()),
            Some(_) => Due::Nothing,
            None => {
                self.warned = false;
                Due::Nothing
            }
        }
    }
}

/// Asks Redis until drained, or until it says that it does not tell.
pub(crate) async fn watch(
    sources: Arc<Sources>,
    (redis, keys): (Redis, Keys),
    group: String,
    ctx: Context,
) -> Result<(), Error> {
    let mut evictions = Evictions::default();
    gauge!(EVICTED).set(f64::NAN);
    ctx.set(PROFILES, Ok(()));
    loop {
        let said = match redis.info().await {
            Ok(info) => Said::of(&info),
            Err(RedisError::Refused { said, .. }) if said.contains("NOPERM") => None,
            Err(_) => {
                gauge!(EVICTED).set(f64::NAN); // it is away, as `redis` says
                if rest(&ctx).await { continue } else { return Ok(()) }
            }
        };
        let Some(said) = said else {
            let advice =
                "give the user of redis.url the right to INFO, or see to it that maxmemory-policy is noeviction";
            warn!(advice, "Redis does not tell whether it evicts keys: histories that it evicts stay unnoticed");
            ctx.drained().await; // a right that is given later counts from the next start on
            return Ok(());
        };
        gauge!(EVICTED).set(said.evicted as f64);
        match evictions.look(&said) {
            Due::Nothing => {}
            Due::Warn(policy) => {
                let advice = "set maxmemory-policy to noeviction, and maxmemory high enough";
                warn!(policy, advice, "Redis may evict histories of users once it is full");
            }
            Due::Red(why) => ctx.set(PROFILES, Err(why)),
            Due::Rebuild(lost) => {
                let share = sources.share.load();
                let marks: Vec<String> = share.partitions().map(|partition| keys.applied(&group, partition)).collect();
                // The loop misses its marks, as after a flush, and reads again. Until they are gone it stays red.
                if redis.delete(&marks).await.is_ok() {
                    info!(lost, "Redis evicts no more; making histories that are missing from interactions");
                    evictions.lost = 0;
                    ctx.set(PROFILES, Ok(()));
                }
            }
        }
        if !rest(&ctx).await {
            return Ok(());
        }
    }
}

/// Waits until the next look; false once the service drains.
async fn rest(ctx: &Context) -> bool {
    tokio::select! {
        () = ctx.drained() => false,
        () = tokio::time::sleep(EVERY) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(evicted: u64, policy: Option<&str>) -> Said {
        Said { evicted, policy: policy.map(str::to_owned) }
    }

    #[test]
    fn only_what_redis_evicts_while_it_is_watched_turns_profiles_red_and_they_are_rebuilt_once_it_evicts_no_more() {
        let mut evictions = Evictions::default();
        assert_eq!(evictions.look(&said(7, Some("allkeys-lru"))), Due::Warn("allkeys-lru".into()));
        assert_eq!(evictions.look(&said(7, Some("allkeys-lru"))), Due::Nothing, "it is said once");
        for (count, lost) in [(9, "2 keys"), (9, "2 keys"), (3, "5 keys")] {
            let due = evictions.look(&said(count, Some("volatile-ttl")));
            assert!(matches!(&due, Due::Red(why) if why.contains(lost) && why.contains("volatile-ttl")), "{due:?}");
        }
        assert_eq!(evictions.look(&said(3, None)), Due::Rebuild(5), "started again, it counted anew");
        assert_eq!(evictions.look(&said(3, None)), Due::Rebuild(5), "until it is done");
        evictions.lost = 0;
        assert_eq!(evictions.look(&said(3, None)), Due::Nothing);
        assert_eq!(evictions.look(&said(3, Some("allkeys-lfu"))), Due::Warn("allkeys-lfu".into()), "anew");
    }

    #[test]
    fn what_redis_says_of_itself_is_read_and_where_it_says_nothing_nothing_is_known() {
        let info = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let full = [("evicted_keys", "3"), ("maxmemory", "1048576"), ("maxmemory_policy", "allkeys-random")];
        assert_eq!(Said::of(&info(&full)), Some(said(3, Some("allkeys-random"))));
        let unbounded = [full[0], ("maxmemory", "0"), full[2]];
        assert_eq!(Said::of(&info(&unbounded)), Some(said(3, None)), "without a bound it evicts nothing");
        let keeps = [full[0], full[1], ("maxmemory_policy", "noeviction")];
        assert_eq!(Said::of(&info(&keeps)), Some(said(3, None)));
        assert_eq!(Said::of(&info(&full[1..])), None);
    }
}
