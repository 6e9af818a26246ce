//! Concordance loss of predicted numbers.

use burn::module::Module;
use burn::tensor::Tensor;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use emorun_metrics::Agreement;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use crate::contract::{DeviceKind, Kind};
use crate::inference::numbers_compared;
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{
    BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, SideLoss, output,
};
use emorun_nn::value::{Targets, Value};
use emorun_nn::waits;

/// One minus the concordance correlation coefficient of predicted numbers with true ones over the
/// batch, averaged over dimensions. A dimension counts that two or more items are labelled with; its
/// variances are divided by their number. On validation and test it is over the whole side at once, whatever
/// `evaluation.batch_size`.
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
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

impl LossKind for Ccc {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Ccc {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        numbers_compared(inputs)
    }
}

impl DeviceKind for Ccc {
    type Layer = CccLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<CccLayer, BuildError> {
        Ok(CccLayer {})
    }
}

/// See [`Ccc`].
#[derive(Module, Debug)]
pub struct CccLayer {}

/// Dimensions that two or more items are labelled with, and how many items count.
fn counted(targets: &Targets) -> (usize, f64) {
    let dimensions = targets.columns().filter(|&present| present > 1).count();
    let items = targets.columns().max().unwrap_or(0);
    (dimensions, if dimensions > 0 { items as f64 } else { 0.0 })
}

impl Loss for CccLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        Ok(counted(&inputs.targets("target")?).1)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Side(self)
    }
}

impl SideLoss for CccLayer {
    fn over_side(&self, inputs: &Ports) -> Result<(f64, f64), NodeError> {
        let predicted = waits::numbers(inputs.vector("input")?);
        let targets = inputs.targets("target")?;
        let mut agreement = vec![Agreement::default(); targets.columns().count()];
        let width = agreement.len().max(1);
        for (truth, predicted) in targets.rows().zip(predicted.chunks_exact(width)) {
            for (agreement, (truth, predicted)) in agreement.iter_mut().zip(truth.iter().zip(predicted)) {
                if let Some(truth) = truth {
                    agreement.add(f64::from(*truth), f64::from(*predicted));
                }
            }
        }
        let defined = agreement.iter().filter(|agreement| agreement.n > 1);
        let sum: f64 = defined.map(|agreement| 1.0 - agreement.ccc().unwrap_or(0.0)).sum();
        let (dimensions, count) = counted(&targets);
        Ok((sum / dimensions.max(1) as f64, count))
    }
}

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
        let (dimensions, count) = counted(&targets);
        let sum = ((concordance.neg() + 1.0) * defined).sum();
        Ok(output(Value::Scalar(sum.div_scalar(dimensions.max(1) as f64), count)))
    }
}
