//! Samples near what is true, and not all the same.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, relu};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::frames::{Channels, compared, cosine, flattened, frames_compared, items_counted, mean_of_items};
use crate::contract::{DeviceKind, Kind};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};

/// `−log σ(cos(a, truth) / τ) − log σ(cos(b, truth) / τ) + max(cos(a, b) − margin, 0)` of two samples of an item, mean over
/// items: samples point where the truth does, and not all the same way. Cosines are over an item's frames and channels. Of
/// more samples the first part is twice its mean over them, the last the mean over their pairs.
///
/// # Source
/// System 3 of the reference.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleContrastive {
    /// Frames, or samples of frames, of a `frame_regressor` or a generator.
    pub input: PortRef,
    /// True frames; the input's own target when left out.
    #[serde(default)]
    pub target: Option<PortRef>,
    /// Frames of a single number at the target's rate: above 0.5 where the target is known, and is compared;
    /// the mask of the inherited target when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_mask: Option<PortRef>,
    /// First channel of those that count, and the one behind the last; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<[usize; 2]>,
    /// What cosines with the truth are divided by.
    #[serde(default = "default_temperature")]
    #[schemars(range(min = 1e-3))]
    pub temperature: f64,
    /// Cosine of two samples above which they count as too much alike.
    #[serde(default = "default_margin")]
    #[schemars(range(min = -1.0, max = 1.0))]
    pub margin: f64,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

fn default_temperature() -> f64 {
    0.1
}
fn default_margin() -> f64 {
    0.7
}

impl LossKind for SampleContrastive {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for SampleContrastive {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        frames_compared(inputs, self.channels)
    }
}

impl DeviceKind for SampleContrastive {
    type Layer = SampleContrastiveLayer;

    fn build(
        &self,
        _inputs: &InputSignals<'_>,
        _context: &BuildContext<'_>,
    ) -> Result<SampleContrastiveLayer, BuildError> {
        Ok(SampleContrastiveLayer {
            channels: self.channels,
            temperature: self.temperature,
            margin: self.margin,
        })
    }
}

/// See [`SampleContrastive`].
#[derive(Module, Debug)]
pub struct SampleContrastiveLayer {
    #[module(skip)]
    channels: Channels,
    #[module(skip)]
    temperature: f64,
    #[module(skip)]
    margin: f64,
}

impl Loss for SampleContrastiveLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        items_counted(inputs, &["input", "target"])
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for SampleContrastiveLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let items = self.count(inputs)?;
        let of = compared(inputs, self.channels)?;
        let counts = of.mask.clone().sum_dim(1).clamp(0.0, 1.0);
        let rows = flattened(of.predicted, of.mask.clone());
        let truth = flattened(of.truth.unsqueeze::<4>(), of.mask);
        let [samples, batch, numbers] = rows.dims();
        let sample = |at: usize| rows.clone().narrow(0, at, 1).reshape([batch, numbers]);
        let truth = truth.reshape([batch, numbers]);
        let near = (0..samples).map(|at| {
            let cosine = cosine(sample(at), truth.clone());
            log_sigmoid(cosine.div_scalar(self.temperature)).mul_scalar(-2.0 / samples as f64)
        });
        let near = near
            .reduce(Tensor::add)
            .ok_or_else(|| NodeError::Missing("input".to_owned()))?;
        let mut apart = Vec::new();
        for a in 0..samples {
            apart.extend((a + 1..samples).map(|b| relu(cosine(sample(a), sample(b)).sub_scalar(self.margin))));
        }
        let pairs = apart.len().max(1) as f64;
        let apart = apart.into_iter().reduce(Tensor::add);
        let each = match apart {
            Some(apart) => near + apart.div_scalar(pairs),
            None => near,
        };
        Ok(output(mean_of_items(vec![each], counts.reshape([batch]), items)))
    }
}
