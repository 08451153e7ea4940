//! The sample of a version out of its payload: which items, and their rows. Some hundred rows are read, wherever they
//! are; of all else only numbers.

use std::sync::Arc;

use half::f16;
use safetensors::tensor::Dtype;
use schemas::checkpoint::{Manifest, PayloadKind};

use super::read::{Payload, SUM};
use crate::error::Error;
use crate::version::integrity::{MET, SAMPLED, Sample};

impl Payload<'_> {
    /// The sample of this version, where `before` is that of the version that it is applied to. The payload has been
    /// looked at as a whole ([`Payload::verify`]).
    ///
    /// # Errors
    /// When a tensor is missing or of another type.
    pub fn sample(&self, manifest: &Manifest, before: &Sample) -> Result<Sample, Error> {
        let mut sample = match self.metadata.kind {
            PayloadKind::Snapshot => self.drawn()?,
            PayloadKind::Delta => self.moved(before)?,
        };
        sample.settings = Arc::new(self.metadata.settings.clone());
        sample.epoch = manifest.version.epoch;
        sample.through.clone_from(&manifest.through);
        sample.interactions = manifest.interactions;
        self.read_rows(&mut sample)?;
        Ok(sample)
    }

    /// The first items by key that were met often.
    fn drawn(&self) -> Result<Sample, Error> {
        let keys = self.raw::<8>("items.key", Dtype::U64)?;
        let slots = self.raw::<4>("items.slot", Dtype::U32)?;
        let sightings = self.raw::<4>("items.sightings", Dtype::U32)?;
        let mut sample = Sample { items: keys.len(), ..Sample::default() };
        for ((key, slot), sightings) in keys.iter().zip(slots).zip(sightings) {
            if u32::from_le_bytes(*sightings) >= MET {
                sample.keys.push(u64::from_le_bytes(*key));
                sample.slots.push(u32::from_le_bytes(*slot));
                if sample.keys.len() == SAMPLED {
                    break;
                }
            }
        }
        sample.rows = vec![0.0; sample.keys.len() * self.metadata.settings.dim];
        Ok(sample)
    }

    /// The sample of before without what went, and where the rest is now.
    fn moved(&self, before: &Sample) -> Result<Sample, Error> {
        let dim = self.metadata.settings.dim;
        if dim != before.settings.dim {
            return Ok(Sample::default()); // the version is refused for it
        }
        let gone = self.raw::<8>("items.removed", Dtype::U64)?;
        let keys = self.raw::<8>("items.key", Dtype::U64)?;
        let slots = self.raw::<4>("items.slot", Dtype::U32)?;
        let find = |keys: &[[u8; 8]], key: u64| keys.binary_search_by_key(&key, |raw| u64::from_le_bytes(*raw));
        let mut sample = Sample { items: before.items, ..Sample::default() };
        for (n, key) in before.keys.iter().enumerate() {
            let there = find(keys, *key).ok();
            if there.is_none() && find(gone, *key).is_ok() {
                continue;
            }
            sample.keys.push(*key);
            sample.slots.push(there.map_or(before.slots[n], |at| u32::from_le_bytes(slots[at])));
            sample.rows.extend_from_slice(&before.rows[n * dim..(n + 1) * dim]);
        }
        Ok(sample)
    }

    /// Reads those rows of the sample that the payload has.
    fn read_rows(&self, sample: &mut Sample) -> Result<(), Error> {
        let dim = self.metadata.settings.dim;
        let mut wanted: Vec<(u32, usize)> = sample.slots.iter().copied().zip(0..).collect();
        wanted.sort_unstable();
        let content_of = self.raw::<4>("items.content_of", Dtype::U32)?;
        let (name, whole) = (self.name_of_rows(), self.name_of_rows() == SUM);
        for (index, slot) in self.raw::<4>("items.row_slot", Dtype::U32)?.iter().enumerate() {
            let slot = u32::from_le_bytes(*slot);
            let Ok(at) = wanted.binary_search_by_key(&slot, |(slot, _)| *slot) else { continue };
            let n = wanted[at].1;
            let row = &mut sample.rows[n * dim..(n + 1) * dim];
            row.fill(0.0);
            self.add_row(name, index, row)?;
            let of = content_of.binary_search_by_key(&index, |of| u32::from_le_bytes(*of) as usize);
            if let (false, Ok(content)) = (whole, of) {
                self.add_row("items.content", content, row)?;
            }
        }
        Ok(())
    }

    /// Adds the `n`-th row of a tensor to `row`.
    fn add_row(&self, name: &str, n: usize, row: &mut [f32]) -> Result<(), Error> {
        let range = n * row.len()..(n + 1) * row.len();
        match self.dtype(name)? {
            Dtype::F16 => {
                let values = &self.raw::<2>(name, Dtype::F16)?[range];
                row.iter_mut().zip(values).for_each(|(x, value)| *x += f16::from_le_bytes(*value).to_f32());
            }
            Dtype::I8 => {
                let scale = f32::from_le_bytes(self.raw::<4>(&format!("{name}_scale"), Dtype::F32)?[n]);
                let steps = &self.raw::<1>(name, Dtype::I8)?[range];
                row.iter_mut().zip(steps).for_each(|(x, step)| *x += f32::from(i8::from_le_bytes(*step)) * scale);
            }
            _ => {
                let values = &self.raw::<4>(name, Dtype::F32)?[range];
                row.iter_mut().zip(values).for_each(|(x, value)| *x += f32::from_le_bytes(*value));
            }
        }
        Ok(())
    }
}
