//! Multi-head attention pooling of frames to a vector.

use burn::module::Module;
use burn::nn::Linear;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{frames_on, trainable};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::pool::MultiHeadAttentionPool;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// One vector an item: each head weighs the frames by `linear → tanh → linear` and a softmax over the
/// valid ones; the heads' sums are joined and, with `output`, projected.
///
/// Source: Lin et al. 2017, §2.1 (structured self-attention).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttentionPool {
    /// Frames to pool.
    pub input: PortRef,
    /// Number of heads.
    #[serde(default = "default_heads")]
    #[schemars(range(min = 1, max = 128))]
    pub heads: usize,
    /// Width of each head's hidden layer.
    #[serde(default = "default_hidden")]
    #[schemars(range(min = 1, max = 65536))]
    pub hidden: usize,
    /// Width that the joined heads are projected to; without it, the vector is `heads` times as wide
    /// as the frames.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65536))]
    pub output: Option<usize>,
}

fn default_heads() -> usize {
    4
}
fn default_hidden() -> usize {
    128
}

impl AttentionPool {
    /// The layer behind the heads' vectors, which are joined.
    fn projection(&self, width: usize) -> Option<Dense> {
        self.output.map(|output| Dense::new(self.heads * width, output))
    }
}

impl Kind for AttentionPool {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let joined = self.heads * width;
        let scores = MultiHeadAttentionPool::parameters(width, self.heads, self.hidden);
        let projection = self.projection(width).map_or(0, |layer| layer.parameters());
        Ok(Inferred::device(
            Signal::Vector {
                width: self.output.unwrap_or(joined),
            },
            Cost {
                flops_per_second: 2.0 * rate.hz() * (scores as f64 + joined as f64),
                flops_per_item: 2.0 * projection as f64,
                // The hidden layer, its tanh and its product with the scores' weights.
                activation_floats_per_second: rate.hz() * (3 * self.heads * self.hidden + 3 * self.heads) as f64,
                activation_floats_per_item: (joined + self.output.unwrap_or(0)) as f64,
                ..trainable(scores + projection)
            },
        ))
    }
}

impl DeviceKind for AttentionPool {
    type Layer = AttentionPoolLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<AttentionPoolLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(AttentionPoolLayer {
            pool: MultiHeadAttentionPool::new(width, self.heads, self.hidden, context.device),
            output: self.projection(width).map(|layer| layer.build(context.device)),
        })
    }
}

/// See [`AttentionPool`].
#[derive(Module, Debug)]
pub struct AttentionPoolLayer {
    pool: MultiHeadAttentionPool,
    output: Option<Linear>,
}

impl Layer for AttentionPoolLayer {
    fn is_hidden_matrix(&self, path: &str) -> bool {
        !MultiHeadAttentionPool::is_scores(path)
    }

    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let pooled = self.pool.forward(frames, &lengths);
        Ok(output(Value::Vector(match &self.output {
            Some(linear) => linear.forward(pooled),
            None => pooled,
        })))
    }
}
