//! Mamba's mixer of frames, of whole sequences or in stretches.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, RmsNorm, RmsNormConfig};
use burn::tensor::activation::{silu, softplus};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use emorun_kernels::{Scan, selective_scan};

use super::dense::Dense;
use crate::state::State;

/// Shortest and longest frame that the drawn biases stand for, and what a duration is at least.
const SHORTEST: f64 = 1e-3;
const LONGEST: f64 = 0.1;
const LEAST: f64 = 1e-4;
/// What is added to the mean square in the norms.
const EPSILON: f64 = 1e-5;

/// A layer that is not built yet: its sizes, of which both the cost and the module follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MambaSizes {
    /// Width of the frames that it takes and gives.
    pub width: usize,
    /// Channels within, for each of those.
    pub expand: usize,
    /// States of each channel.
    pub states: usize,
    /// Frames that the convolution sees.
    pub kernel_size: usize,
}

impl MambaSizes {
    /// Channels within.
    fn channels(&self) -> usize {
        self.expand * self.width
    }

    /// Width from which durations of frames follow: `⌈width / 16⌉`.
    fn rank(&self) -> usize {
        self.width.div_ceil(16)
    }

    fn into(&self) -> Dense {
        Dense::without_bias(self.width, 2 * self.channels())
    }

    fn selection(&self) -> Dense {
        Dense::without_bias(self.channels(), self.rank() + 2 * self.states)
    }

    fn durations(&self) -> Dense {
        Dense::new(self.rank(), self.channels())
    }

    fn out(&self) -> Dense {
        Dense::without_bias(self.channels(), self.width)
    }

    /// Number of parameters of a mixer.
    pub fn parameters(&self) -> u64 {
        let products = [self.into(), self.selection(), self.durations(), self.out()];
        let products: u64 = products.iter().map(Dense::parameters).sum();
        // Convolution with its bias, decays, and what passes by the states.
        products + (self.channels() * (self.kernel_size + 1 + self.states + 1)) as u64
    }

    /// Floating-point operations of a frame: matrix products, convolution and states.
    pub fn flops_per_frame(&self) -> f64 {
        2.0 * self.parameters() as f64 + 6.0 * (self.channels() * self.states) as f64
    }

    /// Numbers of a frame that are kept for the backward pass.
    pub fn kept_per_frame(&self) -> usize {
        // Both halves, convolution, its function, duration before and after, output, gate, their product; a state in 64.
        16 * self.channels() + 4 * self.states + self.channels() * self.states / 64
    }

    /// The mixer, its weights drawn.
    pub fn build(&self, device: &Device) -> Mamba {
        let channels = self.channels();
        let bound = (self.kernel_size as f64).powf(-0.5);
        let uniform = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        let mut durations = self.durations().build(device);
        let bound = (self.rank() as f64).powf(-0.5);
        durations.weight = Initializer::Uniform {
            min: -bound,
            max: bound,
        }
        .init([self.rank(), channels], device);
        // Such biases that softplus gives durations whose logarithms are even between the shortest and the longest.
        let drawn = Tensor::<1>::random([channels], Distribution::Uniform(SHORTEST.ln(), LONGEST.ln()), device);
        let seconds = drawn.exp().clamp_min(LEAST);
        durations.bias = Some(Param::from_tensor(seconds.clone() + (-(-seconds).exp() + 1.0).log()));
        let rows: Vec<f32> = (0..channels)
            .flat_map(|_| (1..=self.states).map(|state| (state as f32).ln()))
            .collect();
        Mamba {
            into: self.into().build(device),
            conv_weight: uniform.init([channels, self.kernel_size], device),
            conv_bias: uniform.init([channels], device),
            selection: self.selection().build(device),
            durations,
            decay: Param::from_tensor(Tensor::from_data(
                TensorData::new(rows, [channels, self.states]),
                device,
            )),
            passing: Initializer::Ones.init([channels], device),
            out: self.out().build(device),
        }
    }

    /// The norm in front of a mixer, or behind the last.
    pub fn norm(&self, device: &Device) -> RmsNorm {
        RmsNormConfig::new(self.width).with_epsilon(EPSILON).init(device)
    }
}

/// A mixer: a gate, a short causal convolution, and a state space model whose step, input and output follow from the frame.
///
/// # Source
/// Gu & Dao 2023, "Mamba", figure 3 and algorithm 2, in the form of transformers' `MambaMixer`.
#[derive(Module, Debug)]
pub struct Mamba {
    into: Linear,
    conv_weight: Param<Tensor<2>>,
    conv_bias: Param<Tensor<1>>,
    selection: Linear,
    durations: Linear,
    /// Logarithm of the rate at which each state decays, `[channels, states]`.
    decay: Param<Tensor<2>>,
    passing: Param<Tensor<1>>,
    out: Linear,
}

impl Mamba {
    /// # Shapes
    /// - `x`: `[batch, time, width]`; `mask`: `[batch, time, 1]`, 0 at frames that do not count, wherever they are
    /// - output: `[batch, time, width]`; what it is at frames that do not count means nothing
    pub fn forward(&self, x: Tensor<3>, mask: &Tensor<3>) -> Tensor<3> {
        self.step(x, mask, &mut State::default())
    }

    /// As [`Self::forward`], for the next frames of sequences whose earlier ones were given before.
    pub fn step(&self, x: Tensor<3>, mask: &Tensor<3>, state: &mut State) -> Tensor<3> {
        let [channels, states] = self.decay.dims();
        let [rank, _] = self.durations.weight.dims();
        let both = self.into.forward(x);
        let gate = both.clone().narrow(2, channels, channels);
        let x = silu(self.convolved(both.narrow(2, 0, channels) * mask.clone(), state));
        let selected = self.selection.forward(x.clone());
        let durations = softplus(self.durations.forward(selected.clone().narrow(2, 0, rank)), 1.0);
        let (y, after) = selective_scan(Scan {
            x: x.clone(),
            // A frame that does not count lasts no time.
            delta: durations * mask.clone(),
            a: -self.decay.val().exp().transpose(),
            b: selected.clone().narrow(2, rank, states),
            c: selected.narrow(2, rank + states, states),
            before: state.take("states"),
        });
        state.put("states", after);
        let y = y + x * self.passing.val().unsqueeze();
        self.out.forward(y * silu(gate))
    }

    /// The causal convolution of each channel by itself, as a sum of shifted frames: few enough to be faster than a
    /// convolution, which backends make of matrix products.
    fn convolved(&self, x: Tensor<3>, state: &mut State) -> Tensor<3> {
        let [batch, time, channels] = x.dims();
        let [_, kernel_size] = self.conv_weight.dims();
        let before = state
            .take("frames")
            .unwrap_or_else(|| Tensor::zeros([batch, kernel_size - 1, channels], &x.device()));
        let x = match kernel_size {
            1 => x,
            _ => Tensor::cat(vec![before, x], 1),
        };
        if kernel_size > 1 {
            state.put("frames", x.clone().narrow(1, time, kernel_size - 1));
        }
        let weight = self.conv_weight.val().transpose();
        let bias = self.conv_bias.val().reshape([1, 1, channels]);
        (0..kernel_size).fold(bias, |sum, at| {
            let row = weight.clone().narrow(0, at, 1).reshape([1, 1, channels]);
            sum + x.clone().narrow(1, at, time) * row
        })
    }
}
