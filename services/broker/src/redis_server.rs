//! A real `redis-server` as a child of ours: for a demo, a benchmark, a test.
//!
//! Redis is not embedded as the broker is: what it does with a script, a type or a time to live is its own to say.

use std::env;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::port::free_port;

/// It takes some 20 ms to answer.
const START: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// The setting by which unit tests may go without a server that is not installed.
const SKIP: &str = "THALWEG_SKIP_MISSING";

/// A `redis-server` on a free port that keeps nothing and ends when it is dropped; not when we are killed.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts one on a free port and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, or no port or folder is to be had; in words that say what to do.
    pub async fn start() -> Result<Self, String> {
        Self::start_on(free_port().map_err(|e| format!("no free port on 127.0.0.1: {e}"))?).await
    }

    /// The same on a port of the caller's choice.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_on(port: u16) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder for redis-server: {e}"))?;
        let child = Self::command(port, folder.path()).spawn().map_err(|e| {
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

    /// One for a unit test. `None`, with the reason printed, where none starts and `THALWEG_SKIP_MISSING=1` lets such
    /// tests be skipped.
    ///
    /// # Panics
    /// None starts, and nobody said that it may be missing: a test that proves nothing must not pass.
    pub async fn for_test() -> Option<Self> {
        match Self::start().await {
            Ok(server) => Some(server),
            Err(missing) if env::var_os(SKIP).is_some_and(|skip| skip == "1") => {
                // Not by `eprintln`, which the test harness would swallow.
                let _ = writeln!(io::stderr(), "skipped: {missing}");
                None
            }
            Err(missing) => panic!("{missing}, or skip what needs it by {SKIP}=1"),
        }
    }

    /// The command that starts one in `folder`, with nothing written there unless somebody asks for it.
    #[must_use]
    pub fn command(port: u16, folder: &Path) -> Command {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
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
