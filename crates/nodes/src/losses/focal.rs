//! Focal loss over class logits.

use burn::module::Module;
use burn::tensor::{Tensor, activation::log_softmax};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::cross_entropy::{ClassWeights, scored_classes, scored_cost};
use crate::contract::{DeviceKind, Kind};
use crate::inference::labels_on;
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};
use emorun_nn::value::{Labels, Value};

/// Focal loss of a head's logits against its target, over the items that carry the label:
/// `Σ_i w_y (1 − p_y)^γ (−log p_y) / Σ_i w_y`, which is cross-entropy for `γ = 0`.
///
/// # Source
/// Lin et al., ICCV 2017, §3.2; `class_weights` is its α.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Focal {
    /// Logits of a classification head.
    pub input: PortRef,
    /// Labels; the head's own target when left out.
    #[serde(default)]
    pub target: Option<PortRef>,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
    /// How strongly items that are classified well count less, γ.
    #[serde(default = "default_gamma")]
    #[schemars(range(min = 0.0, max = 20.0))]
    pub gamma: f64,
    /// Weight of each class.
    #[serde(default)]
    pub class_weights: ClassWeights,
}

fn default_gamma() -> f64 {
    2.0
}

impl LossKind for Focal {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Focal {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let classes = scored_classes(inputs, labels_on, &self.class_weights)?;
        Ok(Inferred::loss(scored_cost(classes)))
    }
}

impl DeviceKind for Focal {
    type Layer = FocalLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<FocalLayer, BuildError> {
        Ok(FocalLayer {
            gamma: self.gamma,
            class_weights: self.class_weights.values(inputs, labels_on, context)?,
        })
    }
}

/// See [`Focal`].
#[derive(Module, Debug)]
pub struct FocalLayer {
    #[module(skip)]
    gamma: f64,
    #[module(skip)]
    class_weights: Option<Vec<f32>>,
}

impl FocalLayer {
    /// How much each item counts.
    fn weights(&self, labels: &Labels) -> Vec<f32> {
        let weight = |label: &Option<u32>| match (label, &self.class_weights) {
            (None, _) => 0.0,
            (Some(_), None) => 1.0,
            (Some(label), Some(weights)) => weights[*label as usize],
        };
        labels.as_slice().iter().map(weight).collect()
    }
}

impl Loss for FocalLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        let weights = self.weights(&inputs.labels("target")?);
        Ok(weights.iter().sum::<f32>().into())
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for FocalLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let logits = inputs.logits("input")?;
        let labels = inputs.labels("target")?;
        let [batch, _] = logits.dims();
        let device = logits.device();
        let weights = self.weights(&labels);
        let total: f32 = weights.iter().sum();
        let weights = Tensor::<1>::from_data(weights.as_slice(), &device);
        let log_p = log_softmax(logits, 1)
            .gather(1, labels.indices(&device).reshape([batch, 1]))
            .reshape([batch]);
        let loss = if self.gamma == 0.0 {
            log_p.neg()
        } else {
            // A probability that rounds to 1 has no power's gradient.
            let missed = log_p.clone().exp().neg().add_scalar(1.0).clamp_min(1e-12);
            missed.powf_scalar(self.gamma) * log_p.neg()
        };
        let sum = (loss * weights).sum();
        Ok(output(Value::Scalar(
            sum.div_scalar(total.max(f32::MIN_POSITIVE)),
            total.into(),
        )))
    }
}
