//! Attention pooling: a history as a weighted sum of its items' own vectors, which the last item weighs.
//!
//! The query is the last item's, as in Liu et al., *STAMP: Short-Term Attention/Memory Priority Model for Session-based
//! Recommendation* (2018). Only the query is projected; the items are summed as they are, so that users lie where items
//! lie, as in Hou et al., *CORE: Simple and Effective Session-based Recommendation within Consistent Representation
//! Space* (2022).

use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};

use super::arranged::{GAPS, Histories, KINDS};
use super::layers::{embedding, linear};
use crate::settings::Settings;

/// Factor on the biases: they start near 0, and Adam moves a weight by no more than its rate in a step, a thousandth.
const BIAS: f64 = 10.0;

/// Weights for the items of a history.
#[derive(Module, Debug)]
pub(super) struct Pooling {
    query: Linear,
    /// `[KINDS, 1]`, `[GAPS, 1]` and `[length, 1]`: what kind, gap and recency add to a weight's logarithm.
    kind_bias: Embedding,
    gap_bias: Embedding,
    recency_bias: Embedding,
    /// How much the sum counts beside the shortcuts.
    scale: Param<Tensor<1>>,
}

impl Pooling {
    pub(super) fn new(settings: &Settings, device: &Device) -> Self {
        Self {
            query: linear(settings.dim, settings.dim, device),
            kind_bias: embedding(KINDS, 1, device),
            gap_bias: embedding(GAPS, 1, device),
            recency_bias: embedding(settings.history, 1, device),
            scale: Param::from_data([0.5_f32], device),
        }
    }

    /// # Shapes
    /// - `items`: `[batch, length, dim]`, unit vectors, zeros where there is padding
    /// - `recency`: `[1, length]`
    /// - output: `[batch, dim]`
    pub(super) fn forward(&self, items: Tensor<3>, recency: Tensor<2, Int>, histories: Histories) -> Tensor<2> {
        let [batch, length, dim] = items.dims();
        let last = items.clone().slice([0..batch, length - 1..length]);
        let likeness = (self.query.forward(last) * items.clone()).sum_dim(2) * (dim as f64).sqrt();
        let bias = self.recency_bias.forward(recency)
            + self.gap_bias.forward(histories.gaps)
            + self.kind_bias.forward(histories.kinds);
        let scores = likeness + bias * BIAS;
        let weights = softmax(scores.mask_fill(histories.padding.reshape([batch, length, 1]), -1e9), 1);
        (items * weights).sum_dim(1).reshape([batch, dim]) * self.scale.val().reshape([1, 1])
    }
}
