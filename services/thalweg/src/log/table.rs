//! Rows of a log as they are held in memory: 40 bytes each, ids once each.

use std::collections::BTreeMap;

use schemas::{Event, EventType, Item, Timestamp, vocabulary};

use super::content::{Contents, Place};
use super::ids::Ids;
use super::skip::{Skip, Unread};
use super::time;

/// A row as a reader found it; text of a missing column is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) user: &'a str,
    pub(super) item: &'a str,
    pub(super) time: Moment<'a>,
    /// `None` when no column is named.
    pub(super) session: Option<&'a str>,
    /// `None` when no column is named.
    pub(super) kind: Option<&'a str>,
    /// `None` when no column is named.
    pub(super) value: Option<&'a str>,
    /// What the row says about its item, in the order of `Role::CONTENT`.
    pub(super) content: [Option<&'a str>; 4],
}

/// A time as a reader found it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment<'a> {
    /// As text.
    Text(&'a str),
    /// The format knows the unit: milliseconds since 1970.
    Millis(i64),
    /// No column is named for it: the row's place says when.
    Place,
}

/// 2000-01-01 in milliseconds since 1970: ingest takes nothing older. Also the time of a log without times before its first
/// row, each of which is a second later: long enough ago that no row is in the future.
pub(crate) const YEAR_2000: i64 = 946_684_800_000;

#[derive(Debug, Clone, Copy)]
struct Row {
    ts: i64,
    /// NaN for none.
    value: f64,
    user: u32,
    item: u32,
    /// `u32::MAX` for none.
    session: u32,
    /// Number of the row in the file, from 1.
    number: u32,
    kind: EventType,
}

impl Row {
    fn place(&self) -> Place {
        Place { ts: self.ts, number: self.number }
    }
}

/// Collects rows; knows why some were left out.
#[derive(Debug)]
pub(super) struct Table {
    /// Rows seen, usable or not.
    pub(super) rows: u64,
    /// Those that were not, by reason.
    pub(super) skipped: BTreeMap<Skip, u64>,
    default_type: EventType,
    kept: Vec<Row>,
    users: Ids,
    items: Ids,
    sessions: Ids,
    contents: Contents,
}

impl Table {
    pub(super) fn new(default_type: EventType) -> Self {
        Self {
            rows: 0,
            skipped: BTreeMap::new(),
            default_type,
            kept: Vec::new(),
            users: Ids::default(),
            items: Ids::default(),
            sessions: Ids::default(),
            contents: Contents::default(),
        }
    }

    /// Takes a row, or counts why not; `None` is a row of which nothing can be read.
    pub(super) fn push(&mut self, raw: Option<Raw<'_>>) {
        self.rows += 1;
        let kept = raw.ok_or(Skip::Malformed).and_then(|raw| self.judge(raw));
        match kept {
            Ok(row) => self.kept.push(row),
            Err(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
    }

    fn judge(&mut self, raw: Raw<'_>) -> Result<Row, Skip> {
        let user = present(raw.user).ok_or(Skip::MissingUser)?;
        let item = present(raw.item).ok_or(Skip::MissingItem)?;
        let ts = match raw.time {
            Moment::Millis(ms) => ms,
            Moment::Place => YEAR_2000 + i64::try_from(self.rows).unwrap_or(i64::MAX / 2_000) * 1_000,
            Moment::Text(text) => time::parse(present(text).ok_or(Skip::MissingTime)?).ok_or(Skip::BadTime)?,
        };
        let kind = match raw.kind {
            None => self.default_type,
            Some(text) => vocabulary::event_type(present(text).ok_or(Skip::MissingType)?).ok_or(Skip::UnknownType)?,
        };
        let value = match raw.value.and_then(present) {
            None => f64::NAN,
            Some(text) => text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(Skip::BadValue)?,
        };
        if value <= 0.0 && matches!(kind, EventType::Cart | EventType::Purchase) {
            return Err(Skip::Cancelled);
        }
        // A log of over four billion rows would not fit into memory anyway; past that ids repeat row numbers.
        let number = u32::try_from(self.rows).unwrap_or(u32::MAX);
        let row = Row {
            ts,
            value,
            user: self.users.intern(user),
            item: self.items.intern(item),
            session: raw.session.and_then(present).map_or(u32::MAX, |session| self.sessions.intern(session)),
            number,
            kind,
        };
        self.contents.take(row.item, row.place(), raw.content.map(|text| text.and_then(present)));
        Ok(row)
    }

    /// What usable rows say about their items and cannot be read, by reason; asked for once.
    pub(super) fn take_unread(&mut self) -> BTreeMap<Unread, u64> {
        std::mem::take(&mut self.contents.unread)
    }

    /// Orders by time, rows of the same time as they came, and keeps the first `limit`.
    pub(super) fn sort(&mut self, limit: Option<usize>) {
        self.kept.sort_by_key(|row| row.ts);
        self.kept.truncate(limit.unwrap_or(usize::MAX));
        self.kept.shrink_to_fit();
        if let Some(last) = self.kept.last() {
            self.contents.forget_after(last.place());
        }
    }

    /// What is known of the item of the `index`-th row once it is read, when that row adds to it.
    pub(super) fn record(&self, index: usize) -> Option<Item> {
        let row = self.kept[index];
        self.contents.added(row.item, row.place(), || self.items.name(row.item))
    }

    /// What is known of each item in the end.
    pub(super) fn records(&self) -> impl Iterator<Item = Item> + '_ {
        let numbers = 0..u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        numbers.filter_map(|number| self.contents.item(number, || self.items.name(number)))
    }

    /// The `index`-th row as an event whose id starts with `label`.
    pub(super) fn event(&self, index: usize, label: &str) -> Event {
        let row = self.kept[index];
        Event {
            event_id: Some(format!("{label}/{}", row.number)),
            kind: row.kind,
            user_id: self.users.name(row.user),
            session_id: (row.session != u32::MAX).then(|| self.sessions.name(row.session)),
            item_id: self.items.name(row.item),
            ts: Timestamp(row.ts),
            value: (!row.value.is_nan()).then_some(row.value),
            items: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn users(&self) -> usize {
        distinct(self.kept.iter().map(|row| row.user), self.users.len())
    }

    pub(super) fn items(&self) -> usize {
        distinct(self.kept.iter().map(|row| row.item), self.items.len())
    }

    pub(super) fn span(&self) -> Option<(i64, i64)> {
        Some((self.kept.first()?.ts, self.kept.last()?.ts))
    }
}

/// How many of `all` numbers occur.
fn distinct(numbers: impl Iterator<Item = u32>, all: usize) -> usize {
    let mut met = vec![false; all];
    numbers.for_each(|number| met[number as usize] = true);
    met.into_iter().filter(|met| *met).count()
}

/// Trims; nothing left is nothing.
fn present(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}
