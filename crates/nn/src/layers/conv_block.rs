//! Convolution over time and frequency with batch norm, ReLU and pooling, blind to padding.

use burn::module::{Initializer, Module, Param, RunningState};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor, activation::relu};
use emorun_kernels::{self as kernels, BATCH_NORM_EPSILON, Geometry};

use crate::value::Lengths;

const MOMENTUM: f64 = 0.1;

/// `conv 3×3 → batch norm → ReLU → max-pool 2×2`, with padding zeroed before and after.
///
/// Batch statistics are taken over valid frames only, so that neither the padding nor the other
/// items' lengths bias them; in evaluation the running statistics serve.
///
/// # Source
/// Ioffe & Szegedy 2015; momentum and epsilon as `torch.nn.BatchNorm2d`.
#[derive(Module, Debug)]
pub struct ConvBlock {
    conv: Conv2d,
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
    pool: MaxPool2d,
}

impl ConvBlock {
    /// A block from `input` to `output` channels.
    pub fn new(input: usize, output: usize, device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([input, output], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_bias(false)
                .init(device),
            gamma: Initializer::Ones.init([output], device),
            beta: Initializer::Zeros.init([output], device),
            running_mean: RunningState::new(Tensor::zeros([output], device)),
            running_var: RunningState::new(Tensor::ones([output], device)),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        }
    }

    /// Number of trainable parameters.
    pub fn parameters(input: usize, output: usize) -> u64 {
        (9 * input * output + 2 * output) as u64
    }

    /// # Shapes
    /// - `x`: `[batch, input, time, bands]`, zero at padding
    /// - output: `[batch, output, ⌊time / 2⌋, ⌊bands / 2⌋]`, zero at padding, and its lengths
    pub fn forward(&self, x: Tensor<4>, lengths: &Lengths, training: bool) -> (Tensor<4>, Lengths) {
        let halved = lengths.map(|length| length / 2);
        // The fused gradient goes through the batch's own statistics: a block in evaluation inside a
        // trained graph takes the composed way.
        let device = x.device();
        let pooled = if kernels::runs_on(&device) && (training || !device.is_autodiff()) {
            self.forward_fused(x, lengths, training)
        } else {
            self.forward_composed(x, lengths, &halved, training)
        };
        (pooled, halved)
    }

    /// In two operations of our own.
    fn forward_fused(&self, x: Tensor<4>, lengths: &Lengths, training: bool) -> Tensor<4> {
        let [batch, _, time, bands] = x.dims();
        let geometry = Geometry {
            batch,
            time,
            bands,
            lengths: lengths.map(|length| length.min(time)).as_slice().to_vec(),
        };
        let y = kernels::conv3x3(x, self.conv.weight.val(), &geometry);
        let statistics = if training {
            let statistics = kernels::channel_statistics(y.clone(), &geometry);
            let channels = statistics.dims()[1];
            let count = (lengths.total() * bands).max(1) as f64;
            let row = |at: usize| statistics.clone().narrow(0, at, 1).reshape([1, channels, 1, 1]);
            self.track(row(0), row(1), count);
            statistics
        } else {
            Tensor::stack(vec![self.running_mean.value(), self.running_var.value()], 0)
        };
        kernels::norm_pool(y, self.gamma.val(), self.beta.val(), statistics, &geometry)
    }

    /// In Burn's operations, for any device.
    fn forward_composed(&self, x: Tensor<4>, lengths: &Lengths, halved: &Lengths, training: bool) -> Tensor<4> {
        let [batch, _, time, _] = x.dims();
        let device = x.device();
        let y = self.conv.forward(x);
        let channels = y.dims()[1];
        let bands = y.dims()[3];
        let mask = (!lengths.all_full(time)).then(|| lengths.mask(time, &device).reshape([batch, 1, time, 1]));
        let (mean, var) = if training {
            let count = (lengths.total() * bands).max(1) as f64;
            let sum = |t: Tensor<4>| t.sum_dim(3).sum_dim(2).sum_dim(0);
            let valid = |t: Tensor<4>| match &mask {
                Some(mask) => t * mask.clone(),
                None => t,
            };
            let mean = sum(valid(y.clone())).div_scalar(count);
            let var = sum(valid(y.clone() - mean.clone()).square()).div_scalar(count);
            self.track(mean.clone(), var.clone(), count);
            (mean, var)
        } else {
            let shape = [1, channels, 1, 1];
            (
                self.running_mean.value().reshape(shape),
                self.running_var.value().reshape(shape),
            )
        };
        let scale = self.gamma.val().reshape([1, channels, 1, 1]) / (var + BATCH_NORM_EPSILON).sqrt();
        let shift = self.beta.val().reshape([1, channels, 1, 1]) - mean * scale.clone();
        let pooled = self.pool.forward(relu(y * scale + shift));
        let time = time / 2;
        if halved.all_full(time) {
            pooled
        } else {
            pooled * halved.mask(time, &device).reshape([batch, 1, time, 1])
        }
    }

    /// Moves the running statistics towards the batch's (the unbiased variance, as PyTorch).
    fn track(&self, mean: Tensor<4>, var: Tensor<4>, count: f64) {
        let channels = mean.dims()[1];
        let unbiased = var.mul_scalar(count / (count - 1.0).max(1.0));
        for (state, seen) in [(&self.running_mean, mean), (&self.running_var, unbiased)] {
            move_towards(state, seen.reshape([channels]));
        }
    }
}

/// Moves a running statistic towards what was seen, without gradient.
pub(super) fn move_towards(state: &RunningState<Tensor<1>>, seen: Tensor<1>) {
    state.update(state.value().mul_scalar(1.0 - MOMENTUM) + seen.detach().mul_scalar(MOMENTUM));
    state.value_sync();
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    /// Both ways give the same outputs, gradients and running statistics, padding or not.
    #[test]
    fn the_fused_and_the_composed_block_agree() {
        let device = Device::flex().autodiff();
        for (lengths, time) in [(vec![9, 9], 9), (vec![3, 12, 8], 12)] {
            let shape = [lengths.len(), 3, time, 6];
            let lengths = Lengths::new(lengths);
            let mask = lengths.mask(time, &device).reshape([shape[0], 1, time, 1]);
            let x = (Tensor::<4>::random(shape, Distribution::Normal(0.5, 2.0), &device) * mask.clone())
                .detach()
                .require_grad();
            let halved = lengths.map(|length| length / 2);
            let weigh = |y: Tensor<4>| {
                let weights =
                    Tensor::<1, burn::tensor::Int>::arange(0..y.shape().num_elements() as i64, &device).float();
                (y.clone() * weights.sin().reshape(y.dims())).sum()
            };
            let drawn = ConvBlock::new(3, 5, &device);
            let run = |fused: bool| {
                // Clones share their running statistics; what has gone to a device does not.
                let block = drawn.valid().to_device(&device.clone().inner()).train();
                let y = if fused {
                    block.forward_fused(x.clone(), &lengths, true)
                } else {
                    block.forward_composed(x.clone(), &lengths, &halved, true)
                };
                let gradients = weigh(y.clone()).backward();
                // What a padded input would change is never asked for: it is zero by contract.
                let inner_mask = mask.clone().inner();
                let of = |tensor: Option<Tensor<4>>| tensor.unwrap().into_data();
                vec![
                    y.into_data(),
                    (x.grad(&gradients).unwrap() * inner_mask).into_data(),
                    of(block.conv.weight.val().grad(&gradients)),
                    block.gamma.val().grad(&gradients).unwrap().into_data(),
                    block.beta.val().grad(&gradients).unwrap().into_data(),
                    block.running_mean.value().into_data(),
                    block.running_var.value().into_data(),
                ]
            };
            for (fused, composed) in run(true).into_iter().zip(run(false)) {
                fused.assert_approx_eq::<f32>(&composed, Tolerance::rel_abs(1e-3, 1e-4));
            }
        }
    }
}
