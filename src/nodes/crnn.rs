//! Convolutional recurrent encoder: convolution blocks over the spectrogram, then a BiGRU.

use burn::module::Module;
use burn::tensor::Tensor;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{frames_on, slower};
use crate::layers::conv_block::ConvBlock;
use crate::layers::gru::BiGru;
use crate::facts::Facts;
use crate::node::{BuildContext, BuildError, Context, Kind, Layer, NodeError, Outputs, Ports, output};
use crate::value::Value;

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
    #[schemars(length(min = 1, max = 8))]
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

impl Crnn {
    /// Bands that remain after the blocks.
    fn bands(&self, width: usize) -> Result<usize, InferError> {
        let bands = width >> self.channels.len();
        if bands == 0 || self.channels.contains(&0) {
            return Err(InferError::Invalid {
                field: "channels".into(),
                message: format!(
                    "{} blocks with {:?} channels leave nothing of {width} bands",
                    self.channels.len(),
                    self.channels
                ),
                help: Some("each block halves the bands: use fewer blocks, or more mel bands".into()),
            });
        }
        Ok(bands)
    }

    /// (input channels, output channels, share of time × bands left before the block)
    fn blocks(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        std::iter::once(1)
            .chain(self.channels.iter().copied())
            .zip(self.channels.iter().copied())
            .scan(1.0, |area, (input, output)| {
                let now = *area;
                *area /= 4.0;
                Some((input, output, now))
            })
    }
}

impl Kind for Crnn {
    type Layer = CrnnLayer;

    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let bands = self.bands(width)?;
        let gru_input = self.channels.last().copied().unwrap_or(1) * bands;
        let out_rate = slower(rate, 1 << self.channels.len(), "channels")?;
        let parameters = self
            .blocks()
            .map(|(input, output, _)| ConvBlock::parameters(input, output))
            .sum::<u64>()
            + BiGru::parameters(gru_input, self.gru_hidden);
        let pixels = rate.hz() * width as f64;
        let conv_flops: f64 = self
            .blocks()
            .map(|(input, output, area)| 18.0 * (input * output) as f64 * pixels * area)
            .sum();
        // What the backward pass keeps of a block: its input (the previous block's output), the
        // convolution's output, and the pooled result with the positions it came from.
        let conv_floats: f64 = self
            .blocks()
            .map(|(_, output, area)| output as f64 * pixels * area * CONV_KEPT)
            .sum();
        let hidden = self.gru_hidden as f64;
        Ok(Inferred {
            outputs: vec![(
                String::new(),
                Signal::Frames {
                    width: 2 * self.gru_hidden,
                    rate: out_rate,
                },
            )],
            placement: Placement::Device,
            cost: Cost {
                parameters,
                trainable: parameters,
                buffers: 2 * self.channels.iter().sum::<usize>() as u64,
                flops_per_second: conv_flops + out_rate.hz() * 12.0 * hidden * (gru_input as f64 + hidden),
                activation_floats_per_second: conv_floats + out_rate.hz() * (2.0 * gru_input as f64 + 40.0 * hidden),
                ..Cost::default()
            },
            reads_labels: false,
            train_only: false,
        })
    }

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<CrnnLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        let gru_input = self.channels.last().copied().unwrap_or(1) * self.bands(width)?;
        Ok(CrnnLayer {
            blocks: self
                .blocks()
                .map(|(input, output, _)| ConvBlock::new(input, output, context.device))
                .collect(),
            gru: BiGru::new(gru_input, self.gru_hidden, context.device),
        })
    }
}

/// Floats kept for each element of a convolution's output while training.
const CONV_KEPT: f64 = 1.5;

/// See [`Crnn`].
#[derive(Module, Debug)]
pub struct CrnnLayer {
    blocks: Vec<ConvBlock>,
    gru: BiGru,
}

impl Layer for CrnnLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let [batch, time, width] = frames.dims();
        // A function of the item's own length only, so that batching changes nothing.
        let least = 1 << self.blocks.len();
        let mut lengths = lengths.map(|length| length.max(least));
        let frames = if time < least {
            Tensor::cat(
                vec![
                    frames.clone(),
                    Tensor::zeros([batch, least - time, width], &frames.device()),
                ],
                1,
            )
        } else {
            frames
        };
        let time = time.max(least);
        let mut x = frames.reshape([batch, 1, time, width]);
        for block in &self.blocks {
            (x, lengths) = block.forward(x, &lengths, context.training);
        }
        let [batch, channels, time, bands] = x.dims();
        let frames = x.swap_dims(1, 2).reshape([batch, time, channels * bands]);
        Ok(output(Value::Frames(self.gru.forward(frames, &lengths), lengths)))
    }
}
