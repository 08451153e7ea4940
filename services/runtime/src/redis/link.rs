//! The connection behind [`Redis`](super::Redis): opened when needed, thrown away when it breaks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, ServerErrorKind};
use tokio::sync::Mutex;

use super::refusal::{self, Answer, WrongType};
use crate::context::Outage;

/// How long one round trip may take: a blocked Redis shows up as an error, not as a hang.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Redis is away, or refused a command.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum RedisError {
    /// The URL cannot be used; the text says why. It never holds the password.
    #[error("redis.url {0}")]
    Url(String),
    /// No connection could be made.
    #[error("no Redis answers at {url}; start one or set redis.url")]
    Unreachable { url: String, source: ::redis::RedisError },
    /// The connection broke or took too long.
    #[error("Redis at {url} does not answer")]
    Lost { url: String, source: ::redis::RedisError },
    /// Redis answered, but does not do what it was told.
    #[error("Redis at {url} says: {said} ({advice})")]
    Refused { url: String, said: String, advice: &'static str, unknown_script: bool },
}

impl Outage for RedisError {
    /// All but a setting that cannot be used: who is full, read-only or broken today may work tomorrow.
    fn is_outage(&self) -> bool {
        !matches!(self, Self::Url(_))
    }
}

impl RedisError {
    /// Whether nobody answered.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Refused { unknown_script: true, .. })
    }

    fn refused(url: &str, error: &::redis::RedisError) -> Self {
        let said = refusal::said(error);
        let unknown_script = error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        Self::Refused { url: url.to_owned(), advice: refusal::advice(&said), said, unknown_script }
    }
}

/// One connection, shared by all clones.
#[derive(Clone)]
pub(super) struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// For messages, without the password.
    url: String,
    /// The lock also keeps many waiters from connecting at once.
    open: Mutex<Option<Open>>,
}

#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    number: u64,
}

impl Link {
    pub(super) fn new(url: &str) -> Result<Self, RedisError> {
        check_url(url).map_err(RedisError::Url)?;
        let client = Client::open(url).map_err(|error| RedisError::Url(explain(&error)))?;
        let inner = Inner { client, url: redacted(url), open: Mutex::new(None) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// One command's answer.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<Answer<T>, RedisError> {
        let mut open = self.open().await?;
        let answer = command.query_async(&mut open.connection).await;
        self.judge(answer, open.number).await
    }

    /// Every command's answer: one key of another type must neither lose nor repeat the others.
    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &mut Pipeline,
    ) -> Result<Vec<Answer<T>>, RedisError> {
        let mut open = self.open().await?;
        let answers: Result<Vec<Result<T, _>>, _> = pipeline.ignore_errors().query_async(&mut open.connection).await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => vec![Err(error)],
        };
        let mut judged = Vec::with_capacity(answers.len());
        for answer in answers {
            judged.push(self.judge(answer, open.number).await?);
        }
        Ok(judged)
    }

    /// The open connection, or a new one.
    async fn open(&self) -> Result<Open, RedisError> {
        let mut slot = self.inner.open.lock().await;
        if let Some(open) = &*slot {
            return Ok(open.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut connection = self
            .inner
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| self.unreachable(error))?;
        // Of a big pipeline that it does not allow, Redis breaks off the connection instead of saying why. (PING would
        // be refused, too, by a Redis that cannot save.)
        let hello: Result<(), _> = ::redis::cmd("ECHO").arg("thalweg").query_async(&mut connection).await;
        match hello {
            Err(error) if error.code() != Some("NOPERM") => return Err(self.unreachable(error)),
            _ => {} // a user may have all rights that are needed, and not this one
        }
        let open = Open { connection, number: next_number() };
        *slot = Some(open.clone());
        Ok(open)
    }

    /// A wrong type where the command as a whole is refused by it.
    pub(super) fn refusal(&self, wrong: &WrongType) -> RedisError {
        let said = wrong.to_string();
        RedisError::Refused { url: self.inner.url.clone(), advice: refusal::advice(&said), said, unknown_script: false }
    }

    fn unreachable(&self, source: ::redis::RedisError) -> RedisError {
        let url = self.inner.url.clone();
        if refusal::is_an_answer(&source) {
            RedisError::refused(&url, &source)
        } else {
            RedisError::Unreachable { url, source }
        }
    }

    /// Throws the connection away unless the answer is about the key or the script, so that the next call opens a new
    /// one: after a failover that may lead to another Redis.
    async fn judge<T>(&self, answer: Result<T, ::redis::RedisError>, number: u64) -> Result<Answer<T>, RedisError> {
        let source = match answer {
            Ok(value) => return Ok(Ok(value)),
            Err(source) if refusal::is_wrong_type(&source) => return Ok(Err(WrongType(refusal::said(&source)))),
            Err(source) => source,
        };
        let url = self.inner.url.clone();
        let error = if refusal::is_an_answer(&source) {
            RedisError::refused(&url, &source)
        } else {
            RedisError::Lost { url, source }
        };
        if !error.is_unknown_script() {
            let mut slot = self.inner.open.lock().await;
            if slot.as_ref().is_some_and(|open| open.number == number) {
                *slot = None;
            }
        }
        Err(error)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.inner.url).finish()
    }
}

fn next_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// What is wrong with a Redis URL, without its password.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    if url.starts_with("rediss://") {
        return Err("asks for TLS, which this build does not have; use redis:// through a TLS tunnel".into());
    }
    Client::open(url)
        .map(|_| ())
        .map_err(|error| format!("must be redis://[user:password@]host:port/db ({})", explain(&error)))
}

fn explain(error: &::redis::RedisError) -> String {
    error.detail().map_or_else(|| error.category().to_owned(), str::to_owned)
}

/// The URL with its password as `***`, and so all that is behind a `?`: there, too, it may stand.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".to_owned();
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((credentials, _)) if credentials.contains(['?', '/']) => return format!("{scheme}://***"),
        Some((credentials, host)) => (credentials.split_once(':').map_or("", |(user, _)| user), host),
        None => ("", rest),
    };
    let user = if rest.contains('@') { format!("{user}:***@") } else { String::new() };
    match place.split_once('?') {
        Some((place, _)) => format!("{scheme}://{user}{place}?***"),
        None => format!("{scheme}://{user}{place}"),
    }
}
