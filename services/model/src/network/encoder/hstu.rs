//! Pointwise attention: how much of each item is taken in does not depend on how many others there are.
//!
//! After Zhai et al., *Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative
//! Recommendations* (2024): silu in the place of softmax, a bias for recency and time gap in the scores, and a gate on
//! what was gathered. As for attention, only the last position is computed.

use burn::module::Module;
use burn::nn::{Embedding, Linear, RmsNorm, RmsNormConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor};

use super::arranged::GAPS;
use super::layers::{embedding, linear};

/// One block of a hierarchical sequential transduction unit.
#[derive(Module, Debug)]
pub(super) struct Hstu {
    gate: Linear,
    query: Linear,
    key: Linear,
    value: Linear,
    /// `[length, heads]` and `[GAPS, heads]`: what recency and gap add to a score.
    recency_bias: Embedding,
    gap_bias: Embedding,
    inner_norm: RmsNorm,
    output: Linear,
    #[module(skip)]
    heads: usize,
}

impl Hstu {
    pub(super) fn new(dim: usize, heads: usize, length: usize, device: &Device) -> Self {
        Self {
            gate: linear(dim, dim, device),
            query: linear(dim, dim, device),
            key: linear(dim, dim, device),
            value: linear(dim, dim, device),
            recency_bias: embedding(length, heads, device),
            gap_bias: embedding(GAPS, heads, device),
            inner_norm: RmsNormConfig::new(dim).init(device),
            output: linear(dim, dim, device),
            heads,
        }
    }

    /// # Shapes
    /// - `x`: `[batch, length, dim]`; `real`: `[batch, length]`, 0 under padding, else 1
    /// - `recency`: `[1, length]`; `gaps`: `[batch, length]`
    /// - output: `[batch, dim]`, at the last position
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        real: Tensor<2>,
        recency: Tensor<2, Int>,
        gaps: Tensor<2, Int>,
    ) -> Tensor<2> {
        let [batch, length, dim] = x.dims();
        let (heads, depth) = (self.heads, dim / self.heads);
        let last = x.clone().slice([0..batch, length - 1..length]);

        let split = |t: Tensor<3>, n: usize| silu(t).reshape([batch, n, heads, depth]).swap_dims(1, 2);
        let query = split(self.query.forward(last.clone()), 1);
        let key = split(self.key.forward(x.clone()), length);
        let value = split(self.value.forward(x), length);
        let bias = self.recency_bias.forward(recency) + self.gap_bias.forward(gaps);
        let bias = bias.swap_dims(1, 2).reshape([batch, heads, 1, length]);
        let scores = query.matmul(key.swap_dims(2, 3)) / (depth as f64).sqrt() + bias;
        let weights = silu(scores) * real.reshape([batch, 1, 1, length]);
        let gathered = weights.matmul(value).swap_dims(1, 2).reshape([batch, 1, dim]);

        let gate = silu(self.gate.forward(last.clone()));
        let z = last + self.output.forward(self.inner_norm.forward(gathered) * gate);
        z.reshape([batch, dim])
    }
}
