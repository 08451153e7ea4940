//! What a log says about its items: a record for each, put together from the rows that name it.
//!
//! Of each field the first value in time counts, and nothing of it is known before that row. Later rows only add what
//! was still missing.

use std::collections::BTreeMap;

use schemas::Item;

use super::columns::Role;
use super::ids::Ids;
use super::skip::{Example, Unread};
use crate::shown;

/// Bytes of a text that count: a record on the topic `items` has a bound, and a title of a page says no more.
const TEXT_BYTES: usize = 1_024;
/// Levels of a dotted category that count; each has lists of its own.
const LEVELS: usize = 8;

/// A row's place in the order of the log: its event time, then its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) ts: i64,
    pub(super) number: u32,
}

impl Place {
    /// Later than every row.
    pub(super) const NEVER: Self = Self { ts: i64::MAX, number: u32::MAX };
}

/// A field's text, and where the log says it first.
#[derive(Debug, Clone, Copy)]
struct Field {
    first: Place,
    text: u32,
}

const VACANT: Field = Field { first: Place::NEVER, text: 0 };
const LAST: Place = Place { ts: i64::MAX - 1, number: u32::MAX };

/// The fields of one item, in the order of [`Role::CONTENT`].
type Fields = [Field; 4];

/// The fields of each item, by its number; 96 bytes each, and every distinct text once.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What was left out, by reason.
    pub(super) unread: BTreeMap<Unread, u64>,
    /// One of each.
    pub(super) examples: BTreeMap<Unread, Example>,
    items: Vec<Fields>,
    texts: Ids,
}

impl Contents {
    /// Takes what a row says about its item.
    pub(super) fn take(&mut self, item: u32, place: Place, content: [Option<&str>; 4]) {
        for (n, (role, text)) in Role::CONTENT.into_iter().zip(content).enumerate() {
            let Some(text) = text else { continue };
            if role == Role::Price
                && let Err(reason) = price(text)
            {
                *self.unread.entry(reason).or_default() += 1;
                let example = || Example { row: u64::from(place.number), text: shown::quoted(text) };
                self.examples.entry(reason).or_insert_with(example);
                continue;
            }
            let at = item as usize;
            if at >= self.items.len() {
                self.items.resize(at + 1, [VACANT; 4]);
            }
            let field = &mut self.items[at][n];
            if place < field.first {
                *field = Field { first: place, text: self.texts.intern(shortened(text)) };
            }
        }
    }

    /// Takes what the item's row at `from` says as said at `to`.
    pub(super) fn replace(&mut self, item: u32, from: Place, to: Place) {
        let fields = self.items.get_mut(item as usize).into_iter().flatten();
        fields.filter(|field| field.first == from).for_each(|field| field.first = to);
    }

    /// Takes every row for as old as `then` says. What counts of a field stays what was the first before.
    pub(super) fn retime(&mut self, then: impl Fn(Place) -> i64) {
        let fields = self.items.iter_mut().flatten().filter(|field| field.first != Place::NEVER);
        fields.for_each(|field| field.first.ts = then(field.first));
    }

    /// Forgets what only rows after `last` say: they are left out of the log.
    pub(super) fn forget_after(&mut self, last: Place) {
        self.items.iter_mut().flatten().filter(|field| field.first > last).for_each(|field| *field = VACANT);
    }

    /// The item's record in the end; `None` when no row says anything about it.
    pub(super) fn item(&self, number: u32, id: impl FnOnce() -> String) -> Option<Item> {
        self.known(number, LAST, id)
    }

    /// The item's record as it is once the row at `place` is read; `None` when that row adds nothing to it.
    pub(super) fn added(&self, number: u32, place: Place, id: impl FnOnce() -> String) -> Option<Item> {
        let fields = self.items.get(number as usize)?;
        fields.iter().any(|field| field.first == place).then(|| self.known(number, place, id)).flatten()
    }

    fn known(&self, number: u32, until: Place, id: impl FnOnce() -> String) -> Option<Item> {
        let fields = self.items.get(number as usize)?;
        let text = |field: &Field| (field.first <= until).then(|| self.texts.get(field.text));
        let [title, category, brand, cost] = fields.each_ref().map(text);
        if [title, category, brand, cost].iter().all(Option::is_none) {
            return None;
        }
        Some(Item {
            item_id: id(),
            title: title.unwrap_or_default().to_owned(),
            categories: category.map(categories).unwrap_or_default(),
            brand: brand.map(str::to_owned),
            price: cost.and_then(|text| price(text).ok()),
            published_at: None,
            available: true,
            attributes: Default::default(),
        })
    }
}

/// From general to special: `a.b.c` is of `a`, of `a.b`, and of `a.b.c`.
fn categories(path: &str) -> Vec<String> {
    let levels = path.split('.').map(str::trim).filter(|level| !level.is_empty()).take(LEVELS);
    let mut categories: Vec<String> = Vec::new();
    for level in levels {
        categories.push(categories.last().map_or_else(|| level.to_owned(), |above| format!("{above}.{level}")));
    }
    categories
}

/// Its beginning, where it is too long.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

fn price(text: &str) -> Result<f64, Unread> {
    match text.parse::<f64>() {
        Ok(price) if price.is_finite() && price >= 0.0 => Ok(price),
        Ok(price) if price.is_finite() => Err(Unread::NegativePrice),
        _ => Err(Unread::BadPrice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_category_is_of_every_level_above_it() {
        let levels = ["electronics", "electronics.audio", "electronics.audio.headphone"];
        assert_eq!(categories("electronics.audio.headphone"), levels);
        assert_eq!(categories("shoes"), ["shoes"]);
        assert_eq!(categories(" .shoes.. running."), ["shoes", "shoes.running"]);
        assert!(categories("...").is_empty());
        assert_eq!(categories(&"a.".repeat(1_000)).len(), LEVELS);
    }

    #[test]
    fn a_field_is_what_the_log_says_first_in_time_and_later_rows_add_what_is_missing() {
        let mut contents = Contents::default();
        let place = |ts| Place { ts, number: 1 };
        contents.take(3, place(20), [Some("late"), None, Some("Vera"), Some("7")]);
        contents.take(3, place(10), [Some("early"), None, None, Some("free")]);
        contents.take(3, place(30), [None, Some("shoes"), Some("Kabek"), None]);
        assert_eq!(contents.unread, [(Unread::BadPrice, 1)].into());
        let item = |contents: &Contents| contents.item(3, || "i".to_owned()).expect("is known");
        let all = item(&contents);
        assert_eq!((all.title.as_str(), all.brand.as_deref(), all.price), ("early", Some("Vera"), Some(7.0)));
        assert_eq!(all.categories, ["shoes"]);
        // Nothing is known before a row says it, and a row that adds nothing makes no record.
        let at = |ts| contents.added(3, place(ts), || "i".to_owned());
        let early = at(10).expect("adds the title");
        assert_eq!((early.title.as_str(), early.brand, early.price), ("early", None, None));
        assert_eq!(at(20).and_then(|item| item.brand).as_deref(), Some("Vera"));
        assert!(at(30).is_some() && at(40).is_none());
        // What lies after the end of the log is not known.
        contents.forget_after(place(10));
        let cut = item(&contents);
        assert_eq!((cut.title.as_str(), cut.brand, cut.price, cut.categories.len()), ("early", None, None, 0));
        contents.forget_after(place(5));
        assert!(contents.item(3, String::new).is_none() && contents.item(4, String::new).is_none());
    }

    #[test]
    fn a_text_beyond_the_bound_is_cut_between_two_characters() {
        let long = format!("{}é", "a".repeat(TEXT_BYTES - 1));
        assert_eq!(shortened(&long), "a".repeat(TEXT_BYTES - 1));
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn only_a_number_that_can_be_paid_is_a_price() {
        assert_eq!(["79.50", "0"].map(price), [Ok(79.5), Ok(0.0)]);
        assert_eq!(price("-1"), Err(Unread::NegativePrice));
        assert!(["", "12,50", "$5", "NaN", "-inf"].into_iter().all(|text| price(text) == Err(Unread::BadPrice)));
    }
}
