//! Convolution in which no frame knows of later ones, of whole sequences or in stretches.

use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};

use crate::state::State;

/// Convolution over time that is padded in front alone.
///
/// # Source
/// van den Oord et al. 2016, "WaveNet", §2.1; Bai, Kolter & Koltun 2018, §3.2.
#[derive(Module, Debug)]
pub struct CausalConv {
    conv: Conv1d,
    #[module(skip)]
    before: usize,
}

impl CausalConv {
    /// A layer from frames of `input` width to `output`, whose `kernel_size` taps lie `dilation` frames apart.
    pub fn new(input: usize, output: usize, kernel_size: usize, dilation: usize, device: &Device) -> Self {
        Self {
            conv: Conv1dConfig::new(input, output, kernel_size)
                .with_dilation(dilation)
                .with_padding(PaddingConfig1d::Valid)
                .init(device),
            before: (kernel_size - 1) * dilation,
        }
    }

    /// Number of parameters.
    pub fn parameters(input: usize, output: usize, kernel_size: usize) -> u64 {
        (output * (input * kernel_size + 1)) as u64
    }

    /// # Shapes
    /// - `x`: `[batch, time, input]`
    /// - output: `[batch, time, output]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.step(x, &mut State::default())
    }

    /// As [`Self::forward`], for the next frames of sequences whose earlier ones were given before.
    pub fn step(&self, mut x: Tensor<3>, state: &mut State) -> Tensor<3> {
        let [batch, time, width] = x.dims();
        if self.before > 0 {
            let before = state
                .take("before")
                .unwrap_or_else(|| Tensor::zeros([batch, self.before, width], &x.device()));
            x = Tensor::cat(vec![before, x], 1);
            state.put("before", x.clone().narrow(1, time, self.before));
        }
        self.conv.forward(x.swap_dims(1, 2)).swap_dims(1, 2)
    }
}
