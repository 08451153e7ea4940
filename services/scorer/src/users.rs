//! The users' profiles: the latest in memory, the rest in Redis.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use metrics::{counter, gauge};
use runtime::Context;
use runtime::redis::{Answer, Redis};
use schemas::{Keys, StoredProfile, key_of};

use crate::error::Error;
use crate::metrics::{UNREADABLE, USERS};
use crate::{Sources, profile};

/// What is held of a user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// As it lies in Redis, or will.
    pub(crate) stored: StoredProfile,
    /// Keys of the items in the slate written last.
    shown: Box<[u64]>,
}

impl User {
    /// A user with this profile.
    pub(crate) fn new(stored: StoredProfile) -> Self {
        let shown = stored.profile.slate.iter().map(|id| key_of(id)).collect();
        Self { stored, shown }
    }
}

/// Users by id; at the bound the one not seen for longest goes and is read from Redis when seen again.
#[derive(Debug)]
pub(crate) struct Users {
    held: LruCache<Arc<str>, User>,
    redis: Redis,
    keys: Keys,
    sources: Arc<Sources>,
    ctx: Context,
}

impl Users {
    /// Holds at most `most` users.
    pub(crate) fn new(most: usize, redis: Redis, keys: Keys, sources: Arc<Sources>, ctx: Context) -> Self {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self { held: LruCache::new(most), redis, keys, sources, ctx }
    }

    /// Takes users out, each once, in the order of `names`. Who is nowhere comes as unknown, and nobody comes where the
    /// user's key is somebody else's.
    ///
    /// # Errors
    /// Redis is away and the service drains.
    pub(crate) async fn take(&mut self, names: &[Arc<str>]) -> Result<Vec<Option<User>>, Error> {
        let mut users: Vec<Option<User>> = names.iter().map(|name| self.held.pop(name)).collect();
        let missing = || names.iter().zip(&users).filter(|(_, user)| user.is_none());
        let keys: Vec<String> = missing().map(|(name, _)| self.keys.user(name)).collect();
        let mut values = Vec::new();
        if !keys.is_empty() {
            values = self.ctx.retry("redis", || self.redis.get_many(&keys)).await?;
        }
        let mut loaded = keys.iter().zip(values).map(|(key, value)| self.decode(key, value));
        for user in users.iter_mut().filter(|user| user.is_none()) {
            *user = loaded.next().flatten();
        }
        drop(loaded);
        Ok(users)
    }

    /// What a key holds; `None` where it is not ours to read.
    fn decode(&self, key: &str, value: Answer<Option<Vec<u8>>>) -> Option<User> {
        let value = match value {
            Ok(value) => value,
            Err(wrong) => {
                self.sources.foreign.found(key, wrong);
                return None;
            }
        };
        let Some(bytes) = value else { return Some(User::new(profile::unknown())) };
        let stored = StoredProfile::decode(&bytes).unwrap_or_else(|error| {
            counter!(UNREADABLE, "from" => "redis").increment(1);
            self.sources.foreign.found(key, format_args!("{error}; the profile begins anew"));
            profile::unknown()
        });
        Some(User::new(stored))
    }

    /// Holds a user as Redis has them now.
    pub(crate) fn put(&mut self, name: Arc<str>, user: User) {
        self.held.put(name, user);
        gauge!(USERS).set(self.held.len() as f64);
    }

    /// Forgets the users of partitions that are another's now: it writes their profiles from here on.
    pub(crate) fn forget(&mut self, partitions: &[i32]) {
        self.held.retain(|_, user| !partitions.contains(&user.stored.source.partition));
        gauge!(USERS).set(self.held.len() as f64);
    }

    /// Users whose slate shows one of these items. `keys` is sorted.
    pub(crate) fn showing(&self, keys: &[u64]) -> Vec<Arc<str>> {
        self.matching(|user| user.shown.iter().any(|key| keys.binary_search(key).is_ok()))
    }

    /// All users held.
    pub(crate) fn all(&self) -> Vec<Arc<str>> {
        self.matching(|_| true)
    }

    fn matching(&self, fits: impl Fn(&User) -> bool) -> Vec<Arc<str>> {
        self.held.iter().filter(|(_, user)| fits(user)).map(|(name, _)| Arc::clone(name)).collect()
    }
}
