//! The version in service: one writer, and readers that never wait.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use model::Model;
use schemas::Slate;
use schemas::control::{Action, Release};
use tokio::sync::watch;

/// A version and when it went live.
#[derive(Debug)]
pub struct Live {
    /// The version; before the first, one that knows nothing.
    pub model: Model,
    /// Milliseconds since 1970.
    pub swapped_at: i64,
    /// The same by a clock that nobody sets.
    pub since: Instant,
    /// By whose decision it is live; `None`: as the newest.
    pub decided: Option<Decided>,
}

/// Why a version is live that need not be the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What was decided.
    pub action: Action,
    /// Who decided.
    pub by: String,
}

impl Decided {
    /// As a record on `control` has it.
    #[must_use]
    pub fn by(release: &Release) -> Self {
        Self { action: release.action, by: release.by.clone() }
    }

    /// Whether the version is meant to stay; after a rollback a newer one is to come.
    #[must_use]
    pub fn stays(&self) -> bool {
        matches!(self.action, Action::Pin | Action::Hold)
    }
}

impl Live {
    /// Whether the version knows an item, so that lists can be made by it.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.model.knowledge().items() > 0
    }

    /// Who makes lists, as these give it: the version, or none while it knows no item.
    #[must_use]
    pub fn maker(&self) -> String {
        let version = self.model.version().filter(|_| self.serves());
        version.map_or_else(|| Slate::NO_MODEL.to_owned(), |version| version.to_string())
    }
}

/// Holds the live version. Who loads it once sees one version, whatever is swapped meanwhile (I5).
#[derive(Debug)]
pub struct Slot {
    live: ArcSwap<Live>,
    swaps: watch::Sender<u64>,
    leaves_lists: AtomicBool,
}

impl Slot {
    /// Starts with a version that knows nothing.
    #[must_use]
    pub fn new(empty: Model) -> Self {
        let live = Live { model: empty, swapped_at: 0, since: Instant::now(), decided: None };
        let live = ArcSwap::from_pointee(live);
        Self { live, swaps: watch::Sender::new(0), leaves_lists: AtomicBool::new(false) }
    }

    /// Versions are on the topic and none is usable: until one is, what they made is not replaced by less.
    pub fn leave_lists(&self) {
        self.leaves_lists.store(true, Ordering::Relaxed);
    }

    /// Whether lists in Redis stay as they are.
    #[must_use]
    pub fn leaves_lists(&self) -> bool {
        self.leaves_lists.load(Ordering::Relaxed)
    }

    /// The live version.
    #[must_use]
    pub fn load(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Makes `model` live, `now` in milliseconds since 1970, and returns what was: its last owner pays for freeing it.
    pub fn swap(&self, model: Model, decided: Option<Decided>, now: i64) -> Arc<Live> {
        let before = self.live.swap(Arc::new(Live { model, swapped_at: now, since: Instant::now(), decided }));
        self.leaves_lists.store(false, Ordering::Relaxed);
        self.swaps.send_modify(|count| *count += 1);
        before
    }

    /// Hears of swaps from now on.
    #[must_use]
    pub fn swaps(&self) -> watch::Receiver<u64> {
        self.swaps.subscribe()
    }
}
