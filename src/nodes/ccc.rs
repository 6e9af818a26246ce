//! Concordance loss of predicted numbers.

use burn::module::Module;
use burn::tensor::Tensor;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers_compared;
use super::ramp::Ramp;
use crate::facts::Facts;
use crate::node::{BuildContext, BuildError, Context, Kind, Layer, NodeError, Outputs, Ports, output};
use crate::value::Value;

/// One minus the concordance correlation coefficient of predicted numbers with true ones over the
/// batch, averaged over dimensions. A dimension counts that two or more items are labelled with; its
/// variances are divided by their number.
///
/// # Source
/// Lin, Biometrics 45, 1989, eq. 1; as a loss: Trigeorgis et al., ICASSP 2016.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ccc {
    /// Predicted numbers, of an `mlp_regressor`.
    pub input: PortRef,
    /// Continuous labels; the head's own target when left out.
    #[serde(default)]
    pub target: Option<PortRef>,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "super::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

impl Kind for Ccc {
    type Layer = CccLayer;

    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        numbers_compared(inputs)
    }

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<CccLayer, BuildError> {
        Ok(CccLayer {})
    }
}

/// See [`Ccc`].
#[derive(Module, Debug)]
pub struct CccLayer {}

impl Layer for CccLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let x = inputs.vector("input")?;
        let targets = inputs.targets("target")?;
        let device = x.device();
        let (truth, mask) = (targets.values(&device), targets.mask(&device));
        let counts = mask.clone().sum_dim(0);
        let most = counts.clone().clamp_min(1.0);
        let mean = |x: Tensor<2>| (x * mask.clone()).sum_dim(0) / most.clone();
        let (mean_x, mean_y) = (mean(x.clone()), mean(truth.clone()));
        let (dx, dy) = (x - mean_x.clone(), truth - mean_y.clone());
        let product = mean(dx.clone() * dy.clone());
        let spread = mean(dx.square()) + mean(dy.square()) + (mean_x - mean_y).square();
        // Where nothing varies and all agree there is nothing to learn.
        let concordance = product.mul_scalar(2.0) / spread.clamp_min(1e-12);
        let defined = counts.greater_elem(1.5).float();
        let dimensions = targets.columns().filter(|&present| present > 1).count();
        let sum = ((concordance.neg() + 1.0) * defined).sum();
        let items = targets.columns().max().unwrap_or(0);
        Ok(output(Value::Scalar(
            sum.div_scalar(dimensions.max(1) as f64),
            if dimensions > 0 { items as f64 } else { 0.0 },
        )))
    }
}
