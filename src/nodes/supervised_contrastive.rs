//! Supervised contrastive loss over vectors.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ramp::Ramp;
use super::triplet::at_unit_length;
use super::{labels_on, vector_on};
use crate::facts::Facts;
use crate::node::{BuildContext, BuildError, Context, Kind, Layer, NodeError, Outputs, Ports, output};
use crate::value::Value;

/// Supervised contrastive loss: among all items of the batch, those of an item's own class are to be
/// the most similar to it, by cosine. The mean is over items that have another of their class.
///
/// # Source
/// Khosla et al., NeurIPS 2020, eq. 2 (the sum over positives outside the logarithm).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SupervisedContrastive {
    /// Vectors, such as of a `pool` or of a `linear` projection behind it.
    pub input: PortRef,
    /// Classes, such as `data.emotion`.
    pub target: PortRef,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "super::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
    /// Similarities are divided by this.
    #[serde(default = "default_temperature")]
    #[schemars(range(min = 1e-4, max = 100.0))]
    pub temperature: f64,
}

fn default_temperature() -> f64 {
    0.1
}

impl Kind for SupervisedContrastive {
    type Layer = SupervisedContrastiveLayer;

    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let width = vector_on(inputs, "input")?;
        labels_on(inputs, "target")?;
        Ok(Inferred::loss(Cost {
            flops_per_item: 4.0 * width as f64,
            activation_floats_per_item: 4.0 * width as f64,
            ..Cost::default()
        }))
    }

    fn build(
        &self,
        _inputs: &InputSignals<'_>,
        _context: &BuildContext<'_>,
    ) -> Result<SupervisedContrastiveLayer, BuildError> {
        Ok(SupervisedContrastiveLayer {
            temperature: self.temperature,
        })
    }
}

/// See [`SupervisedContrastive`].
#[derive(Module, Debug)]
pub struct SupervisedContrastiveLayer {
    #[module(skip)]
    temperature: f64,
}

impl Layer for SupervisedContrastiveLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let x = at_unit_length(inputs.vector("input")?);
        let labels = inputs.labels("target")?;
        let labels = labels.as_slice();
        let batch = labels.len();
        let device = x.device();
        // An item is compared with all others that carry the label.
        let mut hidden = vec![-1e30_f32; batch * batch];
        let mut shares = vec![0_f32; batch * batch];
        let mut anchors = 0_usize;
        for (at, label) in labels.iter().enumerate() {
            let others = || (0..batch).filter(|&other| other != at);
            if label.is_none() {
                continue;
            }
            for other in others().filter(|&other| labels[other].is_some()) {
                hidden[at * batch + other] = 0.0;
            }
            let positives: Vec<usize> = others().filter(|&other| labels[other] == *label).collect();
            for &other in &positives {
                shares[at * batch + other] = 1.0 / positives.len() as f32;
            }
            anchors += usize::from(!positives.is_empty());
        }
        let square = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [batch, batch]), &device);
        let similar = x.clone().matmul(x.transpose()).div_scalar(self.temperature);
        let log_p = burn::tensor::activation::log_softmax(similar + square(hidden), 1);
        let sum = (log_p * square(shares)).sum().neg();
        Ok(output(Value::Scalar(
            sum.div_scalar(anchors.max(1) as f64),
            anchors as f64,
        )))
    }
}
