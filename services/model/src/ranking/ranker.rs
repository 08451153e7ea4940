//! The ranker: a small network that orders the candidates of all sources by their features.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor};

use crate::ranking::features::FEATURES;

const HIDDEN: [usize; 2] = [64, 32];

/// What the linear path starts from: popularity and pairs add up, likeness of vectors decides little while they are
/// random. Without it the first slates of a new shop are in no order; it is forgotten within some thousand choices.
const PRIOR: [f32; FEATURES] = {
    let mut prior = [0.0; FEATURES];
    (prior[0], prior[1], prior[4], prior[5], prior[11], prior[17]) = (0.2, 0.5, 0.5, 0.7, 1.0, 0.7); // vectors, pairs, sessions
    (prior[20], prior[21], prior[22], prior[23]) = (0.4, 0.7, 0.7, 0.5); // popularity
    prior[36] = 0.5; // content
    prior
};

/// Three layers and a linear path around them, so that it starts as a sensible weighted sum.
#[derive(Module, Debug)]
pub(crate) struct Ranker {
    linear: Linear,
    first: Linear,
    second: Linear,
    down: Linear,
}

impl Ranker {
    pub(crate) fn new(device: &Device) -> Self {
        let linear = |from, to, bias| LinearConfig::new(from, to).with_bias(bias);
        let mut prior = linear(FEATURES, 1, false).init(device);
        prior.weight = Param::from_data(PRIOR.map(|weight| [weight]), device);
        Self {
            linear: prior,
            first: linear(FEATURES, HIDDEN[0], true).init(device),
            second: linear(HIDDEN[0], HIDDEN[1], true).init(device),
            down: linear(HIDDEN[1], 1, false).with_initializer(Initializer::Zeros).init(device),
        }
    }

    /// Scores candidates.
    ///
    /// # Shapes
    /// - `features`: `[candidates, FEATURES]`
    /// - output: `[candidates]`
    pub(crate) fn forward(&self, features: Tensor<2>) -> Tensor<1> {
        let [candidates, _] = features.dims();
        let hidden = relu(self.second.forward(relu(self.first.forward(features.clone()))));
        (self.linear.forward(features) + self.down.forward(hidden)).reshape([candidates])
    }

    /// Logarithm of the softmax of the first candidate, the one chosen, among all.
    ///
    /// # Shapes
    /// - `features`: `[batch * width, FEATURES]`; `stands_for`: `[batch, width]`, the logarithm of how many candidates
    ///   each stands for, far below zero where there is none
    /// - output: `[batch]`
    pub(crate) fn log_likelihoods(&self, features: Tensor<2>, stands_for: Tensor<2>) -> Tensor<1> {
        let [batch, width] = stands_for.dims();
        let scores = self.forward(features).reshape([batch, width]) + stands_for;
        log_softmax(scores, 1).slice([0..batch, 0..1]).reshape([batch])
    }
}
