//! Child processes that do not outlive the test, and signals to them.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Between two looks at a child that is ending.
const PAUSE: Duration = Duration::from_millis(20);

/// A process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Leashed(Child);

impl Leashed {
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.spawn();
        Self(child.unwrap_or_else(|error| panic!("{} does not start: {error}", command.get_program().display())))
    }

    /// Sends a signal, such as `TERM`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        // `kill` is a builtin of every shell; a crate for signals would be one more to trust.
        let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {}", self.0.id())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "process {} is gone", self.0.id());
    }

    /// SIGKILL; returns when it is gone.
    pub(crate) fn kill(&mut self) {
        // Fails only when it ended by itself: then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be waited for")
    }

    /// Waits until it has ended.
    pub(crate) async fn end(&mut self, within: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.kill();
    }
}
