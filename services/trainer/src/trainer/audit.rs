//! What the trainer does, for `audit`: how it started, its snapshots, what became good, what was refused.
//!
//! Deltas are not told: one a second. What the audit does not take is counted and logged, and training goes on: a
//! record of what was done must not keep it from being done.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use schemas::audit::{Deed, fitting};
use schemas::checkpoint::{Manifest, VersionId};
use schemas::{RELEASE, Topics};
use serde_json::{Map, Value};
use tracing::warn;
use versions::note;

use super::Trainer;
use crate::metrics::AUDIT_FAILED;

/// Bytes of the settings that a record names; a record's text has at most 1,000.
const MOST_TEXT: usize = 900;
/// The longest wait for the audit: learning goes on without it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

impl Trainer {
    /// The release, and what of the model's settings is not the default.
    pub(super) async fn audit_start(&mut self) {
        let reason = format!("release {RELEASE}; {}", self.settings);
        let version = VersionId { epoch: self.own.epoch, sequence: 0 };
        self.audit("start", "trainer", Some(version), reason, BTreeMap::new()).await;
    }

    pub(super) async fn audit_snapshot(&mut self, manifest: &Manifest) {
        #[allow(clippy::cast_precision_loss)] // for people
        let mut evidence = BTreeMap::from([
            ("bytes".to_owned(), manifest.bytes as f64),
            ("interactions".to_owned(), manifest.interactions as f64),
            ("evidence".to_owned(), manifest.evidence),
        ]);
        let of_model = manifest.quality.get("model");
        evidence.extend(of_model.map(|quality| ("hr20".to_owned(), quality.hr20)));
        self.audit("publish", "snapshot", Some(manifest.version), String::new(), evidence).await;
    }

    pub(super) async fn audit_good(&mut self, manifest: &Manifest) {
        let Some(good) = manifest.good else { return };
        let evidence = BTreeMap::from([("evidence".to_owned(), manifest.evidence)]);
        self.audit("good", "version", Some(good.version), String::new(), evidence).await;
    }

    pub(super) async fn audit_refusal(&mut self, version: VersionId, why: &str) {
        self.audit("refuse", "version", Some(version), fitting(why, MOST_TEXT), BTreeMap::new()).await;
    }

    pub(super) async fn audit_foreign(&mut self, version: VersionId) {
        let why = "somebody else wrote it, or wrote ours again".to_owned();
        self.audit("notice", "foreign version", Some(version), why, BTreeMap::new()).await;
    }

    async fn audit(
        &mut self,
        action: &str,
        subject: &str,
        version: Option<VersionId>,
        reason: String,
        evidence: BTreeMap<String, f64>,
    ) {
        let (action, subject) = (action.to_owned(), subject.to_owned());
        let deed = Deed { actor: self.own.trainer.clone(), action, subject, version, reason, evidence };
        self.audit_deed(deed, self.ctx.now()).await;
    }

    /// Writes a record, and waits for it no longer than [`PATIENCE`]; whether it was taken.
    pub(super) async fn audit_deed(&mut self, deed: Deed, at: i64) -> bool {
        let topics = Topics::new(&self.kafka.topic_prefix);
        let noted = note(deed, at, &mut self.chain, (&self.publisher.producer, &topics));
        let why = match tokio::time::timeout(PATIENCE, noted).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("Kafka did not take it within {PATIENCE:?}"),
        };
        self.chain.begin_anew(at); // it may arrive yet
        counter!(AUDIT_FAILED).increment(1);
        warn!(why, "audit lacks a record: see whether the topic is there and may be written to");
        false
    }
}

/// The model's settings that are not the default, as JSON.
pub(super) fn changed(settings: &model::Settings) -> String {
    let object = |settings: &model::Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let mut ours = object(settings);
    for (name, default) in object(&model::Settings::default()) {
        if ours.get(&name) == Some(&default) {
            ours.remove(&name);
        }
    }
    fitting(&format!("model: {}", Value::Object(ours)), MOST_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_names_the_settings_that_are_not_the_default_within_its_bounds() {
        let settings = model::Settings { negatives: 64, ..model::Settings::default() };
        assert_eq!(changed(&settings), r#"model: {"negatives":64}"#);
        assert_eq!(changed(&model::Settings::default()), "model: {}");
    }
}
