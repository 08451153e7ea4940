//! Makes lists out of a version: what is written under which key. No I/O, no clock.
#![warn(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Catalog, Model};
use schemas::{Entry, Keys, Slate, VersionId, key_of};
use versions::Live;

use crate::config::Scorer;
use crate::{Sources, lock};

/// A key, its value and its time to live.
type Value = (String, Vec<u8>, Duration);

/// Which `hot` and `new` lists lie in Redis, and from what they were made.
#[derive(Debug)]
pub(super) struct Tops {
    renew_every: Duration,
    written: Option<(VersionId, u64, Instant)>,
    keys: BTreeSet<String>,
}

/// The `hot` and `new` lists of one version and one edition of the catalog.
#[derive(Debug)]
pub(super) struct Made {
    /// First the `hot` lists, then the `new` ones.
    pub(super) entries: Vec<Value>,
    /// How many are `hot`.
    pub(super) hot: usize,
    /// Ids of all items in them.
    pub(super) items: BTreeSet<String>,
    /// Keys of lists of which no score is a number: what lies there stays.
    kept: BTreeSet<String>,
    /// Scores that are no numbers.
    pub(super) unusable: u64,
    /// Categories beyond the bound.
    pub(super) left_out: usize,
    version: Option<VersionId>,
    edition: u64,
}

impl Tops {
    pub(super) fn new(settings: &Scorer) -> Self {
        Self { renew_every: settings.list_ttl / 4, written: None, keys: BTreeSet::new() }
    }

    /// Whether version or catalog are others than at the last writing, or it is long ago.
    pub(super) fn are_due(&self, sources: &Sources, now: Instant) -> bool {
        let live = (sources.slot.load().model.version(), sources.catalog.edition());
        self.written.is_none_or(|(version, edition, at)| {
            (Some(version), edition) != live || now.duration_since(at) >= self.renew_every
        })
    }

    /// Whether lists of ours stand in Redis.
    pub(super) fn has_written(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Takes over lists that lie in Redis. Those that we do not keep were written by who led before, or by us, before
    /// Redis fell back: the next writing, which is due at once, says whether they go.
    pub(super) fn adopt(&mut self, lying: BTreeSet<String>) {
        if !lying.is_subset(&self.keys) {
            self.written = None;
            self.keys.extend(lying);
        }
    }

    /// Takes note of a writing; returns the keys of lists that are no more.
    pub(super) fn wrote(&mut self, made: &Made, now: Instant) -> Vec<String> {
        self.written = made.version.map(|version| (version, made.edition, now));
        let keys: BTreeSet<String> = made.entries.iter().map(|(key, _, _)| key.clone()).collect();
        let gone = self.keys.difference(&keys).filter(|key| !made.kept.contains(*key)).cloned().collect();
        self.keys.retain(|key| made.kept.contains(key));
        self.keys.extend(keys);
        gone
    }

    /// Everything is to be written again, or is another's.
    pub(super) fn forget(&mut self) {
        self.written = None;
        self.keys.clear();
    }
}

/// Makes every `hot` and `new` list. CPU-heavy.
pub(super) fn make(sources: &Sources, settings: &Scorer, keys: &Keys, now: i64) -> Made {
    let live = sources.slot.load(); // I5: one version for all
    let edition = sources.catalog.edition();
    let catalog = sources.catalog.load();
    let (model, k, most) = (&live.model, settings.slate_items, settings.category_lists);
    let (hot, event_ts) = if live.serves() {
        let event_ts = event_ts(model);
        // What came since the last event is new, too: a catalog is imported before its shop's first visitors come.
        let came_at = model.newest_came_at(&catalog, now).unwrap_or(event_ts);
        (model.hot(&catalog, k, most, event_ts.max(came_at)), event_ts)
    } else {
        let early = lock(&sources.early);
        let lists = vec![(None, early.top(model, &catalog, k))];
        (model::Tops { lists, left_out: 0 }, early.event_ts)
    };
    let new = model.new_items(&catalog, k, most, now);
    let mut made = Made {
        entries: Vec::new(),
        hot: 0,
        items: BTreeSet::new(),
        kept: BTreeSet::new(),
        unusable: 0,
        left_out: hot.left_out.max(new.left_out),
        version: model.version(),
        edition,
    };
    let put = |made: &mut Made, key: String, mut list: Vec<Entry>| {
        let unusable = drop_unusable(&mut list);
        made.unusable += unusable;
        if !list.is_empty() {
            made.items.extend(list.iter().map(|entry| entry.id.clone()));
            let value = slate(live.maker(), event_ts, list, now).encode(settings.encoding);
            made.entries.push((key, value, settings.list_ttl));
        } else if unusable > 0 {
            made.kept.insert(key);
        }
    };
    for (of, list) in hot.lists {
        put(&mut made, keys.hot(of.as_deref()), list);
    }
    made.hot = made.entries.len();
    for (of, list) in new.lists {
        put(&mut made, keys.new_items(of.as_deref()), list);
    }
    made
}

/// JSON has no other numbers; a reader must never meet one. How many there were.
fn drop_unusable(list: &mut Vec<Entry>) -> u64 {
    let before = list.len();
    list.retain(|entry| entry.score.is_finite());
    (before - list.len()) as u64
}

/// The `similar` lists of some items.
#[derive(Debug)]
pub(super) struct Similar {
    pub(super) entries: Vec<Value>,
    /// For each item what its list shows; nothing for one that the version does not know.
    pub(super) shows: Vec<(Arc<str>, Vec<String>)>,
    /// Items of which there is nothing to show, so that what lies there is to go.
    pub(super) empty: Vec<Arc<str>>,
    /// Scores that are no numbers.
    pub(super) unusable: u64,
}

/// Makes the `similar` lists of `ids`. CPU-heavy.
pub(super) fn similar(
    live: &Live,
    catalog: &Catalog,
    ids: &[Arc<str>],
    settings: &Scorer,
    keys: &Keys,
    now: i64,
) -> Similar {
    let names: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    let lists = live.model.similar(&names, catalog, settings.slate_items);
    let mut made = Similar { entries: Vec::new(), shows: Vec::new(), empty: Vec::new(), unusable: 0 };
    for (id, list) in ids.iter().zip(lists) {
        // Somebody clicked on it although it is gone: an empty list takes its key away again.
        let mut list = if live.model.shows(catalog, key_of(id)) { list } else { Vec::new() };
        let unusable = drop_unusable(&mut list);
        made.unusable += unusable;
        made.shows.push((Arc::clone(id), list.iter().map(|entry| entry.id.clone()).collect()));
        if !list.is_empty() {
            let value = slate(live.maker(), event_ts(&live.model), list, now).encode(settings.encoding);
            made.entries.push((keys.similar(id), value, settings.similar_ttl));
        } else if unusable == 0 {
            made.empty.push(Arc::clone(id));
        }
    }
    made
}

/// A list that no single event made.
fn slate(model: String, event_ts: i64, items: Vec<Entry>, now: i64) -> Slate {
    Slate { v: Slate::V, model, source: String::new(), event_ts, made_at: now, items }
}

/// Event time of the newest interaction that the version knows (I10).
fn event_ts(model: &Model) -> i64 {
    model.manifest().map_or(0, |manifest| manifest.event_ts)
}
