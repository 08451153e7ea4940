//! Dense weights in a payload: whole, or what they moved by.
//!
//! A snapshot holds them whole, in f32. A delta holds what they moved by, in a few steps of one size for each row; what
//! that leaves out is part of what the next delta sees as moved, so the versions stay within half a step of the
//! learner.

use safetensors::tensor::Dtype;

use super::columns::{Column, le};
use crate::network::dense::{Array, Arrays};

/// Steps of the greatest movement of a row within a version, to either side. Each is a seventh of what it moves in a
/// second.
const STEPS: f32 = 7.0;

/// The tensors of a payload that hold `now` whole, which the versions have from then on.
pub(crate) fn whole(prefix: &str, now: Arrays, published: &mut Arrays) -> Vec<Column> {
    let column = |(name, array): (&String, &Array)| {
        (format!("{prefix}.{name}"), Dtype::F32, array.shape.clone(), le(&array.values, f32::to_le_bytes))
    };
    let columns = now.iter().map(column).collect();
    *published = now;
    columns
}

/// The tensors of a payload that hold what moved `now` away from what the versions have, and take these there.
pub(crate) fn moved(prefix: &str, now: &Arrays, published: &mut Arrays) -> Vec<Column> {
    let mut columns = Vec::new();
    for (name, array) in now {
        let Some(known) = published.get_mut(name) else { continue };
        let rows = array.values.chunks(array.width()).zip(known.values.chunks_mut(array.width()));
        let (mut steps, mut sizes) = (Vec::with_capacity(array.values.len()), Vec::new());
        for (now, known) in rows {
            let most = now.iter().zip(&*known).map(|(now, known)| (now - known).abs()).fold(0.0, f32::max);
            let size = if most.is_finite() { most / STEPS } else { 0.0 };
            for (now, known) in now.iter().zip(known) {
                #[allow(clippy::cast_possible_truncation)] // at most STEPS
                let step = if size > 0.0 { ((now - *known) / size).round() as i8 } else { 0 };
                *known += f32::from(step) * size;
                steps.push(step);
            }
            sizes.push(size);
        }
        let count = sizes.len();
        columns.push((format!("{prefix}.{name}"), Dtype::I8, array.shape.clone(), le(&steps, i8::to_le_bytes)));
        columns.push((size_of_steps(prefix, name), Dtype::F32, vec![count], le(&sizes, f32::to_le_bytes)));
    }
    columns
}

/// The name of the tensor that holds the size of each row's steps.
pub(crate) fn size_of_steps(prefix: &str, name: &str) -> String {
    format!("{prefix}_step.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deltas_leave_out_of_a_movement_is_in_the_next_and_both_sides_agree_to_the_bit() {
        let array =
            |values: [f32; 6]| Arrays::from([("w".to_owned(), Array { shape: vec![2, 3], values: values.into() })]);
        let mut published = array([0.0, 1.0, -1.0, 0.0, 0.0, 0.0]);
        let mut reader = published["w"].clone();
        let now = array([0.07, 1.001, -1.5, 0.0, 1e-20, -3.0]);
        for round in 0..6 {
            let columns = moved("encoder", &now, &mut published);
            let sizes =
                columns[1].3.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<_>>();
            let steps: Vec<i8> = columns[0].3.iter().map(|byte| byte.cast_signed()).collect();
            reader = reader.moved_by(&steps, &sizes).expect("fits");
            assert_eq!(reader, published["w"], "round {round}");
        }
        let off = reader.values.iter().zip(&now["w"].values).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{reader:?}");
    }
}
