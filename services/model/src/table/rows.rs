//! Rows of item vectors as payloads and a scorer's table hold them: in f32, f16 or int8.
//!
//! The encoding of a row depends on the row alone, and a decoded row encodes to the same bytes again. So a version is
//! the same whether it came as a snapshot or by deltas, and nothing drifts when it is written a second time.

use std::borrow::Cow;

use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowEncoding {
    /// Four bytes a value: exact.
    F32,
    /// Two bytes a value: 11 significant bits. A value beyond 65,504 stays there.
    #[default]
    F16,
    /// One byte a value and four a row: steps of one size, 127 of which are the row's greatest magnitude.
    Int8,
}

/// Rows of one length in one encoding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    pub(crate) dim: usize,
    pub(crate) values: Values,
}

/// `[rows, dim]` in row order; `scales` is `[rows]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Int8 { steps: Vec<i8>, scales: Vec<f32> },
}

impl Rows {
    /// So many rows of zeros.
    pub(crate) fn zeros(encoding: RowEncoding, count: usize, dim: usize) -> Self {
        let values = match encoding {
            RowEncoding::F32 => Values::F32(vec![0.0; count * dim]),
            RowEncoding::F16 => Values::F16(vec![f16::ZERO; count * dim]),
            RowEncoding::Int8 => Values::Int8 { steps: vec![0; count * dim], scales: vec![0.0; count] },
        };
        Self { dim, values }
    }

    /// Encodes rows.
    ///
    /// # Shapes
    /// - `rows`: `[rows, dim]` in row order
    pub(crate) fn encode(encoding: RowEncoding, dim: usize, rows: &[f32]) -> Self {
        let mut encoded = Self::zeros(encoding, rows.len() / dim, dim);
        rows.chunks_exact(dim).enumerate().for_each(|(n, row)| encoded.set(n, row));
        encoded
    }

    /// Encodes rows in int8, in `most` steps to either side instead of 127: each halving saves a bit of a value once it
    /// is packed. Of 64 values a row is off by some `0.75 / most` of its length.
    ///
    /// # Shapes
    /// - `rows`: `[rows, dim]` in row order
    pub(crate) fn rough(dim: usize, rows: &[f32], most: f32) -> Self {
        let (mut steps, mut scales) = (vec![0; rows.len()], Vec::with_capacity(rows.len() / dim));
        for (row, steps) in rows.chunks_exact(dim).zip(steps.chunks_exact_mut(dim)) {
            scales.push(round(row, most, steps));
        }
        Self { dim, values: Values::Int8 { steps, scales } }
    }

    /// Writes the `n`-th row.
    pub(crate) fn set(&mut self, n: usize, row: &[f32]) {
        let range = n * self.dim..(n + 1) * self.dim;
        match &mut self.values {
            Values::F32(values) => values[range].copy_from_slice(row),
            Values::F16(values) => {
                values[range.clone()].convert_from_f32_slice(row);
                let infinite = values[range].iter_mut().filter(|value| value.is_infinite());
                infinite.for_each(|value| *value = f16::MAX.copysign(*value));
            }
            Values::Int8 { steps, scales } => scales[n] = round(row, STEPS, &mut steps[range]),
        }
    }

    /// The `n`-th row, decoded.
    pub(crate) fn row(&self, n: usize) -> Cow<'_, [f32]> {
        let range = n * self.dim..(n + 1) * self.dim;
        match &self.values {
            Values::F32(values) => Cow::Borrowed(&values[range]),
            Values::F16(values) => Cow::Owned(values[range].to_f32_vec()),
            Values::Int8 { steps, scales } => {
                let scale = scales[n];
                Cow::Owned(steps[range].iter().map(|step| f32::from(*step) * scale).collect())
            }
        }
    }

    /// Reads a little of the `n`-th row, to have it in the cache.
    pub(crate) fn touch(&self, n: usize) {
        let range = n * self.dim..(n + 1) * self.dim;
        match &self.values {
            Values::F32(values) => touch(&values[range]),
            Values::F16(values) => touch(&values[range]),
            Values::Int8 { steps, scales } => {
                touch(&steps[range]);
                touch(&scales[n..=n]);
            }
        }
    }

    /// Decodes every row behind what `out` holds.
    pub(crate) fn append_to(&self, out: &mut Vec<f32>) {
        match &self.values {
            Values::F32(values) => out.extend_from_slice(values),
            Values::F16(values) => {
                let start = out.len();
                out.resize(start + values.len(), 0.0);
                values.convert_to_f32_slice(&mut out[start..]);
            }
            Values::Int8 { steps, scales } => {
                for (steps, scale) in steps.chunks_exact(self.dim).zip(scales) {
                    out.extend(steps.iter().map(|step| f32::from(*step) * scale));
                }
            }
        }
    }

    /// Every row, decoded into `scratch` where it is not f32 already: `[rows, dim]` in row order.
    pub(crate) fn decode<'a>(&'a self, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        if let Values::F32(values) = &self.values {
            return values;
        }
        scratch.clear();
        self.append_to(scratch);
        scratch
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        match &self.values {
            Values::F32(values) => size_of_val(values.as_slice()),
            Values::F16(values) => size_of_val(values.as_slice()),
            Values::Int8 { steps, scales } => size_of_val(steps.as_slice()) + size_of_val(scales.as_slice()),
        }
    }
}

/// Bytes that memory is read by.
const LINE: usize = 64;

/// Reads a value in each line's length, and the last: one of every line that `values` lie in.
pub(crate) fn touch<T: Copy>(values: &[T]) {
    let spread = values.iter().step_by((LINE / size_of::<T>()).max(1));
    spread.chain(values.last()).for_each(|value| {
        std::hint::black_box(*value);
    });
}

/// The steps of int8 to either side.
pub(crate) const STEPS: f32 = 127.0;

/// What so many steps can still be without becoming infinite.
const LARGEST: f32 = f32::MAX / 2.0;

/// Writes a row in steps of one size, at most `most` to either side, and gives that size.
fn round(row: &[f32], most: f32, steps: &mut [i8]) -> f32 {
    let size = scale(row, most);
    steps.iter_mut().zip(row).for_each(|(step, x)| *step = nearest_step(*x, size));
    size
}

/// The size of a row's steps. It has 16 significant bits, rounded up, so that 127 steps are exact in f32: a decoded row
/// has the same scale again. A row too small for that is zero; a value that is not finite counts as the largest there
/// is.
fn scale(row: &[f32], steps: f32) -> f32 {
    let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs())).min(LARGEST);
    let scale = most / steps;
    if scale < f32::MIN_POSITIVE { 0.0 } else { f32::from_bits((scale.to_bits() + 0xff) & !0xff) }
}

/// How many steps a value is. A cast rounds toward zero and saturates; `f32::round` would be a call for each value.
#[allow(clippy::cast_possible_truncation)] // saturates
fn nearest_step(x: f32, scale: f32) -> i8 {
    if scale > 0.0 { (x / scale + 0.5_f32.copysign(x)) as i8 } else { 0 }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const DIM: usize = 16;
    const ALL: [RowEncoding; 3] = [RowEncoding::F32, RowEncoding::F16, RowEncoding::Int8];

    /// Rows of every size that f16 can hold, and one of zeros.
    fn rows() -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let sizes = (0..500).map(|n| 10_f32.powi(n % 9 - 5)).chain([0.0]);
        sizes.flat_map(|size| std::array::from_fn::<f32, DIM, _>(|_| rng.random_range(-1.0..1.0) * size)).collect()
    }

    fn decoded(rows: &Rows) -> Vec<f32> {
        rows.decode(&mut Vec::new()).to_vec()
    }

    #[test]
    fn what_was_decoded_encodes_to_the_same_bytes_so_nothing_drifts() {
        for encoding in ALL {
            let once = Rows::encode(encoding, DIM, &rows());
            assert_eq!(Rows::encode(encoding, DIM, &decoded(&once)), once, "{encoding:?}");
        }
    }

    #[test]
    fn a_value_is_off_by_half_a_step_of_its_encoding_at_most() {
        let rows = rows();
        for encoding in ALL {
            let decoded = decoded(&Rows::encode(encoding, DIM, &rows));
            for (row, decoded) in rows.chunks_exact(DIM).zip(decoded.chunks_exact(DIM)) {
                let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                for (x, y) in row.iter().zip(decoded) {
                    let step = match encoding {
                        RowEncoding::F32 => 0.0,
                        RowEncoding::F16 => (x.abs() / 1_024.0).max(6e-8), // below 6e-5 its steps do not shrink
                        RowEncoding::Int8 => most / 127.0 * 1.001,
                    };
                    assert!((x - y).abs() <= step / 2.0, "{encoding:?}: {x} became {y}");
                }
            }
        }
    }

    #[test]
    fn a_value_too_large_for_f16_stays_at_its_end() {
        let rows = Rows::encode(RowEncoding::F16, 2, &[1e6, -1e6]);
        assert_eq!(decoded(&rows), [65_504.0, -65_504.0]);
    }

    #[test]
    fn what_is_not_finite_spoils_no_other_value_of_its_row() {
        let decoded = decoded(&Rows::encode(RowEncoding::Int8, 4, &[f32::INFINITY, f32::NAN, 1.0, f32::NEG_INFINITY]));
        assert!(decoded.iter().all(|x| x.is_finite()) && decoded[0] > 1e38 && decoded[3] < -1e38, "{decoded:?}");
        assert_eq!(decoded[1..3], [0.0, 0.0]);
    }

    #[test]
    fn a_row_alone_is_the_same_as_among_all() {
        for encoding in ALL {
            let rows = Rows::encode(encoding, DIM, &rows());
            let all = decoded(&rows);
            for (n, row) in all.chunks_exact(DIM).enumerate() {
                assert_eq!(&*rows.row(n), row, "{encoding:?}");
            }
        }
    }

    #[test]
    fn f16_takes_half_of_the_bytes_and_int8_a_quarter_and_a_scale() {
        let bytes = ALL.map(|encoding| Rows::zeros(encoding, 1, 64).bytes());
        assert_eq!(bytes, [256, 128, 68]);
    }
}
