//! Classification head with attention pooling.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use emorun_kernels::composed_gelu;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeadKind, Predicts};
use crate::inference::{class_count, frames_on, labels_on, trainable};
use emorun_nn::facts::Facts;
use emorun_nn::layers::pool::AttentionPool;
use emorun_nn::node::{BuildContext, BuildError, Context, Kind, Layer, NodeError, Outputs, Ports, output};
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

impl HeadKind for AttentionClassifier {
    fn predicts(&self) -> Predicts {
        Predicts::Classes
    }
}

impl Kind for AttentionClassifier {
    type Layer = AttentionClassifierLayer;

    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let labels = labels_on(inputs, "target")?;
        let classes = class_count(&labels);
        let parameters =
            AttentionPool::parameters(width) + ((width + 1) * self.hidden + (self.hidden + 1) * classes) as u64;
        Ok(Inferred {
            outputs: vec![(String::new(), Signal::Logits { labels })],
            placement: Placement::Device,
            cost: Cost {
                flops_per_second: 4.0 * rate.hz() * width as f64,
                flops_per_item: 2.0 * parameters as f64,
                activation_floats_per_second: 2.0 * rate.hz() * width as f64,
                activation_floats_per_item: (width + 4 * self.hidden + 2 * classes) as f64,
                ..trainable(parameters)
            },
            reads_labels: false,
            train_only: false,
        })
    }

    fn build(
        &self,
        inputs: &InputSignals<'_>,
        context: &BuildContext<'_>,
    ) -> Result<AttentionClassifierLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        let classes = class_count(&labels_on(inputs, "target")?);
        Ok(AttentionClassifierLayer {
            pool: AttentionPool::new(width, context.device),
            hidden: LinearConfig::new(width, self.hidden).init(context.device),
            classes: LinearConfig::new(self.hidden, classes).init(context.device),
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
