//! Convolutional recurrent encoder: convolution blocks over the spectrogram, then a BiGRU.

use burn::module::Module;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::frames_on;
use emorun_nn::facts::Facts;
use emorun_nn::layers::conv_block::ConvBlock;
use emorun_nn::layers::conv_stack::{self, ConvStack};
use emorun_nn::layers::gru::{BiGru, GruSizes};
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Convolution blocks `[conv 3×3, batch norm, ReLU, max-pool 2×2]`, one for each entry of
/// `channels`, then a bidirectional GRU over the remaining frames.
///
/// Each block halves the frame rate; clips shorter than one output frame are padded with zeros to
/// one. Source: the CRNN of Zhao, Mao & Chen 2019 in its usual reduced form.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crnn {
    /// Spectrogram frames to encode.
    pub input: PortRef,
    /// Output channels of each convolution block.
    #[serde(default = "default_channels")]
    #[schemars(length(min = 1, max = 8), inner(range(max = 65536)))]
    pub channels: Vec<usize>,
    /// Hidden size of the GRU in each direction; output frames are twice as wide.
    #[serde(default = "default_gru_hidden")]
    #[schemars(range(min = 1, max = 4096))]
    pub gru_hidden: usize,
}

fn default_channels() -> Vec<usize> {
    vec![32, 64, 128, 128]
}
fn default_gru_hidden() -> usize {
    128
}

/// Sizes of the two parts.
struct Sizes<'a> {
    blocks: ConvStack<'a>,
    gru: GruSizes,
}

impl Crnn {
    fn sizes(&self, width: usize) -> Result<Sizes<'_>, InferError> {
        let blocks = ConvStack::new(&self.channels, width)?;
        Ok(Sizes {
            gru: GruSizes::both(blocks.outputs() * blocks.bands(), self.gru_hidden),
            blocks,
        })
    }
}

impl Kind for Crnn {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let Sizes { blocks, gru } = self.sizes(width)?;
        let out_rate = rate.slower(blocks.stride(), "channels")?;
        let parameters = blocks.parameters() + gru.parameters();
        Ok(Inferred {
            outputs: vec![(
                String::new(),
                Signal::Frames {
                    width: gru.output(),
                    rate: out_rate,
                },
            )],
            placement: Placement::Device,
            cost: Cost {
                parameters,
                trainable: parameters,
                buffers: blocks.buffers(),
                flops_per_second: rate.hz() * blocks.flops_per_frame() + out_rate.hz() * gru.flops_per_frame(),
                activation_floats_per_second: rate.hz() * blocks.floats_per_frame()
                    + out_rate.hz() * (2 * gru.input + 40 * gru.hidden) as f64,
                ..Cost::default()
            },
            reads_labels: false,
            train_only: false,
        })
    }
}

impl DeviceKind for Crnn {
    type Layer = CrnnLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<CrnnLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        let Sizes { blocks, gru } = self.sizes(width)?;
        Ok(CrnnLayer {
            blocks: blocks.build(context.device),
            gru: gru.build_both(context.device),
        })
    }
}

/// See [`Crnn`].
#[derive(Module, Debug)]
pub struct CrnnLayer {
    blocks: Vec<ConvBlock>,
    gru: BiGru,
}

impl Layer for CrnnLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let (x, lengths) = conv_stack::forward(&self.blocks, frames, &lengths, context.training);
        let [batch, channels, time, bands] = x.dims();
        let frames = x.swap_dims(1, 2).reshape([batch, time, channels * bands]);
        Ok(output(Value::Frames(self.gru.forward(frames, &lengths), lengths)))
    }
}
