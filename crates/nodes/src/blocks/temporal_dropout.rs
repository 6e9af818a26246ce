//! Whole frames dropped at random while training.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::passed_while_evaluating;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Sets whole frames to zero, each with probability `p` and drawn anew for each item and epoch, as where a
/// face was not found or a packet was lost. What is left is not scaled. Off outside training.
///
/// # Source
/// System 3 of the reference: temporal dropout 0.1 on streams of faces and speech.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemporalDropout {
    /// Frames, such as a stream of features.
    pub input: PortRef,
    /// Probability with which a frame is dropped, from 0 to 1.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

fn default_p() -> f64 {
    0.1
}

impl Kind for TemporalDropout {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        passed_while_evaluating(inputs)
    }
}

impl DeviceKind for TemporalDropout {
    type Layer = TemporalDropoutLayer;

    fn build(&self, _: &InputSignals<'_>, _: &BuildContext<'_>) -> Result<TemporalDropoutLayer, BuildError> {
        Ok(TemporalDropoutLayer { p: self.p })
    }
}

/// See [`TemporalDropout`].
#[derive(Module, Debug)]
pub struct TemporalDropoutLayer {
    #[module(skip)]
    p: f64,
}

impl Layer for TemporalDropoutLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        if !context.training {
            return Ok(output(Value::Frames(frames, lengths)));
        }
        let [batch, time, _] = frames.dims();
        let mut keep = vec![1f32; batch * time];
        for (keep, key) in keep.chunks_exact_mut(time.max(1)).zip(context.items.iter()) {
            let mut rng = context.epoch.with(key).rng();
            keep.fill_with(|| f32::from(u8::from(rng.random::<f64>() >= self.p)));
        }
        let keep = Tensor::<3>::from_data(TensorData::new(keep, [batch, time, 1]), &frames.device());
        Ok(output(Value::Frames(frames * keep, lengths)))
    }
}
