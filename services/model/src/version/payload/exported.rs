//! A version as a file of its own: the payload, whole, with the manifest that the version had on its topic.

use schemas::RELEASE;
use schemas::checkpoint::{Manifest, PayloadKind, VersionId, shown};
use serde::Deserialize;

use super::Payload;
use crate::error::Error;
use crate::version::served::Model;

impl Model {
    /// The version, whole, as a safetensors file. Its manifest is in the file's metadata, so that it can be published
    /// again.
    ///
    /// # Errors
    /// When it is one to serve from only, and as [`Frozen::encode`](super::Frozen::encode).
    pub fn export(&self) -> Result<Vec<u8>, Error> {
        // Whole, whatever the version was; and when its interactions had arrived is of no use any more.
        let whole = |manifest: &Manifest| Manifest {
            kind: PayloadKind::Snapshot,
            parent: None,
            arrivals: Vec::new(),
            ..manifest.clone()
        };
        self.frozen()?.encode_under(self.manifest().map(whole).as_ref())
    }
}

impl Payload<'_> {
    /// The manifest that an exported version had; `None` in other payloads, and in files of releases that did not write
    /// it.
    ///
    /// # Errors
    /// When it is not readable, or of another format.
    pub fn exported(&self) -> Result<Option<Manifest>, Error> {
        #[derive(Deserialize)]
        struct Named {
            version: VersionId,
        }
        let Some(text) = &self.manifest else { return Ok(None) };
        let named: Result<Named, _> = serde_json::from_str(text);
        let Named { version } = named.map_err(|error| Error::Metadata(shown(&error.to_string())))?;
        Manifest::read(version, text.as_bytes()).map(Some).map_err(Error::Metadata)
    }

    /// A manifest under which it may be published as `version`: it stands nowhere, and what the manifest says of chunks
    /// is left empty, as in [`Frozen::manifest`](super::Frozen::manifest).
    #[must_use]
    pub fn manifest(&self, version: VersionId, made_at: i64) -> Manifest {
        Manifest {
            v: Manifest::V,
            version,
            kind: self.metadata.kind,
            parent: None,
            chunks: 0,
            bytes: 0,
            checksum: String::new(),
            through: [].into(),
            interactions: self.metadata.interactions,
            items: None,
            event_ts: self.metadata.now,
            made_at,
            arrivals: Vec::new(),
            quality: [].into(),
            quality_overall: [].into(),
            release: RELEASE.to_owned(),
            untrained: [].into(),
            good: None,
            evidence: 0.0,
            guarded: None,
            contest: None,
        }
    }
}
