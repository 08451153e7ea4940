//! From a payload into what is known.

use std::collections::HashMap;

use safetensors::tensor::Dtype;
use schemas::checkpoint::PayloadKind;
use schemas::{Secret, UserKey};

use super::read::{Payload, SUM, same_length};
use super::rows;
use crate::error::Error;
use crate::keymap::Plain;
use crate::knowledge::{ContentRow, Counted, Knowledge};
use crate::memory::covisitation::{Neighbour, Neighbours, WAYS, Ways};
use crate::memory::popularity::{Counters, HALF_LIVES};
use crate::memory::repeats::Repurchase;
use crate::memory::sessions::Session;
use crate::table::items::{Entry, Moved, PROVEN, RowRef};

impl Payload<'_> {
    /// Writes the payload's items, pairs and content into `knowledge`.
    pub(crate) fn merge_into(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        for key in self.column("items.removed", Dtype::U64, u64::from_le_bytes)? {
            knowledge.remove(key);
        }
        self.merge_items(knowledge)?;
        self.merge_item_rows(knowledge)?;
        match self.metadata.kind {
            PayloadKind::Snapshot => {
                self.merge_pairs(knowledge)?;
                self.merge_sessions(knowledge)?;
            }
            PayloadKind::Delta => self.merge_choices(knowledge)?,
        }
        self.merge_repurchases(knowledge)?;
        // Who chose them is known only now.
        for key in self.column("items.key", Dtype::U64, u64::from_le_bytes)? {
            knowledge.note_arrival(key);
        }
        for key in self.column("content.removed", Dtype::U64, u64::from_le_bytes)? {
            knowledge.free_content(key);
        }
        let dim = knowledge.table().dim();
        let keys = self.column("content.key", Dtype::U64, u64::from_le_bytes)?;
        let accumulators = self.column("content.accumulator", Dtype::F32, f32::from_le_bytes)?;
        same_length("content.accumulator", accumulators.len(), keys.len())?;
        // Only who learns on asks for a feature's row: the items' vectors have it in them.
        if knowledge.table().served_in().is_none() {
            let rows = rows::read(self, "content.row", dim)?;
            same_length("content.row", rows.len(), keys.len() * dim)?;
            for ((key, accumulator), row) in keys.into_iter().zip(accumulators).zip(rows.chunks_exact(dim)) {
                knowledge.insert_content(key, ContentRow { row: row.to_vec(), accumulator });
            }
        }
        let totals = self.column("popularity.total", Dtype::F64, f64::from_le_bytes)?;
        same_length("popularity.total", totals.len(), HALF_LIVES)?;
        knowledge.restore_totals(counters_of(&totals, 0));
        Ok(())
    }

    fn merge_items(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let keys = self.column("items.key", Dtype::U64, u64::from_le_bytes)?;
        let n = keys.len();
        let slots = self.column("items.slot", Dtype::U32, u32::from_le_bytes)?;
        let sightings = self.column("items.sightings", Dtype::U32, u32::from_le_bytes)?;
        let repeated = self.repeated(n)?;
        let chosen_by = self.chosen_by(n)?;
        let first_ts = self.column("items.first_ts", Dtype::I64, i64::from_le_bytes)?;
        let last_ts = self.column("items.last_ts", Dtype::I64, i64::from_le_bytes)?;
        let counters = self.column("items.popularity", Dtype::F64, f64::from_le_bytes)?;
        let ids = self.data("items.id", Dtype::U8)?;
        let ends = self.column("items.id_end", Dtype::U32, u32::from_le_bytes)?;
        for (name, got, expected) in [
            ("items.slot", slots.len(), n),
            ("items.sightings", sightings.len(), n),
            ("items.repeated", repeated.len(), n),
            ("items.chosen_by", chosen_by.len(), n),
            ("items.first_ts", first_ts.len(), n),
            ("items.last_ts", last_ts.len(), n),
            ("items.popularity", counters.len(), n * HALF_LIVES),
            ("items.id_end", ends.len(), n),
        ] {
            same_length(name, got, expected)?;
        }
        // Items that changed places leave theirs first, all of them: one may go where another came from.
        let mut moved: Plain<u64, (Entry, Moved)> = Plain::default();
        for (key, slot) in keys.iter().zip(&slots) {
            if knowledge.table().slot(*key).is_some_and(|old| old != *slot) {
                moved.extend(knowledge.lift(*key).map(|lifted| (*key, lifted)));
            }
        }
        let mut start = 0;
        for i in 0..n {
            let end = ends[i] as usize;
            let id = ids.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let id = id.ok_or_else(|| Error::tensor("items.id", "holds no UTF-8 where an id should be"))?;
            start = end;
            let new = counters_of(&counters, i);
            let key = keys[i];
            let slot = slots[i];
            if slot as usize >= self.metadata.slots {
                return Err(Error::tensor("items.slot", "lies beyond the table"));
            }
            let placed = match knowledge.table().slot(key) {
                Some(at) => at == slot,
                None => match moved.remove(&key) {
                    Some(lifted) => knowledge.put_at(slot, lifted),
                    None => {
                        let entry = Entry::new(key, id.into(), first_ts[i]);
                        knowledge.insert_at(slot, Entry { chosen_by: chosen_by[i], ..entry })
                    }
                },
            };
            if !placed {
                return Err(Error::tensor("items.slot", "puts two items into one slot or one into two"));
            }
            let (sightings, repeated, chosen_by) = (sightings[i], repeated[i], chosen_by[i]);
            let counted = Counted { counters: new, sightings, repeated, chosen_by, last_ts: last_ts[i] };
            knowledge.restore_counts(slot, counted);
        }
        Ok(())
    }

    fn merge_item_rows(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let dim = knowledge.table().dim();
        let slots = self.column("items.row_slot", Dtype::U32, u32::from_le_bytes)?;
        let rows = rows::read(self, self.name_of_rows(), dim)?;
        let accumulators = self.column("items.accumulator", Dtype::F32, f32::from_le_bytes)?;
        let content_of = self.column("items.content_of", Dtype::U32, u32::from_le_bytes)?;
        let content = rows::read(self, "items.content", dim)?;
        same_length(self.name_of_rows(), rows.len(), slots.len() * dim)?;
        same_length("items.accumulator", accumulators.len(), slots.len())?;
        same_length("items.content", content.len(), content_of.len() * dim)?;
        let content: HashMap<u32, &[f32]> = content_of.into_iter().zip(content.chunks_exact(dim)).collect();
        let each = slots.iter().zip(rows.chunks_exact(dim)).zip(&accumulators);
        for (index, ((slot, row), accumulator)) in (0_u32..).zip(each) {
            if knowledge.table().entry(*slot).is_none() {
                return Err(Error::tensor("items.row_slot", "names a slot where no item is"));
            }
            let content = content.get(&index).copied();
            let row = RowRef { row, content, accumulator: *accumulator };
            if self.name_of_rows() == SUM {
                knowledge.restore_sum(*slot, row);
            } else {
                knowledge.restore_row(*slot, row);
            }
        }
        Ok(())
    }

    /// Counts a delta's choices as the learner did: pairs and sessions follow from them. What went took its pairs
    /// along.
    fn merge_choices(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let users = self.column("choices.user", Dtype::U64, UserKey::from_le_bytes)?;
        let keys = self.column("choices.key", Dtype::U64, u64::from_le_bytes)?;
        let times = self.column("choices.ts", Dtype::I64, i64::from_le_bytes)?;
        let ends = self.column("choices.end", Dtype::U64, u64::from_le_bytes)?;
        let earlier = self.column("choices.earlier", Dtype::U64, u64::from_le_bytes)?;
        let near = self.column("choices.near", Dtype::F32, f32::from_le_bytes)?;
        same_length("choices.user", users.len(), keys.len())?;
        same_length("choices.ts", times.len(), keys.len())?;
        same_length("choices.near", near.len(), earlier.len())?;
        let ranges = ranges("choices.end", &ends, keys.len(), earlier.len())?;
        let removed = self.column("items.removed", Dtype::U64, u64::from_le_bytes)?;
        let after = self.column("items.removed_after", Dtype::U32, u32::from_le_bytes)?;
        same_length("items.removed_after", after.len(), removed.len())?;
        let mut removed: Vec<(u32, u64)> = after.into_iter().zip(removed).collect();
        removed.sort_unstable();
        let mut removed = removed.into_iter().peekable();
        for (n, range) in ranges.into_iter().enumerate() {
            while let Some((_, key)) = removed.next_if(|(after, _)| *after as usize <= n) {
                knowledge.forget_pairs(key);
            }
            let pairs: Vec<(u64, f32)> = range.map(|n| (earlier[n], near[n])).collect();
            knowledge.add_pairs(keys[n], times[n], &pairs);
            knowledge.note_session(users[n], keys[n], times[n]);
        }
        removed.for_each(|(_, key)| knowledge.forget_pairs(key));
        let first = (self.metadata.first_session, self.metadata.first_waiting);
        if knowledge.sessions().first() == first {
            Ok(())
        } else {
            Err(Error::tensor("choices", "give other sessions than the version has"))
        }
    }

    /// How many sessions, and how many items that nobody else chose, name the user of this id, where the installation
    /// has `secret`; `None` where the file's users were hashed with another.
    ///
    /// # Errors
    /// When a column is not readable.
    pub fn traces_of(&self, secret: &Secret, user_id: &str) -> Result<Option<(usize, usize)>, Error> {
        let user = match self.metadata.users.as_deref() {
            None => Secret::default().key(user_id),
            mark if mark == secret.mark() => secret.key(user_id),
            Some(_) => return Ok(None),
        };
        let named = |name: &str| {
            if !self.holds(name) {
                return Ok(0); // versions of before did not say
            }
            let users = self.column(name, Dtype::U64, UserKey::from_le_bytes)?;
            Ok::<_, Error>(users.into_iter().filter(|named| *named == user).count())
        };
        Ok(Some((named("sessions.user")?, named("items.chosen_by")?)))
    }

    /// Who chose each of `n` items. Versions of before did not say: theirs are proven.
    fn chosen_by(&self, n: usize) -> Result<Vec<UserKey>, Error> {
        let name = "items.chosen_by";
        if !self.holds(name) {
            return Ok(vec![PROVEN; n]);
        }
        self.column(name, Dtype::U64, UserKey::from_le_bytes)
    }

    /// How many of the choices of each of `n` items repeat another. Versions of before did not say: theirs count.
    fn repeated(&self, n: usize) -> Result<Vec<u32>, Error> {
        let name = "items.repeated";
        if !self.holds(name) {
            return Ok(vec![0; n]);
        }
        self.column(name, Dtype::U32, u32::from_le_bytes)
    }

    fn merge_pairs(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let keys = self.column("covisitation.key", Dtype::U64, u64::from_le_bytes)?;
        let at = self.column("covisitation.at", Dtype::I64, i64::from_le_bytes)?;
        let totals = self.column("covisitation.total", Dtype::F32, f32::from_le_bytes)?;
        let ends = self.column("covisitation.end", Dtype::U64, u64::from_le_bytes)?;
        let neighbours = self.column("covisitation.neighbour", Dtype::U64, u64::from_le_bytes)?;
        let weights = self.column("covisitation.weight", Dtype::F32, f32::from_le_bytes)?;
        same_length("covisitation.at", at.len(), keys.len())?;
        same_length("covisitation.total", totals.len(), keys.len() * WAYS)?;
        same_length("covisitation.weight", weights.len(), neighbours.len() * WAYS)?;
        let ranges = ranges("covisitation.end", &ends, keys.len(), neighbours.len())?;
        for (n, range) in ranges.into_iter().enumerate() {
            let of = |n: usize| Neighbour { key: neighbours[n], weights: ways(&weights, n) };
            let list = range.map(of).collect();
            knowledge.restore_pairs(keys[n], Neighbours { at: at[n], totals: ways(&totals, n), list });
        }
        Ok(())
    }

    fn merge_sessions(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let numbers = self.column("sessions.number", Dtype::U64, u64::from_le_bytes)?;
        let users = self.column("sessions.user", Dtype::U64, UserKey::from_le_bytes)?;
        let last_ts = self.column("sessions.last_ts", Dtype::I64, i64::from_le_bytes)?;
        let ends = self.column("sessions.end", Dtype::U64, u64::from_le_bytes)?;
        let items = self.column("sessions.item", Dtype::U64, u64::from_le_bytes)?;
        same_length("sessions.user", users.len(), numbers.len())?;
        same_length("sessions.last_ts", last_ts.len(), numbers.len())?;
        knowledge.forget_sessions_before((self.metadata.first_session, self.metadata.first_waiting));
        let ranges = ranges("sessions.end", &ends, numbers.len(), items.len())?;
        for (n, range) in ranges.into_iter().enumerate() {
            let session = Session { user: users[n], last_ts: last_ts[n], items: items[range].to_vec() };
            knowledge.restore_session(numbers[n], session);
        }
        Ok(())
    }

    /// Versions of before say nothing of it.
    fn merge_repurchases(&self, knowledge: &mut Knowledge) -> Result<(), Error> {
        let keys = self.column("repurchases.key", Dtype::U64, u64::from_le_bytes)?;
        let bought = self.column("repurchases.bought", Dtype::U32, u32::from_le_bytes)?;
        let again = self.column("repurchases.again", Dtype::U32, u32::from_le_bytes)?;
        let log_gaps = self.column("repurchases.log_gaps", Dtype::F64, f64::from_le_bytes)?;
        same_length("repurchases.bought", bought.len(), keys.len())?;
        same_length("repurchases.again", again.len(), keys.len())?;
        same_length("repurchases.log_gaps", log_gaps.len(), keys.len())?;
        for (n, key) in keys.into_iter().enumerate() {
            let of = Repurchase { bought: bought[n], again: again[n], log_gaps: log_gaps[n] };
            knowledge.restore_repurchase(key, of);
        }
        Ok(())
    }
}

/// The `n`-th counters of a column.
fn counters_of(column: &[f64], n: usize) -> Counters {
    let mut counters = [0.0; HALF_LIVES];
    counters.copy_from_slice(&column[n * HALF_LIVES..(n + 1) * HALF_LIVES]);
    counters
}

/// The `n`-th weights of a column.
fn ways(column: &[f32], n: usize) -> Ways {
    let mut ways = [0.0; WAYS];
    ways.copy_from_slice(&column[n * WAYS..(n + 1) * WAYS]);
    ways
}

/// Ranges from where each ends, checked.
fn ranges(name: &str, ends: &[u64], count: usize, most: usize) -> Result<Vec<std::ops::Range<usize>>, Error> {
    same_length(name, ends.len(), count)?;
    let mut start = 0;
    ends.iter()
        .map(|end| {
            let end = usize::try_from(*end).ok().filter(|end| start <= *end && *end <= most);
            let range = start..end.ok_or_else(|| Error::tensor(name, "points outside"))?;
            start = range.end;
            Ok(range)
        })
        .collect()
}
