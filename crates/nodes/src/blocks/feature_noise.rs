//! Gaussian noise on features while training.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::passed_while_evaluating;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Adds Gaussian noise to every valid frame, drawn anew for each item and epoch. Off outside training.
///
/// # Source
/// Bishop, Neural Computation 7(1), 1995; system 3 of the reference: feature noise 0.02.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureNoise {
    /// Frames, such as a stream of features.
    pub input: PortRef,
    /// Standard deviation of the noise, in the features' own unit.
    #[serde(default = "default_std")]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub std: f64,
}

fn default_std() -> f64 {
    0.02
}

impl Kind for FeatureNoise {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        passed_while_evaluating(inputs)
    }
}

impl DeviceKind for FeatureNoise {
    type Layer = FeatureNoiseLayer;

    fn build(&self, _: &InputSignals<'_>, _: &BuildContext<'_>) -> Result<FeatureNoiseLayer, BuildError> {
        Ok(FeatureNoiseLayer { std: self.std })
    }
}

/// See [`FeatureNoise`].
#[derive(Module, Debug)]
pub struct FeatureNoiseLayer {
    #[module(skip)]
    std: f64,
}

impl Layer for FeatureNoiseLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        if !context.training {
            return Ok(output(Value::Frames(frames, lengths)));
        }
        let [batch, time, width] = frames.dims();
        let mut noise = vec![0f32; batch * time * width];
        let rows = noise.chunks_exact_mut((time * width).max(1));
        for ((row, &length), key) in rows.zip(lengths.as_slice()).zip(context.items.iter()) {
            let mut rng = context.epoch.with(key).rng();
            row[..length.min(time) * width].fill_with(|| {
                let normal: f64 = StandardNormal.sample(&mut rng);
                (self.std * normal) as f32
            });
        }
        let noise = Tensor::<3>::from_data(TensorData::new(noise, [batch, time, width]), &frames.device());
        Ok(output(Value::Frames(frames + noise, lengths)))
    }
}
