//! Redis: pipelined reads, writes and scripts over one connection that comes back by itself.
//!
//! Every call answers or fails within [`PATIENCE`]; callers wait out an outage with
//! [`Context::retry`](crate::Context::retry). A call that failed may have been applied: write what
//! may be written twice. A key that holds another type is no outage: its own [`Answer`] says so, and what it holds is
//! neither changed nor deleted.

mod link;
mod refusal;

use std::collections::BTreeMap;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value, cmd};

use crate::config;
use crate::context::Context;
use link::Link;
pub(crate) use link::check_url;
pub use link::{PATIENCE, RedisError, redacted};
pub use refusal::{Answer, WrongType};

/// Commands in one pipeline: enough to hide the round trip, small enough that no buffer grows past a few MB.
const PIPELINE: usize = 512;

/// `SET` would replace, and `DEL` would delete, what somebody else keeps under the key as another type.
const OURS: &str = r"
local held = redis.call('TYPE', KEYS[1]).ok
if held ~= 'none' and held ~= 'string' then
  return redis.error_reply('WRONGTYPE a key that is ours to write holds a ' .. held)
end
";

/// A Lua script, sent once and then called by its hash. It must bear being run twice.
#[derive(Debug, Clone)]
pub struct Script {
    code: String,
    hash: String,
}

impl Script {
    /// Prepares a script.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        let code = code.into();
        Self { hash: ::redis::Script::new(&code).get_hash().to_owned(), code }
    }
}

/// A connection to Redis; clones share it.
#[derive(Debug, Clone)]
pub struct Redis {
    link: Link,
    set: Script,
    delete: Script,
}

impl Redis {
    /// Connects and turns the condition `redis` green.
    ///
    /// # Errors
    /// The URL is malformed, no Redis answers there, or it refuses.
    pub async fn connect(config: &config::Redis, ctx: &Context) -> Result<Self, RedisError> {
        let redis = Self::new(config)?;
        redis.ping().await?;
        ctx.set("redis", Ok(()));
        Ok(redis)
    }

    /// Connects for a service: waits as long as a Redis answers but refuses, loading or full or whatever it says.
    ///
    /// # Errors
    /// The URL is malformed, no Redis answers there, or the service drains.
    pub async fn connect_patiently(config: &config::Redis, ctx: &Context) -> Result<Self, RedisError> {
        let redis = Self::new(config)?;
        let ping = || async {
            match redis.ping().await {
                Err(error) if error.is_silence() => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        };
        ctx.retry("redis", ping).await??;
        Ok(redis)
    }

    fn new(config: &config::Redis) -> Result<Self, RedisError> {
        let set = Script::new(format!(
            "{OURS} if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1]) \
             else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end return 1"
        ));
        let delete = Script::new(format!("{OURS} return redis.call('DEL', KEYS[1])"));
        Ok(Self { link: Link::new(&config.url)?, set, delete })
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// It does not, or refuses.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.link.query::<Value>(&cmd("PING")).await.map(|_| ())
    }

    /// The values under `keys`, in their order; `None` where there is none.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<Answer<Option<Vec<u8>>>>, RedisError> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(keys.len());
            for key in keys {
                pipeline.cmd("GET").arg(key);
            }
            values.extend(self.link.pipeline(&mut pipeline).await?);
        }
        Ok(values)
    }

    /// The first `most` bytes of the values under `keys`, in their order; empty where there is none. Nobody's value,
    /// however long, takes more memory here.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn heads(&self, keys: &[String], most: usize) -> Result<Vec<Answer<Vec<u8>>>, RedisError> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(keys.len());
            for key in keys {
                pipeline.cmd("GETRANGE").arg(key).arg(0).arg(most.saturating_sub(1));
            }
            values.extend(self.link.pipeline(&mut pipeline).await?);
        }
        Ok(values)
    }

    /// Writes `(key, value, time to live)`; a time to live of zero means for ever. What became of each.
    ///
    /// # Errors
    /// Redis is away or refuses; some of the values may be written.
    pub async fn set_many(&self, entries: Vec<(String, Vec<u8>, Duration)>) -> Result<Vec<Answer<()>>, RedisError> {
        let call = |(key, value, ttl): (String, Vec<u8>, Duration)| {
            let ttl = if ttl.is_zero() { 0 } else { millis(ttl) };
            (vec![key], vec![value, ttl.to_string().into_bytes()])
        };
        let answers = self.eval_many(&self.set, entries.into_iter().map(call).collect()).await?;
        Ok(answers.into_iter().map(|answer| answer.map(|_| ())).collect())
    }

    /// Runs a script once for each `(keys, arguments)`, in order; its results as integers (nil is 0).
    ///
    /// A script may run twice for a call if Redis forgot the script or the connection broke.
    ///
    /// # Errors
    /// Redis is away or refuses, or the script fails; some of the calls may have run.
    pub async fn eval_many(
        &self,
        script: &Script,
        calls: Vec<(Vec<String>, Vec<Vec<u8>>)>,
    ) -> Result<Vec<Answer<i64>>, RedisError> {
        let mut results = Vec::with_capacity(calls.len());
        for calls in calls.chunks(PIPELINE) {
            let mut pipeline = Pipeline::with_capacity(calls.len());
            for (keys, arguments) in calls {
                pipeline.cmd("EVALSHA").arg(&script.hash).arg(keys.len()).arg(keys).arg(arguments);
            }
            let answers: Vec<Answer<Option<i64>>> = match self.link.pipeline(&mut pipeline).await {
                Err(error) if error.is_unknown_script() => {
                    let _ = self.link.query::<Value>(cmd("SCRIPT").arg("LOAD").arg(&script.code)).await?;
                    self.link.pipeline(&mut pipeline).await?
                }
                answers => answers?,
            };
            results.extend(answers.into_iter().map(|answer| answer.map(Option::unwrap_or_default)));
        }
        Ok(results)
    }

    /// Sets fields of a hash, and its time to live (zero: for ever).
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn hset(
        &self,
        key: &str,
        fields: Vec<(String, String)>,
        ttl: Duration,
    ) -> Result<Answer<()>, RedisError> {
        if fields.is_empty() {
            return Ok(Ok(()));
        }
        let mut command = cmd("HSET");
        command.arg(key);
        for (field, value) in fields {
            command.arg(field).arg(value);
        }
        if let Err(wrong) = self.link.query::<Value>(&command).await? {
            return Ok(Err(wrong));
        }
        let mut expiry = cmd(if ttl.is_zero() { "PERSIST" } else { "PEXPIRE" });
        expiry.arg(key);
        if !ttl.is_zero() {
            expiry.arg(millis(ttl));
        }
        Ok(self.link.query::<Value>(&expiry).await?.map(|_| ()))
    }

    /// Every field of a hash; empty if there is none.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn hgetall(&self, key: &str) -> Result<Answer<BTreeMap<String, String>>, RedisError> {
        let fields: Answer<BTreeMap<Vec<u8>, Vec<u8>>> = self.link.query(cmd("HGETALL").arg(key)).await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(fields.map(|fields| fields.into_iter().map(|(field, value)| (text(field), text(value))).collect()))
    }

    /// What Redis says of itself (`INFO`), by its own names.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn info(&self) -> Result<BTreeMap<String, String>, RedisError> {
        let text: Vec<u8> = self.link.query(&cmd("INFO")).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// Whether the key is there.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn exists(&self, key: &str) -> Result<bool, RedisError> {
        Ok(self.link.query(cmd("EXISTS").arg(key)).await?.unwrap_or(false))
    }

    /// The time the key has to live; `None` if it is not there or lives for ever.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn ttl(&self, key: &str) -> Result<Option<Duration>, RedisError> {
        let ms: Answer<i64> = self.link.query(cmd("PTTL").arg(key)).await?;
        Ok(ms.ok().and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis))
    }

    /// Bytes the key takes in Redis, overhead included; 0 if it is not there.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn memory(&self, key: &str) -> Result<usize, RedisError> {
        let bytes: Answer<Option<usize>> =
            self.link.query(cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0)).await?;
        Ok(bytes.ok().flatten().unwrap_or(0))
    }

    /// Deletes keys that hold a string; how many there were.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn delete(&self, keys: &[String]) -> Result<usize, RedisError> {
        let calls = keys.iter().map(|key| (vec![key.clone()], Vec::new())).collect();
        let deleted = self.eval_many(&self.delete, calls).await?;
        Ok(deleted.into_iter().flatten().filter(|deleted| *deleted > 0).count())
    }

    /// One page of the keys that match a glob pattern, about `count` looked at: the cursor of the next page (0: that
    /// was the last) and the keys, which may be any bytes. A key may come twice.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Vec<u8>>), RedisError> {
        let page = self.link.query(cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count)).await?;
        Ok(page.unwrap_or_default())
    }

    /// At most `limit` keys that match a glob pattern; in no order, without blocking Redis. Those that are no text are
    /// left out.
    ///
    /// # Errors
    /// Redis is away or refuses.
    pub async fn keys(&self, pattern: &str, limit: usize) -> Result<Vec<String>, RedisError> {
        let mut found = std::collections::BTreeSet::new(); // SCAN may name a key twice
        let mut cursor = 0_u64;
        loop {
            let (next, keys) = self.scan(pattern, cursor, PIPELINE).await?;
            found.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
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
        self.link.query(&command).await?.map_err(|wrong| self.link.refusal(&wrong))
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1) // Redis refuses a time to live of 0
}

#[cfg(test)]
mod tests;
