//! The items whose `similar` lists are kept: which of them are due, and what their lists show. Pure.
//!
//! A version does not say which of its items changed, so this is learned where it shows: from interactions
//! (due as soon as a version is trained through them), from the catalog, and from the lists themselves, whose
//! entries are items too. All others are renewed by turns, oldest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use schemas::checkpoint::Through;
use schemas::key_of;

use crate::share::Share;

/// An item and the state of its list.
#[derive(Debug)]
struct Item {
    id: Arc<str>,
    /// Milliseconds since 1970; 0: never.
    written_at: i64,
    touched: bool,
    /// Keys of the items in the list as written.
    shows: Box<[u64]>,
}

/// An interaction after which an item's list is another, once a version is trained through it.
#[derive(Debug)]
struct Touch {
    key: u64,
    partition: i32,
    offset: i64,
}

/// At the bound the item least recently written or acted on goes; its list expires in Redis.
#[derive(Debug)]
pub(crate) struct Known {
    /// From the list written last to the one written longest ago.
    items: LruCache<u64, Item>,
    /// Each item once, so no longer than `items`.
    touches: VecDeque<Touch>,
    /// Whose lists are written first after all were forgotten. At most each item once, and once more for each item in its
    /// list that was delisted meanwhile.
    refill: VecDeque<u64>,
    /// Delisted since they were asked for last: their lists are to be deleted. No longer than `items` once was.
    gone: Vec<Arc<str>>,
    /// Counts delistings.
    delistings: u64,
    renew_every_ms: i64,
}

impl Known {
    /// Holds at most `items` items and renews a list before it is `renew_every` old.
    pub(crate) fn new(items: usize, renew_every: Duration) -> Self {
        Self {
            items: LruCache::new(NonZeroUsize::new(items).unwrap_or(NonZeroUsize::MIN)),
            touches: VecDeque::new(),
            refill: VecDeque::new(),
            gone: Vec::new(),
            delistings: 0,
            renew_every_ms: i64::try_from(renew_every.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Takes note of an item; a new one is due at once.
    pub(crate) fn learn(&mut self, id: &str) {
        let key = key_of(id);
        if !self.items.contains(&key) {
            let item = Item { id: id.into(), written_at: 0, touched: false, shows: Box::default() };
            self.items.put(key, item);
            self.items.demote(&key);
        }
    }

    /// Takes note of an interaction with an item, at `offset` in `partition` of `interactions`.
    pub(crate) fn touch(&mut self, id: &str, partition: i32, offset: i64) {
        self.learn(id);
        let key = key_of(id);
        if let Some(item) = self.items.peek_mut(&key)
            && !item.touched
        {
            item.touched = true;
            self.touches.push_back(Touch { key, partition, offset });
        }
    }

    /// Items are out of the catalog: their own lists go, and lists that show them are due. `keys` is sorted.
    pub(crate) fn delist(&mut self, keys: &[u64]) {
        self.delistings += u64::from(!keys.is_empty());
        let popped = keys.iter().filter_map(|key| self.items.pop(key));
        self.gone.extend(popped.map(|item| item.id));
        let shows = |item: &Item| item.shows.iter().any(|key| keys.binary_search(key).is_ok());
        let showing: Vec<u64> = self.items.iter().filter(|(_, item)| shows(item)).map(|(key, _)| *key).collect();
        for key in showing {
            self.forget_writing(key);
        }
    }

    fn forget_writing(&mut self, key: u64) {
        if let Some(item) = self.items.peek_mut(&key) {
            item.written_at = 0;
        }
        self.items.demote(&key);
        if !self.refill.is_empty() {
            self.refill.push_front(key); // else it would wait for all of them
        }
    }

    /// Every list is due: Redis was flushed, or other items are ours. What was due before comes first, then what was
    /// written last, for these are mostly the items that people act on.
    pub(crate) fn forget_writings(&mut self) {
        let mut keys: Vec<(i64, u64)> = self.items.iter().map(|(key, item)| (item.written_at, *key)).collect();
        keys.sort_by_key(|(written_at, _)| (*written_at != 0, Reverse(*written_at)));
        self.refill = keys.into_iter().map(|(_, key)| key).collect();
        self.items.iter_mut().for_each(|(_, item)| item.written_at = 0);
    }

    /// At most `most` items whose lists are to be written, with a version trained `through` there.
    ///
    /// An item acted on by our users is ours whoever owns it, for its owner does not hear of it; the rest is ours by
    /// `share`. Where there are more than `most`, both kinds get half: a rush on some items starves no others.
    pub(crate) fn due(
        &mut self,
        most: usize,
        through: &BTreeMap<i32, Through>,
        share: &Share,
        now: i64,
    ) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        self.take_touched(most.div_ceil(2), through, now, &mut due);
        self.take_old(most, share, now, &mut due);
        self.take_touched(most, through, now, &mut due);
        due
    }

    /// Until `due` has `most`: items acted on, if the version knows of it.
    fn take_touched(&mut self, most: usize, through: &BTreeMap<i32, Through>, now: i64, due: &mut Vec<Arc<str>>) {
        for _ in 0..self.touches.len() {
            if due.len() >= most {
                return;
            }
            let Some(touch) = self.touches.pop_front() else { return };
            if through.get(&touch.partition).is_none_or(|through| through.next <= touch.offset) {
                self.touches.push_back(touch);
            } else if let Some(item) = self.items.get_mut(&touch.key) {
                (item.touched, item.written_at) = (false, now);
                due.push(Arc::clone(&item.id));
            }
        }
    }

    /// Until `due` has `most`: items whose lists are not there or old.
    fn take_old(&mut self, most: usize, share: &Share, now: i64, due: &mut Vec<Arc<str>>) {
        while due.len() < most
            && let Some(key) = self.refill.pop_front()
        {
            // Who goes at the bound does not change by a flush: the order of `items` stays.
            if let Some(item) = self.items.peek_mut(&key)
                && item.written_at == 0
            {
                item.written_at = now; // also for another's: its owner writes it
                if share.owns(key) {
                    due.push(Arc::clone(&item.id));
                }
            }
        }
        while due.len() < most
            && let Some((&key, item)) = self.items.peek_lru()
            && item.written_at.saturating_add(self.renew_every_ms) <= now
        {
            if let Some(item) = self.items.get_mut(&key) {
                item.written_at = now; // also for another's: its owner writes it
                if share.owns(key) {
                    due.push(Arc::clone(&item.id));
                }
            }
        }
    }

    /// Counts delistings; ask before the catalog is loaded from which lists are made.
    pub(crate) fn delistings(&self) -> u64 {
        self.delistings
    }

    /// Delisted items whose lists are to be deleted; each is told once.
    pub(crate) fn take_gone(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.gone)
    }

    /// Takes note of a list as written: its entries are items too. `delistings`: the count before it was made.
    pub(crate) fn wrote<'a>(&mut self, id: &str, entries: impl Iterator<Item = &'a str>, delistings: u64) {
        let shows: Box<[u64]> = entries
            .map(|entry| {
                self.learn(entry);
                key_of(entry)
            })
            .collect();
        match self.items.peek_mut(&key_of(id)) {
            Some(item) => item.shows = shows,
            None => self.gone.push(id.into()), // delisted while its list was being made
        }
        if self.delistings != delistings {
            self.forget_writing(key_of(id)); // it may show what was delisted meanwhile
        }
    }

    /// How many items are kept.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

#[cfg(test)]
mod tests;
