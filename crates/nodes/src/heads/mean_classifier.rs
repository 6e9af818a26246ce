//! Classification head with mean pooling.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, frames_on, labels_on, trainable};
use emorun_nn::facts::Facts;
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

impl HeadKind for MeanClassifier {
    fn predicts(&self) -> Predicts {
        Predicts::Classes
    }
}

impl Kind for MeanClassifier {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let labels = labels_on(inputs, "target")?;
        let classes = class_count(&labels);
        let projection = ((width + 1) * self.hidden) as u64;
        let parameters = projection + ((self.hidden + 1) * classes) as u64;
        Ok(Inferred {
            outputs: vec![(String::new(), Signal::Logits { labels })],
            placement: Placement::Device,
            cost: Cost {
                flops_per_second: 2.0 * rate.hz() * projection as f64,
                flops_per_item: 2.0 * parameters as f64,
                activation_floats_per_second: rate.hz() * (width + 2 * self.hidden) as f64,
                activation_floats_per_item: (self.hidden + 2 * classes) as f64,
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
        let (width, _) = frames_on(inputs, "input")?;
        let classes = class_count(&labels_on(inputs, "target")?);
        Ok(MeanClassifierLayer {
            projection: LinearConfig::new(width, self.hidden).init(context.device),
            classes: LinearConfig::new(self.hidden, classes).init(context.device),
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
