//! Regression head on frames.

use burn::module::Module;
use burn::nn::Linear;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, frames_on};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;

/// A linear layer on each frame, to the numbers of the target's frame at the same time, such as a listener's face.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameRegressor {
    /// Frames to predict from, at the target's rate.
    pub input: PortRef,
    /// Frames to predict, such as `data.listener_face`. What an item has less of them than of `input` is not compared.
    pub target: PortRef,
    /// Frames of a single number at the target's rate: above 0.5 where the target is known, and is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_mask: Option<PortRef>,
    /// Dropout probability before the linear layer.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

/// Width of frames at `target`, which stand at the rate of those at `input`.
///
/// # Errors
/// A port is missing or carries something else, or the rates differ.
pub(crate) fn target_width(inputs: &InputSignals<'_>, rate: emorun_lang::FrameRate) -> Result<usize, InferError> {
    if let Some(found) = inputs.get("target_mask")
        && *found != (Signal::Frames { width: 1, rate })
    {
        let wanted = format!("frames 1 wide at {rate}");
        return Err(InferError::mismatch("target_mask", wanted, found));
    }
    match inputs.require("target")? {
        Signal::Frames { width, rate: of_target } if *of_target == rate => Ok(*width),
        found => Err(InferError::Mismatch {
            port: "target".to_owned(),
            wanted: format!("frames at {rate}, as are predicted"),
            found: found.clone(),
            help: Some("`align` brings frames to another rate".to_owned()),
        }),
    }
}

impl FrameRegressor {
    fn layer(&self, inputs: &InputSignals<'_>) -> Result<(Dense, Signal), InferError> {
        let (input, rate) = frames_on(inputs, "input")?;
        let width = target_width(inputs, rate)?;
        Ok((Dense::new(input, width), Signal::Frames { width, rate }))
    }
}

impl HeadKind for FrameRegressor {
    fn predicts(&self) -> Predicts {
        Predicts::Frames
    }
}

impl Kind for FrameRegressor {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (layer, signal) = self.layer(inputs)?;
        let parameters = layer.parameters();
        let kept = (2 * layer.input + layer.output) as f64;
        let cost = each_cost(&signal, parameters, 2.0 * parameters as f64, kept);
        Ok(Inferred::device(signal, cost))
    }
}

impl DeviceKind for FrameRegressor {
    type Layer = FrameRegressorLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<FrameRegressorLayer, BuildError> {
        Ok(FrameRegressorLayer {
            frames: self.layer(inputs)?.0.build(context.device),
            dropout: self.dropout,
        })
    }
}

/// See [`FrameRegressor`].
#[derive(Module, Debug)]
pub struct FrameRegressorLayer {
    frames: Linear,
    #[module(skip)]
    dropout: f64,
}

impl Layer for FrameRegressorLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (x, lengths) = inputs.frames("input")?;
        let [batch, time, _] = x.dims();
        let mask = lengths.mask(time, &x.device()).reshape([batch, time, 1]);
        let predicted = self.frames.forward(context.dropout(x, self.dropout, "input"));
        Ok(output(Value::Frames(predicted * mask, lengths)))
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        Some(self)
    }
}

impl Stepper for FrameRegressorLayer {
    fn step(&self, inputs: &Ports, _state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        self.forward(inputs, context)
    }
}
