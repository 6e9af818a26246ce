//! Cross-entropy over class logits.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData, activation::log_softmax};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, LabelSet, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, labels_on};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, output};
use emorun_nn::value::Value;

/// Cross-entropy of a head's logits against its target, over the items that carry the label. Soft labels, such
/// as a `mixup`'s, count each class by its share.
///
/// With class weights `w` and smoothing `ε` over `K` classes the value is that of
/// `torch.nn.CrossEntropyLoss(weight=w, label_smoothing=ε)`:
/// `Σ_i [(1−ε)·w_y·(−log p_y) + ε/K·Σ_c w_c·(−log p_c)] / Σ_i w_y`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// Logits of a classification head.
    pub input: PortRef,
    /// Labels, or the share of each class; the head's own target when left out.
    #[serde(default)]
    pub target: Option<PortRef>,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
    /// Weight of each class.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// Share of the target spread evenly over all classes, from 0 to 1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_smoothing: f64,
}

/// How much each class counts in the loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All classes count alike.
    #[default]
    None,
    /// `n / (K · n_c)` from the training items, as scikit-learn's `balanced`.
    Balanced,
    /// One weight a class, in the order of the label set.
    Values(Vec<f64>),
}

/// The labels on a port, of whatever form a loss takes.
pub(super) type LabelsOn = fn(&InputSignals<'_>, &str) -> Result<LabelSet, InferError>;

/// The labels on a port, hard or soft.
fn any_labels_on(inputs: &InputSignals<'_>, port: &str) -> Result<LabelSet, InferError> {
    match inputs.require(port)? {
        Signal::SoftLabels { labels } => Ok(labels.clone()),
        _ => labels_on(inputs, port),
    }
}

/// Checks logits at `input` against labels at `target`, and class weights against both; gives the
/// number of classes.
///
/// # Errors
/// They do not fit each other.
pub(super) fn scored_classes(
    inputs: &InputSignals<'_>,
    labels_on: LabelsOn,
    class_weights: &ClassWeights,
) -> Result<usize, InferError> {
    let logits = match inputs.require("input")? {
        Signal::Logits { labels } => labels,
        found => return Err(InferError::mismatch("input", "logits of a classification head", found)),
    };
    let labels = labels_on(inputs, "target")?;
    if !labels.agrees_with(logits) {
        return Err(InferError::mismatch(
            "target",
            format!("the labels that the logits are over: {logits}"),
            inputs.require("target")?,
        ));
    }
    let classes = class_count(&labels);
    match class_weights {
        ClassWeights::Values(weights) if classes > 0 && weights.len() != classes => Err(InferError::Invalid {
            field: "class_weights".into(),
            message: format!("{} weights for {classes} classes", weights.len()),
            help: labels
                .classes
                .map(|classes| format!("give one weight each for {}", classes.join(", "))),
        }),
        // As the loss computes with them, in single precision.
        ClassWeights::Values(weights)
            if weights
                .iter()
                .any(|&weight| !(weight as f32).is_finite() || weight < 0.0) =>
        {
            Err(InferError::Invalid {
                field: "class_weights".into(),
                message: "weights must be finite and not negative".into(),
                help: None,
            })
        }
        ClassWeights::Values(weights) if classes > 0 && weights.iter().all(|&weight| weight as f32 == 0.0) => {
            Err(InferError::Invalid {
                field: "class_weights".into(),
                message: "all weights are 0, so that nothing is learned".into(),
                help: Some("give a class that counts a weight above 0".into()),
            })
        }
        _ => Ok(classes),
    }
}

/// Cost of a loss over the logits of so many classes.
pub(super) fn scored_cost(classes: usize) -> Cost {
    Cost {
        flops_per_item: 10.0 * classes as f64,
        activation_floats_per_item: 4.0 * classes as f64,
        ..Cost::default()
    }
}

impl ClassWeights {
    /// The weight of each class of the labels at `target`; `None` where all count alike.
    ///
    /// # Errors
    /// The port carries no labels.
    pub(super) fn values(
        &self,
        inputs: &InputSignals<'_>,
        labels_on: LabelsOn,
        context: &BuildContext<'_>,
    ) -> Result<Option<Vec<f32>>, InferError> {
        Ok(match self {
            Self::None => None,
            Self::Values(weights) => Some(weights.iter().map(|&weight| weight as f32).collect()),
            Self::Balanced => {
                let labels = labels_on(inputs, "target")?;
                let counts = context.class_counts.get(&labels.name).map_or(&[][..], Vec::as_slice);
                let (total, classes) = (counts.iter().sum::<usize>(), class_count(&labels));
                let weight = |count: usize| total as f32 / (classes * count.max(1)) as f32;
                Some(counts.iter().map(|&count| weight(count)).collect())
            }
        })
    }
}

impl LossKind for CrossEntropy {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for CrossEntropy {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let classes = scored_classes(inputs, any_labels_on, &self.class_weights)?;
        Ok(Inferred::loss(scored_cost(classes)))
    }
}

impl DeviceKind for CrossEntropy {
    type Layer = CrossEntropyLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<CrossEntropyLayer, BuildError> {
        Ok(CrossEntropyLayer {
            class_weights: self.class_weights.values(inputs, any_labels_on, context)?,
            label_smoothing: self.label_smoothing,
        })
    }
}

/// See [`CrossEntropy`].
#[derive(Module, Debug)]
pub struct CrossEntropyLayer {
    #[module(skip)]
    class_weights: Option<Vec<f32>>,
    #[module(skip)]
    label_smoothing: f64,
}

impl CrossEntropyLayer {
    fn weight(&self, class: usize) -> f32 {
        self.class_weights.as_ref().map_or(1.0, |weights| weights[class])
    }
}

impl Loss for CrossEntropyLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        let mut total = 0f32;
        match inputs.get("target")? {
            Value::Targets(soft) => {
                for shares in soft.rows().filter(|shares| shares.iter().all(Option::is_some)) {
                    for (class, share) in shares.iter().enumerate() {
                        total += share.unwrap_or(0.0) * self.weight(class);
                    }
                }
            }
            _ => {
                for label in inputs.labels("target")?.as_slice().iter().flatten() {
                    total += self.weight(*label as usize);
                }
            }
        }
        Ok(total.into())
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Items
    }
}

impl Layer for CrossEntropyLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let logits = inputs.logits("input")?;
        let [batch, classes] = logits.dims();
        let device = logits.device();
        // Row i holds the weight of each class's −log p in item i: absent labels give a zero row.
        let mut targets = vec![0f32; batch * classes];
        let add = |row: &mut [f32], shares: &mut dyn Iterator<Item = (usize, f32)>| {
            for (class, target) in row.iter_mut().enumerate() {
                *target = self.weight(class) * self.label_smoothing as f32 / classes as f32;
            }
            for (class, share) in shares {
                row[class] += share * (self.weight(class) * (1.0 - self.label_smoothing as f32));
            }
        };
        let rows = targets.chunks_exact_mut(classes);
        match inputs.get("target")? {
            Value::Targets(soft) => {
                for (row, shares) in rows
                    .zip(soft.rows())
                    .filter(|(_, shares)| shares.iter().all(Option::is_some))
                {
                    add(row, &mut shares.iter().map(|share| share.unwrap_or(0.0)).enumerate());
                }
            }
            _ => {
                let labels = inputs.labels("target")?;
                for (row, label) in rows.zip(labels.as_slice()) {
                    if let Some(label) = label {
                        add(row, &mut std::iter::once((*label as usize, 1.0)));
                    }
                }
            }
        }
        let total = self.count(inputs)?;
        if total == 0.0 {
            // Where no item counts, neither does what is smoothed off their labels: the sum would be divided by nothing.
            targets.fill(0.0);
        }
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [batch, classes]), &device);
        let sum = (log_softmax(logits, 1) * targets).sum().neg();
        Ok(output(Value::Scalar(
            sum.div_scalar((total as f32).max(f32::MIN_POSITIVE)),
            total,
        )))
    }
}
