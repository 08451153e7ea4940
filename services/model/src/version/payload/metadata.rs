//! What a payload says about itself.

use schemas::checkpoint::PayloadKind;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The key of the file's metadata under which ours stands, as JSON.
pub(super) const METADATA: &str = "thalweg";

/// The key under which an exported version has the manifest that it had on its topic, as JSON.
pub(super) const MANIFEST: &str = "thalweg.manifest";

/// What a payload says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) kind: PayloadKind,
    #[serde(deserialize_with = "Settings::of_version")]
    pub(crate) settings: Settings,
    pub(crate) origin: i64,
    pub(crate) now: i64,
    pub(crate) interactions: u64,
    pub(crate) steps: u64,
    /// Numbers of the oldest session kept, and of the oldest of one item.
    pub(crate) first_session: u64,
    #[serde(default)]
    pub(crate) first_waiting: u64,
    /// Slots of the table.
    pub(crate) slots: usize,
    /// Tells the secret that users' keys are made with; `None`: with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<String>,
}
