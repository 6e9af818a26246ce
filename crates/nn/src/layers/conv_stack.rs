//! Several [`ConvBlock`]s over a spectrogram: their sizes, and running them.

use burn::tensor::{Device, Tensor};
use emorun_lang::InferError;

use super::conv_block::ConvBlock;
use crate::value::Lengths;

/// Floats kept for each element of a convolution's output while training: its input (the previous
/// block's output), the convolution's output, and the pooled result with the positions it came from.
const KEPT: f64 = 1.5;

/// Sizes of blocks with some output channels each over some bands.
#[derive(Clone, Copy, Debug)]
pub struct ConvStack<'a> {
    channels: &'a [usize],
    width: usize,
}

impl<'a> ConvStack<'a> {
    /// Blocks with these output channels over spectrogram frames of `width` bands.
    ///
    /// # Errors
    /// Nothing is left of the bands, or a block has no channels.
    pub fn new(channels: &'a [usize], width: usize) -> Result<Self, InferError> {
        let stack = Self { channels, width };
        if stack.bands() == 0 || channels.contains(&0) {
            return Err(InferError::Invalid {
                field: "channels".into(),
                message: format!(
                    "{} blocks with {channels:?} channels leave nothing of {width} bands",
                    channels.len()
                ),
                help: Some("each block halves the bands: use fewer blocks, or more mel bands".into()),
            });
        }
        Ok(stack)
    }

    /// Bands that remain after the blocks.
    pub fn bands(&self) -> usize {
        self.width >> self.channels.len()
    }

    /// Channels after the blocks.
    pub fn outputs(&self) -> usize {
        self.channels.last().copied().unwrap_or(1)
    }

    /// Input frames for one output frame.
    pub fn stride(&self) -> usize {
        1 << self.channels.len()
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

    /// Number of trainable parameters.
    pub fn parameters(&self) -> u64 {
        self.blocks()
            .map(|(input, output, _)| ConvBlock::parameters(input, output))
            .sum()
    }

    /// Number of running statistics.
    pub fn buffers(&self) -> u64 {
        2 * self.channels.iter().sum::<usize>() as u64
    }

    /// Floating-point operations for one input frame.
    pub fn flops_per_frame(&self) -> f64 {
        self.blocks()
            .map(|(input, output, area)| 18.0 * (input * output) as f64 * self.width as f64 * area)
            .sum()
    }

    /// Activations kept for one input frame, in floats.
    pub fn floats_per_frame(&self) -> f64 {
        self.blocks()
            .map(|(_, output, area)| output as f64 * self.width as f64 * area * KEPT)
            .sum()
    }

    /// Makes the blocks.
    pub fn build(&self, device: &Device) -> Vec<ConvBlock> {
        self.blocks()
            .map(|(input, output, _)| ConvBlock::new(input, output, device))
            .collect()
    }
}

/// Runs blocks over spectrogram frames; clips shorter than one output frame are padded with zeros to
/// one.
///
/// # Shapes
/// - `frames`: `[batch, time, width]`, zero at padding
/// - output: `[batch, channels, time >> blocks, width >> blocks]`, zero at padding, and its lengths
pub fn forward(blocks: &[ConvBlock], frames: Tensor<3>, lengths: &Lengths, training: bool) -> (Tensor<4>, Lengths) {
    let [batch, time, width] = frames.dims();
    // A function of the item's own length only, so that batching changes nothing.
    let least = 1 << blocks.len();
    let mut lengths = lengths.map(|length| length.max(least));
    let frames = if time < least {
        let rest = Tensor::zeros([batch, least - time, width], &frames.device());
        Tensor::cat(vec![frames, rest], 1)
    } else {
        frames
    };
    let mut x = frames.reshape([batch, 1, time.max(least), width]);
    for block in blocks {
        (x, lengths) = block.forward(x, &lengths, training);
    }
    (x, lengths)
}
