//! Looks through Redis for slates of users whom nobody holds in memory: what is delisted must go from those, too, and
//! who has a profile and no slate gets one.
//!
//! A delisting finds at once who is held here and shown the item. All other slates lie in Redis only, so every profile
//! there is looked at, page by page at a bounded rate (of the keys that Redis looks at, which in a shared one are
//! mostly not ours): after each delisting, whenever partitions become ours, for an item may have been delisted while
//! nobody answered for them, and where Redis fell back to what it once was. Then, too, somebody may have ended who had
//! written profiles anew after Redis forgot them, and still had their slates to make
//! ([`SlateQueue`](crate::slate_queue::SlateQueue)), which their profiles say. Users who are erased go with all that
//! lies there of them. The `similar` lists of items that must not be shown go in the same way, and who leads hears
//! which `hot` and `new` lists lie there. Only what is spelt as one of our keys and decodes as one of our lists is ever
//! deleted: Redis may be shared.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use runtime::Context;
use runtime::redis::{Answer, Redis};
use schemas::Slate;
use schemas::keys::{Keys, Kind};
use schemas::proto::Profile;
use tokio::sync::{Notify, mpsc};
use tracing::debug;

use crate::error::Error;
use crate::metrics::SWEPT;
use crate::profile::{self, MOST_BYTES};
use crate::{Sources, lock};

/// The readiness condition of the sweep's own questions.
const REDIS: &str = "redis-sweep";
/// The longest list of ours, as long as ids have not their greatest length in all places.
const MOST_LIST_BYTES: usize = 1 << 20;
/// Keys looked at together.
const PAGE: usize = 500;
/// `hot` and `new` lists told to who leads; the next sweep finds more.
const TOPS: usize = 10_000;

/// Goes through the profiles of our partitions when asked to.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) sources: Arc<Sources>,
    pub(crate) redis: Redis,
    pub(crate) keys: Keys,
    /// Keys that Redis looks at in a second, at most.
    pub(crate) per_second: u32,
    /// Asked for; asking again while one is under way makes another follow.
    pub(crate) wanted: Arc<Notify>,
    /// Users whose slate shows what is delisted, or who have a better one to get. Who is late holds up the sweep.
    pub(crate) found: mpsc::Sender<Vec<Arc<str>>>,
    pub(crate) ctx: Context,
}

impl Sweep {
    /// Sweeps when asked to, until drained.
    pub(crate) async fn run(self) -> Result<(), Error> {
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = self.ctx.drained() => return Ok(()),
            }
            match self.sweep().await {
                Err(_) if self.ctx.draining() => return Ok(()), // Redis is away: done anew after the restart
                outcome => outcome?,
            }
        }
    }

    async fn sweep(&self) -> Result<(), Error> {
        let (mut looked, mut stale) = (0, 0);
        let mut pages = Pages::of(self.keys.swept());
        while let Some(mut page) = self.next(&mut pages).await? {
            self.delete_erased(&mut page).await?;
            let users: Vec<String> = page.users.iter().map(|user| self.keys.user(user)).collect();
            let values = self.ctx.retry(REDIS, || self.redis.heads(&users, 1 + MOST_BYTES)).await?;
            let found = self.in_need(&page.users, values);
            counter!(SWEPT).increment(users.len() as u64);
            (looked, stale) = (looked + users.len(), stale + found.len());
            if !found.is_empty() && self.found.send(found).await.is_err() {
                return Ok(()); // the loop has ended
            }
            let similar = self.ours(self.hidden(&page.similar)).await?;
            if !similar.is_empty() {
                self.ctx.retry(REDIS, || self.redis.delete(&similar)).await?;
            }
            if !self.sources.share.load().leads() {
                lock(&self.sources.tops).clear();
                continue;
            }
            let tops = self.ours(page.tops).await?;
            let mut lying = lock(&self.sources.tops);
            let room = TOPS.saturating_sub(lying.len());
            lying.extend(tops.into_iter().take(room));
        }
        debug!(looked, stale, "looked for delisted items and missing slates in our partitions");
        Ok(())
    }

    /// Deletes what lies there of erased users: nobody holds them who could.
    async fn delete_erased(&self, page: &mut Page) -> Result<(), Error> {
        let erased = self.sources.erased.load_full();
        if erased.erasures().is_empty() {
            return Ok(());
        }
        let gone: Vec<Arc<str>> = page.users.extract_if(.., |user| erased.is_erased(user)).collect();
        let keys: Vec<String> = gone.iter().flat_map(|user| [self.keys.recs(user), self.keys.user(user)]).collect();
        if !keys.is_empty() {
            self.ctx.retry(REDIS, || self.redis.delete(&keys)).await?;
        }
        Ok(())
    }

    /// The next page of keys, at the bounded rate; `None` behind the last, and once the service drains.
    async fn next(&self, pages: &mut Pages) -> Result<Option<Page>, Error> {
        let Some(cursor) = pages.cursor else { return Ok(None) };
        tokio::select! {
            () = tokio::time::sleep(std::mem::take(&mut pages.pause)) => {}
            () = self.ctx.drained() => return Ok(None),
        }
        let page = || self.redis.scan(&pages.pattern, cursor, PAGE);
        let (next, found) = self.ctx.retry(REDIS, page).await?;
        pages.cursor = (next != 0).then_some(next);
        pages.pause = pause(found.len(), self.per_second);
        Ok(Some(self.sorted(found)))
    }

    /// Keys that are spelt as ours are, by what lies under them.
    fn sorted(&self, keys: Vec<Vec<u8>>) -> Page {
        let mut page = Page::default();
        for key in keys {
            match self.keys.kind(&key) {
                Some(Kind::User(user)) => page.users.push(user.into()),
                Some(Kind::Similar(item)) => page.similar.push(item.to_owned()),
                Some(Kind::Top) => page.tops.push(String::from_utf8_lossy(&key).into_owned()),
                Some(Kind::Odd) => self.sources.foreign.found(&key, "its name is no UTF-8, or longer than any of ours"),
                None => {}
            }
        }
        page
    }

    /// Which of these keys hold lists as we write them: nothing else is ever deleted.
    async fn ours(&self, keys: Vec<String>) -> Result<Vec<String>, Error> {
        if keys.is_empty() {
            return Ok(keys);
        }
        let values = self.ctx.retry(REDIS, || self.redis.heads(&keys, MOST_LIST_BYTES)).await?;
        let mut ours = Vec::with_capacity(keys.len());
        for (key, value) in keys.into_iter().zip(values) {
            match value.map_err(|wrong| wrong.to_string()).map(|value| Slate::decode(&value)) {
                Ok(Ok(slate)) if slate.v > 0 => ours.push(key),
                Ok(Ok(_)) => self.sources.foreign.found(&key, "it is no list"),
                Ok(Err(odd)) => self.sources.foreign.found(&key, odd),
                Err(wrong) => self.sources.foreign.found(&key, wrong),
            }
        }
        Ok(ours)
    }

    /// The keys of the `similar` lists of those of these items that must not be shown. Whoever sees one may delete it:
    /// nobody writes it.
    fn hidden(&self, items: &[String]) -> Vec<String> {
        let shop = self.sources.shop();
        items.iter().filter(|item| shop.hides(item)).map(|item| self.keys.similar(item)).collect()
    }

    /// Those of our users, by their profiles, who are to get a new slate.
    fn in_need(&self, users: &[Arc<str>], profiles: Vec<Answer<Vec<u8>>>) -> Vec<Arc<str>> {
        let (shop, share) = (self.sources.shop(), self.sources.share.load());
        let is_in_need = |user: &str, profile: Answer<Vec<u8>>| {
            let profile = profile.map_err(|wrong| self.sources.foreign.found(self.keys.user(user), wrong)).ok();
            let stored = profile.and_then(|profile| profile::read(&profile, 0).ok()); // counted when its user acts
            stored.is_some_and(|stored| {
                share.holds(stored.source.partition) && is_stale(&stored.profile, shop.serves(), |id| shop.hides(id))
            })
        };
        users
            .iter()
            .zip(profiles)
            .filter_map(|(user, profile)| is_in_need(user, profile).then(|| user.clone()))
            .collect()
    }
}

/// Keys that were found together.
#[derive(Debug, Default)]
struct Page {
    /// Users with a profile.
    users: Vec<Arc<str>>,
    /// Items with a `similar` list.
    similar: Vec<String>,
    /// Keys of `hot` and `new` lists.
    tops: Vec<String>,
}

/// Where a scan stands.
struct Pages {
    pattern: String,
    /// `None`: behind the last page.
    cursor: Option<u64>,
    /// Before the next page.
    pause: Duration,
}

impl Pages {
    fn of(pattern: String) -> Self {
        Self { pattern, cursor: Some(0), pause: Duration::ZERO }
    }
}

/// Whether a slate shows what must not be shown, or a better one can be made than lies there.
fn is_stale(profile: &Profile, serves: bool, hides: impl Fn(&str) -> bool) -> bool {
    let Profile { slate, owed, .. } = profile;
    (serves && (*owed || slate.is_empty())) || slate.iter().any(|id| hides(id))
}

/// How long a page that `found` so many keys is to take: Redis looked at a page of keys, whatever it found there.
fn pause(found: usize, per_second: u32) -> Duration {
    Duration::from_secs_f64(found.max(PAGE) as f64 / f64::from(per_second.max(1)))
}

#[cfg(test)]
mod tests {
    use crate::profile::unknown;

    use super::*;

    #[test]
    fn a_slate_is_made_anew_that_shows_what_is_delisted_or_that_its_maker_did_not_live_to_make() {
        let hidden = |id: &str| id == "gone";
        let slate =
            |ids: &[&str]| Profile { slate: ids.iter().map(|id| (*id).to_owned()).collect(), ..unknown().profile };
        let owed = Profile { owed: true, ..slate(&["a", "b"]) };
        assert!(is_stale(&owed, true, hidden) && !is_stale(&owed, false, hidden));
        assert!(is_stale(&slate(&["a", "gone"]), true, hidden));
        assert!(!is_stale(&slate(&["a", "b"]), true, hidden));
        assert!(is_stale(&slate(&[]), true, hidden));
        assert!(!is_stale(&slate(&[]), false, hidden), "there is nothing to make it from yet");
    }

    #[test]
    fn no_more_keys_are_looked_at_in_a_second_than_the_setting_says_however_many_are_ours() {
        for per_second in [1, 100, 10_000] {
            // Pages of a Redis that is ours alone, of one where nothing is, and one that gives more than it was asked
            // for.
            let pages = [PAGE, 0, 17, 7 * PAGE];
            let took: Duration = pages.iter().map(|found| pause(*found, per_second)).sum();
            let looked: usize = pages.iter().map(|found| (*found).max(PAGE)).sum();
            assert!(took.as_secs_f64() * f64::from(per_second) >= looked as f64 - 0.5, "{looked} keys in {took:?}");
        }
    }
}
