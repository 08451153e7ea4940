//! Rows of items and of content as tensors of a payload, in whichever encoding they are.

use half::f16;
use safetensors::tensor::Dtype;

use super::columns::{Column, le};
use super::read::{Payload, same_length};
use crate::error::Error;
use crate::table::rows::{Rows, Values};

/// The tensors of a payload that hold these rows: `name`, and `name_scale` in int8.
pub(super) fn columns(rows: &Rows, name: &str) -> Vec<Column> {
    let column = |dtype, count: usize, bytes| (name.to_owned(), dtype, vec![count / rows.dim, rows.dim], bytes);
    match &rows.values {
        Values::F32(values) => vec![column(Dtype::F32, values.len(), le(values, f32::to_le_bytes))],
        Values::F16(values) => vec![column(Dtype::F16, values.len(), le(values, f16::to_le_bytes))],
        Values::Int8 { steps, scales } => vec![
            column(Dtype::I8, steps.len(), le(steps, i8::to_le_bytes)),
            (scale_of(name), Dtype::F32, vec![scales.len()], le(scales, f32::to_le_bytes)),
        ],
    }
}

/// Reads rows from a payload, in whichever encoding their tensor is, and decodes them: `[rows, dim]` in row order.
///
/// # Errors
/// When a tensor is missing, of another type, or has not one scale for each row.
pub(super) fn read(payload: &Payload<'_>, name: &str, dim: usize) -> Result<Vec<f32>, Error> {
    let values = match payload.dtype(name)? {
        Dtype::F16 => Values::F16(payload.column(name, Dtype::F16, f16::from_le_bytes)?),
        Dtype::I8 => {
            let steps = payload.column(name, Dtype::I8, i8::from_le_bytes)?;
            let scales = payload.column(&scale_of(name), Dtype::F32, f32::from_le_bytes)?;
            same_length(&scale_of(name), scales.len() * dim, steps.len())?;
            Values::Int8 { steps, scales }
        }
        _ => return payload.column(name, Dtype::F32, f32::from_le_bytes),
    };
    let mut rows = Vec::new();
    Rows { dim, values }.append_to(&mut rows);
    Ok(rows)
}

fn scale_of(name: &str) -> String {
    format!("{name}_scale")
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::table::rows::STEPS;
    use crate::version::payload::pack;

    #[test]
    fn a_row_in_fewer_steps_is_off_by_less_than_its_share_and_packs_smaller() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let rows: Vec<f32> = (0..500 * 64).map(|_| (0..4).map(|_| rng.random_range(-1.0_f32..1.0)).sum()).collect();
        let bytes = |most: f32| {
            let mut scratch = Vec::new();
            let encoded = Rows::rough(64, &rows, most);
            let decoded = encoded.decode(&mut scratch);
            let norm = |row: &mut dyn Iterator<Item = f32>| row.map(|x| x * x).sum::<f32>().sqrt();
            for (row, decoded) in rows.chunks_exact(64).zip(decoded.chunks_exact(64)) {
                let off = norm(&mut row.iter().zip(decoded).map(|(x, y)| x - y)) / norm(&mut row.iter().copied());
                assert!(off < 1.2 / most, "{off} in {most} steps");
            }
            pack(&columns(&encoded, "rows")[0].3).expect("packs").len()
        };
        assert!(bytes(30.0) * 5 < bytes(STEPS) * 4);
    }
}
