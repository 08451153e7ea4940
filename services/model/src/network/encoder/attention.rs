//! One attention layer whose only query is the user's last item.
//!
//! After Kang and McAuley, *Self-Attentive Sequential Recommendation* (2018): a causal transformer layer of which only
//! the last position is computed, since only that position is asked for. The cost of an example grows with its
//! history's length, not its square.

use burn::module::Module;
use burn::nn::{Linear, RmsNorm, RmsNormConfig};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Bool, Device, Tensor};

use super::layers::linear;

/// Softmax attention and a feed-forward layer.
#[derive(Module, Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    inner_norm: RmsNorm,
    up: Linear,
    down: Linear,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    pub(super) fn new(dim: usize, heads: usize, device: &Device) -> Self {
        Self {
            query: linear(dim, dim, device),
            key: linear(dim, dim, device),
            value: linear(dim, dim, device),
            output: linear(dim, dim, device),
            inner_norm: RmsNormConfig::new(dim).init(device),
            up: linear(dim, 2 * dim, device),
            down: linear(2 * dim, dim, device),
            heads,
        }
    }

    /// # Shapes
    /// - `x`: `[batch, length, dim]`; `padding`: `[batch, length]`, true where there is nothing
    /// - output: `[batch, dim]`, at the last position
    pub(super) fn forward(&self, x: Tensor<3>, padding: Tensor<2, Bool>) -> Tensor<2> {
        let [batch, length, dim] = x.dims();
        let (heads, depth) = (self.heads, dim / self.heads);
        let last = x.clone().slice([0..batch, length - 1..length]);

        let split = |t: Tensor<3>, n: usize| t.reshape([batch, n, heads, depth]).swap_dims(1, 2);
        let query = split(self.query.forward(last.clone()), 1);
        let key = split(self.key.forward(x.clone()), length);
        let value = split(self.value.forward(x), length);
        let scores = query.matmul(key.swap_dims(2, 3)) / (depth as f64).sqrt();
        let padding = padding.reshape([batch, 1, 1, length]).expand([batch, heads, 1, length]);
        let weights = softmax(scores.mask_fill(padding, -1e9), 3);
        let attended = weights.matmul(value).swap_dims(1, 2).reshape([batch, 1, dim]);

        let z = last + self.output.forward(attended);
        let z = z.clone() + self.down.forward(silu(self.up.forward(self.inner_norm.forward(z))));
        z.reshape([batch, dim])
    }
}
