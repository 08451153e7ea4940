//! The ranker: a small network that orders the candidates of all sources by their features.
//!
//! Three layers and a linear path around them, as in Cheng et al., *Wide & Deep Learning for Recommender Systems*
//! (2016). The linear path starts from a prior, so that the first lists of a new shop are in a sensible order.
//!
//! It is trained on the chosen item against the hardest of the other candidates and some of the rest. Each of the rest
//! stands for those left out, by the logarithm of their number in the softmax.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, TensorData};

use super::features::{FEATURES, PRIOR};
use super::query::Candidate;

const HIDDEN: [usize; 2] = [64, 32];

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

    /// Scores the candidates of a batch in one pass.
    pub(crate) fn score(&self, lists: &[Vec<Candidate>], device: &Device) -> Vec<Vec<f32>> {
        let count: usize = lists.iter().map(Vec::len).sum();
        let mut features = Vec::with_capacity(count * FEATURES);
        for candidate in lists.iter().flatten() {
            features.extend_from_slice(&candidate.features);
        }
        let scores = self.score_features(features, device);
        let mut rest = scores.as_slice();
        let mut of_lists = Vec::with_capacity(lists.len());
        for list in lists {
            let (mine, others) = rest.split_at(list.len());
            rest = others;
            of_lists.push(mine.to_vec());
        }
        of_lists
    }

    /// The same from the host and back to it.
    ///
    /// # Shapes
    /// - `features`: `[candidates, FEATURES]` in row order
    /// - output: `[candidates]`
    pub(crate) fn score_features(&self, features: Vec<f32>, device: &Device) -> Vec<f32> {
        let count = features.len() / FEATURES;
        if count == 0 {
            return Vec::new();
        }
        let features = Tensor::<2>::from_data(TensorData::new(features, [count, FEATURES]), device);
        let scores = self.forward(features).into_data();
        scores.try_into_vec::<f32>().expect("scores are f32 on every device we open")
    }

    /// What a unit more of each feature would add to a candidate's score.
    ///
    /// The network is linear around a candidate, for a unit of it either speaks there or is silent. So the score is the
    /// sum of each feature times its slope, and of what the biases of the units that speak add: exactly, but for
    /// rounding.
    ///
    /// # Shapes
    /// - `features`, output: `[candidates, FEATURES]` in row order
    pub(crate) fn slopes(&self, features: Vec<f32>, device: &Device) -> Vec<f32> {
        let count = features.len() / FEATURES;
        if count == 0 {
            return Vec::new();
        }
        let features = Tensor::<2>::from_data(TensorData::new(features, [count, FEATURES]), device);
        let first = self.first.forward(features);
        let second = self.second.forward(relu(first.clone()));
        let speaks = |units: Tensor<2>| units.greater_elem(0.0).float();
        let slopes = speaks(second) * self.down.weight.val().transpose();
        let slopes = slopes.matmul(self.second.weight.val().transpose()) * speaks(first);
        let slopes = slopes.matmul(self.first.weight.val().transpose()) + self.linear.weight.val().transpose();
        slopes.into_data().try_into_vec::<f32>().expect("slopes are f32 on every device we open")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::dense;

    #[test]
    fn without_biases_what_the_features_add_is_the_score() {
        let device = Device::flex();
        let mut arrays = dense::export(&dense::seeded(&device, 7, || Ranker::new(&device)));
        for (name, array) in &mut arrays {
            for (n, value) in array.values.iter_mut().enumerate() {
                match name.as_str() {
                    "down.weight" => *value = [0.3, -0.2, 0.5, -0.4, 0.1][n % 5], // it starts at nothing
                    "first.bias" | "second.bias" => *value = 0.0,
                    _ => {}
                }
            }
        }
        let ranker = dense::import(Ranker::new(&device), arrays).expect("the same shapes");
        let features: Vec<f32> = (0..3 * FEATURES).map(|n| (n as f32 * 0.37).sin() * 2.0).collect();
        let slopes = ranker.slopes(features.clone(), &device);
        let scores = ranker.score_features(features.clone(), &device);
        for (n, score) in scores.into_iter().enumerate() {
            let of_one = n * FEATURES..(n + 1) * FEATURES;
            let (features, slopes) = (&features[of_one.clone()], &slopes[of_one]);
            let sum: f32 = features.iter().zip(slopes).map(|(feature, slope)| feature * slope).sum();
            assert!((sum - score).abs() < 1e-3, "{sum} and {score}");
            let linear: f32 = features.iter().zip(PRIOR).map(|(feature, prior)| feature * prior).sum();
            assert!((linear - score).abs() > 1e-3, "the hidden units say nothing, so nothing was tested");
        }
    }
}
