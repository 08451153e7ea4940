//! The ranker: a small network that orders the candidates of all sources by their features.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, silu};
use burn::tensor::{Bool, Device, Tensor};

/// Features of one candidate, in the order of [`crate::candidates`].
pub(crate) const FEATURES: usize = 13;

const HIDDEN: usize = 32;

/// Two layers and a linear path around them, so that it starts as a sensible weighted sum.
#[derive(Module, Debug)]
pub(crate) struct Ranker {
    linear: Linear,
    up: Linear,
    down: Linear,
}

impl Ranker {
    pub(crate) fn new(device: &Device) -> Self {
        Self {
            linear: LinearConfig::new(FEATURES, 1).with_bias(false).init(device),
            up: LinearConfig::new(FEATURES, HIDDEN).init(device),
            down: LinearConfig::new(HIDDEN, 1).with_bias(false).init(device),
        }
    }

    /// Scores candidates.
    ///
    /// # Shapes
    /// - `features`: `[candidates, FEATURES]`
    /// - output: `[candidates]`
    pub(crate) fn forward(&self, features: Tensor<2>) -> Tensor<1> {
        let [candidates, _] = features.dims();
        let hidden = silu(self.up.forward(features.clone()));
        (self.linear.forward(features) + self.down.forward(hidden)).reshape([candidates])
    }

    /// Mean softmax cross-entropy of the chosen candidate among all.
    ///
    /// # Shapes
    /// - `features`: `[batch * width, FEATURES]`; `padding`: `[batch, width]`, true where there is no candidate
    /// - `chosen`: `[batch, width]`, 1 at the chosen candidate
    pub(crate) fn loss(&self, features: Tensor<2>, padding: Tensor<2, Bool>, chosen: Tensor<2>) -> Tensor<1> {
        let [batch, width] = chosen.dims();
        let scores = self.forward(features).reshape([batch, width]).mask_fill(padding, -1e9);
        let chosen_score = (log_softmax(scores, 1) * chosen).sum();
        chosen_score.neg() / batch as f64
    }
}
