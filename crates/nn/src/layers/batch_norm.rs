//! Batch normalisation of vectors.

use burn::module::{Initializer, Module, Param, RunningState};
use burn::tensor::{Device, Tensor};
use emorun_kernels::BATCH_NORM_EPSILON;

use super::conv_block::move_towards;

/// `(x − mean) / √(var + ε) · gamma + beta` with the batch's statistics while training, the running
/// ones in evaluation.
///
/// A single vector has no variance: it is normalised by the running statistics also while training,
/// and leaves them as they are.
///
/// # Source
/// Ioffe & Szegedy 2015; momentum and epsilon as `torch.nn.BatchNorm1d`, which refuses a single vector.
#[derive(Module, Debug)]
pub struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    /// Normalisation of vectors of `width`.
    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([width], device),
            beta: Initializer::Zeros.init([width], device),
            running_mean: RunningState::new(Tensor::zeros([width], device)),
            running_var: RunningState::new(Tensor::ones([width], device)),
        }
    }

    /// Number of trainable parameters, and of running statistics, for vectors of `width`.
    pub fn parameters(width: usize) -> u64 {
        2 * width as u64
    }

    /// # Shapes
    /// - `x` and output: `[batch, width]`
    pub fn forward(&self, x: Tensor<2>, training: bool) -> Tensor<2> {
        let [batch, width] = x.dims();
        let row = [1, width];
        let (mean, var) = if training && batch > 1 {
            let mean = x.clone().mean_dim(0);
            let var = (x.clone() - mean.clone()).square().mean_dim(0);
            let unbiased = var.clone().mul_scalar(batch as f64 / (batch - 1) as f64);
            move_towards(&self.running_mean, mean.clone().reshape([width]));
            move_towards(&self.running_var, unbiased.reshape([width]));
            (mean, var)
        } else {
            (
                self.running_mean.value().reshape(row),
                self.running_var.value().reshape(row),
            )
        };
        let scale = self.gamma.val().reshape(row) / (var + BATCH_NORM_EPSILON).sqrt();
        (x - mean) * scale + self.beta.val().reshape(row)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn a_single_vector_is_normalised_by_the_running_statistics_and_leaves_them() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, &device);
        let of = |numbers: &[f32], training| {
            let x = TensorData::new(numbers.to_vec(), [numbers.len(), 1]);
            let y = norm.forward(Tensor::from_data(x, &device), training);
            y.into_data().iter::<f32>().collect::<Vec<_>>()
        };
        of(&[4.0, -1.0], true);
        let alone = of(&[2.0], false);
        assert_ne!(alone, [2.0]);
        assert_eq!(of(&[2.0], true), alone);
        assert_eq!(of(&[2.0], false), alone);
    }
}
