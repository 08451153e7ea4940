//! The ranker: a small network that orders the candidates of all sources by their features.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Bool, Device, Tensor};

/// Features of one candidate, in the order of [`crate::candidates`].
pub(crate) const FEATURES: usize = 13;

const HIDDEN: usize = 32;

/// What the linear path starts from: popularity and pairs add up, likeness of vectors decides little while they are
/// random. Without it the first slates of a new shop are in no order; it is forgotten within some thousand choices.
const PRIOR: [f32; FEATURES] = [0.2, 0.5, 1.0, 1.0, 0.7, 1.0, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

/// Two layers and a linear path around them, so that it starts as a sensible weighted sum.
#[derive(Module, Debug)]
pub(crate) struct Ranker {
    linear: Linear,
    up: Linear,
    down: Linear,
}

impl Ranker {
    pub(crate) fn new(device: &Device) -> Self {
        let linear = |from, to, bias| LinearConfig::new(from, to).with_bias(bias);
        let mut prior = linear(FEATURES, 1, false).init(device);
        prior.weight = Param::from_data(PRIOR.map(|weight| [weight]), device);
        Self {
            linear: prior,
            up: linear(FEATURES, HIDDEN, true).init(device),
            down: linear(HIDDEN, 1, false).with_initializer(Initializer::Zeros).init(device),
        }
    }

    /// Scores candidates.
    ///
    /// # Shapes
    /// - `features`: `[candidates, FEATURES]`
    /// - output: `[candidates]`
    pub(crate) fn forward(&self, features: Tensor<2>) -> Tensor<1> {
        let [candidates, _] = features.dims();
        let hidden = relu(self.up.forward(features.clone()));
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
