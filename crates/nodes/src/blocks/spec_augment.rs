//! SpecAugment: random blocks of time and of frequency are masked while training.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::frames_on;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Masks blocks of bands and of frames with zero (the mean, after `normalise`), each block of
/// uniform width from 0 to its size and drawn anew for each item and epoch. Off outside training.
///
/// Source: Park et al. 2019, without time warping.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecAugment {
    /// Frames to mask, usually normalised log-mel.
    pub input: PortRef,
    /// Number of frequency masks an item.
    #[serde(default = "default_masks")]
    #[schemars(range(max = 64))]
    pub num_feature_masks: usize,
    /// Largest width of a frequency mask in bands.
    #[serde(default = "default_features")]
    pub features_mask_size: usize,
    /// Number of time masks an item.
    #[serde(default = "default_masks")]
    #[schemars(range(max = 64))]
    pub num_frame_masks: usize,
    /// Largest width of a time mask in frames.
    #[serde(default = "default_frames")]
    pub frames_mask_size: usize,
    /// Largest share of an item's frames that one time mask may cover, from 0 to 1.
    #[serde(default = "default_fraction")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_frames_mask_fraction: f64,
    /// Probability with which an item is masked at all.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

fn default_masks() -> usize {
    2
}
fn default_features() -> usize {
    12
}
fn default_frames() -> usize {
    30
}
fn default_fraction() -> f64 {
    1.0
}
fn default_p() -> f64 {
    1.0
}

impl Kind for SpecAugment {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        if self.features_mask_size > width {
            return Err(InferError::Invalid {
                field: "features_mask_size".into(),
                message: format!(
                    "a mask of {} bands is wider than the input's {width}",
                    self.features_mask_size
                ),
                help: Some(format!("use at most {width}")),
            });
        }
        Ok(Inferred {
            outputs: vec![(String::new(), Signal::Frames { width, rate })],
            placement: Placement::Device,
            cost: Cost {
                activation_floats_per_second: rate.hz() * width as f64,
                flops_per_second: 2.0 * rate.hz() * width as f64,
                ..Cost::default()
            },
            reads_labels: false,
            train_only: true,
        })
    }
}

impl DeviceKind for SpecAugment {
    type Layer = SpecAugmentLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<SpecAugmentLayer, BuildError> {
        Ok(SpecAugmentLayer { config: self.clone() })
    }
}

/// See [`SpecAugment`].
#[derive(Module, Debug)]
pub struct SpecAugmentLayer {
    #[module(skip)]
    config: SpecAugment,
}

impl SpecAugmentLayer {
    /// Sets the masked elements of one item (`time × width`, `length` frames valid) to zero.
    fn mask_item(&self, keep: &mut [f32], width: usize, length: usize, rng: &mut impl RngExt) {
        let SpecAugment {
            num_feature_masks,
            features_mask_size,
            num_frame_masks,
            frames_mask_size,
            max_frames_mask_fraction,
            p,
            ..
        } = self.config;
        if rng.random::<f64>() >= p {
            return;
        }
        for _ in 0..num_feature_masks {
            let size = rng.random_range(0..=features_mask_size.min(width));
            let start = rng.random_range(0..=width - size);
            for frame in keep.chunks_exact_mut(width) {
                frame[start..start + size].fill(0.0);
            }
        }
        let longest = frames_mask_size
            .min((max_frames_mask_fraction * length as f64) as usize)
            .min(length);
        for _ in 0..num_frame_masks {
            let size = rng.random_range(0..=longest);
            let start = rng.random_range(0..=length - size);
            keep[start * width..(start + size) * width].fill(0.0);
        }
    }
}

impl Layer for SpecAugmentLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        if !context.training {
            return Ok(output(Value::Frames(frames, lengths)));
        }
        let [batch, time, width] = frames.dims();
        let mut keep = vec![1f32; batch * time * width];
        let items = keep
            .chunks_exact_mut(time * width)
            .zip(lengths.as_slice())
            .zip(context.items.iter());
        for ((keep, &length), key) in items {
            self.mask_item(keep, width, length.min(time), &mut context.epoch.with(key).rng());
        }
        let keep = Tensor::<3>::from_data(TensorData::new(keep, [batch, time, width]), &frames.device());
        Ok(output(Value::Frames(frames * keep, lengths)))
    }
}
