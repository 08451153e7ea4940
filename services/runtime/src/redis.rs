//! Redis: pipelined reads, writes and scripts over one connection that comes back by itself.
//!
//! Every call answers or fails within [`PATIENCE`]; callers wait out an outage with
//! [`Context::retry`](crate::Context::retry). A call that failed may have been applied: write what
//! may be written twice.

mod link;

use std::collections::BTreeMap;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value, cmd};

use crate::config;
use crate::context::Context;
use link::Link;
pub use link::RedisError;
pub(crate) use link::check_url;
pub use link::redacted;

/// How long one round trip may take: a blocked Redis shows up as an error, not as a hang.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Commands in one pipeline: enough to hide the round trip, small enough that no buffer grows past a few MB.
const PIPELINE: usize = 512;

/// A Lua script, sent once and then called by its hash. It must bear being run twice.
#[derive(Debug, Clone)]
pub struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    /// Prepares a script.
    #[must_use]
    pub fn new(code: &'static str) -> Self {
        Self { code, hash: ::redis::Script::new(code).get_hash().to_owned() }
    }
}

/// A connection to Redis; clones share it.
#[derive(Debug, Clone)]
pub struct Redis {
    link: Link,
}

impl Redis {
    /// Connects and turns the condition `redis` green.
    ///
    /// # Errors
    /// The URL is malformed, or no Redis answers there.
    pub async fn connect(config: &config::Redis, ctx: &Context) -> Result<Self, RedisError> {
        let redis = Self { link: Link::new(&config.url)? };
        redis.ping().await?;
        ctx.set("redis", Ok(()));
        Ok(redis)
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.link.query::<()>(&cmd("PING")).await
    }

    /// The values under `keys`, in their order; `None` where there is none.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, RedisError> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(keys.len());
            for key in keys {
                pipeline.cmd("GET").arg(key);
            }
            values.extend(self.link.pipeline::<Vec<Option<Vec<u8>>>>(&pipeline).await?);
        }
        Ok(values)
    }

    /// Writes `(key, value, time to live)`; a time to live of zero means for ever.
    ///
    /// # Errors
    /// Redis is away or refuses; some of the values may be written.
    pub async fn set_many(&self, entries: Vec<(String, Vec<u8>, Duration)>) -> Result<(), RedisError> {
        for entries in entries.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(entries.len());
            for (key, value, ttl) in entries {
                let set = pipeline.cmd("SET").arg(key).arg(value);
                if !ttl.is_zero() {
                    set.arg("PX").arg(millis(*ttl));
                }
            }
            self.link.pipeline::<()>(&pipeline).await?;
        }
        Ok(())
    }

    /// Runs a script once for each `(keys, arguments)`, in order; its results as integers (nil is 0).
    ///
    /// A script may run twice for a call if Redis forgot the script or the connection broke.
    ///
    /// # Errors
    /// Redis is away or the script fails.
    pub async fn eval_many(
        &self,
        script: &Script,
        calls: Vec<(Vec<String>, Vec<Vec<u8>>)>,
    ) -> Result<Vec<i64>, RedisError> {
        let mut results = Vec::with_capacity(calls.len());
        for calls in calls.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(calls.len());
            for (keys, arguments) in calls {
                pipeline.cmd("EVALSHA").arg(&script.hash).arg(keys.len()).arg(keys).arg(arguments);
            }
            let answers: Vec<Option<i64>> = match self.link.pipeline(&pipeline).await {
                Err(error) if error.is_unknown_script() => {
                    self.link.query::<()>(cmd("SCRIPT").arg("LOAD").arg(script.code)).await?;
                    self.link.pipeline(&pipeline).await?
                }
                answers => answers?,
            };
            results.extend(answers.into_iter().map(Option::unwrap_or_default));
        }
        Ok(results)
    }

    /// Sets fields of a hash, and its time to live (zero: for ever).
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn hset(&self, key: &str, fields: Vec<(String, String)>, ttl: Duration) -> Result<(), RedisError> {
        if fields.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        let hset = pipeline.cmd("HSET").arg(key);
        for (field, value) in fields {
            hset.arg(field).arg(value);
        }
        if ttl.is_zero() {
            pipeline.cmd("PERSIST").arg(key);
        } else {
            pipeline.cmd("PEXPIRE").arg(key).arg(millis(ttl));
        }
        self.link.pipeline::<()>(&pipeline).await
    }

    /// Every field of a hash; empty if there is none.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn hgetall(&self, key: &str) -> Result<BTreeMap<String, String>, RedisError> {
        self.link.query(cmd("HGETALL").arg(key)).await
    }

    /// Whether the key is there.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn exists(&self, key: &str) -> Result<bool, RedisError> {
        self.link.query(cmd("EXISTS").arg(key)).await
    }

    /// The time the key has to live; `None` if it is not there or lives for ever.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn ttl(&self, key: &str) -> Result<Option<Duration>, RedisError> {
        let ms: i64 = self.link.query(cmd("PTTL").arg(key)).await?;
        Ok(u64::try_from(ms).ok().map(Duration::from_millis))
    }

    /// Bytes the key takes in Redis, overhead included; 0 if it is not there.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn memory(&self, key: &str) -> Result<usize, RedisError> {
        let bytes: Option<usize> = self.link.query(cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0)).await?;
        Ok(bytes.unwrap_or(0))
    }

    /// Deletes keys; how many there were.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn delete(&self, keys: &[String]) -> Result<usize, RedisError> {
        let mut deleted = 0;
        for keys in keys.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(keys.len());
            for key in keys {
                pipeline.cmd("DEL").arg(key); // one each: the keys of one DEL must share a slot in a cluster
            }
            deleted += self.link.pipeline::<Vec<usize>>(&pipeline).await?.into_iter().sum::<usize>();
        }
        Ok(deleted)
    }

    /// One page of the keys that match a glob pattern, about `count` looked at: the cursor of the next page (0: that was
    /// the last) and the keys. A key may come twice.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<String>), RedisError> {
        self.link.query(cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count)).await
    }

    /// At most `limit` keys that match a glob pattern; in no order, without blocking Redis.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn keys(&self, pattern: &str, limit: usize) -> Result<Vec<String>, RedisError> {
        let mut found = std::collections::BTreeSet::new(); // SCAN may name a key twice
        let mut cursor = 0_u64;
        loop {
            let (next, keys) = self.scan(pattern, cursor, PIPELINE).await?;
            found.extend(keys);
            if next == 0 || found.len() >= limit {
                return Ok(found.into_iter().take(limit).collect());
            }
            cursor = next;
        }
    }

    /// Any other command with its raw answer, for operators' tools and tests.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn command(&self, words: &[&str]) -> Result<Value, RedisError> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        self.link.query(&command).await
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1) // Redis refuses a time to live of 0
}

#[cfg(test)]
mod tests;
