//! Pooling over the valid frames of each item: learned weights, mean, maximum, mean and deviation.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::softmax};

use super::dense::Dense;
use crate::value::Lengths;

/// Smallest variance, as that of Kaldi's `StatisticsPoolingComponent`: the deviation of a single
/// frame has a gradient.
const VARIANCE_FLOOR: f64 = 1e-10;

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
            score: Self::score(width).build(device),
        }
    }

    /// The layer that scores frames of `width`.
    fn score(width: usize) -> Dense {
        Dense::new(width, 1)
    }

    /// Number of parameters for frames of `width`.
    pub fn parameters(width: usize) -> u64 {
        Self::score(width).parameters()
    }

    /// Pools the valid frames of each item.
    ///
    /// # Shapes
    /// - `frames`: `[batch, time, width]`
    /// - output: `[batch, width]`
    pub fn forward(&self, frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
        let [batch, time, _] = frames.dims();
        let scores = self.score.forward(frames.clone()).reshape([batch, 1, time]);
        attend(scores, frames, lengths)
    }
}

/// Multi-head additive attention over time; the heads' results are joined.
///
/// `a^h = softmax_t(v^h · tanh(W^h x_t + b^h))`, `y = [Σ_t a^h_t x_t]_h`, with padding excluded.
///
/// # Source
/// Lin et al. 2017, §2.1 (structured self-attention), with the bias `b`; one behind `v` would cancel
/// in the softmax and is left out.
#[derive(Module, Debug)]
pub struct MultiHeadAttentionPool {
    hidden: Linear,
    score: Param<Tensor<2>>,
}

impl MultiHeadAttentionPool {
    /// Pooling over frames of `width` with `heads`, each with a hidden layer of `hidden`.
    pub fn new(width: usize, heads: usize, hidden: usize, device: &Device) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        Self {
            hidden: Dense::new(width, heads * hidden).build(device),
            score: Initializer::Uniform {
                min: -bound,
                max: bound,
            }
            .init([heads, hidden], device),
        }
    }

    /// Number of parameters.
    pub fn parameters(width: usize, heads: usize, hidden: usize) -> u64 {
        Dense::new(width, heads * hidden).parameters() + (heads * hidden) as u64
    }

    /// Whether a tensor, by its path, is what scores frames: a vector for each head, and no matrix of a layer.
    pub fn is_scores(path: &str) -> bool {
        path.ends_with("score")
    }

    /// Pools the valid frames of each item.
    ///
    /// # Shapes
    /// - `frames`: `[batch, time, width]`
    /// - output: `[batch, heads · width]`
    pub fn forward(&self, frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
        let [batch, time, _] = frames.dims();
        let [heads, hidden] = self.score.dims();
        let activated = self.hidden.forward(frames.clone()).tanh();
        let weighted = activated.reshape([batch, time, heads, hidden]) * self.score.val().unsqueeze();
        let scores = weighted.sum_dim(3).reshape([batch, time, heads]).swap_dims(1, 2);
        attend(scores, frames, lengths)
    }
}

/// Sums of the frames weighted by the softmax of each head's scores over the valid ones.
///
/// # Shapes
/// - `scores`: `[batch, heads, time]`; `frames`: `[batch, time, width]`
/// - output: `[batch, heads · width]`
fn attend(mut scores: Tensor<3>, frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    let [batch, heads, time] = scores.dims();
    let width = frames.dims()[2];
    if !lengths.all_full(time) {
        let padding = lengths.mask(time, &scores.device()).equal_elem(0.0);
        let padding = padding.reshape([batch, 1, time]).expand([batch, heads, time]);
        scores = scores.mask_fill(padding, f32::NEG_INFINITY);
    }
    softmax(scores, 2).matmul(frames).reshape([batch, heads * width])
}

/// Mean over the valid frames of each item.
///
/// # Shapes
/// - `frames`: `[batch, time, width]`
/// - output: `[batch, width]`
pub fn mean_pool(frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    let [batch, _, width] = frames.dims();
    mean_weights(&frames, lengths).matmul(frames).reshape([batch, width])
}

/// `[batch, 1, time]`: one over the length at the valid frames of each item.
fn mean_weights(frames: &Tensor<3>, lengths: &Lengths) -> Tensor<3> {
    let [batch, time, _] = frames.dims();
    let mask = lengths.mask(time, &frames.device());
    let count = mask.clone().sum_dim(1).clamp_min(1.0);
    (mask / count).reshape([batch, 1, time])
}

/// Maximum over the valid frames of each item.
///
/// # Shapes
/// - `frames`: `[batch, time, width]`
/// - output: `[batch, width]`
pub fn max_pool(mut frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    let [batch, time, width] = frames.dims();
    if !lengths.all_full(time) {
        let padding = lengths.mask(time, &frames.device()).equal_elem(0.0);
        let padding = padding.reshape([batch, time, 1]).expand([batch, time, width]);
        frames = frames.mask_fill(padding, f32::NEG_INFINITY);
    }
    frames.max_dim(1).reshape([batch, width])
}

/// Mean, then standard deviation, over the valid frames of each item.
///
/// The deviation is that of the frames themselves (divided by their number, not by one less), from a
/// variance of 1e-10 at least.
///
/// # Shapes
/// - `frames`: `[batch, time, width]`
/// - output: `[batch, 2 · width]`
///
/// # Source
/// Snyder et al. 2018, §2 (x-vectors), with the variance of Kaldi's `StatisticsPoolingComponent`.
pub fn statistics_pool(frames: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    let [batch, _, width] = frames.dims();
    let weights = mean_weights(&frames, lengths);
    let mean = weights.clone().matmul(frames.clone());
    let variance = weights.matmul((frames - mean.clone()).square());
    let deviation = variance.clamp_min(VARIANCE_FLOOR).sqrt();
    Tensor::cat(vec![mean, deviation], 2).reshape([batch, 2 * width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_of_a_single_frame_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let frames = Tensor::<3>::from_data([[[3.0, -7.0], [0.0, 0.0]]], &device).require_grad();
        let pooled = statistics_pool(frames.clone(), &Lengths::new(vec![1]));
        let gradient = frames.grad(&pooled.clone().sum().backward()).unwrap();
        let numbers = |data: burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<_>>();
        assert_eq!(numbers(gradient.into_data()), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(numbers(pooled.into_data())[..2], [3.0, -7.0]);
    }
}
