//! Puts an item together from its records: the whole one, and parts of it under keys of their own.
//!
//! Compaction keeps the last record of each key and the order of the log. So what holds is told from just that: of each
//! field what was said last, by the last record under each of the item's keys. Whoever starts later and reads a
//! compacted log comes to the same. Only an update under the item's own key is of another kind: it changes what is
//! known, and compaction takes away the record that it changed.

use std::collections::HashMap;

use super::{Fields, Item, MAX_PARTS, PART, Reading, Says};
use crate::{DeadLetter, Reason, key_of};

/// An item whose state a record changed; `None` delists it.
pub type Change = (String, Option<Item>);

/// The last record under one key, and its place in the order of reading.
#[derive(Debug, Clone)]
struct Layer {
    at: u64,
    fields: Fields,
}

/// Everything said of one item.
#[derive(Debug, Clone)]
struct Said {
    id: Box<str>,
    whole: Option<Layer>,
    /// By name; the empty name is updates under the item's own key, one over the other.
    parts: Vec<(Box<str>, Layer)>,
}

impl Said {
    fn of(id: &str) -> Self {
        Self { id: id.into(), whole: None, parts: Vec::new() }
    }

    /// What holds, if the whole item was ever described.
    fn fields(&self) -> Fields {
        let mut layers: Vec<&Layer> = self.whole.iter().chain(self.parts.iter().map(|(_, layer)| layer)).collect();
        layers.sort_unstable_by_key(|layer| layer.at);
        let mut fields = Fields::default();
        layers.into_iter().for_each(|layer| fields.overlay(&layer.fields));
        fields
    }

    fn part(&mut self, name: &str) -> Option<&mut Layer> {
        self.parts.iter_mut().find(|(known, _)| **known == *name).map(|(_, layer)| layer)
    }
}

/// What the log said of each item so far. Its size is the catalog's.
#[derive(Debug, Default)]
pub struct Fold {
    items: HashMap<u64, Said>,
    /// Ids of items that another log of the same name had, and this one has not named yet.
    before: HashMap<u64, Box<str>>,
    records: u64,
}

impl Fold {
    /// Whether nothing was said of any item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The topic was made again, or cut off: the log is read from its beginning, and nothing that was said holds.
    pub fn begin_anew(&mut self) {
        self.before.extend(self.items.drain().map(|(key, said)| (key, said.id)));
    }

    /// The log was read to its end: what the one before had and this one has not is delisted.
    pub fn left_out(&mut self) -> Vec<Change> {
        self.before.drain().map(|(_, id)| (String::from(id), None)).collect()
    }

    /// Takes a record in, in the order of the log; what it changes, and what more is wrong with it now that the records
    /// before it are known.
    pub fn take(&mut self, reading: Reading) -> (Option<Change>, Option<DeadLetter>) {
        let (change, fault) = self.changed_by(reading);
        if let Some((id, _)) = &change {
            self.before.remove(&key_of(id));
        }
        (change, fault)
    }

    fn changed_by(&mut self, reading: Reading) -> (Option<Change>, Option<DeadLetter>) {
        self.records += 1;
        let Reading { item_id, says, .. } = reading;
        match says {
            Says::Nothing => (None, None),
            Says::Gone => (Some(self.gone(item_id)), None),
            Says::Whole(fields) => {
                let said = self.items.entry(key_of(&item_id)).or_insert_with(|| Said::of(&item_id));
                said.parts.retain(|(name, _)| !name.is_empty());
                said.whole = Some(Layer { at: self.records, fields });
                (Some((item_id.clone(), Some(said.fields().item(item_id)))), None)
            }
            Says::Part(name, fields) => self.update(item_id, &name, fields),
        }
    }

    fn update(&mut self, item_id: String, name: &str, fields: Fields) -> (Option<Change>, Option<DeadLetter>) {
        let at = self.records;
        let said = self.items.entry(key_of(&item_id)).or_insert_with(|| Said::of(&item_id));
        let (is_own, has_base) = (name.is_empty(), said.whole.is_some());
        if let Some(layer) = said.part(name) {
            let said_before = if is_own { std::mem::take(&mut layer.fields) } else { Fields::default() };
            *layer = Layer { at, fields: said_before };
            layer.fields.overlay(&fields);
        } else if said.parts.len() < MAX_PARTS {
            said.parts.push((name.into(), Layer { at, fields }));
        } else {
            let detail = format!("an item has at most {MAX_PARTS} parts; write this one under the key of another");
            return (None, Some(DeadLetter { reason: Reason::TooMany, detail }));
        }
        let merged = said.fields();
        let fault = is_own.then(|| DeadLetter {
            reason: Reason::UpdateKey,
            detail: format!(
                "an update under the item's own key: {}; write the whole record again, and updates under a key of their \
                 own, the item's id, `#` and a name",
                if has_base {
                    "it was taken, but compaction will take away the record that it changes"
                } else {
                    "the record that it changes is not there"
                }
            ),
        });
        let change = match (has_base, merged.available) {
            (true, _) => Some((item_id.clone(), Some(merged.item(item_id)))),
            (false, Some(false)) => Some((item_id, None)), // it binds
            (false, _) => None,                            // it waits for the whole record
        };
        (change, fault)
    }

    /// A key's record is gone: a part's, or the item's own.
    fn gone(&mut self, key: String) -> Change {
        for (at, _) in key.match_indices(PART) {
            let (item_id, part) = (&key[..at], &key[at + PART.len_utf8()..]);
            if let Some(said) = self.items.get_mut(&key_of(item_id))
                && !part.is_empty()
                && said.part(part).is_some()
            {
                said.parts.retain(|(name, _)| **name != *part);
                let item = said.whole.is_some().then(|| said.fields().item(item_id.to_owned()));
                return (item_id.to_owned(), item);
            }
        }
        if let Some(said) = self.items.get_mut(&key_of(&key)) {
            said.whole = None;
            said.parts.retain(|(name, _)| !name.is_empty());
            if said.parts.is_empty() {
                self.items.remove(&key_of(&key));
            }
        }
        (key, None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn what_a_log_that_was_made_again_does_not_have_is_delisted_once_it_is_read() {
        let mut fold = Fold::default();
        let take = |fold: &mut Fold, key: &str, value: &str| fold.take(read(key.as_bytes(), Some(value.as_bytes())));
        for id in ["a", "b", "c"] {
            take(&mut fold, id, &format!(r#"{{"item_id":"{id}","title":"old"}}"#));
        }
        take(&mut fold, "a#stock", r#"{"update":true,"item_id":"a","available":false}"#);
        fold.begin_anew();
        let (change, _) = take(&mut fold, "a", r#"{"item_id":"a"}"#);
        let item = change.and_then(|(_, item)| item).expect("it is listed");
        assert!(item.available && item.title.is_empty(), "nothing of before holds: {item:?}");
        take(&mut fold, "c#stock", r#"{"update":true,"item_id":"c","price":3}"#); // of an item that is not there
        let mut left_out: Vec<String> = fold.left_out().into_iter().map(|(id, _)| id).collect();
        left_out.sort();
        assert_eq!(left_out, ["b", "c"]);
        assert!(fold.left_out().is_empty(), "told once");
    }
}
