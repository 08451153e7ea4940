//! Layers that several readers of histories have.

use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::Device;

/// Small random vectors by number.
pub(super) fn embedding(count: usize, dim: usize, device: &Device) -> Embedding {
    EmbeddingConfig::new(count, dim).with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 }).init(device)
}

/// A matrix without a bias.
pub(super) fn linear(from: usize, to: usize, device: &Device) -> Linear {
    LinearConfig::new(from, to).with_bias(false).init(device)
}
