//! The connection behind [`Redis`](super::Redis): opened when needed, thrown away when it breaks.

use std::fmt;
use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, ServerErrorKind};
use tokio::sync::Mutex;

use super::PATIENCE;
use crate::context::Outage;

/// Redis is away, or refused a command.
#[derive(Debug, thiserror::Error)]
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
    /// Redis answered with an error.
    #[error("Redis at {url} refused a command; mend what it says, the user's rights or the key's type")]
    Refused { url: String, source: ::redis::RedisError },
}

impl Outage for RedisError {
    /// Away, starting, failing over or full, rather than refusing the command itself.
    fn is_outage(&self) -> bool {
        match self {
            Self::Url(_) => false,
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { source, .. } => is_passing(source),
        }
    }
}

impl RedisError {
    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
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

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut open = self.open().await?;
        let answer = command.query_async(&mut open.connection).await;
        self.judge(answer, open.number).await
    }

    pub(super) async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        let mut open = self.open().await?;
        let answer = pipeline.query_async(&mut open.connection).await;
        self.judge(answer, open.number).await
    }

    /// The open connection, or a new one.
    async fn open(&self) -> Result<Open, RedisError> {
        let mut slot = self.inner.open.lock().await;
        if let Some(open) = &*slot {
            return Ok(open.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let connection = self
            .inner
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|source| RedisError::Unreachable { url: self.inner.url.clone(), source })?;
        let open = Open { connection, number: next_number() };
        *slot = Some(open.clone());
        Ok(open)
    }

    /// Throws the connection away if it broke, so that the next call opens a new one.
    async fn judge<T>(&self, answer: Result<T, ::redis::RedisError>, number: u64) -> Result<T, RedisError> {
        let source = match answer {
            Ok(value) => return Ok(value),
            Err(source) => source,
        };
        let url = self.inner.url.clone();
        let answered = matches!(
            source.kind(),
            ErrorKind::Server(_)
                | ErrorKind::Extension
                | ErrorKind::UnexpectedReturnType
                | ErrorKind::AuthenticationFailed
        );
        if answered && !is_passing(&source) {
            return Err(RedisError::Refused { url, source });
        }
        let mut slot = self.inner.open.lock().await;
        if slot.as_ref().is_some_and(|open| open.number == number) {
            *slot = None;
        }
        Err(if answered { RedisError::Refused { url, source } } else { RedisError::Lost { url, source } })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.inner.url).finish()
    }
}

/// Whether Redis refuses now what it may take later: it loads, fails over, or is full.
fn is_passing(error: &::redis::RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Server(kind) => matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain),
        ErrorKind::Extension => error.to_string().contains("OOM"),
        _ => false,
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

/// The URL with its password as `***`.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".to_owned();
    };
    match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split_once(':').map_or("", |(user, _)| user);
            format!("{scheme}://{user}:***@{host}")
        }
        None => url.to_owned(),
    }
}
