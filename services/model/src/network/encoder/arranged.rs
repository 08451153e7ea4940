//! Histories as the encoder takes them: flat arrays on the host, and the same as tensors.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::memory::history::Seen;

/// Kinds of interaction, by their number in the schema.
pub(crate) const KINDS: usize = 8;
/// Time gaps are told apart by powers of four of a second: 1 s, 4 s, … 3 years and more.
pub(crate) const GAPS: usize = 16;

/// Histories of a batch as flat host arrays, aligned so that the last item stands last.
#[derive(Debug)]
pub(crate) struct Arranged {
    /// The longest history of the batch; no computation on padding beyond it.
    pub(crate) length: usize,
    /// `[batch, length]`: item keys, `None` where there is padding.
    pub(crate) keys: Vec<Option<u64>>,
    kinds: Vec<i32>,
    gaps: Vec<i32>,
}

impl Arranged {
    pub(crate) fn new(histories: &[(&[Seen], i64)], most: usize) -> Self {
        let chosen = |history: &[Seen]| history.iter().filter(|seen| seen.kind.is_positive()).count();
        let length = histories.iter().map(|(history, _)| chosen(history).min(most)).max().unwrap_or(0);
        let cells = histories.len() * length;
        let mut arranged = Self { length, keys: vec![None; cells], kinds: vec![0; cells], gaps: vec![0; cells] };
        for (row, (history, now)) in histories.iter().enumerate() {
            let newest_first = history.iter().rev().filter(|seen| seen.kind.is_positive());
            for (n, seen) in newest_first.take(length).enumerate() {
                let cell = (row + 1) * length - 1 - n;
                arranged.keys[cell] = Some(seen.key);
                arranged.kinds[cell] = seen.kind as i32;
                arranged.gaps[cell] = gap_bucket(now.saturating_sub(seen.ts));
            }
        }
        arranged
    }

    pub(crate) fn to_device(&self, device: &Device) -> Histories {
        let shape = [self.keys.len() / self.length, self.length];
        let int = |values: &Vec<i32>| Tensor::<2, Int>::from_data(TensorData::new(values.clone(), shape), device);
        let padding: Vec<bool> = self.keys.iter().map(Option::is_none).collect();
        // A history without items would make the softmax divide nothing by nothing: let it see its zeros.
        let padding = padding
            .chunks_exact(self.length)
            .flat_map(|row| {
                let empty = row.iter().all(|padded| *padded);
                row.iter().map(move |padded| *padded && !empty)
            })
            .collect::<Vec<bool>>();
        Histories {
            kinds: int(&self.kinds),
            gaps: int(&self.gaps),
            padding: Tensor::<2, Bool>::from_data(TensorData::new(padding, shape), device),
        }
    }
}

/// A batch of histories, aligned so that the last item stands last.
#[derive(Debug, Clone)]
pub(crate) struct Histories {
    /// `[batch, length]`: kind numbers.
    pub(crate) kinds: Tensor<2, Int>,
    /// `[batch, length]`: buckets of the time between an interaction and the moment of asking.
    pub(crate) gaps: Tensor<2, Int>,
    /// `[batch, length]`: true where there is nothing.
    pub(crate) padding: Tensor<2, Bool>,
}

/// The bucket of a time gap in milliseconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..16
pub(crate) fn gap_bucket(gap_ms: i64) -> i32 {
    let seconds = (gap_ms.max(0) / 1_000) as u64;
    let power = (64 - seconds.leading_zeros()).div_ceil(2) as i32;
    power.min(GAPS as i32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_fall_into_powers_of_four() {
        assert_eq!([0, 999, 1_000, 3_999, 4_000, 16_000].map(gap_bucket), [0, 0, 1, 1, 2, 3]);
        assert_eq!(gap_bucket(i64::MAX), 15);
        assert_eq!(gap_bucket(-5), 0);
    }
}
