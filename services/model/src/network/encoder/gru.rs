//! A gated recurrent unit (Cho et al., *Learning Phrase Representations using RNN Encoder-Decoder*, 2014).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{sigmoid, tanh};
use burn::tensor::{Device, Tensor};

/// One gated recurrent layer.
#[derive(Module, Debug)]
pub(crate) struct Gru {
    input: Linear,
    state: Linear,
}

impl Gru {
    pub(crate) fn new(dim: usize, device: &Device) -> Self {
        let linear = |bias| LinearConfig::new(dim, 3 * dim).with_bias(bias).init(device);
        Self { input: linear(true), state: linear(false) }
    }

    /// The state after the last item.
    ///
    /// # Shapes
    /// - `items`: `[batch, length, dim]`, aligned so that the last item stands last
    /// - `real`: `[batch, length]`, 0 under padding, else 1
    /// - output: `[batch, dim]`
    pub(crate) fn forward(&self, items: Tensor<3>, real: Tensor<2>) -> Tensor<2> {
        let [batch, length, dim] = items.dims();
        let gates = self.input.forward(items);
        let mut state = Tensor::<2>::zeros([batch, dim], &real.device());
        for at in 0..length {
            let from_item = gates.clone().slice([0..batch, at..at + 1]).reshape([batch, 3 * dim]);
            let from_state = self.state.forward(state.clone());
            let part = |gates: &Tensor<2>, n: usize| gates.clone().slice([0..batch, n * dim..(n + 1) * dim]);
            let reset = sigmoid(part(&from_item, 0) + part(&from_state, 0));
            let update = sigmoid(part(&from_item, 1) + part(&from_state, 1));
            let new = tanh(part(&from_item, 2) + reset * part(&from_state, 2));
            let real = real.clone().slice([0..batch, at..at + 1]);
            state = state.clone() + (new - state) * update * real;
        }
        state
    }
}
