//! Centre loss over vectors.

use burn::module::{Module, Param};
use burn::tensor::{Distribution, Tensor};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, labels_on, vector_on};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};
use emorun_nn::value::Value;

/// Centre loss: half the mean squared distance of items to the learned centre of their class.
///
/// The centres are parameters, trained by the same optimizer.
///
/// # Source
/// Wen et al., ECCV 2016, eq. 2, averaged over the items that carry the label.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Center {
    /// Vectors, such as of a `pool`.
    pub input: PortRef,
    /// Classes, such as `data.emotion`.
    pub target: PortRef,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
}

impl LossKind for Center {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

/// Classes, and the width of the centre of each.
fn shape(inputs: &InputSignals<'_>) -> Result<[usize; 2], InferError> {
    Ok([class_count(&labels_on(inputs, "target")?), vector_on(inputs, "input")?])
}

impl Kind for Center {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let [classes, width] = shape(inputs)?;
        let parameters = (classes * width) as u64;
        Ok(Inferred::loss(Cost {
            parameters,
            trainable: parameters,
            flops_per_item: 3.0 * width as f64,
            activation_floats_per_item: 2.0 * width as f64,
            ..Cost::default()
        }))
    }
}

impl DeviceKind for Center {
    type Layer = CenterLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<CenterLayer, BuildError> {
        Ok(CenterLayer {
            centers: Param::from_tensor(Tensor::random(
                shape(inputs)?,
                Distribution::Normal(0.0, 1.0),
                context.device,
            )),
        })
    }
}

/// See [`Center`].
#[derive(Module, Debug)]
pub struct CenterLayer {
    /// `[classes, width]`
    centers: Param<Tensor<2>>,
}

impl Loss for CenterLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        Ok(inputs.labels("target")?.present() as f64)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for CenterLayer {
    fn is_hidden_matrix(&self, _path: &str) -> bool {
        // The centre of each class.
        false
    }

    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let x = inputs.vector("input")?;
        let labels = inputs.labels("target")?;
        let device = x.device();
        let [batch, _] = x.dims();
        let centers = self.centers.val().select(0, labels.indices(&device));
        let away = (x - centers).square().sum_dim(1).reshape([batch]);
        let count = labels.present();
        let sum = (away * labels.mask(&device)).sum();
        Ok(output(Value::Scalar(
            sum.div_scalar(2.0 * count.max(1) as f64),
            count as f64,
        )))
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        (path == "centers").then_some(0)
    }
}
