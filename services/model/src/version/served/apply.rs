//! From one version to the next, and a version as a payload.

use std::sync::Arc;

use schemas::checkpoint::{Manifest, PayloadKind, VersionId};

use super::Model;
use crate::error::Error;
use crate::knowledge::Knowledge;
use crate::memory::history::Seen;
use crate::network::dense;
use crate::network::encoder::Encoder;
use crate::ranking::features::FEATURES;
use crate::ranking::ranker::Ranker;
use crate::table::rows::RowEncoding;
use crate::version::frozen::{Carried, Frozen};
use crate::version::integrity::Sample;
use crate::version::payload::{Payload, unpack, whole};

impl Model {
    /// The version that `manifest` and its payload, packed or not, make of this one. This one stays as it is.
    ///
    /// # Errors
    /// When the payload is not readable, or is a delta on another version than this.
    pub fn apply(&self, manifest: &Manifest, payload: &[u8]) -> Result<Self, Error> {
        if manifest.kind == PayloadKind::Delta && manifest.parent != self.version() {
            let name = |version: Option<VersionId>| version.map_or("none".into(), |v| v.to_string());
            return Err(Error::Parent {
                version: manifest.version.to_string(),
                parent: name(manifest.parent),
                live: name(self.version()),
            });
        }
        let payload = unpack(payload)?;
        let payload = Payload::open(&payload)?;
        payload.check(Some(manifest))?;
        let metadata = payload.metadata.clone();
        let settings = Arc::new(metadata.settings);
        if manifest.kind == PayloadKind::Delta && settings.shape() != self.knowledge.settings().shape() {
            return Err(Error::tensor("metadata", "asks for a network of another shape"));
        }
        // The network first: it is no larger than the payload's own arrays, or refused before any of it is made.
        let (encoder, ranker) = payload.dense(&self.knowledge)?;
        let plain = self.knowledge.device();
        let network =
            (dense::import(Encoder::new(&settings, plain), encoder)?, dense::import(Ranker::new(plain), ranker)?);
        let mut knowledge = match manifest.kind {
            PayloadKind::Snapshot => self.knowledge.blank(Arc::clone(&settings), metadata.origin, network),
            PayloadKind::Delta => {
                let mut knowledge = self.knowledge.clone();
                knowledge.set_network(network);
                knowledge
            }
        };
        knowledge.set_settings(Arc::clone(&settings));
        knowledge.set_origin(metadata.origin);
        knowledge.restore_known_by(metadata.users.as_deref());
        payload.merge_into(&mut knowledge)?;
        knowledge.stand_at(metadata.now, metadata.interactions);
        probe(&knowledge)?;
        let sample = Sample { items: knowledge.items(), ..payload.sample(manifest, &self.sample)? };
        Ok(Self {
            knowledge,
            manifest: Some(Arc::new(manifest.clone())),
            optimizers: payload.optimizers()?.map_or_else(|| Arc::clone(&self.optimizers), Arc::new),
            steps: metadata.steps,
            sample: Arc::new(sample),
        })
    }

    /// The version as a scorer holds it in `table`, by way of its payload.
    ///
    /// # Errors
    /// As [`Self::export`].
    pub fn published(&self, table: RowEncoding) -> Result<Self, Error> {
        let frozen = self.frozen()?;
        let payload = frozen.encode()?;
        let manifest = frozen.manifest(VersionId::default(), None, 0);
        Self::of(&self.knowledge.clone().serving(table)).apply(&manifest, &payload)
    }

    pub(crate) fn frozen(&self) -> Result<Frozen, Error> {
        let knowledge = self.whole()?.clone();
        let encoder = whole("encoder", dense::export(knowledge.encoder()), &mut Default::default());
        let ranker = whole("ranker", dense::export(knowledge.ranker()), &mut Default::default());
        Ok(Frozen {
            kind: PayloadKind::Snapshot,
            dense: [encoder, ranker].concat(),
            optimizers: Some((*self.optimizers).clone()),
            steps: self.steps,
            through: self.manifest().map(|manifest| manifest.through.clone()).unwrap_or_default(),
            recent_quality: Default::default(),
            overall_quality: Default::default(),
            guarded: None,
            changed: Carried::default(),
            items: None,
            rows: None,
            known: knowledge.items() as u64,
            slots: knowledge.table().slots(),
            knowledge,
        })
    }
}

/// Tries the network before it is served: weights that are finite, each by itself, may still make scores that are not.
fn probe(knowledge: &Knowledge) -> Result<(), Error> {
    let newest = knowledge.newest().iter().rev().take(knowledge.settings().history);
    let history: Vec<Seen> =
        newest.map(|(_, key)| Seen { key: *key, kind: schemas::Kind::View, ts: knowledge.now() }).collect();
    let user = knowledge.encode(&[(&history, knowledge.now())]);
    let extremes = [0.0, 16.0, -16.0].iter().flat_map(|feature| [*feature; FEATURES]).collect();
    let scores = knowledge.ranker().score_features(extremes, knowledge.device());
    if user.iter().chain(&scores).all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(Error::tensor("encoder", "or the ranker's gives scores that are not finite"))
}
