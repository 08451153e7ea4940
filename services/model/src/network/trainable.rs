//! The part of the model that has gradients: encoder and ranker with their optimisers.
//!
//! Item rows stay on the host. A step gathers the unique rows of its batch into one leaf tensor, runs the network on it
//! and hands the leaf's gradient back. The cost of this does not depend on the catalog.
//!
//! **Vector of an item.** `v = unit(row + sum of its n content rows / sqrt(n))`, where `unit` scales to length 1.
//!
//! **Loss of the encoder.** A sampled softmax over the chosen item and the negatives, with the logits
//! `s = cos(user, item) / temperature - ln q(item)`, where `q` is the probability of drawing the item as a negative.
//! The correction by `ln q` is that of Bengio and Senécal, *Adaptive Importance Sampling to Accelerate Training of a
//! Neural Probabilistic Language Model* (2008); for streams of recommendations see Yi et al., *Sampling-Bias-Corrected
//! Neural Modeling for Large Corpus Item Recommendations* (2019).
//!
//! **Loss of the ranker.** Softmax cross-entropy over the candidates of one list. Each example counts by the weight of
//! its kind.
//!
//! **Optimisers.** Dense weights: Adam (Kingma and Ba, *Adam: A Method for Stochastic Optimization*, 2015). Rows:
//! Adagrad with one accumulator for each row (Duchi, Hazan and Singer, 2011, *Adaptive Subgradient Methods for Online
//! Learning and Stochastic Optimization*): `G = 0.9995 G + mean(g^2)` and `row = row - rate * g / sqrt(G)`. The factor
//! below 1 keeps the rows of popular items moving on a stream without end. A content row takes the gradient times
//! `1 / sqrt(n)`.

use std::panic::AssertUnwindSafe;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};

use crate::error::Error;
use crate::network::dense::{self, Arrays};
use crate::network::encoder::{Arranged, Encoder, unit};
use crate::ranking::features::FEATURES;
use crate::ranking::ranker::Ranker;
use crate::settings::Settings;

/// Encoder and ranker on the differentiating device.
pub(crate) struct Trainable {
    device: Device,
    encoder: Encoder,
    encoder_optimizer: ModuleOptimizer,
    ranker: Ranker,
    ranker_optimizer: ModuleOptimizer,
}

/// One step's examples for the encoder.
pub(crate) struct Examples<'a> {
    /// `[unique, dim]`: the rows of every item that the step touches.
    pub(crate) rows: Vec<f32>,
    pub(crate) histories: &'a Arranged,
    /// `[batch, length]`: index into `rows` of each history cell; 0 under padding.
    pub(crate) cells: Vec<i32>,
    /// `[batch]`: index into `rows` of what was chosen, and the logarithm of its sampling probability.
    pub(crate) targets: Vec<i32>,
    pub(crate) target_log_q: Vec<f32>,
    /// `[negatives]`: as above.
    pub(crate) negatives: Vec<i32>,
    pub(crate) negative_log_q: Vec<f32>,
    /// `[batch]`: how much each example counts, by its kind.
    pub(crate) weights: Vec<f32>,
    /// `[batch]`: what is left of that, 0 to 1, where its user repeats a choice.
    pub(crate) influence: Vec<f32>,
}

/// One step's examples for the ranker.
pub(crate) struct Choices {
    /// `[batch * width, FEATURES]`
    pub(crate) features: Vec<f32>,
    /// `[batch, width]`: the logarithm of how many candidates each stands for; [`NOBODY`] where there is none.
    pub(crate) stands_for: Vec<f32>,
    /// `[batch]`: how much each example counts, by its kind.
    pub(crate) weights: Vec<f32>,
    /// `[batch]`: what is left of that, 0 to 1, where its user repeats a choice.
    pub(crate) influence: Vec<f32>,
    /// Candidates of each example; the first is what was chosen.
    pub(crate) width: usize,
}

/// In the place of a candidate where there is none.
pub(crate) const NOBODY: f32 = -1e9;

/// The optimisers' states, opaque.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OptimizerStates {
    pub(crate) encoder: Vec<u8>,
    pub(crate) ranker: Vec<u8>,
}

fn adam() -> ModuleOptimizer {
    // Clipping: one odd micro-batch must not throw the published model off.
    AdamConfig::new().init().with_grad_clipping(GradientClippingConfig::Norm(1.0).init())
}

impl Trainable {
    /// Starts from the weights of these two, which are on the plain `device`.
    pub(crate) fn new(
        settings: &Settings,
        device: &Device,
        (encoder, ranker): (&Encoder, &Ranker),
    ) -> Result<Self, Error> {
        let device = device.clone().autodiff();
        let encoder = dense::import(Encoder::new(settings, &device), dense::export(encoder))?;
        let ranker = dense::import(Ranker::new(&device), dense::export(ranker))?;
        Ok(Self { device, encoder, encoder_optimizer: adam(), ranker, ranker_optimizer: adam() })
    }

    /// Continues with the optimisers' states of a checkpoint.
    pub(crate) fn with_optimizers(mut self, states: OptimizerStates) -> Result<Self, Error> {
        let load = |optimizer: ModuleOptimizer, bytes: Vec<u8>| {
            if bytes.is_empty() {
                return Ok(optimizer);
            }
            // The bytes may be a stranger's, and Burn trusts them: what it does not bear is no state, and no end of
            // ours.
            let load = AssertUnwindSafe(|| optimizer.from_bytes(Bytes::from_bytes_vec(bytes)));
            match std::panic::catch_unwind(load) {
                Ok(loaded) => loaded.map_err(|e| Error::Optimizer(schemas::checkpoint::shown(&e.to_string()))),
                Err(_) => Err(Error::Optimizer("it is not one".to_owned())),
            }
        };
        self.encoder_optimizer = load(self.encoder_optimizer, states.encoder)?;
        self.ranker_optimizer = load(self.ranker_optimizer, states.ranker)?;
        Ok(self)
    }

    pub(crate) fn optimizer_states(&self) -> Result<OptimizerStates, Error> {
        let bytes = |optimizer: &ModuleOptimizer| {
            optimizer.into_bytes().map(|b| b.to_vec()).map_err(|e| Error::Optimizer(e.to_string()))
        };
        Ok(OptimizerStates { encoder: bytes(&self.encoder_optimizer)?, ranker: bytes(&self.ranker_optimizer)? })
    }

    /// The weights for inference.
    pub(crate) fn for_inference(&self) -> (Encoder, Ranker) {
        (self.encoder.valid(), self.ranker.valid())
    }

    pub(crate) fn arrays(&self) -> (Arrays, Arrays) {
        let (encoder, ranker) = self.for_inference();
        (dense::export(&encoder), dense::export(&ranker))
    }

    /// One step of sampled softmax with log-frequency correction; gives the loss and the rows' gradient. A loss that is
    /// not finite trains nothing: one such step would spoil every weight for good.
    ///
    /// # Shapes
    /// - output gradient: `[unique, dim]` in row order
    pub(crate) fn step_encoder(&mut self, settings: &Settings, examples: Examples<'_>) -> (f32, Vec<f32>) {
        let device = &self.device;
        let dim = settings.dim;
        let (batch, length) = (examples.targets.len(), examples.histories.length);
        let unique = examples.rows.len() / dim;
        let ints = |values: Vec<i32>| {
            let n = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [n]), device)
        };
        let floats = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [n]), device)
        };

        let rows = Tensor::<2>::from_data(TensorData::new(examples.rows, [unique, dim]), device).require_grad();
        let vectors = unit(rows.clone());

        let histories = examples.histories.to_device(device);
        let real = histories.padding.clone().bool_not().float().reshape([batch, length, 1]);
        let items = vectors.clone().select(0, ints(examples.cells)).reshape([batch, length, dim]) * real;
        let users = self.encoder.forward(items, histories);

        let targets = ints(examples.targets);
        let negatives = ints(examples.negatives);
        let scale = 1.0 / f64::from(settings.temperature);
        let positive = (users.clone() * vectors.clone().select(0, targets.clone())).sum_dim(1) * scale
            - floats(examples.target_log_q).unsqueeze_dim::<2>(1);
        let negative = users.matmul(vectors.select(0, negatives.clone()).transpose()) * scale
            - floats(examples.negative_log_q).unsqueeze_dim::<2>(0);
        // A negative that is the very item chosen would teach the opposite.
        let count = negatives.dims()[0];
        let same = targets
            .unsqueeze_dim::<2>(1)
            .expand([batch, count])
            .equal(negatives.unsqueeze_dim::<2>(0).expand([batch, count]));
        let logits = Tensor::cat(vec![positive, negative.mask_fill(same, -1e9)], 1);
        let log_likelihoods = log_softmax(logits, 1).slice([0..batch, 0..1]).reshape([batch]);
        let loss = weighted_mean(log_likelihoods, examples.weights, examples.influence).neg();

        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return (value, Vec::new());
        }
        let gradients = loss.backward();
        let rows_gradient = rows.grad(&gradients).map_or_else(
            || vec![0.0; unique * dim],
            |g| g.into_data().try_into_vec::<f32>().expect("gradients are f32 on every device we open"),
        );
        let gradients = GradientsParams::from_grads(gradients, &self.encoder);
        self.encoder = self.encoder_optimizer.step(settings.dense_learning_rate, self.encoder.clone(), gradients);
        (value, rows_gradient)
    }

    /// One step of softmax cross-entropy over candidates; gives the loss. One that is not finite trains nothing.
    pub(crate) fn step_ranker(&mut self, settings: &Settings, choices: Choices) -> f32 {
        let device = &self.device;
        let cells = choices.stands_for.len();
        let shape = [cells / choices.width, choices.width];
        let features = Tensor::<2>::from_data(TensorData::new(choices.features, [cells, FEATURES]), device);
        let stands_for = Tensor::<2>::from_data(TensorData::new(choices.stands_for, shape), device);
        let log_likelihoods = self.ranker.log_likelihoods(features, stands_for);
        let loss = weighted_mean(log_likelihoods, choices.weights, choices.influence).neg();
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return value;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &self.ranker);
        self.ranker = self.ranker_optimizer.step(settings.ranker_learning_rate, self.ranker.clone(), gradients);
        value
    }
}

/// The mean of `values`, each as often as its weight says, where one of influence `s` adds but `s` times its value: a
/// batch of what one user repeats moves little, though there is nothing else in it.
///
/// # Shapes
/// - `values`, `weights`, `influence`: `[batch]`; output: `[1]`
fn weighted_mean(values: Tensor<1>, mut weights: Vec<f32>, influence: Vec<f32>) -> Tensor<1> {
    let sum = weights.iter().sum::<f32>();
    let count = weights.len();
    weights.iter_mut().zip(influence).for_each(|(weight, influence)| *weight *= influence);
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [count]), &values.device());
    (values * weights).sum() / sum
}

impl std::fmt::Debug for Trainable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainable").field("device", &self.device).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_repeats_adds_little_though_there_is_nothing_else_in_the_batch() {
        let device = crate::device::open("flex").expect("opens");
        let mean = |weights: [f32; 2], influence: [f32; 2]| {
            let values = Tensor::<1>::from_data(TensorData::new(vec![-2.0_f32, -6.0], [2]), &device);
            weighted_mean(values, weights.to_vec(), influence.to_vec()).into_scalar::<f32>()
        };
        assert_eq!(mean([1.0, 3.0], [1.0, 1.0]), -5.0);
        assert_eq!(mean([1.0, 1.0], [1.0, 0.25]), -1.75);
        assert_eq!(mean([3.0, 3.0], [0.25, 0.25]), -1.0);
    }
}
