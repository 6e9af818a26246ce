//! Classification head with attention pooling.

use burn::module::Module;
use burn::nn::Linear;
use emorun_kernels::composed_gelu;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, frames_on, labels_on, trainable};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::pool::AttentionPool;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Attention pooling over frames, then `linear → GELU → dropout → linear` to the target's classes.
///
/// Source: the attention classifier usual on self-supervised encoders (pooling of Safari, India &
/// Hernando 2020).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttentionClassifier {
    /// Frames to classify.
    pub input: PortRef,
    /// Labels to predict, such as `data.emotion`.
    pub target: PortRef,
    /// Width of the hidden layer.
    #[serde(default = "default_hidden")]
    #[schemars(range(min = 1, max = 65536))]
    pub hidden: usize,
    /// Dropout probability before the last layer.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Dropout probability on the pooled vector.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub pooled_dropout: f64,
}

fn default_hidden() -> usize {
    256
}
fn default_dropout() -> f64 {
    0.3
}

/// Sizes of the layers behind the pooling.
struct Sizes {
    hidden: Dense,
    classes: Dense,
}

impl AttentionClassifier {
    fn sizes(&self, inputs: &InputSignals<'_>) -> Result<Sizes, InferError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(Sizes {
            hidden: Dense::new(width, self.hidden),
            classes: Dense::new(self.hidden, class_count(&labels_on(inputs, "target")?)),
        })
    }
}

impl HeadKind for AttentionClassifier {
    fn predicts(&self) -> Predicts {
        Predicts::Classes
    }
}

impl Kind for AttentionClassifier {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let Sizes { hidden, classes } = self.sizes(inputs)?;
        let labels = labels_on(inputs, "target")?;
        let parameters = AttentionPool::parameters(width) + hidden.parameters() + classes.parameters();
        Ok(Inferred {
            outputs: vec![(String::new(), Signal::Logits { labels })],
            placement: Placement::Device,
            cost: Cost {
                flops_per_second: 4.0 * rate.hz() * width as f64,
                flops_per_item: 2.0 * parameters as f64,
                activation_floats_per_second: 2.0 * rate.hz() * width as f64,
                activation_floats_per_item: (width + 4 * self.hidden + 2 * classes.output) as f64,
                ..trainable(parameters)
            },
            reads_labels: false,
            train_only: false,
        })
    }
}

impl DeviceKind for AttentionClassifier {
    type Layer = AttentionClassifierLayer;

    fn build(
        &self,
        inputs: &InputSignals<'_>,
        context: &BuildContext<'_>,
    ) -> Result<AttentionClassifierLayer, BuildError> {
        let Sizes { hidden, classes } = self.sizes(inputs)?;
        Ok(AttentionClassifierLayer {
            pool: AttentionPool::new(hidden.input, context.device),
            hidden: hidden.build(context.device),
            classes: classes.build(context.device),
            dropout: self.dropout,
            pooled_dropout: self.pooled_dropout,
        })
    }
}

/// See [`AttentionClassifier`].
#[derive(Module, Debug)]
pub struct AttentionClassifierLayer {
    pool: AttentionPool,
    hidden: Linear,
    classes: Linear,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    pooled_dropout: f64,
}

impl Layer for AttentionClassifierLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let pooled = context.dropout(self.pool.forward(frames, &lengths), self.pooled_dropout, "pooled");
        let hidden = context.dropout(composed_gelu(self.hidden.forward(pooled)), self.dropout, "hidden");
        Ok(output(Value::Logits(self.classes.forward(hidden))))
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "classes")
    }
}
