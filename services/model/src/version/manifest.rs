//! What a manifest says of the model in a version.

use schemas::RELEASE;
use schemas::checkpoint::{Manifest, PayloadKind, VersionId};

use super::frozen::Frozen;

impl Frozen {
    /// Its manifest under the name `version`; `parent` counts for a delta only. What a manifest says of the payload
    /// (`chunks`, `bytes` and `checksum`) is left empty: that is known to who cuts it into records. So is what the
    /// trainer knows (`untrained`, `good`, `evidence`, `contest`).
    #[must_use]
    pub fn manifest(&self, version: VersionId, parent: Option<VersionId>, made_at: i64) -> Manifest {
        Manifest {
            v: Manifest::V,
            version,
            kind: self.kind(),
            parent: if self.kind() == PayloadKind::Snapshot { None } else { parent },
            chunks: 0,
            bytes: 0,
            checksum: String::new(),
            through: self.through().clone(),
            interactions: self.interactions(),
            items: Some(self.known),
            event_ts: self.event_ts(),
            made_at,
            arrivals: self.arrivals(),
            quality: self.recent_quality().clone(),
            quality_overall: self.overall_quality().clone(),
            release: RELEASE.to_owned(),
            untrained: [].into(),
            good: None,
            evidence: 0.0,
            guarded: self.guarded.clone(),
            contest: None,
        }
    }
}
