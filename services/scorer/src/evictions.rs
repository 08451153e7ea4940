//! A Redis that makes room by throwing keys away: noticed, said, and mended once it does so no more.
//!
//! Under a `maxmemory-policy` other than `noeviction` a full Redis deletes keys, and a history that is gone under a
//! mark that stands looks like a user who was deleted by hand. Only Redis' own count of evicted keys tells. So when it
//! rises the condition `profiles` turns red. To read everything again at once would only evict more; it is done when
//! Redis evicts no more: then the marks of our partitions go, and histories that are missing are made as after a flush
//! (I1).
//!
//! That histories are not whole outlives whoever noticed it: each mark says how many keys Redis had evicted when the
//! histories behind it were whole, or that they may not be. Who starts next, or takes a partition over, holds that
//! against what Redis says by then, and so also notices what was evicted while no scorer looked. A mark that is evicted
//! itself is missed, as after a flush. What Redis evicts after our last look and before it is started again, while no
//! scorer runs, stays unnoticed: it counts from 0 then.
#![allow(clippy::disallowed_methods, reason = "waits")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use runtime::redis::{Redis, RedisError};
use runtime::{Context, lock};
use schemas::{Gone, Keys};
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

/// What was seen so far, by the watch and by the loop, which takes marks over.
#[derive(Debug, Default)]
pub(crate) struct Evictions {
    /// Redis' count at the last look.
    last: Option<u64>,
    /// Keys that it evicted since histories were known to be whole.
    lost: u64,
    /// What marks say that were taken over since the last look.
    found: BTreeSet<u64>,
    /// One of them says that histories may not be whole.
    found_gone: bool,
    warned: bool,
}

impl Evictions {
    /// A mark was taken over that says this.
    pub(crate) fn took_over(&mut self, gone: Option<Gone>) {
        match gone {
            Some(Gone::Perhaps) => self.found_gone = true,
            Some(Gone::NoneSince(count)) => {
                self.found.insert(count);
            }
            None => {}
        }
    }

    /// What marks are to say; `None`: what they say now, for Redis was not asked since one was taken over.
    pub(crate) fn gone(&self) -> Option<Gone> {
        if self.lost > 0 {
            return Some(Gone::Perhaps);
        }
        self.last.filter(|_| self.found.is_empty() && !self.found_gone).map(Gone::NoneSince)
    }

    /// The marks behind which histories were not whole are gone. What was found meanwhile is not forgotten.
    fn rebuilding(&mut self) {
        self.lost = 0;
    }

    fn look(&mut self, said: &Said) -> Due {
        // A count below the one before is that of a Redis that was started again: what it evicted since counts.
        let since = |before: u64| said.evicted.checked_sub(before).unwrap_or(said.evicted);
        let risen = self.last.replace(said.evicted).map_or(0, since); // of before, marks say what is to be known
        self.lost = self.lost.saturating_add(risen);
        for count in std::mem::take(&mut self.found) {
            self.lost = self.lost.max(since(count));
        }
        if std::mem::take(&mut self.found_gone) {
            self.lost = self.lost.max(1); // how many, nobody noted
        }
        match &said.policy {
            Some(policy) if self.lost > 0 => Due::Red(format!(
                "Redis has evicted {} keys or more, histories of users among them perhaps: set its maxmemory-policy to noeviction \
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
        let due = lock(&sources.evictions).look(&said);
        match due {
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
                    lock(&sources.evictions).rebuilding();
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
        evictions.rebuilding();
        assert_eq!(evictions.look(&said(3, None)), Due::Nothing);
        assert_eq!(evictions.look(&said(3, Some("allkeys-lfu"))), Due::Warn("allkeys-lfu".into()), "anew");
    }

    #[test]
    fn who_starts_or_takes_a_partition_over_knows_from_its_mark_that_histories_are_not_whole() {
        let took = |mark: Gone, evicted: u64| {
            let mut evictions = Evictions::default();
            evictions.took_over(Some(mark));
            assert_eq!(evictions.gone(), None, "the mark goes on to say it until Redis was asked");
            (evictions.look(&said(evicted, None)), evictions.gone())
        };
        assert_eq!(took(Gone::NoneSince(7), 7), (Due::Nothing, Some(Gone::NoneSince(7))));
        assert_eq!(took(Gone::NoneSince(7), 9), (Due::Rebuild(2), Some(Gone::Perhaps)), "while nobody looked");
        assert_eq!(took(Gone::NoneSince(7), 4), (Due::Rebuild(4), Some(Gone::Perhaps)), "and since it was started");
        assert_eq!(took(Gone::NoneSince(7), 0), (Due::Nothing, Some(Gone::NoneSince(0))));
        assert_eq!(took(Gone::Perhaps, 7), (Due::Rebuild(1), Some(Gone::Perhaps)), "the one before was red");

        // A partition that comes over while the others are made anew is not forgotten.
        let mut evictions = Evictions::default();
        evictions.look(&said(7, None));
        evictions.look(&said(8, None));
        evictions.took_over(Some(Gone::Perhaps));
        evictions.rebuilding();
        assert_eq!(evictions.gone(), None, "Redis was not asked since");
        assert_eq!(evictions.look(&said(8, None)), Due::Rebuild(1));
        evictions.rebuilding();
        assert_eq!(evictions.gone(), Some(Gone::NoneSince(8)));
        evictions.took_over(None);
        assert_eq!(evictions.look(&said(8, None)), Due::Nothing, "a mark of an earlier release says nothing");
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
