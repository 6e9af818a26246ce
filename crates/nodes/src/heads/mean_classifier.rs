//! Classification head with mean pooling.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, frames_on, labels_on, trainable};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::pool::mean_pool;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// `linear → ReLU → mean over valid frames → dropout → linear` to the target's classes.
///
/// Source: the probing head of EmoBox (Ma et al. 2024).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanClassifier {
    /// Frames to classify.
    pub input: PortRef,
    /// Labels to predict, such as `data.emotion`.
    pub target: PortRef,
    /// Width of the hidden layer.
    #[serde(default = "default_hidden")]
    #[schemars(range(min = 1, max = 65536))]
    pub hidden: usize,
    /// Dropout probability on the pooled vector.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

fn default_hidden() -> usize {
    256
}

/// Sizes of the two layers.
struct Sizes {
    projection: Dense,
    classes: Dense,
}

impl MeanClassifier {
    fn sizes(&self, inputs: &InputSignals<'_>) -> Result<Sizes, InferError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(Sizes {
            projection: Dense::new(width, self.hidden),
            classes: Dense::new(self.hidden, class_count(&labels_on(inputs, "target")?)),
        })
    }
}

impl HeadKind for MeanClassifier {
    fn predicts(&self) -> Predicts {
        Predicts::Classes
    }
}

impl Kind for MeanClassifier {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let Sizes { projection, classes } = self.sizes(inputs)?;
        let labels = labels_on(inputs, "target")?;
        let parameters = projection.parameters() + classes.parameters();
        Ok(Inferred {
            outputs: vec![(String::new(), Signal::Logits { labels })],
            placement: Placement::Device,
            cost: Cost {
                flops_per_second: 2.0 * rate.hz() * projection.parameters() as f64,
                flops_per_item: 2.0 * parameters as f64,
                activation_floats_per_second: rate.hz() * (width + 2 * self.hidden) as f64,
                activation_floats_per_item: (self.hidden + 2 * classes.output) as f64,
                ..trainable(parameters)
            },
            reads_labels: false,
            train_only: false,
        })
    }
}

impl DeviceKind for MeanClassifier {
    type Layer = MeanClassifierLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<MeanClassifierLayer, BuildError> {
        let Sizes { projection, classes } = self.sizes(inputs)?;
        Ok(MeanClassifierLayer {
            projection: projection.build(context.device),
            classes: classes.build(context.device),
            dropout: self.dropout,
        })
    }
}

/// See [`MeanClassifier`].
#[derive(Module, Debug)]
pub struct MeanClassifierLayer {
    projection: Linear,
    classes: Linear,
    #[module(skip)]
    dropout: f64,
}

impl Layer for MeanClassifierLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let pooled = mean_pool(relu(self.projection.forward(frames)), &lengths);
        let pooled = context.dropout(pooled, self.dropout, "pooled");
        Ok(output(Value::Logits(self.classes.forward(pooled))))
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "classes")
    }
}
