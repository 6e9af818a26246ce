//! A linear layer on frames or vectors.

use burn::module::Module;
use burn::tensor::Tensor;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, misfit};
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::layers::dense::Dense;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;

/// `linear → activation → dropout` on each frame, or on the vector of each item.
///
/// Without an activation it is a projection, such as that in front of SUPERB's pooling.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Frames or vectors.
    pub input: PortRef,
    /// Width of the output.
    #[serde(default = "default_width")]
    #[schemars(range(min = 1, max = 65536))]
    pub width: usize,
    /// Function behind the layer; none by default.
    #[serde(default)]
    pub activation: Option<Activation>,
    /// Dropout probability on the output.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

fn default_width() -> usize {
    256
}

/// The layer, and the output's signal.
fn sizes(inputs: &InputSignals<'_>, wide: usize) -> Result<(Dense, Signal), InferError> {
    match inputs.require("input")? {
        Signal::Frames { width, rate } => Ok((
            Dense::new(*width, wide),
            Signal::Frames {
                width: wide,
                rate: *rate,
            },
        )),
        Signal::Vector { width } => Ok((Dense::new(*width, wide), Signal::Vector { width: wide })),
        found => Err(misfit("input", "frames or a vector", found)),
    }
}

impl Kind for Linear {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (layer, output) = sizes(inputs, self.width)?;
        let parameters = layer.parameters();
        // Output, activation and dropout.
        let kept = 1 + usize::from(self.activation.is_some()) + 2 * usize::from(self.dropout > 0.0);
        let cost = each_cost(&output, parameters, 2.0 * parameters as f64, (kept * self.width) as f64);
        Ok(Inferred::device(output, cost))
    }

    fn is_linear(&self) -> bool {
        true
    }
}

impl DeviceKind for Linear {
    type Layer = LinearLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<LinearLayer, BuildError> {
        let (layer, _) = sizes(inputs, self.width)?;
        Ok(LinearLayer {
            linear: layer.build(context.device),
            activation: self.activation,
            dropout: self.dropout,
        })
    }
}

/// See [`Linear`].
#[derive(Module, Debug)]
pub struct LinearLayer {
    linear: burn::nn::Linear,
    #[module(skip)]
    activation: Option<Activation>,
    #[module(skip)]
    dropout: f64,
}

impl LinearLayer {
    fn apply<const D: usize>(&self, x: Tensor<D>, context: &Context) -> Tensor<D> {
        let x = self.linear.forward(x);
        let x = match self.activation {
            Some(activation) => activation.forward(x),
            None => x,
        };
        context.dropout(x, self.dropout, "output")
    }
}

impl Layer for LinearLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        if let Value::Vector(x) = inputs.get("input")? {
            return Ok(output(Value::Vector(self.apply(x.clone(), context))));
        }
        let (frames, lengths) = inputs.frames("input")?;
        let [batch, time, _] = frames.dims();
        let mut frames = self.apply(frames, context);
        if !lengths.all_full(time) {
            let mask = lengths.mask(time, &frames.device());
            frames = frames * mask.reshape([batch, time, 1]);
        }
        Ok(output(Value::Frames(frames, lengths)))
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "linear")
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        Some(self)
    }
}

impl Stepper for LinearLayer {
    fn step(&self, inputs: &Ports, _state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        // Each frame is for itself.
        self.forward(inputs, context)
    }
}
