//! Classification head of several layers on a vector.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, labels_on, trainable, vector_on};
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::layers::batch_norm::BatchNorm;
use emorun_nn::layers::dense::Dense;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

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

pub(super) fn default_hidden() -> Vec<usize> {
    vec![256]
}

pub(super) fn default_dropout() -> f64 {
    0.3
}

/// A multilayer perceptron: hidden layers, then a linear one.
pub(super) struct Mlp<'a> {
    /// Width of the input.
    pub width: usize,
    /// Widths of the hidden layers.
    pub hidden: &'a [usize],
    /// Width of the output.
    pub outputs: usize,
    /// Function behind each hidden layer.
    pub activation: Activation,
    /// Dropout probability behind each hidden layer.
    pub dropout: f64,
    /// Whether hidden layers are batch-normalised.
    pub batch_norm: bool,
}

impl Mlp<'_> {
    /// The linear part of each hidden layer.
    fn layers(&self) -> impl Iterator<Item = Dense> {
        let inputs = std::iter::once(&self.width).chain(self.hidden);
        inputs.zip(self.hidden).map(|(&input, &output)| Dense {
            input,
            output,
            bias: !self.batch_norm,
        })
    }

    fn last(&self) -> Dense {
        Dense::new(self.hidden.last().copied().unwrap_or(self.width), self.outputs)
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        let hidden: usize = self.hidden.iter().sum();
        let norms = if self.batch_norm {
            BatchNorm::parameters(hidden)
        } else {
            0
        };
        let linear: u64 = self.layers().map(|layer| layer.parameters()).sum();
        let parameters = linear + norms + self.last().parameters();
        // Linear layer, activation, dropout and its mask; the norm keeps its input centred and scaled.
        let kept = if self.batch_norm { 6 } else { 4 };
        Cost {
            buffers: if self.batch_norm { 2 * hidden as u64 } else { 0 },
            flops_per_item: 2.0 * parameters as f64,
            activation_floats_per_item: (self.width + kept * hidden + 2 * self.outputs) as f64,
            ..trainable(parameters)
        }
    }

    /// The module, its weights drawn.
    pub fn build(&self, device: &Device) -> MlpLayer {
        MlpLayer {
            layers: self
                .layers()
                .map(|layer| Hidden {
                    linear: layer.build(device),
                    norm: self.batch_norm.then(|| BatchNorm::new(layer.output, device)),
                })
                .collect(),
            classes: self.last().build(device),
            activation: self.activation,
            dropout: self.dropout,
        }
    }
}

impl MlpClassifier {
    fn mlp(&self, inputs: &InputSignals<'_>) -> Result<Mlp<'_>, InferError> {
        Ok(Mlp {
            width: vector_on(inputs, "input")?,
            hidden: &self.hidden,
            outputs: class_count(&labels_on(inputs, "target")?),
            activation: self.activation,
            dropout: self.dropout,
            batch_norm: self.batch_norm,
        })
    }
}

impl HeadKind for MlpClassifier {
    fn predicts(&self) -> Predicts {
        Predicts::Classes
    }
}

impl Kind for MlpClassifier {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let labels = labels_on(inputs, "target")?;
        Ok(Inferred::device(Signal::Logits { labels }, self.mlp(inputs)?.cost()))
    }
}

impl DeviceKind for MlpClassifier {
    type Layer = MlpLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<MlpLayer, BuildError> {
        Ok(self.mlp(inputs)?.build(context.device))
    }
}

/// A multilayer perceptron; see [`MlpClassifier`].
#[derive(Module, Debug)]
pub struct MlpLayer {
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

impl MlpLayer {
    /// # Shapes
    /// - `x`: `[batch, width]`
    /// - output: `[batch, outputs]`
    pub(super) fn forward(&self, mut x: Tensor<2>, context: &Context) -> Tensor<2> {
        for (at, layer) in self.layers.iter().enumerate() {
            x = self.activation.forward(layer.forward(x, context.training));
            x = context.dropout(x, self.dropout, &format!("hidden{at}"));
        }
        self.classes.forward(x)
    }
}

impl Layer for MlpLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let x = inputs.vector("input")?;
        Ok(output(Value::Logits(Self::forward(self, x, context))))
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "classes")
    }
}
