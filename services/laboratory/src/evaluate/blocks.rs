//! Reads blocks of sessions as the ADER paper cut them: `period_0.txt`, `period_1.txt`, …, one `session item` a line.

use std::path::{Path, PathBuf};

use schemas::{Event, EventType, Timestamp};

use crate::error::Error;

/// The files have no times: block n is week n after this moment (2026-01-05, a Monday), its events evenly spread.
const FIRST_WEEK: i64 = 1_767_571_200_000;
const WEEK_MS: i64 = 7 * 86_400_000;

/// One block: who chose what, in the file's order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) events: Vec<(String, String)>,
    number: usize,
}

impl Block {
    pub(crate) fn new(number: usize, events: Vec<(String, String)>) -> Self {
        Self { events, number }
    }

    /// Event time of the `n`-th event.
    pub(crate) fn ts(&self, n: usize) -> i64 {
        let place = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let within = i128::from(WEEK_MS) * i128::from(place(n)) / i128::from(place(self.events.len().max(1)));
        FIRST_WEEK + WEEK_MS * place(self.number) + i64::try_from(within).unwrap_or(0)
    }

    /// The `n`-th event.
    pub(crate) fn event(&self, n: usize) -> Event {
        let (session, item) = &self.events[n];
        Event {
            event_id: None,
            kind: EventType::View,
            user_id: session.clone(),
            session_id: Some(session.clone()),
            item_id: item.clone(),
            ts: Timestamp(self.ts(n)),
            value: None,
            items: Vec::new(),
        }
    }
}

/// Reads every block of a folder, in order.
///
/// # Errors
/// When there is no `period_0.txt`, or a line is not of the form.
pub(crate) fn read(folder: &Path) -> Result<Vec<Block>, Error> {
    let path = |n: usize| folder.join(format!("period_{n}.txt"));
    let paths: Vec<PathBuf> = (0..).map(path).take_while(|path| path.is_file()).collect();
    if paths.is_empty() {
        return Err(Error::Other(format!("{} has no period_0.txt; name a folder of ADER blocks", folder.display())));
    }
    paths.iter().enumerate().map(|(n, path)| read_one(n, path)).collect()
}

fn read_one(number: usize, path: &Path) -> Result<Block, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    let mut events = Vec::new();
    for (line, at) in text.lines().zip(1..) {
        let mut fields = line.split_ascii_whitespace();
        match (fields.next(), fields.next(), fields.next()) {
            (Some(session), Some(item), None) => events.push((session.to_owned(), item.to_owned())),
            (None, ..) => {}
            _ => return Err(Error::Other(format!("{}:{at}: not of the form `session item`", path.display()))),
        }
    }
    Ok(Block::new(number, events))
}

/// What is left of a block as a test, and what was taken away.
#[derive(Debug, PartialEq)]
pub(crate) struct Test {
    /// Sessions of at least two events, each its number in the block; sessions in order of their first event.
    pub(crate) sessions: Vec<Vec<usize>>,
    /// Events of items that were never seen before the block.
    pub(crate) unseen: usize,
    /// Sessions that were then left with one item.
    pub(crate) short: usize,
}

impl Block {
    /// First items that were never seen go, then sessions of length one; repeats stay.
    pub(crate) fn test(&self, seen: impl Fn(&str) -> bool) -> Test {
        let mut sessions: Vec<Vec<usize>> = Vec::new();
        let mut numbers = std::collections::HashMap::new();
        let mut unseen = 0;
        for (n, (session, item)) in self.events.iter().enumerate() {
            if !seen(item) {
                unseen += 1;
                continue;
            }
            let number = *numbers.entry(session.as_str()).or_insert_with(|| {
                sessions.push(Vec::new());
                sessions.len() - 1
            });
            sessions[number].push(n);
        }
        let all = sessions.len();
        sessions.retain(|session| session.len() > 1);
        Test { unseen, short: all - sessions.len(), sessions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: usize, text: &str) -> Block {
        let pair = |line: &str| line.split_once(' ').map(|(s, i)| (s.to_owned(), i.to_owned()));
        Block::new(number, text.lines().filter_map(pair).collect())
    }

    #[test]
    fn items_never_seen_go_before_sessions_of_length_one() {
        let seen = |item: &str| ["a", "b"].contains(&item);
        // Session 1 keeps a, b. Session 2 has two events, but one of them is new: what is left is too short.
        let block = block(1, "1 a\n2 a\n1 new\n2 new\n3 b\n1 b");
        let test = block.test(seen);
        assert_eq!(test.sessions, [[0, 5]]);
        assert_eq!((test.unseen, test.short), (2, 2));
    }

    #[test]
    fn repeats_stay_in() {
        assert_eq!(block(0, "1 a\n1 a\n1 a").test(|item| item == "a").sessions[0].len(), 3);
    }

    #[test]
    fn a_block_is_a_week_and_its_events_are_spread_over_it() {
        let block = block(2, "1 a\n1 b\n1 c\n1 d");
        assert_eq!(block.ts(0), FIRST_WEEK + 2 * WEEK_MS);
        assert_eq!(block.ts(1) - block.ts(0), WEEK_MS / 4);
        assert_eq!(block.event(3).ts.0, FIRST_WEEK + 2 * WEEK_MS + WEEK_MS / 4 * 3);
    }
}
