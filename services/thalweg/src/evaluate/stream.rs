//! What is tested on: a recorded log, or a folder of ADER blocks as one stream.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use schemas::Event;

use super::blocks::{self, Block};
use crate::cli::LogArgs;
use crate::error::Error;
use crate::log::Log;

/// A recorded stream, held in memory.
pub(crate) struct Stream {
    /// Rows read, usable or not.
    pub(crate) rows: u64,
    /// Rows that gave no event, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) users: usize,
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
            return Self::of_blocks(blocks::read(path)?, args.limit);
        }
        let log = crate::commands::open_log(path, args)?;
        Ok(Self {
            rows: log.rows,
            skipped: log.skipped.iter().map(|(reason, count)| (reason.to_string(), *count)).collect(),
            users: log.users(),
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
        Ok(Self { rows: rows as u64, skipped: BTreeMap::new(), users, recorded: Recorded::Blocks(blocks, places) })
    }

    pub(crate) fn len(&self) -> usize {
        match &self.recorded {
            Recorded::Log(log) => log.len(),
            Recorded::Blocks(_, places) => places.len(),
        }
    }

    /// The events, oldest first; they may be gone through again.
    pub(crate) fn events(&self) -> Box<dyn ExactSizeIterator<Item = Event> + '_> {
        match &self.recorded {
            Recorded::Log(log) => Box::new(log.events()),
            Recorded::Blocks(blocks, places) => Box::new(places.iter().map(|(b, n)| blocks[*b].event(*n))),
        }
    }
}
