//! A version in service: immutable, cheap to clone, and what slates are made from (I5).

mod apply;
mod explained;
mod lists;
mod order;
mod slates;

use std::sync::Arc;

use schemas::checkpoint::{Manifest, VersionId};

use crate::error::Error;
use crate::knowledge::Knowledge;
use crate::memory::catalog::Catalog;
use crate::memory::only_listed::OnlyListed;
use crate::network::trainable::OptimizerStates;
use crate::settings::Settings;
use crate::table::rows::RowEncoding;
use crate::version::integrity::Sample;

pub use explained::{Contribution, Explained};
pub use lists::Tops;
pub use order::{Dropped, Order};
pub use slates::Scored;

/// One version of the model, or none yet.
#[derive(Debug, Clone)]
pub struct Model {
    knowledge: Knowledge,
    manifest: Option<Arc<Manifest>>,
    optimizers: Arc<OptimizerStates>,
    steps: u64,
    /// What the next version is held against.
    sample: Arc<Sample>,
}

impl Model {
    /// Before the first version: knows nothing.
    ///
    /// # Errors
    /// When the device does not open.
    pub fn empty(device: &str) -> Result<Self, Error> {
        let device = crate::device::open(device).map_err(Error::Device)?;
        Ok(Self {
            knowledge: Knowledge::new(Arc::default(), device, 0),
            manifest: None,
            optimizers: Arc::default(),
            steps: 0,
            sample: Arc::default(),
        })
    }

    /// The same, to serve from only: it holds the items' vectors in `table`, and not what a learner goes on from.
    ///
    /// # Errors
    /// When the device does not open.
    pub fn serving(device: &str, table: RowEncoding) -> Result<Self, Error> {
        let Self { knowledge, .. } = Self::empty(device)?;
        Ok(Self::of(&knowledge.serving(table)))
    }

    /// What a learner knows now, as a version without a name; later learning does not change it.
    #[must_use]
    pub fn of(knowledge: &Knowledge) -> Self {
        let knowledge = knowledge.clone();
        Self { knowledge, manifest: None, optimizers: Arc::default(), steps: 0, sample: Arc::default() }
    }

    /// The manifest of the version; `None` before the first.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_deref()
    }

    /// The version's name.
    #[must_use]
    pub fn version(&self) -> Option<VersionId> {
        self.manifest.as_ref().map(|manifest| manifest.version)
    }

    /// What the next version is held against.
    #[must_use]
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The same version under another rule of what may be shown.
    pub(crate) fn showing(&self, only_listed: OnlyListed) -> Self {
        let mut model = self.clone();
        let settings = Settings { only_listed, ..self.knowledge.settings().clone() };
        model.knowledge.set_settings(Arc::new(settings));
        model
    }

    /// Whether it knows the item with this key.
    #[must_use]
    pub fn knows(&self, key: u64) -> bool {
        self.knowledge.table().slot(key).is_some()
    }

    /// Whether a list may show the item with this key.
    #[must_use]
    pub fn shows(&self, catalog: &Catalog, key: u64) -> bool {
        catalog.shows(key, self.knowledge.settings().only_listed)
    }

    /// How many of the items known lists must not show.
    #[must_use]
    pub fn hidden(&self, catalog: &Catalog) -> usize {
        self.knowledge.table().keys().filter(|key| !self.shows(catalog, *key)).count()
    }

    /// Everything learned.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    pub(crate) fn knowledge_mut(&mut self) -> &mut Knowledge {
        &mut self.knowledge
    }

    /// Everything learned, to go on from.
    pub(crate) fn whole(&self) -> Result<&Knowledge, Error> {
        if self.knowledge.table().served_in().is_some() { Err(Error::ServesOnly) } else { Ok(&self.knowledge) }
    }

    pub(crate) fn optimizers(&self) -> &OptimizerStates {
        &self.optimizers
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }
}
