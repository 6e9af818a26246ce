//! Convolutional encoder that gives one vector a spectrogram.

use burn::module::Module;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{frames_on, trainable};
use emorun_nn::facts::Facts;
use emorun_nn::layers::conv_block::ConvBlock;
use emorun_nn::layers::conv_stack::{self, ConvStack};
use emorun_nn::layers::pool::mean_pool;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Convolution blocks `[conv 3×3, batch norm, ReLU, max-pool 2×2]`, one for each entry of `channels`,
/// then the mean over what is left of bands and of valid frames: a vector as wide as the last entry.
///
/// Clips shorter than one output frame are padded with zeros to one. Source: the usual image classifier
/// with global average pooling (Lin, Chen & Yan 2014) on a spectrogram.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvPool {
    /// Spectrogram frames to encode.
    pub input: PortRef,
    /// Output channels of each convolution block.
    #[serde(default = "default_channels")]
    #[schemars(length(min = 1, max = 8), inner(range(max = 65536)))]
    pub channels: Vec<usize>,
}

fn default_channels() -> Vec<usize> {
    vec![16, 32, 64]
}

impl Kind for ConvPool {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let blocks = ConvStack::new(&self.channels, width)?;
        let parameters = blocks.parameters();
        Ok(Inferred::device(
            Signal::Vector {
                width: blocks.outputs(),
            },
            Cost {
                buffers: blocks.buffers(),
                flops_per_second: rate.hz() * blocks.flops_per_frame(),
                activation_floats_per_second: rate.hz() * blocks.floats_per_frame(),
                activation_floats_per_item: blocks.outputs() as f64,
                ..trainable(parameters)
            },
        ))
    }
}

impl DeviceKind for ConvPool {
    type Layer = ConvPoolLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<ConvPoolLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(ConvPoolLayer {
            blocks: ConvStack::new(&self.channels, width)?.build(context.device),
        })
    }
}

/// See [`ConvPool`].
#[derive(Module, Debug)]
pub struct ConvPoolLayer {
    blocks: Vec<ConvBlock>,
}

impl Layer for ConvPoolLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let (x, lengths) = conv_stack::forward(&self.blocks, frames, &lengths, context.training);
        let [batch, channels, time, _] = x.dims();
        let frames = x.mean_dim(3).reshape([batch, channels, time]).swap_dims(1, 2);
        Ok(output(Value::Vector(mean_pool(frames, &lengths))))
    }
}
