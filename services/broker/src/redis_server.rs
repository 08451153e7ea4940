//! A `redis-server` of our own, for a demo or a benchmark.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// It takes some 20 ms to answer.
const START: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// A `redis-server` on a free port that keeps nothing and ends when it is dropped; not when we are killed.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, or no port or folder is to be had; in words that say what to do.
    pub async fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder for redis-server: {e}"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| format!("no free port on 127.0.0.1: {e}"))?
            .port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| {
                format!(
                    "redis-server does not start ({e}): install it by `sh infra/bootstrap.sh tools`, or name one that \
                     runs by REDIS_URL"
                )
            })?;
        let server = Self { child, port, _folder: folder };
        for _ in 0..START.as_millis() / PAUSE.as_millis() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(server);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err("redis-server does not answer; see what it says by `redis-server --port 6390`".to_owned())
    }

    /// For `redis.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already; there is nothing more to do about it then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
