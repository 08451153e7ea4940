//! What is tested on: a recorded log, or a folder of ADER blocks as one stream.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use schemas::Item;

use super::blocks::{self, Block};
use super::listing::Listing;
use crate::error::Error;
use crate::log::{Columns, Entry, Log, by_name};
use crate::recorded::LogArgs;

/// A recorded stream, held in memory.
pub(crate) struct Stream {
    /// Rows read, usable or not.
    pub(crate) rows: u64,
    /// Rows that gave no event, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// What events' rows say about their items and cannot be read, by reason.
    pub(crate) unread: BTreeMap<String, u64>,
    pub(crate) users: usize,
    /// Whether the log carries a catalog.
    pub(crate) has_catalog: bool,
    recorded: Recorded,
}

enum Recorded {
    Log(Box<Log>),
    /// Block and place in it, in order.
    Blocks(Vec<Block>, Vec<(usize, usize)>),
}

impl Stream {
    pub(crate) fn open(path: &Path, args: &LogArgs) -> Result<Self, Error> {
        if path.is_dir() {
            if args.columns.is_some() {
                let what = "a folder of period_*.txt has no columns: leave --columns out, or name a file";
                return Err(Error::Other(what.to_owned()));
            }
            return Self::of_blocks(blocks::read(path)?, args.limit);
        }
        let log = args.open(path)?;
        Ok(Self {
            rows: log.rows,
            skipped: by_name(&log.skipped),
            unread: by_name(&log.unread),
            users: log.users(),
            has_catalog: args.columns.as_ref().is_some_and(Columns::has_content),
            recorded: Recorded::Log(Box::new(log)),
        })
    }

    fn of_blocks(blocks: Vec<Block>, limit: Option<usize>) -> Result<Self, Error> {
        let rows = blocks.iter().map(|block| block.events.len()).sum();
        let length = limit.unwrap_or(rows).min(rows);
        let places = blocks.iter().enumerate().flat_map(|(b, block)| (0..block.events.len()).map(move |n| (b, n)));
        let places: Vec<(usize, usize)> = places.take(length).collect();
        let users: HashSet<&str> = places.iter().map(|(b, n)| blocks[*b].events[*n].0.as_str()).collect();
        let users = users.len();
        Ok(Self {
            rows: rows as u64,
            skipped: BTreeMap::new(),
            unread: BTreeMap::new(),
            users,
            has_catalog: false,
            recorded: Recorded::Blocks(blocks, places),
        })
    }

    pub(crate) fn len(&self) -> usize {
        match &self.recorded {
            Recorded::Log(log) => log.len(),
            Recorded::Blocks(_, places) => places.len(),
        }
    }

    /// The events, oldest first, with the records that are listed as their items are met; they may be gone through
    /// again.
    pub(crate) fn entries(&self, listing: Listing) -> Box<dyn ExactSizeIterator<Item = Entry> + '_> {
        match (&self.recorded, listing) {
            (Recorded::Log(log), Listing::AsMet) => Box::new(log.entries()),
            (Recorded::Log(log), Listing::FromStart) => Box::new(log.events().map(Entry::from)),
            (Recorded::Blocks(blocks, places), _) => Box::new(places.iter().map(|(b, n)| blocks[*b].event(*n).into())),
        }
    }

    /// Whether the catalog says anything about any item.
    pub(crate) fn has_records(&self) -> bool {
        match &self.recorded {
            Recorded::Log(log) => log.has_records(),
            Recorded::Blocks(..) => false,
        }
    }

    /// The records that are listed before the first event.
    pub(crate) fn listed(&self, listing: Listing) -> Vec<Item> {
        match (&self.recorded, listing) {
            (Recorded::Log(log), Listing::FromStart) => log.records(),
            _ => Vec::new(),
        }
    }
}
