//! How unevenly predicted frames move.

use burn::module::Module;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::frames::{Channels, frames_alone, items_counted, mean_over_items, predicted};
use crate::contract::{DeviceKind, Kind};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};

/// Mean squared second difference of predicted frames over time: of each item over frames that have one before and one
/// behind them, over channels and samples, then over items.
///
/// # Source
/// System 3 of the reference; as a penalty, Whittaker, Proceedings of the Edinburgh Mathematical Society 41, 1922.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smoothness {
    /// Frames, or samples of frames, of a `frame_regressor` or a generator.
    pub input: PortRef,
    /// First channel of those that count, and the one behind the last; all when left out.
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

impl LossKind for Smoothness {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Smoothness {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        frames_alone(inputs, self.channels)
    }
}

impl DeviceKind for Smoothness {
    type Layer = SmoothnessLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<SmoothnessLayer, BuildError> {
        Ok(SmoothnessLayer {
            channels: self.channels,
        })
    }
}

/// See [`Smoothness`].
#[derive(Module, Debug)]
pub struct SmoothnessLayer {
    #[module(skip)]
    channels: Channels,
}

impl Loss for SmoothnessLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        items_counted(inputs, &["input"])
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for SmoothnessLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let items = self.count(inputs)?;
        let (frames, mask) = predicted(inputs, self.channels)?;
        let [_, _, time, _] = frames.dims();
        if time < 3 {
            // Nothing has a second difference.
            let none = frames
                .narrow(2, 0, 1)
                .mul_scalar(0.0)
                .mean_dim(3)
                .mean_dim(0)
                .squeeze_dim(0);
            return Ok(output(mean_over_items(none, mask.narrow(1, 0, 1), items)));
        }
        let part = |from: usize| frames.clone().narrow(2, from, time - 2);
        let second = part(0) - part(1).mul_scalar(2.0) + part(2);
        let each = second.square().mean_dim(3).mean_dim(0).squeeze_dim(0);
        Ok(output(mean_over_items(each, mask.narrow(1, 2, time - 2), items)))
    }
}
