//! Convolution over frames that are there already.

use burn::module::Module;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, frames_on};
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::layers::causal::{CausalConv as Convolution, CausalSizes};
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;

/// `convolution → activation → dropout` over time, padded in front alone: what is given of a frame follows from it and
/// those before, so that the node can be run while somebody speaks.
///
/// Source: van den Oord et al. 2016, §2.1; with growing `dilation` one layer of the temporal convolutional network of
/// Bai, Kolter & Koltun 2018, §3.2, without its residual.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CausalConv {
    /// Frames.
    pub input: PortRef,
    /// Width of the output.
    #[serde(default = "default_width")]
    #[schemars(range(min = 1, max = 8192))]
    pub width: usize,
    /// Frames that one is made of.
    #[serde(default = "default_kernel_size")]
    #[schemars(range(min = 1, max = 1024))]
    pub kernel_size: usize,
    /// From one of them to the next, in frames.
    #[serde(default = "default_dilation")]
    #[schemars(range(min = 1, max = 4096))]
    pub dilation: usize,
    /// Function behind the layer.
    #[serde(default = "default_activation")]
    pub activation: Option<Activation>,
    /// Dropout probability on the output.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

fn default_width() -> usize {
    128
}

fn default_kernel_size() -> usize {
    3
}

fn default_dilation() -> usize {
    1
}

fn default_activation() -> Option<Activation> {
    Some(Activation::Relu)
}

impl CausalConv {
    fn sizes(&self, input: usize) -> CausalSizes {
        CausalSizes {
            input,
            output: self.width,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
        }
    }
}

impl Kind for CausalConv {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let output = Signal::Frames {
            width: self.width,
            rate,
        };
        let parameters = self.sizes(width).parameters();
        // The padded input, output, activation and dropout.
        let kept =
            width + (1 + usize::from(self.activation.is_some()) + 2 * usize::from(self.dropout > 0.0)) * self.width;
        let cost = each_cost(&output, parameters, 2.0 * parameters as f64, kept as f64);
        Ok(Inferred::device(output, cost))
    }
}

impl DeviceKind for CausalConv {
    type Layer = CausalConvLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<CausalConvLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(CausalConvLayer {
            conv: self.sizes(width).build(context.device),
            activation: self.activation,
            dropout: self.dropout,
        })
    }
}

/// See [`CausalConv`].
#[derive(Module, Debug)]
pub struct CausalConvLayer {
    conv: Convolution,
    #[module(skip)]
    activation: Option<Activation>,
    #[module(skip)]
    dropout: f64,
}

impl Layer for CausalConvLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        self.step(inputs, &mut State::default(), context)
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        Some(self)
    }
}

impl Stepper for CausalConvLayer {
    fn step(&self, inputs: &Ports, state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let x = self.conv.step(frames, state);
        let x = match self.activation {
            Some(activation) => activation.forward(x),
            None => x,
        };
        let x = context.dropout(x, self.dropout, "output");
        let [batch, time, _] = x.dims();
        // Behind an item's end stands what its last frames have become.
        let mask = lengths.mask(time, &x.device()).reshape([batch, time, 1]);
        Ok(output(Value::Frames(x * mask, lengths)))
    }
}
