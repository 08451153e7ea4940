//! Services that run as children of a benchmark, and the version that Redis says is live.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use broker::free_port;
use runtime::Context;
use runtime::redis::Redis as Client;
use runtime::telemetry::scrape;
use schemas::{Keys, VersionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Error;
use crate::freshness::beside_us;
use crate::servers::{Kafka, Redis};

/// How often Redis is asked.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// How often a service is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service of the benchmark's own; it ends with us.
pub(crate) struct Running {
    child: Child,
    admin: SocketAddr,
}

impl Running {
    /// Starts one with settings over its defaults: variables of its environment.
    pub(crate) fn start(
        name: &str,
        (kafka, redis): (&Kafka, &Redis),
        settings: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let program = beside_us(name)?;
        let port = free_port().map_err(|error| Error::Other(format!("no free port on 127.0.0.1: {error}")))?;
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let prefix = &kafka.config.topic_prefix;
        let child = Command::new(&program)
            .env("THALWEG__FRAME__ADMIN__LISTEN", admin.to_string())
            .env("THALWEG__KAFKA__BROKERS", &kafka.config.brokers)
            .env("THALWEG__KAFKA__TOPIC_PREFIX", prefix)
            .env("THALWEG__REDIS__URL", &redis.config.url)
            .env("THALWEG__REDIS__KEY_PREFIX", &redis.config.key_prefix)
            .env(format!("THALWEG__{}__GROUP", name.to_uppercase()), format!("{prefix}{name}"))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::file(&program))?;
        Ok(Self { child, admin })
    }

    /// SIGKILL; it is gone when this returns.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill(); // fails only where it has ended
        let _ = self.child.wait();
    }

    /// Waits until a gauge of the service has this value.
    pub(crate) async fn says(&self, gauge: &str, value: f64) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let page = page(self.admin).await.unwrap_or_default(); // it is only starting
            if (scrape(&page, gauge) - value).abs() < f64::EPSILON {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::Other(format!("{gauge} is not {value} within {PATIENCE:?}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn page(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nhost: {admin}\r\n\r\n").as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

/// What the hash `model` says.
pub(crate) struct Live {
    client: Client,
    key: String,
}

impl Live {
    pub(crate) async fn connect(redis: &Redis, ctx: &Context) -> Result<Self, Error> {
        let client = Client::connect(&redis.config, ctx).await?;
        Ok(Self { client, key: Keys::new(&redis.config.key_prefix).model() })
    }

    /// Waits until a version is live that is `right`; which it is.
    pub(crate) async fn wait(&self, what: &str, right: impl Fn(VersionId) -> bool) -> Result<VersionId, Error> {
        let began = Instant::now();
        loop {
            let fields = self.client.hgetall(&self.key).await?.unwrap_or_default();
            let version: Option<VersionId> = fields.get("version").and_then(|text| text.parse().ok());
            if let Some(version) = version.filter(|version| right(*version)) {
                return Ok(version);
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::Other(format!("not within {PATIENCE:?}: {what}; live is {version:?}")));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}
