//! The users' profiles: the latest in memory, the rest in Redis.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use metrics::{counter, gauge};
use runtime::Context;
use runtime::redis::{Answer, Redis};
use schemas::profile::ProfileError;
use schemas::{Erased, Keys, StoredProfile, key_of};
use tracing::warn;

use crate::Sources;
use crate::config::Scorer;
use crate::error::Error;
use crate::metrics::{LATER_PROFILES, UNREADABLE, USERS};
use crate::profile::{self, MOST_BYTES};

/// What is held of a user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// As it lies in Redis, or will.
    pub(crate) stored: StoredProfile,
    /// The header of what lies in Redis; empty: nothing does.
    pub(crate) lies: Box<[u8]>,
    /// Keys of the items in the slate written last.
    shown: Box<[u64]>,
}

impl User {
    /// A user with this profile, of which this value lies in Redis.
    pub(crate) fn new(stored: StoredProfile, value: &[u8]) -> Self {
        let shown = stored.profile.slate.iter().map(|id| key_of(id)).collect();
        Self { stored, lies: StoredProfile::header(value).into(), shown }
    }

    /// The same, of whom another slate was written.
    pub(crate) fn shown_anew(mut self) -> Self {
        self.shown = self.stored.profile.slate.iter().map(|id| key_of(id)).collect();
        self
    }
}

/// What a user's key holds.
#[derive(Debug)]
pub(crate) enum Found {
    /// The user, who may be unknown.
    User(User),
    /// What is somebody else's: it is passed over.
    Foreign,
    /// A profile of a later release, which is to read what is passed over here.
    Later,
}

/// What [`Users::take`] found.
#[derive(Debug)]
pub(crate) struct Taken {
    /// In the order of the names.
    pub(crate) users: Vec<Found>,
    /// The other keys, read behind all users; none where every user was held.
    pub(crate) behind: Vec<Answer<Vec<u8>>>,
}

/// Users by id; at the bound the one not seen for longest goes and is read from Redis when seen again.
#[derive(Debug)]
pub(crate) struct Users {
    held: LruCache<Arc<str>, User>,
    /// Interactions of a history, at most.
    history: usize,
    redis: Redis,
    keys: Keys,
    sources: Arc<Sources>,
    ctx: Context,
    /// Whether a profile of a later release was told.
    told_later: bool,
}

impl Users {
    /// Holds as many users, and of each as long a history, as the settings say.
    pub(crate) fn new(settings: &Scorer, redis: Redis, keys: Keys, sources: Arc<Sources>, ctx: Context) -> Self {
        let most = NonZeroUsize::new(settings.users).unwrap_or(NonZeroUsize::MIN);
        // Room is taken as users come, not for all of them at the start.
        let mut held = LruCache::unbounded();
        held.resize(most);
        Self { held, history: settings.history, redis, keys, sources, ctx, told_later: false }
    }

    /// Takes users out, each once, and reads other keys behind those who are not held. Who is nowhere comes as unknown.
    ///
    /// # Errors
    /// Redis is away and the service drains.
    pub(crate) async fn take(&mut self, names: &[Arc<str>], behind: Vec<String>) -> Result<Taken, Error> {
        let users: Vec<Option<User>> = names.iter().map(|name| self.held.pop(name)).collect();
        let missing: Vec<usize> = (0..names.len()).filter(|place| users[*place].is_none()).collect();
        if missing.is_empty() {
            let users = users.into_iter().flatten().map(Found::User).collect();
            return Ok(Taken { users, behind: Vec::new() });
        }
        let mut keys: Vec<String> = missing.iter().map(|place| self.keys.user(&names[*place])).collect();
        keys.extend(behind);
        let mut values = self.ctx.retry("redis", || self.redis.heads(&keys, 1 + MOST_BYTES)).await?;
        let behind = values.split_off(missing.len());
        let mut read = keys.iter().zip(values);
        let mut next = || read.next().map_or(Found::Foreign, |(key, value)| self.decode(key, value));
        let users = users.into_iter().map(|user| user.map_or_else(&mut next, Found::User)).collect();
        Ok(Taken { users, behind })
    }

    /// What a key holds.
    fn decode(&mut self, key: &str, value: Answer<Vec<u8>>) -> Found {
        let value = match value {
            Ok(value) => value,
            Err(wrong) => {
                self.sources.foreign.found(key, wrong);
                return Found::Foreign;
            }
        };
        if value.is_empty() {
            return Found::User(User::new(profile::unknown(), &value));
        }
        match profile::read(&value, self.history) {
            Ok(stored) => Found::User(User::new(stored, &value)),
            Err(error @ ProfileError::Later(_)) => {
                self.later(key, &error);
                Found::Later
            }
            Err(error) => {
                counter!(UNREADABLE, "from" => "redis").increment(1);
                self.sources.foreign.found(key, format_args!("{error}; the profile begins anew"));
                Found::User(User::new(profile::unknown(), &value))
            }
        }
    }

    /// We would put less in the place of more: told once, and counted.
    fn later(&mut self, key: &str, error: &ProfileError) {
        counter!(LATER_PROFILES).increment(1);
        if !std::mem::replace(&mut self.told_later, true) {
            warn!(
                key = %key.escape_debug(), %error,
                "left a user's profile and list as they are: start the release that wrote them again, it reads what is passed \
                 over here; or delete the users' keys, and they begin anew; further ones are only counted"
            );
        }
    }

    /// Holds a user as Redis has them now.
    pub(crate) fn put(&mut self, name: Arc<str>, user: User) {
        self.held.put(name, user);
        gauge!(USERS).set(self.held.len() as f64);
    }

    /// Forgets the users of partitions that are another's now: it writes their profiles from here on.
    pub(crate) fn forget(&mut self, partitions: &[i32]) {
        self.held.retain(|_, user| !user.stored.sources().any(|source| partitions.contains(&source.partition)));
        gauge!(USERS).set(self.held.len() as f64);
    }

    /// Forgets users who are erased; whom.
    pub(crate) fn forget_erased(&mut self, erased: &Erased) -> Vec<Arc<str>> {
        let gone = self.matching_names(|name| erased.is_erased(name));
        for name in &gone {
            self.held.pop(name);
        }
        gauge!(USERS).set(self.held.len() as f64);
        gone
    }

    /// Forgets everybody.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
        gauge!(USERS).set(0.0);
    }

    /// Users whose slate shows one of these items. `keys` is sorted.
    pub(crate) fn showing(&self, keys: &[u64]) -> Vec<Arc<str>> {
        self.matching(|user| user.shown.iter().any(|key| keys.binary_search(key).is_ok()))
    }

    /// All users held.
    pub(crate) fn all(&self) -> Vec<Arc<str>> {
        self.matching(|_| true)
    }

    fn matching_names(&self, fits: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        self.held.iter().filter(|(name, _)| fits(name)).map(|(name, _)| Arc::clone(name)).collect()
    }

    fn matching(&self, fits: impl Fn(&User) -> bool) -> Vec<Arc<str>> {
        self.held.iter().filter(|(_, user)| fits(user)).map(|(name, _)| Arc::clone(name)).collect()
    }
}
