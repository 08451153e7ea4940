//! The sequence encoder: reads a user's last items, kinds and time gaps into one vector, by the architecture of the
//! settings. Each architecture names its paper.
//!
//! The last item's own vector and the history's mean are added to what the architecture reads, each with a learned
//! weight, and the sum is scaled to length 1.

mod arranged;
mod attention;
mod gru;
mod hstu;
mod layers;
mod pooling;

use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::settings::{Architecture, Settings};
pub(crate) use arranged::{Arranged, Histories};
use arranged::{GAPS, KINDS};
use attention::Attention;
pub(crate) use gru::Gru;
use hstu::Hstu;
use layers::{embedding, linear};
use pooling::Pooling;

/// The dense network of the model.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    reader: Reader,
    /// How much of the last item and of the mean of the history goes straight to the output.
    shortcuts: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // one of it lives in a model
enum Reader {
    Pooling(Pooling),
    Layered(Layered),
}

/// A layer over items that know their kind, gap and position.
#[derive(Module, Debug)]
struct Layered {
    kinds: Embedding,
    gaps: Embedding,
    positions: Embedding,
    norm: RmsNorm,
    layer: Layer,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // as above
enum Layer {
    Attention(Attention),
    Hstu(Hstu),
    Gru(Recurrent),
}

/// A gated recurrent unit and its output.
#[derive(Module, Debug)]
struct Recurrent {
    gru: Gru,
    output: Linear,
}

impl Encoder {
    /// Starts from random weights.
    pub(crate) fn new(settings: &Settings, device: &Device) -> Self {
        let Settings { dim, heads, history, .. } = *settings;
        let layered = |layer| Reader::Layered(Layered::new(settings, layer, device));
        let reader = match settings.encoder {
            Architecture::Attention => layered(Layer::Attention(Attention::new(dim, heads, device))),
            Architecture::Pooling => Reader::Pooling(Pooling::new(settings, device)),
            Architecture::Hstu => layered(Layer::Hstu(Hstu::new(dim, heads, history, device))),
            Architecture::Gru => {
                layered(Layer::Gru(Recurrent { gru: Gru::new(dim, device), output: linear(dim, dim, device) }))
            }
        };
        Self { reader, shortcuts: Param::from_data([1.0_f32, 0.5], device) }
    }

    /// Encodes histories into users' unit vectors, after the last interaction.
    ///
    /// # Shapes
    /// - `items`: `[batch, length, dim]`, unit vectors, zeros where there is padding
    /// - output: `[batch, dim]`
    pub(crate) fn forward(&self, items: Tensor<3>, histories: Histories) -> Tensor<2> {
        let [batch, length, dim] = items.dims();
        // Position 0 is the last item, 1 the one before: recency, whatever the history's length.
        let recency = Tensor::<1, Int>::arange(0..length as i64, &items.device()).flip([0]).reshape([1, length]);
        let real = histories.padding.clone().bool_not().float();
        let read = match &self.reader {
            Reader::Pooling(pooling) => pooling.forward(items.clone(), recency, histories),
            Reader::Layered(layered) => layered.forward(items.clone(), recency, real.clone(), histories),
        };

        let real = real.reshape([batch, length, 1]);
        let mean = (items.clone() * real.clone()).sum_dim(1) / real.sum_dim(1).clamp_min(1.0);
        let last = items.slice([0..batch, length - 1..length]);
        let shortcuts = self.shortcuts.val().reshape([1, 1, 2]);
        let of = |n: usize| shortcuts.clone().slice([0..1, 0..1, n..n + 1]);
        let user = read.reshape([batch, 1, dim]) + last * of(0) + mean * of(1);
        unit(user.reshape([batch, dim]))
    }

    /// The same from the host and back to it; a history without an item gives zeros.
    ///
    /// # Shapes
    /// - `items`: `[batch, length, dim]` in row order, unit vectors, zeros where there is padding
    /// - output: `[batch, dim]` in row order
    pub(crate) fn encode(&self, items: Vec<f32>, arranged: &Arranged, device: &Device) -> Vec<f32> {
        let length = arranged.length;
        let batch = arranged.keys.len() / length;
        let dim = items.len() / arranged.keys.len();
        let items = Tensor::<3>::from_data(TensorData::new(items, [batch, length, dim]), device);
        let users = self.forward(items, arranged.to_device(device));
        let mut users = users.into_data().try_into_vec::<f32>().expect("users are f32 on every device we open");
        for (user, row) in users.chunks_exact_mut(dim).zip(arranged.keys.chunks_exact(length)) {
            if row.iter().all(Option::is_none) {
                user.fill(0.0);
            }
        }
        users
    }
}

impl Layered {
    fn new(settings: &Settings, layer: Layer, device: &Device) -> Self {
        Self {
            kinds: embedding(KINDS, settings.dim, device),
            gaps: embedding(GAPS, settings.dim, device),
            positions: embedding(settings.history, settings.dim, device),
            norm: RmsNormConfig::new(settings.dim).init(device),
            layer,
        }
    }

    /// # Shapes
    /// - `items`: `[batch, length, dim]`, unit vectors, zeros where there is padding
    /// - `recency`: `[1, length]`; `real`: `[batch, length]`, 0 under padding, else 1
    /// - output: `[batch, dim]`
    fn forward(&self, items: Tensor<3>, recency: Tensor<2, Int>, real: Tensor<2>, histories: Histories) -> Tensor<2> {
        let [_, _, dim] = items.dims();
        let x = items * (dim as f64).sqrt()
            + self.kinds.forward(histories.kinds)
            + self.gaps.forward(histories.gaps.clone())
            + self.positions.forward(recency.clone());
        let x = self.norm.forward(x);
        let z = match &self.layer {
            Layer::Attention(attention) => attention.forward(x, histories.padding),
            Layer::Hstu(hstu) => hstu.forward(x, real, recency, histories.gaps),
            Layer::Gru(Recurrent { gru, output }) => output.forward(gru.forward(x, real)),
        };
        z / (dim as f64).sqrt()
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

#[cfg(test)]
mod tests {
    use burn::tensor::Bool;

    use super::*;
    use crate::network::dense;

    #[test]
    fn padding_does_not_change_a_users_vector() {
        for architecture in [Architecture::Pooling, Architecture::Attention, Architecture::Hstu, Architecture::Gru] {
            padding_changes_nothing(architecture);
        }
    }

    fn padding_changes_nothing(architecture: Architecture) {
        let device = Device::flex();
        let settings = Settings { encoder: architecture, dim: 8, heads: 2, history: 6, ..Settings::default() };
        let encoder = dense::seeded(&device, 1, || Encoder::new(&settings, &device));
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
        assert!(short.iter().zip(&long).all(|(a, b)| (a - b).abs() < 1e-5), "{architecture}: {short:?} {long:?}");
    }
}
