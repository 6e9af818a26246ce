//! Mean squared error of predicted numbers, or of predicted frames.

use burn::module::Module;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::frames::{Channels, compared, frames_compared, items_counted, mean_over_items};
use crate::contract::{DeviceKind, Kind};
use crate::inference::numbers_compared;
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};
use emorun_nn::value::Value;

/// Mean squared error of predicted numbers, over those that items are labelled with; or of predicted frames beside true
/// ones: of each item over the frames that both have and the numbers of each, and over samples where there are several,
/// then over items, so that a long one counts as a short one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mse {
    /// Predicted numbers, of an `mlp_regressor`, or predicted frames, of a `frame_regressor` or a generator.
    pub input: PortRef,
    /// Continuous labels, or frames; the head's own target when left out.
    #[serde(default)]
    pub target: Option<PortRef>,
    /// Frames of a single number at the target's rate: above 0.5 where the target is known, and is compared;
    /// the mask of the inherited target when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_mask: Option<PortRef>,
    /// Of frames the first channel of those that count, and the one behind the last; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<[usize; 2]>,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

impl LossKind for Mse {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Mse {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        match inputs.get("input") {
            Some(Signal::Frames { .. } | Signal::Samples { .. }) => frames_compared(inputs, self.channels),
            _ if self.channels.is_some() => Err(InferError::invalid("channels", "are those of frames")),
            _ => numbers_compared(inputs),
        }
    }
}

impl DeviceKind for Mse {
    type Layer = MseLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<MseLayer, BuildError> {
        Ok(MseLayer {
            channels: self.channels,
        })
    }
}

/// See [`Mse`].
#[derive(Module, Debug)]
pub struct MseLayer {
    #[module(skip)]
    channels: Channels,
}

impl Loss for MseLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        match inputs.get("target")? {
            Value::Frames(..) => items_counted(inputs, &["input", "target"]),
            _ => Ok(inputs.targets("target")?.present() as f64),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for MseLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        if let Value::Frames(..) = inputs.get("target")? {
            let items = items_counted(inputs, &["input", "target"])?;
            let of = compared(inputs, self.channels)?;
            let error = (of.predicted - of.truth.unsqueeze::<4>())
                .square()
                .mean_dim(3)
                .mean_dim(0);
            return Ok(output(mean_over_items(error.squeeze_dim(0), of.mask, items)));
        }
        let x = inputs.vector("input")?;
        let targets = inputs.targets("target")?;
        let device = x.device();
        let (truth, mask) = (targets.values(&device), targets.mask(&device));
        let count = targets.present();
        let sum = ((x - truth).square() * mask).sum();
        Ok(output(Value::Scalar(sum.div_scalar(count.max(1) as f64), count as f64)))
    }
}
