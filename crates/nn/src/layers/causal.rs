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

/// A causal convolution that is not built yet: its sizes, of which both the cost and the module follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CausalSizes {
    /// Width of the frames that it takes.
    pub input: usize,
    /// Width of those that it gives.
    pub output: usize,
    /// Frames that one is made of.
    pub kernel_size: usize,
    /// From one of them to the next, in frames.
    pub dilation: usize,
}

impl CausalSizes {
    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        (self.output * (self.input * self.kernel_size + 1)) as u64
    }

    /// The module, its weights drawn.
    pub fn build(&self, device: &Device) -> CausalConv {
        CausalConv {
            conv: Conv1dConfig::new(self.input, self.output, self.kernel_size)
                .with_dilation(self.dilation)
                .with_padding(PaddingConfig1d::Valid)
                .init(device),
            before: (self.kernel_size - 1) * self.dilation,
        }
    }
}

impl CausalConv {
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
