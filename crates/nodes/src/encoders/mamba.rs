//! Mamba trained from scratch on feature frames.

use burn::module::Module;
use burn::nn::{Linear, RmsNorm};
use burn::tensor::Tensor;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, frames_on};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::mamba::{Mamba as Mixer, MambaSizes};
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;

/// Frames projected to `width` and passed through layers of selective state spaces, each `x + mixer(norm(x))`. Time and
/// memory are linear in the length; in one direction a frame follows from it and those before, so that the node can be
/// run while somebody speaks.
///
/// Source: Gu & Dao 2023; in both directions, with a mixer of its own for each whose outputs are added, Zhu et al. 2024
/// (Vision Mamba), §3.3.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mamba {
    /// Frames to encode.
    pub input: PortRef,
    /// Model width.
    #[serde(default = "default_width")]
    #[schemars(range(min = 1, max = 8192))]
    pub width: usize,
    /// Number of layers.
    #[serde(default = "default_layers")]
    #[schemars(range(min = 1, max = 96))]
    pub layers: usize,
    /// States of each channel.
    #[serde(default = "default_states")]
    #[schemars(range(min = 1, max = 256))]
    pub states: usize,
    /// Channels of a mixer, for each of the model's width.
    #[serde(default = "default_expand")]
    #[schemars(range(min = 1, max = 8))]
    pub expand: usize,
    /// Frames that the convolution in front of the states sees.
    #[serde(default = "default_kernel_size")]
    #[schemars(range(min = 1, max = 64))]
    pub kernel_size: usize,
    /// Whether each layer has a second mixer, from the last frame to the first.
    #[serde(default)]
    pub bidirectional: bool,
    /// Dropout probability on what a layer adds.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

fn default_width() -> usize {
    128
}
fn default_layers() -> usize {
    2
}
fn default_states() -> usize {
    16
}
fn default_expand() -> usize {
    2
}
fn default_kernel_size() -> usize {
    4
}
fn default_dropout() -> f64 {
    0.1
}

impl Mamba {
    /// The layer in front, where frames are of another width.
    fn projection(&self, input: usize) -> Option<Dense> {
        (input != self.width).then(|| Dense::new(input, self.width))
    }

    fn sizes(&self) -> MambaSizes {
        MambaSizes {
            width: self.width,
            expand: self.expand,
            states: self.states,
            kernel_size: self.kernel_size,
        }
    }

    fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }
}

impl Kind for Mamba {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let output = Signal::Frames {
            width: self.width,
            rate,
        };
        let (sizes, mixers) = (self.sizes(), self.layers * self.directions());
        let projection = self.projection(width).map_or(0, |layer| layer.parameters());
        let norms = ((self.layers + 1) * self.width) as u64;
        let parameters = projection + norms + mixers as u64 * sizes.parameters();
        let flops = 2.0 * projection as f64 + mixers as f64 * sizes.flops_per_frame();
        let kept = mixers * sizes.kept_per_frame() + 4 * self.layers * self.width;
        Ok(Inferred::device(
            output.clone(),
            each_cost(&output, parameters, flops, kept as f64),
        ))
    }
}

impl DeviceKind for Mamba {
    type Layer = MambaLayers;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<MambaLayers, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        let sizes = self.sizes();
        let layer = |_| MambaLayer {
            norm: sizes.norm(context.device),
            forward: sizes.build(context.device),
            backward: self.bidirectional.then(|| sizes.build(context.device)),
        };
        Ok(MambaLayers {
            projection: self.projection(width).map(|layer| layer.build(context.device)),
            layers: (0..self.layers).map(layer).collect(),
            norm: sizes.norm(context.device),
            dropout: self.dropout,
        })
    }
}

/// A layer: a norm, and a mixer for each direction.
#[derive(Module, Debug)]
struct MambaLayer {
    norm: RmsNorm,
    forward: Mixer,
    backward: Option<Mixer>,
}

/// See [`Mamba`].
#[derive(Module, Debug)]
pub struct MambaLayers {
    projection: Option<Linear>,
    layers: Vec<MambaLayer>,
    norm: RmsNorm,
    #[module(skip)]
    dropout: f64,
}

impl Layer for MambaLayers {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        self.step(inputs, &mut State::default(), context)
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        let is_causal = self.layers.iter().all(|layer| layer.backward.is_none());
        is_causal.then_some(self)
    }
}

impl Stepper for MambaLayers {
    fn step(&self, inputs: &Ports, state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        let (mut x, lengths) = inputs.frames("input")?;
        let [batch, time, _] = x.dims();
        let mask = lengths.mask(time, &x.device()).reshape([batch, time, 1]);
        if let Some(projection) = &self.projection {
            x = projection.forward(x);
        }
        for (at, layer) in self.layers.iter().enumerate() {
            let normed = layer.norm.forward(x.clone());
            let mut mixed = layer.forward.step(normed.clone(), &mask, state.part(&at.to_string()));
            if let Some(backward) = &layer.backward {
                // From behind, padding comes first and leaves the states as they begin.
                let turned = |x: Tensor<3>| x.flip([1]);
                mixed = mixed + turned(backward.forward(turned(normed), &turned(mask.clone())));
            }
            x = x + context.dropout(mixed, self.dropout, &format!("layer {at}"));
        }
        Ok(output(Value::Frames(self.norm.forward(x) * mask, lengths)))
    }
}
