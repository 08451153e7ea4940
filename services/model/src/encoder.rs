//! The sequence encoder: one attention layer whose only query is the user's last item.
//!
//! It is a causal transformer layer of which only the last position is computed, since only that
//! position is asked for: the cost of an example grows with its history's length, not its square.
//! After Kang and McAuley, *Self-Attentive Sequential Recommendation* (2018), with recency positions
//! and time gaps, and the last item's own vector mixed in at the output.

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Bool, Device, Int, Tensor};

/// Kinds of interaction, by their number in the schema.
pub(crate) const KINDS: usize = 8;
/// Time gaps are told apart by powers of four of a second: 1 s, 4 s, … 3 years and more.
pub(crate) const GAPS: usize = 16;

/// The dense network of the model.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    kinds: Embedding,
    gaps: Embedding,
    positions: Embedding,
    norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    inner_norm: RmsNorm,
    up: Linear,
    down: Linear,
    /// How much of the last item and of the mean of the history goes straight to the output.
    shortcuts: Param<Tensor<1>>,
    #[module(skip)]
    heads: usize,
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

impl Encoder {
    /// Starts from random weights for vectors of `dim` and histories of at most `length`.
    pub(crate) fn new(dim: usize, heads: usize, length: usize, device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        let small = burn::nn::Initializer::Normal { mean: 0.0, std: 0.02 };
        let embedding = |n| EmbeddingConfig::new(n, dim).with_initializer(small.clone()).init(device);
        Self {
            kinds: embedding(KINDS),
            gaps: embedding(GAPS),
            positions: embedding(length),
            norm: RmsNormConfig::new(dim).init(device),
            query: linear(dim, dim),
            key: linear(dim, dim),
            value: linear(dim, dim),
            output: linear(dim, dim),
            inner_norm: RmsNormConfig::new(dim).init(device),
            up: linear(dim, 2 * dim),
            down: linear(2 * dim, dim),
            shortcuts: Param::from_data([1.0_f32, 0.5], device),
            heads,
        }
    }

    /// Encodes histories into users' unit vectors, after the last interaction.
    ///
    /// # Shapes
    /// - `items`: `[batch, length, dim]`, unit vectors, zeros where there is padding
    /// - output: `[batch, dim]`
    pub(crate) fn forward(&self, items: Tensor<3>, histories: Histories) -> Tensor<2> {
        let [batch, length, dim] = items.dims();
        let (heads, depth) = (self.heads, dim / self.heads);
        let device = items.device();

        // Position 0 is the last item, 1 the one before: recency, whatever the history's length.
        let recency = Tensor::<1, Int>::arange(0..length as i64, &device).flip([0]).reshape([1, length]);
        let x = items.clone() * (dim as f64).sqrt()
            + self.kinds.forward(histories.kinds)
            + self.gaps.forward(histories.gaps)
            + self.positions.forward(recency);
        let x = self.norm.forward(x);
        let last = x.clone().slice([0..batch, length - 1..length]);

        let split = |t: Tensor<3>, n: usize| t.reshape([batch, n, heads, depth]).swap_dims(1, 2);
        let query = split(self.query.forward(last.clone()), 1);
        let key = split(self.key.forward(x.clone()), length);
        let value = split(self.value.forward(x), length);
        let scores = query.matmul(key.swap_dims(2, 3)) / (depth as f64).sqrt();
        let padding = histories.padding.clone().reshape([batch, 1, 1, length]).expand([batch, heads, 1, length]);
        let weights = softmax(scores.mask_fill(padding, -1e9), 3);
        let attended = weights.matmul(value).swap_dims(1, 2).reshape([batch, 1, dim]);

        let z = last + self.output.forward(attended);
        let z = z.clone() + self.down.forward(silu(self.up.forward(self.inner_norm.forward(z))));

        let real = histories.padding.bool_not().float().reshape([batch, length, 1]);
        let mean = (items.clone() * real.clone()).sum_dim(1) / real.sum_dim(1).clamp_min(1.0);
        let last = items.slice([0..batch, length - 1..length]);
        let shortcuts = self.shortcuts.val().reshape([1, 1, 2]);
        let of = |n: usize| shortcuts.clone().slice([0..1, 0..1, n..n + 1]);
        let user = z / (dim as f64).sqrt() + last * of(0) + mean * of(1);
        unit(user.reshape([batch, dim]))
    }
}

/// Scales rows to unit length.
///
/// # Shapes
/// - input and output: `[rows, dim]`
pub(crate) fn unit(rows: Tensor<2>) -> Tensor<2> {
    let norm = (rows.clone().square().sum_dim(1) + 1e-12).sqrt();
    rows / norm
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

    #[test]
    fn padding_does_not_change_a_users_vector() {
        let device = Device::flex();
        device.seed(1);
        let encoder = Encoder::new(8, 2, 6, &device);
        let run = |length: usize| {
            let mut items = vec![0.0_f32; length * 8];
            for (n, x) in items[(length - 2) * 8..].iter_mut().enumerate() {
                *x = (n as f32 * 0.37).sin();
            }
            let ints = |v: i64| Tensor::<2, Int>::full([1, length], v, &device);
            let padding: Vec<bool> = (0..length).map(|n| n < length - 2).collect();
            let histories = Histories {
                kinds: ints(2),
                gaps: ints(1),
                padding: Tensor::<1, Bool>::from_data(padding.as_slice(), &device).reshape([1, length]),
            };
            let items = Tensor::<1>::from_data(items.as_slice(), &device).reshape([1, length, 8]);
            encoder.forward(items, histories).into_data().try_into_vec::<f32>().expect("f32")
        };
        let (short, long) = (run(2), run(5));
        assert!(short.iter().zip(&long).all(|(a, b)| (a - b).abs() < 1e-5), "{short:?} {long:?}");
    }
}
