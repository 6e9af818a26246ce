//! Supervised contrastive loss over vectors.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::compared::{rows_and_labels, summed};
use super::triplet::at_unit_length;
use crate::contract::{DeviceKind, Kind};
use crate::inference::{labels_on, vector_on};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{
    BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, SideLoss, output,
};
use emorun_nn::value::Value;

/// Supervised contrastive loss: among all items of the batch, those of an item's own class are to be
/// the most similar to it, by cosine. The mean is over items that have another of their class. On validation
/// and test an item is compared with all of the side, whatever `evaluation.batch_size`: the more there are, the
/// higher the loss is, so that it is not to be held against that of training.
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
    #[serde(default = "crate::inference::default_loss_weight")]
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

impl LossKind for SupervisedContrastive {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for SupervisedContrastive {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let width = vector_on(inputs, "input")?;
        labels_on(inputs, "target")?;
        Ok(Inferred::loss(Cost {
            flops_per_item: 4.0 * width as f64,
            activation_floats_per_item: 4.0 * width as f64,
            ..Cost::default()
        }))
    }
}

impl DeviceKind for SupervisedContrastive {
    type Layer = SupervisedContrastiveLayer;

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

impl Loss for SupervisedContrastiveLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        let labels = inputs.labels("target")?;
        let mut items: HashMap<u32, usize> = HashMap::new();
        for label in labels.as_slice().iter().flatten() {
            *items.entry(*label).or_default() += 1;
        }
        // Each item of a class that has another.
        Ok(items.values().filter(|items| **items > 1).sum::<usize>() as f64)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Side(self)
    }
}

impl SideLoss for SupervisedContrastiveLayer {
    fn over_side(&self, inputs: &Ports) -> Result<(f64, f64), NodeError> {
        let (rows, labels) = rows_and_labels(inputs)?;
        let rows = rows.at_unit_length();
        let labels = labels.as_slice();
        let of_anchor = |at: usize| {
            let Some(own) = labels[at] else { return (0.0, 0.0) };
            let others = labels.iter().enumerate().filter(|(other, _)| *other != at);
            let similar: Vec<(f64, bool)> = others
                .filter_map(|(other, label)| {
                    let label = (*label)?;
                    Some((rows.product(at, other) / self.temperature, label == own))
                })
                .collect();
            let positives: Vec<f64> = similar.iter().filter(|(_, same)| *same).map(|(s, _)| *s).collect();
            if positives.is_empty() {
                return (0.0, 0.0);
            }
            let most = similar.iter().map(|(s, _)| *s).fold(f64::NEG_INFINITY, f64::max);
            let all = most + similar.iter().map(|(s, _)| (s - most).exp()).sum::<f64>().ln();
            (all - positives.iter().sum::<f64>() / positives.len() as f64, 1.0)
        };
        let (sum, count) = summed(labels.len(), of_anchor);
        Ok((sum / count.max(1.0), count))
    }
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
