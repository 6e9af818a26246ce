//! Learned weighted sum of an encoder's layers.

use burn::module::{Initializer, Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use emorun_kernels::layer_norm;
use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::trainable;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Epsilon of the layer norm, as `torch.nn.functional.layer_norm`.
const EPSILON: f64 = 1e-5;

/// Sum of an encoder's hidden states, each weighted by the softmax of one learned number a layer;
/// all weigh the same at first.
///
/// `y = Σ_l softmax(w)_l h_l`. Source: Yang et al. 2021 (SUPERB), §3, as s3prl's featuriser.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedSum {
    /// Layer stack to sum up: an encoder with `output: all`.
    pub input: PortRef,
    /// Whether each layer's frames are first brought to zero mean and unit variance over their width
    /// (layer norm without parameters), as s3prl's `normalize`.
    #[serde(default)]
    pub normalise: bool,
}

/// The layer stack at the input: layers, width and rate.
fn stack_on(inputs: &InputSignals<'_>) -> Result<(usize, usize, FrameRate), InferError> {
    match inputs.require("input")? {
        Signal::LayerStack { layers, width, rate } => Ok((*layers, *width, *rate)),
        found => Err(InferError::Mismatch {
            port: "input".into(),
            wanted: "a layer stack".into(),
            found: found.clone(),
            help: Some("a pretrained encoder gives one with `output: all`".into()),
        }),
    }
}

impl Kind for WeightedSum {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (layers, width, rate) = stack_on(inputs)?;
        let read = rate.hz() * (layers * width) as f64;
        let normalised = if self.normalise { read } else { 0.0 };
        Ok(Inferred::device(
            Signal::Frames { width, rate },
            Cost {
                flops_per_second: 2.0 * read + 7.0 * normalised,
                activation_floats_per_second: normalised + rate.hz() * width as f64,
                ..trainable(layers as u64)
            },
        ))
    }
}

impl DeviceKind for WeightedSum {
    type Layer = WeightedSumLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<WeightedSumLayer, BuildError> {
        let (layers, ..) = stack_on(inputs)?;
        Ok(WeightedSumLayer {
            weights: Initializer::Zeros.init([layers], context.device),
            normalise: self.normalise,
        })
    }
}

/// See [`WeightedSum`].
#[derive(Module, Debug)]
pub struct WeightedSumLayer {
    weights: Param<Tensor<1>>,
    #[module(skip)]
    normalise: bool,
}

impl Layer for WeightedSumLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let (mut stack, lengths) = inputs.stack("input")?;
        let [layers, batch, time, width] = stack.dims();
        if self.normalise {
            // Frames of padding are zero and stay so.
            let device = stack.device();
            stack = layer_norm(
                stack,
                Tensor::ones([width], &device),
                Tensor::zeros([width], &device),
                EPSILON,
            );
        }
        let weights = softmax(self.weights.val(), 0).reshape([1, layers]);
        let sum = weights.matmul(stack.reshape([layers, batch * time * width]));
        Ok(output(Value::Frames(sum.reshape([batch, time, width]), lengths)))
    }
}
