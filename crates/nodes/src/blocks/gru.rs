//! Recurrent layers in one direction.

use burn::module::Module;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, frames_on};
use emorun_nn::facts::Facts;
use emorun_nn::layers::gru::{Gru as Recurrent, GruSizes};
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;

/// Gated recurrent units over frames, from the first to the last: what is given of a frame follows from it and those
/// before, so that the node can be run while somebody speaks.
///
/// Source: Cho et al. 2014, in the form of `torch.nn.GRU`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// Frames.
    pub input: PortRef,
    /// Width of the state, which is given for each frame.
    #[serde(default = "default_hidden")]
    #[schemars(range(min = 1, max = 8192))]
    pub hidden: usize,
    /// Layers, one upon the other.
    #[serde(default = "default_layers")]
    #[schemars(range(min = 1, max = 16))]
    pub layers: usize,
    /// Dropout probability on what a layer gives, but for the last.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

fn default_hidden() -> usize {
    128
}

fn default_layers() -> usize {
    1
}

impl Gru {
    /// Sizes of each layer.
    fn sizes(&self, input: usize) -> impl Iterator<Item = GruSizes> {
        let inputs = std::iter::once(input).chain(std::iter::repeat_n(self.hidden, self.layers - 1));
        inputs.map(|input| GruSizes::forward(input, self.hidden))
    }
}

impl Kind for Gru {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let output = Signal::Frames {
            width: self.hidden,
            rate,
        };
        let parameters = self.sizes(width).map(|layer| layer.parameters()).sum();
        // Gates, their sums and the state.
        let kept = 14 * self.hidden * self.layers;
        let cost = each_cost(&output, parameters, 2.0 * parameters as f64, kept as f64);
        Ok(Inferred::device(output, cost))
    }
}

impl DeviceKind for Gru {
    type Layer = GruLayers;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<GruLayers, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(GruLayers {
            layers: self.sizes(width).map(|layer| layer.build(context.device)).collect(),
            dropout: self.dropout,
        })
    }
}

/// See [`Gru`].
#[derive(Module, Debug)]
pub struct GruLayers {
    layers: Vec<Recurrent>,
    #[module(skip)]
    dropout: f64,
}

impl Layer for GruLayers {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        self.step(inputs, &mut State::default(), context)
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        Some(self)
    }
}

impl Stepper for GruLayers {
    fn step(&self, inputs: &Ports, state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        let (mut x, lengths) = inputs.frames("input")?;
        for (at, layer) in self.layers.iter().enumerate() {
            if at > 0 {
                x = context.dropout(x, self.dropout, &format!("layer {at}"));
            }
            x = layer.step(x, &lengths, state.part(&at.to_string()));
        }
        Ok(output(Value::Frames(x, lengths)))
    }
}
