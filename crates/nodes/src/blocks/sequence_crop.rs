//! A stretch of a sequence of features while training.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{frames_on, passed_while_evaluating};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::{Lengths, Value};

/// Takes a stretch of one length at a place that is drawn anew for each item and epoch; what is shorter
/// stays as it is. Off outside training.
///
/// Streams of one rate that are to be cropped alike are joined by a `fuse` before.
///
/// # Source
/// System 3 of the reference: sequence crops of streams of faces and speech.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequenceCrop {
    /// Frames, such as a stream of features.
    pub input: PortRef,
    /// Length of the stretch in seconds.
    #[schemars(range(min = 0.001, max = 1e6))]
    pub length_s: f64,
    /// Probability with which an item is cropped.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

fn default_p() -> f64 {
    1.0
}

impl SequenceCrop {
    /// Length of the stretch in frames.
    fn frames(&self, inputs: &InputSignals<'_>) -> Result<usize, InferError> {
        let (_, rate) = frames_on(inputs, "input")?;
        let frames = (self.length_s * rate.hz()).round();
        if frames < 1.0 {
            let message = format!("{} s are less than a frame at {rate}", self.length_s);
            return Err(InferError::invalid("length_s", message));
        }
        Ok(frames as usize)
    }
}

impl Kind for SequenceCrop {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        self.frames(inputs)?;
        passed_while_evaluating(inputs)
    }
}

impl DeviceKind for SequenceCrop {
    type Layer = SequenceCropLayer;

    fn build(&self, inputs: &InputSignals<'_>, _: &BuildContext<'_>) -> Result<SequenceCropLayer, BuildError> {
        Ok(SequenceCropLayer {
            frames: self.frames(inputs)?,
            p: self.p,
        })
    }
}

/// See [`SequenceCrop`].
#[derive(Module, Debug)]
pub struct SequenceCropLayer {
    #[module(skip)]
    frames: usize,
    #[module(skip)]
    p: f64,
}

impl Layer for SequenceCropLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let [batch, time, width] = frames.dims();
        if !context.training || time <= self.frames {
            return Ok(output(Value::Frames(frames, lengths)));
        }
        // Start and length of each item's stretch.
        let stretches: Vec<(usize, usize)> = lengths
            .as_slice()
            .iter()
            .zip(context.items.iter())
            .map(|(&length, key)| {
                let length = length.min(time);
                let mut rng = context.epoch.with(key).rng();
                let cropped = rng.random::<f64>() < self.p && length > self.frames;
                match cropped {
                    true => (rng.random_range(0..=length - self.frames), self.frames),
                    false => (0, length),
                }
            })
            .collect();
        let longest = stretches.iter().map(|(_, length)| *length).max().unwrap_or(0);
        let places: Vec<i64> = stretches
            .iter()
            .flat_map(|(start, length)| (0..longest).map(move |at| if at < *length { start + at } else { 0 }))
            .map(|place| i64::try_from(place).unwrap_or(0))
            .collect();
        let device = frames.device();
        let places = Tensor::<3, Int>::from_data(TensorData::new(places, [batch, longest, 1]), &device);
        let cropped = frames.gather(1, places.expand([batch, longest, width]));
        let lengths = Lengths::new(stretches.into_iter().map(|(_, length)| length).collect());
        let mask = lengths.mask(longest, &device).reshape([batch, longest, 1]);
        Ok(output(Value::Frames(cropped * mask, lengths)))
    }
}
