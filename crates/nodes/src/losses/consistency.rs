//! Parts of a face that move together.

use burn::module::Module;
use burn::tensor::Tensor;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::frames::{frames_alone, items_counted, mean_of_items, predicted};
use crate::contract::{DeviceKind, Kind};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};

/// How differently the movement of two parts of a face is spread over time: of each part and window the norm over its channels
/// of their variances in the window, divided by the norm of these over the item's windows; then the mean squared difference
/// of the two parts over windows, samples and items. A window that an item does not fill is left out.
///
/// # Source
/// System 3 of the reference, where variances of whole clips are compared over a batch: here over the windows of an item, so
/// that no item depends on the others of its batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// Frames, or samples of frames, of a `frame_regressor` or a generator.
    pub input: PortRef,
    /// First channel of a part, and the one behind its last, such as those of the head's pose.
    pub part: [usize; 2],
    /// Those of the other part, such as landmarks.
    pub with: [usize; 2],
    /// Frames of a window.
    #[serde(default = "default_window")]
    #[schemars(range(min = 2, max = 100_000))]
    pub window: usize,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

fn default_window() -> usize {
    25
}

impl LossKind for Consistency {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Consistency {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        frames_alone(inputs, Some(self.part))?;
        frames_alone(inputs, Some(self.with))
    }
}

impl DeviceKind for Consistency {
    type Layer = ConsistencyLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<ConsistencyLayer, BuildError> {
        Ok(ConsistencyLayer {
            part: self.part,
            with: self.with,
            window: self.window,
        })
    }
}

/// See [`Consistency`].
#[derive(Module, Debug)]
pub struct ConsistencyLayer {
    #[module(skip)]
    part: [usize; 2],
    #[module(skip)]
    with: [usize; 2],
    #[module(skip)]
    window: usize,
}

impl Loss for ConsistencyLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        items_counted(inputs, &["input"])
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl ConsistencyLayer {
    /// How much of a part's movement lies in each window, `[samples, batch, windows]`.
    fn movement(&self, inputs: &Ports, channels: [usize; 2], there: &Tensor<3>) -> Result<Tensor<3>, NodeError> {
        let (frames, _) = predicted(inputs, Some(channels))?;
        let [samples, batch, _, width] = frames.dims();
        let windows = there.dims()[2];
        let frames =
            frames
                .narrow(2, 0, windows * self.window)
                .reshape([samples * batch * windows, self.window, width]);
        let mean = frames.clone().mean_dim(1);
        let variance = (frames - mean).square().mean_dim(1);
        // A root has no slope at 0.
        let norm = variance.square().sum_dim(2).clamp_min(1e-12).sqrt();
        let norm = norm.reshape([samples, batch, windows]) * there.clone();
        let all = norm.clone().square().sum_dim(2).clamp_min(1e-12).sqrt();
        Ok(norm / all)
    }
}

impl Layer for ConsistencyLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let items = self.count(inputs)?;
        let (frames, mask) = predicted(inputs, None)?;
        let [_, batch, time, _] = frames.dims();
        let windows = time / self.window;
        if windows == 0 {
            let none = frames
                .slice([0..1, 0..batch, 0..1, 0..1])
                .mul_scalar(0.0)
                .reshape([batch]);
            return Ok(output(mean_of_items(
                vec![none],
                Tensor::ones([batch], &mask.device()),
                items,
            )));
        }
        let whole = mask
            .clone()
            .narrow(1, 0, windows * self.window)
            .reshape([batch * windows, self.window]);
        let there = whole.sum_dim(1).greater_elem(self.window as f64 - 0.5).float();
        let there = there.reshape([1, batch, windows]);
        let apart = self.movement(inputs, self.part, &there)? - self.movement(inputs, self.with, &there)?;
        let counted = there.clone().sum_dim(2).reshape([batch]);
        let each = (apart.square() * there).mean_dim(0).sum_dim(2).reshape([batch]) / counted.clamp_min(1.0);
        Ok(output(mean_of_items(
            vec![each],
            Tensor::ones([batch], &mask.device()),
            items,
        )))
    }
}
