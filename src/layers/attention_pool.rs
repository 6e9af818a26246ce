//! Attention pooling: a learned weight for each frame, normalised over the valid ones.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation::softmax};

use crate::value::Lengths;

/// Single-head additive attention over time.
///
/// `a = softmax_t(w · x_t + b)`, `y = Σ_t a_t x_t`, with padding excluded.
///
/// # Source
/// Self-attention pooling as in Safari, India & Hernando 2020 (one linear score a frame).
#[derive(Module, Debug)]
pub struct AttentionPool {
    score: Linear,
}

impl AttentionPool {
    /// Pooling over frames of `width`.
    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            score: LinearConfig::new(width, 1).init(device),
        }
    }

    /// Number of parameters for frames of `width`.
    pub fn parameters(width: usize) -> u64 {
        width as u64 + 1
    }

    /// Pools the valid frames of each item.
    ///
    /// # Shapes
    /// - `frames`: `[batch, time, width]`
    /// - output: `[batch, width]`
    pub fn forward(&self, frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
        let [batch, time, width] = frames.dims();
        let mut scores = self.score.forward(frames.clone()).reshape([batch, time]);
        if !lengths.all_full(time) {
            let padding = lengths.mask(time, &scores.device()).equal_elem(0.0);
            scores = scores.mask_fill(padding, f32::NEG_INFINITY);
        }
        let weights = softmax(scores, 1).reshape([batch, 1, time]);
        weights.matmul(frames).reshape([batch, width])
    }
}

/// Mean over the valid frames of each item.
///
/// # Shapes
/// - `frames`: `[batch, time, width]`
/// - output: `[batch, width]`
pub fn mean_pool(frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    let [batch, time, width] = frames.dims();
    let mask = lengths.mask(time, &frames.device());
    let count = mask.clone().sum_dim(1).clamp_min(1.0);
    let weights = (mask / count).reshape([batch, 1, time]);
    weights.matmul(frames).reshape([batch, width])
}
