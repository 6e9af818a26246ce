//! Classification head of several layers on a vector.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{class_count, labels_on, trainable, vector_on};
use crate::facts::Facts;
use crate::layers::activation::Activation;
use crate::layers::batch_norm::BatchNorm;
use crate::node::{BuildContext, BuildError, Context, Kind, Layer, NodeError, Outputs, Ports, output};
use crate::value::Value;

/// `linear → [batch norm] → activation → dropout` for each entry of `hidden`, then `linear` to the
/// target's classes.
///
/// Source: a multilayer perceptron; Ioffe & Szegedy 2015 for the batch norm, in front of which the
/// linear layers have no bias, since the norm has its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MlpClassifier {
    /// Vector to classify.
    pub input: PortRef,
    /// Labels to predict, such as `data.emotion`.
    pub target: PortRef,
    /// Widths of the hidden layers; none for a linear classifier.
    #[serde(default = "default_hidden")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65536)))]
    pub hidden: Vec<usize>,
    /// Function behind each hidden layer.
    #[serde(default)]
    pub activation: Activation,
    /// Dropout probability behind each hidden layer.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Whether hidden layers are batch-normalised in front of their activation.
    #[serde(default)]
    pub batch_norm: bool,
}

fn default_hidden() -> Vec<usize> {
    vec![256]
}
fn default_dropout() -> f64 {
    0.3
}

impl MlpClassifier {
    /// Input and output width of each hidden layer.
    fn layers(&self, width: usize) -> impl Iterator<Item = (usize, usize)> {
        std::iter::once(width)
            .chain(self.hidden.iter().copied())
            .zip(self.hidden.iter().copied())
    }
}

impl Kind for MlpClassifier {
    type Layer = MlpClassifierLayer;

    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let width = vector_on(inputs, "input")?;
        let labels = labels_on(inputs, "target")?;
        let classes = class_count(&labels);
        let hidden: usize = self.hidden.iter().sum();
        let last = self.hidden.last().copied().unwrap_or(width);
        let per_output = if self.batch_norm { BatchNorm::parameters(1) } else { 1 };
        let weights: usize = self.layers(width).map(|(input, output)| input * output).sum();
        let parameters = (weights + (last + 1) * classes) as u64 + per_output * hidden as u64;
        // Linear layer, activation, dropout and its mask; the norm keeps its input centred and scaled.
        let kept = if self.batch_norm { 6 } else { 4 };
        Ok(Inferred::device(
            Signal::Logits { labels },
            Cost {
                buffers: if self.batch_norm { 2 * hidden as u64 } else { 0 },
                flops_per_item: 2.0 * parameters as f64,
                activation_floats_per_item: (width + kept * hidden + 2 * classes) as f64,
                ..trainable(parameters)
            },
        ))
    }

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<MlpClassifierLayer, BuildError> {
        let width = vector_on(inputs, "input")?;
        let classes = class_count(&labels_on(inputs, "target")?);
        let last = self.hidden.last().copied().unwrap_or(width);
        Ok(MlpClassifierLayer {
            layers: self
                .layers(width)
                .map(|(input, output)| Hidden {
                    linear: LinearConfig::new(input, output)
                        .with_bias(!self.batch_norm)
                        .init(context.device),
                    norm: self.batch_norm.then(|| BatchNorm::new(output, context.device)),
                })
                .collect(),
            classes: LinearConfig::new(last, classes).init(context.device),
            activation: self.activation,
            dropout: self.dropout,
        })
    }
}

/// See [`MlpClassifier`].
#[derive(Module, Debug)]
pub struct MlpClassifierLayer {
    layers: Vec<Hidden>,
    classes: Linear,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    dropout: f64,
}

/// A hidden layer, up to its activation.
#[derive(Module, Debug)]
struct Hidden {
    linear: Linear,
    norm: Option<BatchNorm>,
}

impl Hidden {
    fn forward(&self, x: Tensor<2>, training: bool) -> Tensor<2> {
        let x = self.linear.forward(x);
        match &self.norm {
            Some(norm) => norm.forward(x, training),
            None => x,
        }
    }
}

impl Layer for MlpClassifierLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let mut x = inputs.vector("input")?;
        for (at, layer) in self.layers.iter().enumerate() {
            x = self.activation.forward(layer.forward(x, context.training));
            x = context.dropout(x, self.dropout, &format!("hidden{at}"));
        }
        Ok(output(Value::Logits(self.classes.forward(x))))
    }
}
