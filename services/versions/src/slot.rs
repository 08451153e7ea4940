//! The version in service: one writer, and readers that never wait.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwap;
use model::Model;
use runtime::lock;
use schemas::control::{Action, Release};
use schemas::{Slate, VersionId};
use tokio::sync::watch;

/// Versions of which it is known how many lists were made by them: an hour of one a second, and more.
const PAST: usize = 4_096;

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
    /// Lists that users were given by it.
    made: Arc<AtomicU64>,
}

/// What was kept from going live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The version that is doubted, and why; `None`: the chain goes on.
    pub suspect: Option<(VersionId, String)>,
    /// The last version that cannot be used, and why.
    pub refused: Option<(VersionId, String)>,
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
    /// Takes note of lists that users were given.
    pub fn gave(&self, lists: u64) {
        self.made.fetch_add(lists, Ordering::Relaxed);
    }

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
    /// What was live, oldest first, and how many lists users were given by it.
    past: Mutex<VecDeque<(VersionId, Arc<AtomicU64>)>>,
    kept: Mutex<Kept>,
}

impl Slot {
    /// Starts with a version that knows nothing.
    #[must_use]
    pub fn new(empty: Model) -> Self {
        let live = Live { model: empty, swapped_at: 0, since: Instant::now(), decided: None, made: Arc::default() };
        Self {
            live: ArcSwap::from_pointee(live),
            swaps: watch::Sender::new(0),
            leaves_lists: AtomicBool::new(false),
            past: Mutex::default(),
            kept: Mutex::default(),
        }
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
        let (version, made) = (model.version(), Arc::<AtomicU64>::default());
        let live = Live { model, swapped_at: now, since: Instant::now(), decided, made: Arc::clone(&made) };
        if let Some(version) = version {
            let mut past = lock(&self.past);
            past.push_back((version, made));
            if past.len() > PAST {
                past.pop_front();
            }
        }
        let before = self.live.swap(Arc::new(live));
        self.leaves_lists.store(false, Ordering::Relaxed);
        self.swaps.send_modify(|count| *count += 1);
        before
    }

    /// How many lists users were given by versions that are gone back from; each is told once.
    pub fn withdraw(&self, gone: impl Fn(VersionId) -> bool) -> u64 {
        let mut lists = 0;
        lock(&self.past).retain(|(version, made)| {
            let stays = !gone(*version);
            lists += if stays { 0 } else { made.load(Ordering::Relaxed) };
            stays
        });
        lists
    }

    /// What was kept from going live.
    #[must_use]
    pub fn kept(&self) -> Kept {
        lock(&self.kept).clone()
    }

    /// Has it say something else.
    pub fn keep(&self, change: impl FnOnce(&mut Kept)) {
        change(&mut lock(&self.kept));
    }

    /// Hears of swaps from now on.
    #[must_use]
    pub fn swaps(&self) -> watch::Receiver<u64> {
        self.swaps.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::versions;

    #[test]
    fn lists_of_versions_that_were_gone_back_from_are_counted_once() {
        let slot = Slot::new(Model::empty("flex").expect("opens"));
        let mut model = Model::empty("flex").expect("opens");
        for version in versions() {
            model = model.apply(&version.manifest, &version.payload).expect("applies");
            slot.swap(model.clone(), None, 0);
            slot.load().gave(10);
        }
        let last = slot.load();
        assert_eq!(slot.withdraw(|version| version.sequence > 3), 20);
        last.gave(1); // by who had it in hand
        assert_eq!(slot.withdraw(|version| version.sequence > 3), 0);
        assert_eq!(slot.withdraw(|_| true), 30);
        for n in 0..10_000 {
            slot.swap(model.clone(), None, n);
        }
        assert_eq!(lock(&slot.past).len(), PAST);
    }
}
