//! Divergence from the shares of raters' votes.

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::cross_entropy::scored_cost;
use crate::contract::{DeviceKind, Kind};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};
use emorun_nn::value::Value;

/// Kullback–Leibler divergence of the predicted classes from the shares of raters' votes,
/// `Σ_c v_c (log v_c − log p_c)`, averaged over the items that have votes.
///
/// # Source
/// Kullback & Leibler 1951; for emotion: Fayek et al., IJCNN 2016 (soft labels from raters).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoftLabelKl {
    /// Logits of a classification head.
    pub input: PortRef,
    /// Shares of votes, such as `data.emotion_soft`.
    pub target: PortRef,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

impl LossKind for SoftLabelKl {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for SoftLabelKl {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let logits = match inputs.require("input")? {
            Signal::Logits { labels } => labels,
            found => return Err(InferError::mismatch("input", "logits of a classification head", found)),
        };
        match inputs.require("target")? {
            Signal::SoftLabels { labels } if labels.agrees_with(logits) => {
                Ok(Inferred::loss(scored_cost(crate::inference::class_count(labels))))
            }
            found => Err(InferError::mismatch(
                "target",
                format!("shares of votes for what the logits are over: {logits}"),
                found,
            )),
        }
    }
}

impl DeviceKind for SoftLabelKl {
    type Layer = SoftLabelKlLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<SoftLabelKlLayer, BuildError> {
        Ok(SoftLabelKlLayer {})
    }
}

/// See [`SoftLabelKl`].
#[derive(Module, Debug)]
pub struct SoftLabelKlLayer {}

impl Loss for SoftLabelKlLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        Ok(inputs.targets("target")?.columns().max().unwrap_or(0) as f64)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for SoftLabelKlLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let logits = inputs.logits("input")?;
        let targets = inputs.targets("target")?;
        let votes = targets.values(&logits.device());
        let count = targets.columns().max().unwrap_or(0);
        // The votes' own entropy has no gradient; 0 · log 0 is 0.
        let own = (votes.clone() * votes.clone().clamp_min(1e-30).log()).sum();
        let sum = own - (votes * log_softmax(logits, 1)).sum();
        Ok(output(Value::Scalar(sum.div_scalar(count.max(1) as f64), count as f64)))
    }
}
