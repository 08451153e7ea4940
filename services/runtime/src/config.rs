//! Configuration: the sections every service shares, and what is wrong with a file, all at once.
//!
//! A service's embedded, commented `config.toml` is both its defaults and its schema: a key that is
//! not in it does not exist. Over it go a file, the environment (`THALWEG__SECTION__KEY`) and the
//! caller's own overrides. Durations are written `"500ms"` (`#[serde(with = "humantime_serde")]`).

mod layers;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::redis::{check_url, redacted};
pub(crate) use layers::load_shown;
pub use layers::{SECTIONS, load};

/// `/readyz` tells within 15 s that nothing moves; `/livez`, on which an orchestrator restarts, must not be faster.
const LEAST_STALL: Duration = Duration::from_secs(20);

/// A shorter secret could be guessed.
const LEAST_SECRET: usize = 32;

/// Looks for mistakes that types cannot show.
pub trait Validate {
    /// Every problem, each as `section.key: what to change`; empty if there is none.
    fn problems(&self) -> Vec<String>;
}

/// Everything that is wrong with a configuration; each problem on its own line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Section `[kafka]`: where the log is.
#[derive(Clone, Deserialize)]
pub struct Kafka {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Stands before every topic's name.
    pub topic_prefix: String,
    /// librdkafka's own settings (SASL, sizes, timeouts), applied last.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Whose records are believed.
    #[serde(flatten)]
    pub signatures: Signatures,
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Of section `[kafka]`: whose decisions, claims and versions are believed.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Signatures {
    /// Public keys, as `thalweg keys show` prints them.
    #[serde(default)]
    pub trust: Vec<String>,
    /// Whether what is not signed is refused.
    #[serde(default)]
    pub require_signature: Require,
}

/// Whether what is not signed is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// As soon as a key is trusted.
    #[default]
    Auto,
    /// Always.
    Yes,
    /// Never: keys are being rolled out.
    No,
}

impl Signatures {
    /// Whether what is not signed is refused.
    #[must_use]
    pub fn required(&self) -> bool {
        match self.require_signature {
            Require::Auto => !self.trust.is_empty(),
            Require::Yes => true,
            Require::No => false,
        }
    }
}

/// Section `[redis]`: where slates are served from.
#[derive(Clone, Deserialize)]
pub struct Redis {
    /// `redis://[user:password@]host:port/db`. May hold a password: never log it.
    pub url: String,
    /// Stands before every key.
    pub key_prefix: String,
}

/// Section `[privacy]`: how users are named where their ids must not stand.
#[derive(Clone, Default, Deserialize)]
pub struct Privacy {
    /// What ids are hashed with; the same in every service. Empty: with nothing. Never log it.
    pub secret: String,
}

/// Section `[frame]`: what every service has around its work.
#[derive(Debug, Clone, Deserialize)]
pub struct Frame {
    /// The admin port.
    pub admin: Admin,
    /// The log.
    pub log: Log,
    /// How long in-flight work may take after the first SIGTERM.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How long one piece of work may take before `/livez` turns red.
    #[serde(with = "humantime_serde")]
    pub stall: Duration,
}

/// Section `[frame.admin]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Admin {
    /// `host:port` of `/livez`, `/readyz` and `/metrics`; port 0 takes a free one, empty opens none.
    pub listen: String,
}

/// Section `[frame.log]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Log {
    /// A level or a filter such as `info,ingest=debug`.
    pub level: String,
    /// What a line looks like.
    pub format: LogFormat,
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Validate for Redis {
    fn problems(&self) -> Vec<String> {
        match check_url(&self.url) {
            Ok(()) => Vec::new(),
            Err(problem) => vec![format!("redis.url: {problem}")],
        }
    }
}

impl Validate for Privacy {
    fn problems(&self) -> Vec<String> {
        if self.secret.is_empty() || self.secret.len() >= LEAST_SECRET {
            return Vec::new();
        }
        vec![format!(
            "privacy.secret: at least {LEAST_SECRET} characters, as of `openssl rand -hex 32`, or \"\" for none"
        )]
    }
}

impl Validate for Frame {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.admin.listen.is_empty() && self.admin.listen.rsplit_once(':').is_none() {
            problems.push("frame.admin.listen: write host:port, or \"\" for no admin port".to_owned());
        }
        if self.stall < LEAST_STALL {
            problems.push("frame.stall: at least 20s, or a busy machine looks like a stuck service".to_owned());
        }
        problems.extend(self.log.problems());
        problems
    }
}

/// Whether a setting of this name is never shown.
fn is_secret(key: &str) -> bool {
    ["password", "secret", "token", "pem", "sign_key"].iter().any(|word| key.contains(word))
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: BTreeMap<&str, &str> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), if is_secret(key) { "***" } else { value.as_str() }))
            .collect();
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("properties", &shown)
            .field("signatures", &self.signatures)
            .finish()
    }
}

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Privacy").field("secret", &if self.secret.is_empty() { "none" } else { "***" }).finish()
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("url", &redacted(&self.url)).field("key_prefix", &self.key_prefix).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_print_as_stars() {
        let kafka = Kafka {
            brokers: "b:9092".into(),
            topic_prefix: String::new(),
            properties: [("sasl.password".to_owned(), "hunter2".to_owned())].into(),
            signatures: Signatures::default(),
        };
        let redis = Redis { url: "redis://u:hunter2@h:6379/0".into(), key_prefix: String::new() };
        let (privacy, secret) = (Privacy { secret: "hunter2".into() }, Secret("hunter2".into()));
        let shown = format!("{kafka:?} {redis:?} {privacy:?} {secret:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for (url, shown) in [
            ("redis://h:6379/0", "redis://h:6379/0"),
            ("redis://u:hunter2@h:6379/0?protocol=resp3", "redis://u:***@h:6379/0?***"),
            ("redis://:hun@ter2@h:6379", "redis://:***@h:6379"),
            ("unix:///x.sock?pass=hunter2", "unix:///x.sock?***"),
            ("unix:///x.sock?user=u&pass=hun@ter2", "unix://***"),
            ("redis://u:hun?ter2@h", "redis://***"),
            ("redis://u:hun/ter2@h", "redis://***"),
            ("hunter2", "***"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        let problems = |secret: &str| Privacy { secret: secret.to_owned() }.problems();
        assert!(problems("").is_empty() && problems(&"x".repeat(32)).is_empty());
        assert!(problems("hunter2")[0].contains("privacy.secret"));
    }
}
