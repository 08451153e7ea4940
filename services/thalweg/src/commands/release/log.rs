//! The versions on `checkpoints`, as far as somebody may decide on them.

use std::collections::BTreeMap;

use schemas::checkpoint::PayloadKind;
use schemas::control::Place;
use schemas::{Manifest, Topic, VersionId};
use versions::{Step, Version};

use crate::commands::checkpoints::go_through_log;
use crate::config::Config;
use crate::error::Error;

/// Every whole version that is still there, with the offset at which its snapshot begins.
#[derive(Debug, Default)]
pub(super) struct Versions {
    versions: BTreeMap<VersionId, (Manifest, Option<i64>)>,
    /// In the order of the log, for a lower epoch never comes behind a higher one.
    epoch: u32,
}

/// Reads the topic, whole or from the newest snapshot but one on.
pub(super) async fn read(config: &Config, whole: bool) -> Result<Versions, Error> {
    read_named(&config.topic(Topic::Checkpoints), config, whole).await
}

/// The same for a challenger's topic.
pub(super) async fn read_named(topic: &str, config: &Config, whole: bool) -> Result<Versions, Error> {
    let mut versions = Versions::default();
    for whole in [whole, true] {
        versions = Versions::default();
        let walked = go_through_log(topic, config, whole, |step| {
            match step {
                Step::Whole(Version { manifest, first, .. }) => versions.take(manifest, first),
                Step::Claimed(claim) => versions.epoch = versions.epoch.max(claim.epoch),
                Step::Kept | Step::Deleted(..) | Step::Refused { .. } | Step::Stale(_) => {}
            }
            Ok(true)
        })
        .await?;
        versions.versions.retain(|version, _| !walked.deleted.contains(version));
        if walked.whole || !versions.versions.is_empty() {
            break;
        }
    }
    Ok(versions)
}

impl Versions {
    fn take(&mut self, manifest: Manifest, first: Option<i64>) {
        self.epoch = self.epoch.max(manifest.version.epoch);
        let begins = match manifest.kind {
            PayloadKind::Snapshot => first,
            PayloadKind::Delta => manifest.parent.and_then(|parent| self.versions.get(&parent)?.1),
        };
        self.versions.insert(manifest.version, (manifest, begins));
    }

    pub(super) fn newest(&self) -> Option<&Manifest> {
        self.versions.last_key_value().map(|(_, (manifest, _))| manifest)
    }

    pub(super) fn snapshots(&self) -> impl Iterator<Item = &Manifest> {
        self.versions.values().map(|(manifest, _)| manifest).filter(|m| m.kind == PayloadKind::Snapshot)
    }

    /// Where a version is read again; `None` if it, or what it builds on, is not there.
    pub(super) fn place(&self, version: VersionId) -> Option<Place> {
        let (manifest, begins) = self.versions.get(&version)?;
        let mut at = manifest;
        while at.kind == PayloadKind::Delta {
            at = &self.versions.get(&at.parent?)?.0;
        }
        Some(Place { version, begins: *begins })
    }

    /// Why nothing can be recommended by a version, if that is so.
    pub(super) fn knows_nothing(&self, version: VersionId) -> Option<&'static str> {
        let (manifest, _) = self.versions.get(&version)?;
        match (manifest.items, manifest.interactions) {
            (Some(0), _) => Some("knows no items"),
            (None, 0) => Some("has learned from no interaction, and may know no items"),
            _ => None,
        }
    }

    /// The highest epoch that was claimed.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_knows_no_items_is_told_and_one_of_before_is_judged_by_what_it_learned() {
        let version = VersionId { epoch: 1, sequence: 2 };
        let told = |items: Option<u64>, interactions: u64| {
            let text = format!(
                r#"{{"v":1,"version":"{version}","kind":"snapshot","parent":null,"chunks":1,"bytes":9,
                "checksum":"{}","through":{{}},"interactions":{interactions},"event_ts":0,"made_at":0}}"#,
                "0".repeat(64)
            );
            let manifest = Manifest::read(version, text.as_bytes()).expect("is readable");
            let mut versions = Versions::default();
            versions.take(Manifest { items, ..manifest }, Some(7));
            versions.knows_nothing(version)
        };
        assert_eq!(told(Some(0), 0), Some("knows no items"));
        assert_eq!(told(Some(0), 9), Some("knows no items"), "they were forgotten");
        assert!(told(None, 0).is_some_and(|why| why.contains("may know no items")));
        assert_eq!((told(Some(3), 0), told(None, 9)), (None, None), "listed, and of before");
    }
}
