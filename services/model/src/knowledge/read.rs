//! What is known, to be read.

use std::sync::Arc;

use imbl::OrdSet;

use super::{ContentRow, Knowledge};
use crate::device::Device;
use crate::keymap::KeyMap;
use crate::memory::covisitation::Covisitation;
use crate::memory::history::Seen;
use crate::memory::popularity::{Clock, Popular};
use crate::memory::repeats::Repurchases;
use crate::memory::sessions::Sessions;
use crate::network::encoder::Encoder;
use crate::ranking::ranker::Ranker;
use crate::settings::Settings;
use crate::table::items::Items;

impl Knowledge {
    /// Bytes that the table of items takes for vectors and rows.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.items.row_bytes()
    }

    /// How many items are known.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// How many items have neighbours.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.covisitation.len()
    }

    /// Whether it is the choice of an item in the table: only from such is learned, and only by such is a user encoded.
    pub(crate) fn knows(&self, seen: &Seen) -> bool {
        seen.kind.is_positive() && self.items.slot(seen.key).is_some()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The plain device, for inference only.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn table(&self) -> &Items {
        &self.items
    }

    /// Rows of content features.
    pub(crate) fn content(&self) -> &KeyMap<u64, Arc<ContentRow>> {
        &self.content
    }

    pub(crate) fn covisitation(&self) -> &Covisitation {
        &self.covisitation
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn repurchases(&self) -> &Repurchases {
        &self.repurchases
    }

    pub(crate) fn popular(&self) -> &Popular {
        &self.popular
    }

    /// By when they were first met, of what is proven.
    pub(crate) fn newest(&self) -> &OrdSet<(i64, u64)> {
        &self.newest
    }

    /// The same of what one user alone chose and the shop did not list.
    pub(crate) fn unproven(&self) -> &OrdSet<(i64, u64)> {
        &self.unproven
    }

    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(crate) fn ranker(&self) -> &Ranker {
        &self.ranker
    }

    /// Event time of the newest interaction.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Interactions ever applied.
    pub(crate) fn interactions(&self) -> u64 {
        self.interactions
    }
}
