//! The `redis-server` of a test that does it harm: stops it, kills it, spoils its folder, lets it come back.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::children::Leashed;

/// It takes some 20 ms to answer; another process may take its port meanwhile.
const START: Duration = Duration::from_secs(5);
const TRIES: usize = 5;

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct RedisServer {
    child: Mutex<Option<Leashed>>,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    /// Starts an empty server.
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not answer.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self { child: Mutex::default(), port: 0, folder };
        for _ in 0..TRIES {
            server.port = broker::free_port().expect("a free port");
            if server.come_back() {
                return server;
            }
        }
        panic!(
            "no redis-server answers; its log is what it says when run by hand: `redis-server --port {}`",
            server.port
        )
    }

    /// For `redis.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills it: every key is lost that it did not save.
    pub fn kill(&self) {
        *self.child() = None;
    }

    /// Starts it again on the same port, with what it saved last; whether it answers.
    pub fn come_back(&self) -> bool {
        self.start_with(&[])
    }

    /// The same, loading a key each `per_key`: until it has them all it answers `LOADING`.
    pub fn come_back_loading(&self, per_key: Duration) -> bool {
        // Settings of Redis' own tests: how long a key takes, and after how many bytes it answers again.
        let delay = per_key.as_micros().to_string();
        self.start_with(&["--key-load-delay", &delay, "--loading-process-events-interval-bytes", "1024"])
    }

    fn start_with(&self, settings: &[&str]) -> bool {
        let mut command = broker::RedisServer::command(self.port, self.folder.path());
        let mut child = Leashed::start(command.args(settings));
        let began = Instant::now();
        while began.elapsed() < START && child.ended().is_none() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                *self.child() = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Holds it still: connections stay open, nothing is answered, every key is kept.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// Removes the snapshot that it would start with.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(self.snapshot()); // there may be none
    }

    /// Makes every snapshot fail: a folder lies where the file would.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn spoil_its_folder(&self) {
        self.forget();
        std::fs::create_dir(self.snapshot()).expect("the folder can be made");
    }

    /// Takes away the folder that it would write snapshots to.
    ///
    /// # Panics
    /// When the folder cannot be removed.
    pub fn lose_its_disk(&self) {
        std::fs::remove_dir_all(self.folder.path()).expect("the folder goes");
    }

    /// Lets snapshots succeed again.
    pub fn mend_its_folder(&self) {
        let _ = std::fs::remove_dir(self.snapshot()); // it may be mended already
    }

    /// Ends a script that does not end by itself.
    pub fn kill_its_script(&self) {
        let mut command = Command::new("redis-cli");
        let _ = command.args(["-p", &self.port.to_string(), "SCRIPT", "KILL"]).stdout(Stdio::null()).status();
    }

    fn snapshot(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn signal(&self, signal: &str) {
        self.child().as_ref().expect("it was not killed").signal(signal);
    }

    fn child(&self) -> MutexGuard<'_, Option<Leashed>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
