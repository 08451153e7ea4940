//! What a payload may hold, looked at as a whole before anything is made of it: anybody may have written it.
//!
//! Nothing is allocated here, and nothing is trusted later that was not looked at: lengths agree, keys rise, indices
//! point inside, ids are ids, and every number is finite and of a size that the next sums bear (100,000 items: some
//! milliseconds).

use safetensors::tensor::Dtype;
use schemas::checkpoint::{MAX_OFFSET, Manifest, PayloadKind, is_time};
use schemas::{MAX_ID_BYTES, key_of};

use super::read::same_length;
use super::{Metadata, Payload};
use crate::error::Error;
use crate::memory::covisitation::WAYS;
use crate::memory::popularity::{HALF_LIVES, NEVER};
use crate::memory::sessions::SESSION_ITEMS;
use crate::settings::{MAX_NEIGHBOURS, MAX_SESSIONS};

/// The most slots of a table. An empty block of them takes some bytes.
const MAX_SLOTS: usize = 1 << 26;

/// The largest weight of the network and value of a row. Rows stay below 100; beyond this the sums of a step overflow.
const LARGEST_WEIGHT: f32 = 1e6;

/// The largest accumulator, pair's weight and total.
const LARGEST_SUM: f32 = 1e30;

/// The largest logarithm of a count, to either side: ten thousand years in half-lives of a second.
const LARGEST_COUNTER: f64 = 1e12;

/// The longest mark of a secret, in bytes.
const LONGEST_MARK: usize = 64;

impl Metadata {
    /// What is wrong with it, if anything is.
    pub(super) fn problem(&self, manifest: Option<&Manifest>) -> Option<String> {
        let most = MAX_OFFSET.unsigned_abs();
        if let Some(problem) = self.settings.rules().into_iter().next() {
            return Some(format!("its settings would be refused: {problem}"));
        }
        if !is_time(self.origin) || !is_time(self.now) {
            return Some("it names a time that cannot be".to_owned());
        }
        if self.interactions > most
            || self.steps > most
            || self.first_session > most
            || self.first_waiting > most
            || self.slots > MAX_SLOTS
        {
            return Some("it counts more than can be".to_owned());
        }
        if self.users.as_ref().is_some_and(|mark| mark.len() > LONGEST_MARK) {
            return Some("it names a secret that cannot be".to_owned());
        }
        let agrees = |m: &Manifest| (m.kind, m.interactions, m.event_ts) == (self.kind, self.interactions, self.now);
        let disagrees = manifest.is_some_and(|manifest| !agrees(manifest));
        disagrees.then(|| "it does not say what its manifest says".to_owned())
    }
}

impl Payload<'_> {
    /// Looks at everything, under the manifest that it came with if there is one.
    pub(crate) fn check(&self, manifest: Option<&Manifest>) -> Result<(), Error> {
        if let Some(problem) = self.metadata.problem(manifest) {
            return Err(Error::Metadata(problem));
        }
        self.check_items()?;
        match self.metadata.kind {
            PayloadKind::Snapshot => {
                self.check_pairs()?;
                self.check_sessions()?;
            }
            PayloadKind::Delta => self.check_choices()?,
        }
        self.check_repurchases()?;
        self.rising("content.removed")?;
        let n = self.rising("content.key")?;
        self.check_sums("content.accumulator", n, LARGEST_SUM)?;
        self.check_rows("content.row", n)?;
        self.check_counters("popularity.total", HALF_LIVES)?;
        // Weights, or steps of so many sizes: what they add up to is tried before it is served.
        let dense =
            |name: &&str| ["encoder.", "ranker.", "encoder_step.", "ranker_step."].iter().any(|p| name.starts_with(p));
        for name in self.names().filter(dense) {
            let steps = self.metadata.kind == PayloadKind::Delta && self.dtype(name)? == Dtype::I8;
            if !steps {
                within(name, self.raw(name, Dtype::F32)?, LARGEST_WEIGHT)?;
            }
        }
        Ok(())
    }

    fn check_items(&self) -> Result<(), Error> {
        let n = self.rising("items.key")?;
        let removed = self.rising("items.removed")?;
        same_length("items.removed_after", self.raw::<4>("items.removed_after", Dtype::U32)?.len(), removed)?;
        same_length("items.slot", self.check_slots("items.slot")?, n)?;
        same_length("items.sightings", self.raw::<4>("items.sightings", Dtype::U32)?.len(), n)?;
        self.check_times("items.first_ts", n)?;
        self.check_times("items.last_ts", n)?;
        self.check_counters("items.popularity", n.saturating_mul(HALF_LIVES))?;
        let rows = self.check_slots("items.row_slot")?;
        self.check_sums("items.accumulator", rows, LARGEST_SUM)?;
        self.check_rows(self.name_of_rows(), rows)?;
        let content_of = self.raw::<4>("items.content_of", Dtype::U32)?;
        let content_of = || content_of.iter().map(|of| u32::from_le_bytes(*of) as usize);
        if content_of().any(|of| of >= rows) || !content_of().is_sorted_by(|a, b| a < b) {
            return Err(Error::tensor("items.content_of", "points outside or twice to one"));
        }
        self.check_rows("items.content", content_of().count())?;
        self.check_ids(n)
    }

    /// Slots lie inside the table; gives how many there are.
    fn check_slots(&self, name: &str) -> Result<usize, Error> {
        let slots = self.raw::<4>(name, Dtype::U32)?;
        if slots.iter().all(|slot| (u32::from_le_bytes(*slot) as usize) < self.metadata.slots) {
            return Ok(slots.len());
        }
        Err(Error::tensor(name, "lies beyond the table"))
    }

    fn check_ids(&self, n: usize) -> Result<(), Error> {
        let ends = self.raw::<4>("items.id_end", Dtype::U32)?;
        same_length("items.id_end", ends.len(), n)?;
        let no_utf8 = |_| Error::tensor("items.id", "holds no UTF-8 where an id should be");
        let mut rest = std::str::from_utf8(self.data("items.id", Dtype::U8)?).map_err(no_utf8)?;
        let mut start = 0;
        for (key, end) in self.raw::<8>("items.key", Dtype::U64)?.iter().zip(ends) {
            let end = u32::from_le_bytes(*end) as usize;
            let length = end.checked_sub(start).filter(|length| (1..=MAX_ID_BYTES).contains(length));
            let (id, behind) = length
                .and_then(|length| rest.split_at_checked(length))
                .ok_or_else(|| Error::tensor("items.id_end", "cuts ids that are empty, too long or not there"))?;
            if key_of(id) != u64::from_le_bytes(*key) {
                return Err(Error::tensor("items.id", "holds an id that is not its key's"));
            }
            (start, rest) = (end, behind);
        }
        if rest.is_empty() { Ok(()) } else { Err(Error::tensor("items.id", "holds more than its ids")) }
    }

    fn check_pairs(&self) -> Result<(), Error> {
        let n = self.rising("covisitation.key")?;
        self.check_times("covisitation.at", n)?;
        self.check_sums("covisitation.total", n.saturating_mul(WAYS), LARGEST_SUM)?;
        let neighbours = self.raw::<8>("covisitation.neighbour", Dtype::U64)?.len();
        self.check_sums("covisitation.weight", neighbours.saturating_mul(WAYS), LARGEST_SUM)?;
        self.check_ranges("covisitation.end", n, neighbours, MAX_NEIGHBOURS)
    }

    fn check_sessions(&self) -> Result<(), Error> {
        let n = self.rising("sessions.number")?;
        let last = self.raw::<8>("sessions.number", Dtype::U64)?.last().map_or(0, |number| u64::from_le_bytes(*number));
        if n > MAX_SESSIONS || last > MAX_OFFSET.unsigned_abs() {
            return Err(Error::tensor("sessions.number", "counts more than can be"));
        }
        same_length("sessions.user", self.raw::<8>("sessions.user", Dtype::U64)?.len(), n)?;
        self.check_times("sessions.last_ts", n)?;
        let items = self.raw::<8>("sessions.item", Dtype::U64)?.len();
        self.check_ranges("sessions.end", n, items, SESSION_ITEMS)
    }

    fn check_repurchases(&self) -> Result<(), Error> {
        let n = self.rising("repurchases.key")?;
        let bought = self.raw::<4>("repurchases.bought", Dtype::U32)?;
        let again = self.raw::<4>("repurchases.again", Dtype::U32)?;
        let gaps = self.raw::<8>("repurchases.log_gaps", Dtype::F64)?;
        same_length("repurchases.bought", bought.len(), n)?;
        same_length("repurchases.again", again.len(), n)?;
        same_length("repurchases.log_gaps", gaps.len(), n)?;
        // The logarithm of a time in milliseconds is below 64.
        let can_be = |((bought, again), gaps): ((&[u8; 4], &[u8; 4]), &[u8; 8])| {
            let (bought, again) = (u32::from_le_bytes(*bought), u32::from_le_bytes(*again));
            again <= bought && (0.0..=64.0 * f64::from(again)).contains(&f64::from_le_bytes(*gaps))
        };
        if bought.iter().zip(again).zip(gaps).all(can_be) {
            return Ok(());
        }
        Err(Error::tensor("repurchases", "counts what cannot be"))
    }

    fn check_choices(&self) -> Result<(), Error> {
        let n = self.raw::<8>("choices.key", Dtype::U64)?.len();
        same_length("choices.user", self.raw::<8>("choices.user", Dtype::U64)?.len(), n)?;
        self.check_times("choices.ts", n)?;
        let earlier = self.raw::<8>("choices.earlier", Dtype::U64)?.len();
        self.check_sums("choices.near", earlier, LARGEST_WEIGHT)?;
        self.check_ranges("choices.end", n, earlier, MAX_NEIGHBOURS)
    }

    /// Keys rise, so that none is there twice; gives how many there are.
    fn rising(&self, name: &str) -> Result<usize, Error> {
        let keys = self.raw::<8>(name, Dtype::U64)?;
        if keys.iter().map(|key| u64::from_le_bytes(*key)).is_sorted_by(|a, b| a < b) {
            return Ok(keys.len());
        }
        Err(Error::tensor(name, "names one twice, or not in order"))
    }

    fn check_times(&self, name: &str, n: usize) -> Result<(), Error> {
        let times = self.raw::<8>(name, Dtype::I64)?;
        same_length(name, times.len(), n)?;
        if times.iter().all(|time| is_time(i64::from_le_bytes(*time))) {
            return Ok(());
        }
        Err(Error::tensor(name, "holds a time that cannot be"))
    }

    fn check_counters(&self, name: &str, n: usize) -> Result<(), Error> {
        let counters = self.raw::<8>(name, Dtype::F64)?;
        same_length(name, counters.len(), n)?;
        let counts = |counter: f64| counter == NEVER || counter.abs() <= LARGEST_COUNTER;
        if counters.iter().all(|counter| counts(f64::from_le_bytes(*counter))) {
            return Ok(());
        }
        Err(Error::tensor(name, "holds what is no count"))
    }

    /// Sums of what is never negative.
    fn check_sums(&self, name: &str, n: usize, most: f32) -> Result<(), Error> {
        let sums = self.raw::<4>(name, Dtype::F32)?;
        same_length(name, sums.len(), n)?;
        // As bits, so that what is negative or no number is larger than any sum; -0 is none of these.
        let bits = |sum: &[u8; 4]| Some(u32::from_le_bytes(*sum)).filter(|bits| *bits != 1 << 31).unwrap_or(0);
        if sums.iter().map(bits).fold(0, u32::max) <= most.to_bits() {
            return Ok(());
        }
        Err(Error::tensor(name, "holds what is not finite, or negative"))
    }

    fn check_rows(&self, name: &str, n: usize) -> Result<(), Error> {
        let values = n.saturating_mul(self.metadata.settings.dim);
        match self.dtype(name)? {
            Dtype::F16 => {
                let rows = self.raw::<2>(name, Dtype::F16)?;
                same_length(name, rows.len(), values)?;
                let most = rows.iter().map(|x| u16::from_le_bytes(*x) & 0x7fff).fold(0, u16::max);
                if most < 0x7c00 { Ok(()) } else { Err(Error::tensor(name, "holds what is not finite")) }
            }
            Dtype::I8 => {
                same_length(name, self.data(name, Dtype::I8)?.len(), values)?;
                let scale = format!("{name}_scale");
                let scales = self.raw::<4>(&scale, Dtype::F32)?;
                same_length(&scale, scales.len(), n)?;
                within(&scale, scales, LARGEST_WEIGHT)
            }
            _ => {
                let rows = self.raw::<4>(name, Dtype::F32)?;
                same_length(name, rows.len(), values)?;
                within(name, rows, LARGEST_WEIGHT)
            }
        }
    }

    /// Ranges by their ends: `n` of them over `items`, all of these, none longer than `most`.
    fn check_ranges(&self, name: &str, n: usize, items: usize, most: usize) -> Result<(), Error> {
        let ends = self.raw::<8>(name, Dtype::U64)?;
        same_length(name, ends.len(), n)?;
        let mut start = 0;
        for end in ends.iter().map(|end| u64::from_le_bytes(*end)) {
            if end.checked_sub(start).is_none_or(|length| length > most as u64) || end > items as u64 {
                return Err(Error::tensor(name, "points outside, backwards or too far"));
            }
            start = end;
        }
        if start == items as u64 { Ok(()) } else { Err(Error::tensor(name, "leaves some out")) }
    }
}

/// Whether every value is finite and no larger than `most`, to either side.
fn within(name: &str, values: &[[u8; 4]], most: f32) -> Result<(), Error> {
    // As bits without the sign: what is no number is larger than any.
    let largest = values.iter().map(|x| u32::from_le_bytes(*x) & (u32::MAX >> 1)).fold(0, u32::max);
    if largest <= most.to_bits() { Ok(()) } else { Err(Error::tensor(name, "holds what is not finite, or too large")) }
}

#[cfg(test)]
mod tests;
