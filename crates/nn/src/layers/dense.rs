//! Sizes of linear layers, of which both the cost and the module follow.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

/// A linear layer that is not built yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Width of what it takes.
    pub input: usize,
    /// Width of what it gives.
    pub output: usize,
    /// Whether something is added to each output.
    pub bias: bool,
}

impl Dense {
    /// A layer with a bias.
    pub fn new(input: usize, output: usize) -> Self {
        Self {
            input,
            output,
            bias: true,
        }
    }

    /// A layer without one.
    pub fn without_bias(input: usize, output: usize) -> Self {
        Self {
            bias: false,
            ..Self::new(input, output)
        }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        ((self.input + usize::from(self.bias)) * self.output) as u64
    }

    /// What Burn makes the module of.
    pub fn config(&self) -> LinearConfig {
        LinearConfig::new(self.input, self.output).with_bias(self.bias)
    }

    /// The module, its weights drawn.
    pub fn build(&self, device: &Device) -> Linear {
        self.config().init(device)
    }
}
