//! The items whose `similar` lists are kept: which of them are due, and what their lists show. Pure.
//!
//! A version does not say which of its items changed, so this is learned where it shows: from interactions
//! (due as soon as a version is trained through them), from the catalog, and from the lists themselves, whose
//! entries are items too. All others are renewed by turns, oldest first.
//!
//! Slates wait for the lock around it, so nothing here goes through everything but what is rare: a flush, a rebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use schemas::checkpoint::Through;
use schemas::key_of;

use crate::share::Share;

/// Who goes at the bound: the least. First what nobody acted on, of these the one written longest ago; then what was
/// acted on longest ago.
type Rank = (u64, i64);
/// Nobody acted on it, and its list was never written.
const NEWCOMER: Rank = (0, i64::MAX);

/// The turn of a list that shows what was delisted: before all others.
const AT_ONCE: i64 = i64::MIN;

/// The offset of what was acted on before its log was made again.
const BEFORE: i64 = -1;

/// Turns of lists that waited already when all were forgotten once more lie below it.
const WAITED: i64 = -(1 << 60);

/// Items of other instances that are passed over in one call, at most.
const LOOKED_AT: usize = 2_000;

/// An item and the state of its list.
#[derive(Debug)]
struct Item {
    id: Arc<str>,
    rank: Rank,
    /// When its list was written, milliseconds of a clock that nobody sets; below 0 it is due, the least first.
    turn: i64,
    /// Partition and offset of an interaction after which its list is another.
    touched: Option<(i32, i64)>,
    /// Keys of the items in the list as written.
    shows: Box<[u64]>,
}

/// At the bound what nobody acted on goes first; an item's list then expires in Redis.
#[derive(Debug)]
pub(crate) struct SimilarDue {
    most: usize,
    items: BTreeMap<u64, Item>,
    /// Each item once, by rank.
    ranks: BTreeSet<(Rank, u64)>,
    /// Each item once, by turn.
    turns: BTreeSet<(i64, u64)>,
    /// For each partition the items acted on, by offset. Each item once at most, however long no version comes.
    touches: BTreeMap<i32, BTreeSet<(i64, u64)>>,
    /// Delisted since they were asked for last: their lists are to be deleted. At most `most`; the sweep behind each
    /// delisting finds the lists of more.
    gone: BTreeMap<u64, Arc<str>>,
    /// Counts interactions with items.
    acts: u64,
    /// Counts newcomers.
    arrivals: i64,
    /// Counts delistings.
    delistings: u64,
    renew_every_ms: i64,
}

impl SimilarDue {
    /// Holds at most `items` items and renews a list before it is `renew_every` old.
    pub(crate) fn new(items: usize, renew_every: Duration) -> Self {
        Self {
            most: items.max(1),
            items: BTreeMap::new(),
            ranks: BTreeSet::new(),
            turns: BTreeSet::new(),
            touches: BTreeMap::new(),
            gone: BTreeMap::new(),
            acts: 0,
            arrivals: 0,
            delistings: 0,
            renew_every_ms: i64::try_from(renew_every.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Takes note of an item; a new one is due at once. At the bound it takes the place of one that nobody acted on and
    /// that has its list, or of none.
    pub(crate) fn learn(&mut self, id: &str) {
        let key = key_of(id);
        if !self.items.contains_key(&key) {
            self.take_in(key, id, NEWCOMER);
        }
    }

    /// Takes note of an interaction with an item, at `offset` in `partition` of `interactions`.
    pub(crate) fn touch(&mut self, id: &str, partition: i32, offset: i64) {
        let key = key_of(id);
        self.acts += 1;
        let rank = (self.acts, 0);
        if !self.rank(key, rank) {
            self.take_in(key, id, rank);
        }
        if let Some(item) = self.items.get_mut(&key)
            && item.touched.is_none()
        {
            item.touched = Some((partition, offset));
            self.touches.entry(partition).or_default().insert((offset, key));
        }
    }

    fn take_in(&mut self, key: u64, id: &str, rank: Rank) {
        if self.items.len() >= self.most {
            match self.ranks.first() {
                Some(&(least, evicted)) if least < rank => drop(self.remove(evicted)),
                _ => return,
            }
        }
        self.gone.remove(&key); // listed again: a list is written, or was by another instance
        self.arrivals += 1;
        let turn = AT_ONCE + self.arrivals;
        self.items.insert(key, Item { id: id.into(), rank, turn, touched: None, shows: Box::default() });
        self.ranks.insert((rank, key));
        self.turns.insert((turn, key));
    }

    fn remove(&mut self, key: u64) -> Option<Item> {
        let item = self.items.remove(&key)?;
        self.ranks.remove(&(item.rank, key));
        self.turns.remove(&(item.turn, key));
        self.forget_touch(key, item.touched);
        Some(item)
    }

    fn forget_touch(&mut self, key: u64, touched: Option<(i32, i64)>) {
        if let Some((partition, offset)) = touched
            && let Some(touches) = self.touches.get_mut(&partition)
        {
            touches.remove(&(offset, key));
        }
    }

    /// False when the item is not kept.
    fn rank(&mut self, key: u64, rank: Rank) -> bool {
        let Some(item) = self.items.get_mut(&key) else { return false };
        self.ranks.remove(&(item.rank, key));
        item.rank = rank;
        self.ranks.insert((rank, key))
    }

    fn turn(&mut self, key: u64, turn: i64) {
        if let Some(item) = self.items.get_mut(&key) {
            self.turns.remove(&(item.turn, key));
            item.turn = turn;
            self.turns.insert((turn, key));
        }
    }

    /// Its list is written now, or is another's.
    fn write(&mut self, key: u64, now: i64) -> Option<Arc<str>> {
        let item = self.items.get(&key)?;
        let id = Arc::clone(&item.id);
        // Who goes at the bound does not change by a flush.
        let refilled = item.turn < 0 && item.rank != NEWCOMER;
        if item.rank.0 == 0 && !refilled {
            self.rank(key, (0, now));
        }
        self.turn(key, now.max(0));
        Some(id)
    }

    /// Items are out of the catalog: their own lists go. Those that show them are due once
    /// [`delist_shown`](Self::delist_shown) has gone through all.
    pub(crate) fn delist(&mut self, keys: &[u64]) {
        self.delistings += u64::from(!keys.is_empty());
        for key in keys {
            if let Some(item) = self.remove(*key) {
                self.is_gone(*key, item.id);
            }
        }
    }

    fn is_gone(&mut self, key: u64, id: Arc<str>) {
        if self.gone.len() < self.most {
            self.gone.insert(key, id);
        }
    }

    /// Looks through at most `most` lists, from the item `from` on, for what was delisted, `keys`, sorted: they are
    /// due. Gives where to go on.
    pub(crate) fn delist_shown(&mut self, keys: &[u64], from: u64, most: usize) -> Option<u64> {
        let shows = |item: &Item| item.shows.iter().any(|key| keys.binary_search(key).is_ok());
        let mut looked = self.items.range(from..).take(most + 1);
        let showing: Vec<u64> =
            looked.by_ref().take(most).filter(|(_, item)| shows(item)).map(|(key, _)| *key).collect();
        let next = looked.next().map(|(key, _)| *key);
        showing.into_iter().for_each(|key| self.turn(key, AT_ONCE));
        next
    }

    /// Every list is due: Redis was flushed, or other items are ours. What was due before comes first, then what was
    /// written last, for these are mostly the items that people act on.
    pub(crate) fn forget_writings(&mut self) {
        for item in self.items.values_mut() {
            match item.turn {
                0.. => item.turn = -item.turn.max(1),
                WAITED.. => item.turn += WAITED,
                _ => {}
            }
        }
        self.turns = self.items.iter().map(|(key, item)| (item.turn, *key)).collect();
    }

    /// These partitions are read from the beginning of another log: what was acted on before is due with the first
    /// version that tells of that log.
    pub(crate) fn begin_anew(&mut self, partitions: &[i32]) {
        for partition in partitions {
            let Some(touches) = self.touches.get_mut(partition) else { continue };
            *touches = touches.iter().map(|(_, key)| (BEFORE, *key)).collect();
            for (_, key) in touches.iter() {
                if let Some(item) = self.items.get_mut(key) {
                    item.touched = Some((*partition, BEFORE));
                }
            }
        }
    }

    /// At most `most` items whose lists are to be written, with a version trained `through` there.
    ///
    /// An item acted on by our users is ours whoever owns it, for its owner does not hear of it; the rest is ours by
    /// `share`. Where there are more than `most`, both kinds get half: a rush on some items starves no others.
    pub(crate) fn due<'t>(
        &mut self,
        most: usize,
        through: impl IntoIterator<Item = (&'t i32, &'t Through)> + Clone,
        share: &Share,
        now: i64,
    ) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        self.take_touched(most.div_ceil(2), through.clone(), now, &mut due);
        self.take_old(most, share, now, &mut due);
        self.take_touched(most, through, now, &mut due);
        due
    }

    /// Whether a list waits for its turn, ours or another's.
    pub(crate) fn has_due(&self, now: i64) -> bool {
        self.turns.first().is_some_and(|(turn, _)| self.is_due(*turn, now))
    }

    fn is_due(&self, turn: i64, now: i64) -> bool {
        turn < 0 || turn.saturating_add(self.renew_every_ms) <= now
    }

    /// Until `due` has `most`: items acted on, if the version knows of it.
    fn take_touched<'t>(
        &mut self,
        most: usize,
        through: impl IntoIterator<Item = (&'t i32, &'t Through)>,
        now: i64,
        due: &mut Vec<Arc<str>>,
    ) {
        for (partition, through) in through {
            while due.len() < most
                && let Some(touches) = self.touches.get_mut(partition)
                && let Some((_, key)) = touches.first().copied().filter(|(offset, _)| *offset < through.next)
            {
                touches.pop_first();
                if let Some(item) = self.items.get_mut(&key) {
                    item.touched = None;
                }
                due.extend(self.write(key, now));
            }
        }
    }

    /// Until `due` has `most`: items whose lists are not there or old.
    fn take_old(&mut self, most: usize, share: &Share, now: i64, due: &mut Vec<Arc<str>>) {
        for _ in 0..LOOKED_AT {
            let Some(&(turn, key)) = self.turns.first().filter(|_| due.len() < most) else { return };
            if !self.is_due(turn, now) {
                return;
            }
            let id = self.write(key, now); // also for another's: its owner writes it
            due.extend(id.filter(|_| share.owns(key)));
        }
    }

    /// Counts delistings; ask before the catalog is loaded from which lists are made.
    pub(crate) fn delistings(&self) -> u64 {
        self.delistings
    }

    /// Delisted items whose lists are to be deleted; each is told once.
    pub(crate) fn take_gone(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.gone).into_values().collect()
    }

    /// Takes note of a list as written: its entries are items too. `delistings`: the count before it was made.
    pub(crate) fn wrote<'a>(&mut self, id: &str, entries: impl Iterator<Item = &'a str>, delistings: u64) {
        let key = key_of(id);
        let late = self.delistings != delistings;
        let shows: Box<[u64]> = entries
            .map(|entry| {
                self.learn(entry);
                key_of(entry)
            })
            .collect();
        match self.items.get_mut(&key) {
            Some(item) => item.shows = shows,
            None if late => self.is_gone(key, id.into()), // delisted while its list was being made
            None => {}                                    // went at the bound meanwhile: its list expires
        }
        if late {
            self.turn(key, AT_ONCE); // it may show what was delisted meanwhile
        }
    }

    /// How many items are kept.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

#[cfg(test)]
mod tests;
