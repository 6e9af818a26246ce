//! Divergence of distributions from the standard normal one.

use burn::module::Module;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::frames::mean_over_items;
use crate::contract::{DeviceKind, Kind};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};

/// Divergence of a diagonal normal distribution from the standard one, `½ (σ² + μ² − 1 − log σ²)`, mean over its dimensions, over
/// an item's distributions (one for each window of a rollout), and over items. A `ramp` warms it up.
///
/// # Source
/// Kingma & Welling, ICLR 2014, appendix B; warm-up: Bowman et al., CoNLL 2016; free bits: Kingma et al., NeurIPS 2016, §C.8,
/// here of each dimension of each distribution, so that no item depends on the others of its batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KlDivergence {
    /// Distributions, at the port `distribution` of a `vae` or a generator.
    pub input: PortRef,
    /// What a dimension of a distribution costs at least, in nats: below it nothing is gained by saying less.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub free_bits: f64,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

impl LossKind for KlDivergence {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for KlDivergence {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        match inputs.require("input")? {
            Signal::Distribution { width } => Ok(Inferred::loss(Cost {
                flops_per_item: 10.0 * *width as f64,
                activation_floats_per_item: 6.0 * *width as f64,
                ..Cost::default()
            })),
            found => Err(InferError::Mismatch {
                port: "input".to_owned(),
                wanted: "a distribution".to_owned(),
                found: found.clone(),
                help: Some("a `vae` and a `window_rollout` have one at their port `distribution`".to_owned()),
            }),
        }
    }
}

impl DeviceKind for KlDivergence {
    type Layer = KlDivergenceLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<KlDivergenceLayer, BuildError> {
        Ok(KlDivergenceLayer {
            free_bits: self.free_bits,
        })
    }
}

/// See [`KlDivergence`].
#[derive(Module, Debug)]
pub struct KlDivergenceLayer {
    #[module(skip)]
    free_bits: f64,
}

impl Loss for KlDivergenceLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        let lengths = inputs.distribution("input")?.lengths;
        Ok(lengths.as_slice().iter().filter(|length| **length > 0).count() as f64)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for KlDivergenceLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let items = self.count(inputs)?;
        let of = inputs.distribution("input")?;
        let [batch, steps, _] = of.mean.dims();
        let variance = of.log_variance.clone().exp();
        let each = (variance + of.mean.square() - of.log_variance)
            .sub_scalar(1.0)
            .mul_scalar(0.5);
        let each = match self.free_bits > 0.0 {
            true => each.clamp_min(self.free_bits),
            false => each,
        };
        let mask = of.lengths.mask(steps, &each.device()).reshape([batch, steps, 1]);
        Ok(output(mean_over_items(each.mean_dim(2), mask, items)))
    }
}
