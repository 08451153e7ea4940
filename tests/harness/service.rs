//! A service of ours as a child process: its readiness, its metrics, its log, its end.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use runtime::telemetry::scrape;
use serde_json::Value;

use crate::binaries::{Name, binary};
use crate::children::Leashed;
use crate::http;
use crate::waiting::{SOON, eventually};

/// From the start of the process to its admin port: milliseconds, on busy cores some more.
const START: Duration = Duration::from_secs(20);

/// A running service; dropping it kills it.
#[derive(Debug)]
pub struct Service {
    name: Name,
    child: Leashed,
    log: PathBuf,
    began: SystemTime,
    /// Known once it said so.
    admin: Option<SocketAddr>,
}

impl Service {
    /// Starts the process; its output goes to `log`. Settings are `section.key` and value.
    pub(crate) fn spawn(name: Name, settings: &[(String, String)], log: PathBuf) -> Self {
        let out = fs::File::create(&log).expect("the log can be written");
        let err = out.try_clone().expect("a file has more than one handle");
        let mut command = Command::new(binary(name));
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("THALWEG__")) {
            command.env_remove(variable);
        }
        for (key, value) in settings {
            command.env(variable(key), value);
        }
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Self { name, child: Leashed::start(&mut command), log, began: SystemTime::now(), admin: None }
    }

    /// Waits until it says where its admin port is.
    pub(crate) async fn listening(mut self) -> Self {
        let what = format!("{} opens its admin port", self.name);
        let found = eventually(&what, START, async || {
            self.assert_alive();
            admin_port(&self.log()).ok_or_else(|| self.log())
        });
        let admin = found.await;
        self.admin = Some(admin);
        self
    }

    /// Waits until it says where its admin port is, or ends without.
    pub(crate) async fn try_listening(mut self) -> Result<Self, String> {
        let began = Instant::now();
        loop {
            if let Some(admin) = admin_port(&self.log()) {
                self.admin = Some(admin);
                return Ok(self);
            }
            if let Some(status) = self.ended() {
                return Err(format!("{status}: {}", self.log().lines().last().unwrap_or_default()));
            }
            if began.elapsed() > START {
                return Err("its admin port is not open".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until `/readyz` is green.
    pub async fn ready(&mut self) -> &mut Self {
        let what = format!("{} is ready", self.name);
        eventually(&what, SOON, async || {
            self.assert_alive();
            match self.missing().await? {
                missing if missing.is_empty() => Ok(()),
                missing => Err(format!("{missing:?}")),
            }
        })
        .await;
        self
    }

    /// What `/readyz` says is missing, with the reason; empty when ready.
    pub async fn missing(&self) -> Result<BTreeMap<String, String>, String> {
        let (status, body) = http::get(self.admin(), "/readyz").await?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        let missing: BTreeMap<String, String> =
            serde_json::from_value(answer["missing"].clone()).map_err(|error| format!("{error}: {body}"))?;
        assert_eq!(status == 200, missing.is_empty(), "status {status} and body {body} say the same");
        Ok(missing)
    }

    /// A metric, summed over its labels.
    pub async fn metric(&self, name: &str) -> Result<f64, String> {
        Ok(scrape(&http::get(self.admin(), "/metrics").await?.1, name))
    }

    /// A metric, summed over the label sets that hold `label`, as in `reason="torn"`.
    pub async fn metric_with(&self, name: &str, label: &str) -> Result<f64, String> {
        let (_, page) = http::get(self.admin(), "/metrics").await?;
        let lines: Vec<&str> = page.lines().filter(|line| line.contains(label)).collect();
        Ok(scrape(&lines.join("\n"), name))
    }

    /// Everything it wrote to stdout and stderr.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// From its start to its last word.
    #[must_use]
    pub fn lived(&self) -> Duration {
        let last = fs::metadata(&self.log).and_then(|log| log.modified()).unwrap_or(self.began);
        last.duration_since(self.began).unwrap_or_default()
    }

    /// SIGKILL: nothing is finished, nothing is said goodbye to.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// SIGTERM; waits until it has drained.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.child.signal("TERM");
        self.end().await
    }

    /// Sends another signal, such as `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        self.child.signal(signal);
    }

    /// Waits until it has ended.
    pub async fn end(&mut self) -> ExitStatus {
        match self.child.end(SOON).await {
            Some(status) => status,
            None => panic!("{} does not end within {SOON:?}", self.name),
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.ended()
    }

    /// Fails at once when it died by itself, rather than when the deadline has passed.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.ended() {
            panic!("{} ended by itself ({status})", self.name);
        }
    }

    fn admin(&self) -> SocketAddr {
        self.admin.expect("`World::start` waits for the admin port")
    }
}

/// `kafka.brokers` → `THALWEG__KAFKA__BROKERS`.
fn variable(key: &str) -> String {
    let mut words = key.splitn(3, '.').map(|word| word.replace('.', "_").to_uppercase()).collect::<Vec<_>>();
    words.insert(0, "THALWEG".to_owned());
    words.join("__")
}

/// Finds `{"message":"admin port open","addr":"127.0.0.1:43210"}` among the lines of a log.
fn admin_port(log: &str) -> Option<SocketAddr> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["message"] == "admin port open")
        .and_then(|line| line["addr"].as_str()?.parse().ok())
}

pub(crate) fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_the_variable_of_the_contract() {
        assert_eq!(variable("kafka.brokers"), "THALWEG__KAFKA__BROKERS");
        assert_eq!(variable("frame.admin.listen"), "THALWEG__FRAME__ADMIN__LISTEN");
        assert_eq!(variable("kafka.properties.session.timeout.ms"), "THALWEG__KAFKA__PROPERTIES__SESSION_TIMEOUT_MS");
    }

    #[test]
    fn the_admin_port_is_read_from_the_log() {
        let log = "noise\n{\"level\":\"INFO\",\"message\":\"admin port open\",\"addr\":\"127.0.0.1:43210\"}\n";
        assert_eq!(admin_port(log), "127.0.0.1:43210".parse().ok());
    }
}
