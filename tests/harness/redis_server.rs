//! A real `redis-server` of the test's own: a free port, a temporary folder, nothing written to disk.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::children::Leashed;

/// It takes some 20 ms to answer; another process may take its port meanwhile.
const START: Duration = Duration::from_secs(5);
const TRIES: usize = 5;

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Leashed>,
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
        let mut server = Self { child: None, port: 0, folder };
        for _ in 0..TRIES {
            server.port = free_port();
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

    /// Kills it: every key is lost.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Starts it again on the same port, empty; whether it answers.
    pub fn come_back(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = Leashed::start(&mut command);
        let began = Instant::now();
        while began.elapsed() < START && child.ended().is_none() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Holds it still: connections stay open, nothing is answered, every key is kept.
    pub fn stop(&self) {
        self.child().signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.child().signal("CONT");
    }

    fn child(&self) -> &Leashed {
        self.child.as_ref().expect("it was not killed")
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound port has a number").port()
}
