//! Rows of a log as they are held in memory: 40 bytes each, ids once each.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Event, EventType, Item, MAX_ID_BYTES, Timestamp, vocabulary};

use super::columns::Role;
use super::content::{Contents, Place};
use super::ids::Ids;
use super::nothing::Nothing;
use super::skip::{Example, Skip, Unread};
use super::time::{self, Form};
use super::time_format::TimeFormat;
use super::{Options, column};
use crate::shown;

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

impl<'a> Raw<'a> {
    /// A row whose columns are all text, the time's, too.
    pub(super) fn of_text(text: impl Fn(Role) -> Option<&'a str>) -> Self {
        Self {
            user: text(Role::User).unwrap_or_default(),
            item: text(Role::Item).unwrap_or_default(),
            time: text(Role::Time).map_or(Moment::Place, Moment::Text),
            session: text(Role::Session),
            kind: text(Role::Type),
            value: text(Role::Value),
            content: Role::CONTENT.map(&text),
        }
    }
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

/// 2000-01-01 in milliseconds since 1970: ingest takes nothing older. Also the time of a log without times before its
/// first row, each of which is a second later: long enough ago that no row is in the future.
pub(crate) const YEAR_2000: i64 = 946_684_800_000;

/// Words for types that are met and not known, as many as are told.
const WORDS: usize = 6;

#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) ts: i64,
    /// NaN for none.
    value: f64,
    pub(super) user: u32,
    pub(super) item: u32,
    /// `u32::MAX` for none.
    session: u32,
    /// Number of the row in the file, from 1.
    pub(super) number: u32,
    kind: EventType,
    /// How sure the time is, until the whole column was seen.
    pub(super) form: Form,
}

impl Row {
    pub(super) fn place(&self) -> Place {
        Place { ts: self.ts, number: self.number }
    }
}

/// Collects rows; knows why some were left out.
#[derive(Debug)]
pub(super) struct Table {
    /// Rows seen, usable or not.
    pub(super) rows: u64,
    /// Those that were not, by reason, and one of each.
    pub(super) skipped: BTreeMap<Skip, u64>,
    pub(super) examples: BTreeMap<Skip, Example>,
    /// What whoever reads the log should know of it, in words.
    pub(super) remarks: Vec<String>,
    default_type: EventType,
    nothing: Nothing,
    time_format: Option<TimeFormat>,
    /// Words that stand where a type should be.
    words: BTreeSet<String>,
    pub(super) kept: Vec<Row>,
    pub(super) users: Ids,
    pub(super) items: Ids,
    sessions: Ids,
    pub(super) contents: Contents,
}

/// Why a row gives no event: the reason, and what stands there.
type Left<'t> = (Skip, &'t str);

impl Table {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            rows: 0,
            skipped: BTreeMap::new(),
            examples: BTreeMap::new(),
            remarks: Vec::new(),
            default_type: options.default_type,
            nothing: options.nothing.clone(),
            time_format: options.time_format.clone(),
            words: BTreeSet::new(),
            kept: Vec::new(),
            users: Ids::default(),
            items: Ids::default(),
            sessions: Ids::default(),
            contents: Contents::default(),
        }
    }

    /// Counts a row that gives no event; the first of its kind is told as `text` has it.
    pub(super) fn skip(&mut self, reason: Skip, text: impl FnOnce() -> String) {
        self.rows += 1;
        self.leave(reason, self.rows, text);
    }

    fn leave(&mut self, reason: Skip, row: u64, text: impl FnOnce() -> String) {
        *self.skipped.entry(reason).or_default() += 1;
        self.examples.entry(reason).or_insert_with(|| Example { row, text: text() });
    }

    /// Takes a row, or counts why not.
    pub(super) fn take(&mut self, raw: Raw<'_>) {
        self.rows += 1;
        match self.judge(raw) {
            Ok(row) => self.kept.push(row),
            Err((reason, text)) => {
                if reason == Skip::UnknownType && self.words.len() < WORDS {
                    self.words.insert(shown::quoted(text));
                }
                self.leave(reason, self.rows, || match (reason, text.trim()) {
                    (_, "") => "nothing in it".to_owned(),
                    (Skip::BadTime, text) if time::is_of_day(text) => {
                        format!("{}, a time of the day without a date", shown::quoted(text))
                    }
                    (_, text) => shown::quoted(text),
                });
            }
        }
    }

    fn judge<'t>(&mut self, raw: Raw<'t>) -> Result<Row, Left<'t>> {
        let user = self.nothing.present(raw.user).ok_or((Skip::MissingUser, raw.user))?;
        let item = self.nothing.present(raw.item).ok_or((Skip::MissingItem, raw.item))?;
        let session = raw.session.and_then(|text| self.nothing.present(text));
        if let Some(long) = [Some(user), Some(item), session].into_iter().flatten().find(|id| id.len() > MAX_ID_BYTES) {
            return Err((Skip::LongId, long));
        }
        let (ts, form) = self.moment(raw.time)?;
        let kind = match raw.kind {
            None => self.default_type,
            Some(text) => {
                let word = self.nothing.present(text).ok_or((Skip::MissingType, text))?;
                vocabulary::event_type(word).ok_or((Skip::UnknownType, word))?
            }
        };
        let value = match raw.value.and_then(|text| self.nothing.present(text)) {
            None => f64::NAN,
            Some(text) => text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or((Skip::BadValue, text))?,
        };
        if value <= 0.0 && matches!(kind, EventType::Cart | EventType::Purchase) {
            return Err((Skip::Cancelled, raw.value.unwrap_or_default()));
        }
        // A log of over four billion rows would not fit into memory anyway; past that ids repeat row numbers.
        let number = u32::try_from(self.rows).unwrap_or(u32::MAX);
        let row = Row {
            ts,
            value,
            user: self.users.intern(user),
            item: self.items.intern(item),
            session: session.map_or(u32::MAX, |session| self.sessions.intern(session)),
            number,
            kind,
            form,
        };
        let content = raw.content.map(|text| text.and_then(|text| self.nothing.present(text)));
        self.contents.take(row.item, row.place(), content);
        Ok(row)
    }

    fn moment<'t>(&self, time: Moment<'t>) -> Result<(i64, Form), Left<'t>> {
        let (ts, form, text) = match time {
            Moment::Millis(ms) => (ms, Form::Sure, ""),
            Moment::Place => (YEAR_2000 + i64::try_from(self.rows).unwrap_or(i64::MAX / 2_000) * 1_000, Form::Sure, ""),
            Moment::Text(text) => {
                let present = self.nothing.present(text).ok_or((Skip::MissingTime, text))?;
                let read = match &self.time_format {
                    Some(format) => format.read(present).map(|ms| (ms, Form::Sure)),
                    None => time::read(present),
                };
                let (ts, form) = read.ok_or((Skip::BadTime, text))?;
                (ts, form, text)
            }
        };
        // Outside these the calendar ends, and sums would, too.
        let is_in_calendar = jiff::Timestamp::from_millisecond(ts).is_ok();
        if is_in_calendar { Ok((ts, form)) } else { Err((Skip::NoRealTime, text)) }
    }

    /// Settles what only the whole column of times tells, and says what is odd about the log; asked for once.
    pub(super) fn settle(&mut self) {
        column::settle(self);
    }

    /// Leaves out rows that are kept, for a reason that only the whole log gives.
    pub(super) fn drop_rows(&mut self, reason: Skip, is_meant: impl Fn(&Row) -> bool) {
        let (left, kept): (Vec<Row>, Vec<Row>) = std::mem::take(&mut self.kept).into_iter().partition(is_meant);
        self.kept = kept;
        for row in &left {
            self.leave(reason, u64::from(row.number), || Timestamp(row.ts).to_string());
        }
        // What they say of their items holds from the item's first event on.
        let mut first: BTreeMap<u32, Place> = left.iter().map(|row| (row.item, Place::NEVER)).collect();
        for row in self.kept.iter().filter(|_| !left.is_empty()) {
            if let Some(place) = first.get_mut(&row.item) {
                *place = row.place().min(*place);
            }
        }
        for row in &left {
            self.contents.replace(row.item, row.place(), first.get(&row.item).copied().unwrap_or(Place::NEVER));
        }
    }

    /// The words that stand where a type should be and are none, if there are.
    pub(super) fn unknown_words(&self) -> Option<String> {
        let some = self.words.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        (!self.words.is_empty()).then(|| format!("{some}; there are {}", vocabulary::TYPE_NAMES))
    }

    /// What usable rows say about their items and cannot be read, by reason; asked for once.
    pub(super) fn take_unread(&mut self) -> (BTreeMap<Unread, u64>, BTreeMap<Unread, Example>) {
        (std::mem::take(&mut self.contents.unread), std::mem::take(&mut self.contents.examples))
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

    pub(super) fn count_users(&self) -> usize {
        distinct(self.kept.iter().map(|row| row.user), self.users.len())
    }

    pub(super) fn count_items(&self) -> usize {
        distinct(self.kept.iter().map(|row| row.item), self.items.len())
    }

    pub(super) fn ends(&self) -> Option<(u32, u32)> {
        Some((self.kept.first()?.number, self.kept.last()?.number))
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
