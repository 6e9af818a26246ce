//! How alike the samples of an item are.

use burn::module::Module;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::frames::{Channels, distances, flattened, frames_alone, items_counted, mean_of_items, predicted};
use crate::contract::{DeviceKind, Kind};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};

/// `exp(−‖a − b‖ / scale)` of two samples of an item, mean over its pairs of samples and over items: 1 where samples are
/// the same, near 0 where they are far apart. The norm is over an item's frames and channels. Of a single sample nothing
/// follows.
///
/// # Source
/// System 3 of the reference; Yuan & Kitani, "DLow", ECCV 2020, eq. 8, for the form.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diversity {
    /// Frames, or samples of frames, of a `frame_regressor` or a generator.
    pub input: PortRef,
    /// First channel of those that count, and the one behind the last; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<[usize; 2]>,
    /// Distance at which it has fallen to 1/e.
    #[serde(default = "default_scale")]
    #[schemars(range(min = 1e-6))]
    pub scale: f64,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

fn default_scale() -> f64 {
    100.0
}

impl LossKind for Diversity {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Diversity {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        frames_alone(inputs, self.channels)
    }
}

impl DeviceKind for Diversity {
    type Layer = DiversityLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<DiversityLayer, BuildError> {
        Ok(DiversityLayer {
            channels: self.channels,
            scale: self.scale,
        })
    }
}

/// See [`Diversity`].
#[derive(Module, Debug)]
pub struct DiversityLayer {
    #[module(skip)]
    channels: Channels,
    #[module(skip)]
    scale: f64,
}

impl Loss for DiversityLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        items_counted(inputs, &["input"])
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for DiversityLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let items = self.count(inputs)?;
        let (frames, mask) = predicted(inputs, self.channels)?;
        let counts = mask.clone().sum_dim(1).clamp(0.0, 1.0);
        let rows = flattened(frames, mask);
        let [_, batch, _] = rows.dims();
        let alike: Vec<_> = distances(&rows)
            .map(|distance| distance.div_scalar(self.scale).neg().exp())
            .collect();
        Ok(output(mean_of_items(alike, counts.reshape([batch]), items)))
    }
}
