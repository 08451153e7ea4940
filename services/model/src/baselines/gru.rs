//! The baseline that is a network and nothing else: GRU4Rec, trained as the stream goes.
//!
//! After Hidasi and Karatzoglou, *Recurrent Neural Networks with Top-k Gains for Session-based Recommendations* (2018):
//! items' rows are input and output alike, cross-entropy against the other choices of the micro-batch and shared extra
//! negatives. It ranks all items that it knows.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::rows::Rows;
use super::{Ask, Baseline, Choice, ITEMS, NAMED, Ranked, chosen};
use crate::error::Error;
use crate::learner::Unique;
use crate::memory::history::Seen;
use crate::network::dense;
use crate::network::encoder::Gru as Network;

const DIM: usize = 64;
/// Items of a history that the network sees.
const LENGTH: usize = 10;
const NEGATIVES: usize = 256;
/// Choices remembered as negatives; drawing from them follows what is popular now.
const RECENT: usize = 8_192;
const ROW_RATE: f32 = 0.2;
const DENSE_RATE: f64 = 3e-3;

/// A recurrent network over a session's last items.
pub struct Gru {
    device: Device,
    plain: Device,
    network: Network,
    optimizer: ModuleOptimizer,
    rows: Rows,
    recent: Vec<u64>,
    met: usize,
    steps: u64,
    seed: u64,
}

impl Gru {
    /// Knows nothing.
    ///
    /// # Errors
    /// When the device does not open.
    pub fn new(device: &str, seed: u64) -> Result<Self, Error> {
        let plain = crate::device::open(device).map_err(Error::Device)?;
        let weights = dense::export(&dense::seeded(&plain, seed, || Network::new(DIM, &plain)));
        let device = plain.clone().autodiff();
        let clipping = GradientClippingConfig::Norm(1.0).init();
        Ok(Self {
            network: dense::import(Network::new(DIM, &device), weights)?,
            optimizer: AdamConfig::new().init().with_grad_clipping(clipping),
            rows: Rows::new(DIM, ITEMS, 0.2, seed),
            recent: Vec::new(),
            met: 0,
            steps: 0,
            device,
            plain,
            seed,
        })
    }

    /// A history's last known items, oldest first.
    fn known(&self, history: &[Seen]) -> Vec<u64> {
        let mut keys: Vec<u64> = chosen(history).filter(|key| self.rows.find(*key).is_some()).take(LENGTH).collect();
        keys.reverse();
        keys
    }

    /// Other choices of the micro-batch stand against each other, beside half recent and half uniform negatives.
    fn draw_negatives(&self) -> Vec<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ self.steps.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let known = self.rows.keys();
        (0..NEGATIVES)
            .map(|n| match n % 2 {
                0 => self.recent[rng.random_range(0..self.recent.len())],
                _ => known[rng.random_range(0..known.len())],
            })
            .filter(|key| self.rows.find(*key).is_some())
            .collect()
    }

    fn step(&mut self, examples: &[(Vec<u64>, u64)]) {
        let length = examples.iter().map(|(history, _)| history.len()).max().unwrap_or(0);
        let batch = examples.len();
        let mut unique = Unique::default();
        // The columns of the softmax come first, each item once.
        let labels: Vec<i32> = examples.iter().map(|(_, key)| unique.index(*key)).collect();
        for key in self.draw_negatives() {
            unique.index(key);
        }
        let columns = unique.keys.len();
        let mut cells = vec![0_i32; batch * length];
        let mut real = vec![0.0_f32; batch * length];
        for (row, (history, _)) in examples.iter().enumerate() {
            let first = (row + 1) * length - history.len();
            for (cell, key) in (first..).zip(history) {
                cells[cell] = unique.index(*key);
                real[cell] = 1.0;
            }
        }
        let slots: Vec<usize> = unique.keys.iter().filter_map(|key| self.rows.find(*key)).collect();
        let values: Vec<f32> = slots.iter().flat_map(|slot| self.rows.row(*slot).iter().copied()).collect();

        let device = &self.device;
        let rows = Tensor::<2>::from_data(TensorData::new(values, [slots.len(), DIM]), device).require_grad();
        let cells = Tensor::<1, Int>::from_data(TensorData::new(cells, [batch * length]), device);
        let real = Tensor::<2>::from_data(TensorData::new(real, [batch, length]), device);
        let items = rows.clone().select(0, cells).reshape([batch, length, DIM]);
        let states = self.network.forward(items, real);
        let logits = states.matmul(rows.clone().slice([0..columns, 0..DIM]).transpose());
        let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [batch, 1]), device);
        let loss = log_softmax(logits, 1).gather(1, labels).mean().neg();
        let gradients = loss.backward();
        let gradient = rows.grad(&gradients).map(|g| g.into_data().try_into_vec::<f32>());
        let gradients = GradientsParams::from_grads(gradients, &self.network);
        self.network = self.optimizer.step(DENSE_RATE, self.network.clone(), gradients);
        if let Some(Ok(gradient)) = gradient {
            for (slot, gradient) in slots.iter().zip(gradient.chunks_exact(DIM)) {
                self.rows.adagrad(*slot, gradient, ROW_RATE);
            }
        }
    }
}

impl Baseline for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn in_batches(&self) -> bool {
        true
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let histories: Vec<Vec<u64>> = asks.iter().map(|ask| self.known(ask.history)).collect();
        let length = histories.iter().map(Vec::len).max().unwrap_or(0);
        if length == 0 {
            return vec![Ranked::new(); asks.len()];
        }
        let mut items = vec![0.0_f32; asks.len() * length * DIM];
        let mut real = vec![0.0_f32; asks.len() * length];
        for (row, history) in histories.iter().enumerate() {
            let first = (row + 1) * length - history.len();
            for (cell, slot) in (first..).zip(history.iter().filter_map(|key| self.rows.find(*key))) {
                items[cell * DIM..(cell + 1) * DIM].copy_from_slice(self.rows.row(slot));
                real[cell] = 1.0;
            }
        }
        let items = Tensor::<3>::from_data(TensorData::new(items, [asks.len(), length, DIM]), &self.plain);
        let real = Tensor::<2>::from_data(TensorData::new(real, [asks.len(), length]), &self.plain);
        let states = self.network.valid().forward(items, real).into_data();
        let states = states.try_into_vec::<f32>().expect("states are f32 on every device we open");
        self.rows.nearest(&states, NAMED)
    }

    fn learn(&mut self, choices: &[Choice<'_>]) {
        for choice in choices {
            self.rows.meet(choice.key);
            if self.recent.len() < RECENT {
                self.recent.push(choice.key);
            } else {
                self.recent[self.met % RECENT] = choice.key;
            }
            self.met += 1;
        }
        let examples: Vec<(Vec<u64>, u64)> = choices
            .iter()
            .filter(|choice| self.rows.find(choice.key).is_some())
            .map(|choice| (self.known(choice.history), choice.key))
            .filter(|(history, _)| !history.is_empty())
            .collect();
        if !examples.is_empty() {
            self.step(&examples);
            self.steps += 1;
        }
    }
}

impl std::fmt::Debug for Gru {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gru").field("items", &self.rows.len()).field("steps", &self.steps).finish_non_exhaustive()
    }
}
