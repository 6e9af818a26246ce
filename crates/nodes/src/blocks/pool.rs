//! Pooling of frames to a vector, without parameters.

use burn::module::Module;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::frames_on;
use emorun_nn::facts::Facts;
use emorun_nn::layers::pool::{max_pool, mean_pool, statistics_pool};
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// One vector an item from its frames, padding left out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Frames to pool.
    pub input: PortRef,
    /// What is taken of the frames.
    #[serde(default)]
    pub how: Statistic,
}

/// What is taken of the valid frames of an item, in each dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Their mean.
    #[default]
    Mean,
    /// Their maximum.
    Max,
    /// Their mean, then their standard deviation (divided by their number, from a variance of 1e-10
    /// at least), twice as wide: x-vectors, Snyder et al. 2018.
    Statistics,
}

impl Kind for Pool {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let (output, passes, kept) = match self.how {
            Statistic::Mean => (width, 2.0, 0.0),
            Statistic::Max => (width, 1.0, 1.0),
            Statistic::Statistics => (2 * width, 6.0, 2.0),
        };
        let frame = rate.hz() * width as f64;
        Ok(Inferred::device(
            Signal::Vector { width: output },
            Cost {
                flops_per_second: passes * frame,
                activation_floats_per_second: kept * frame,
                activation_floats_per_item: output as f64,
                ..Cost::default()
            },
        ))
    }
}

impl DeviceKind for Pool {
    type Layer = PoolLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<PoolLayer, BuildError> {
        Ok(PoolLayer { how: self.how })
    }
}

/// See [`Pool`].
#[derive(Module, Debug)]
pub struct PoolLayer {
    #[module(skip)]
    how: Statistic,
}

impl Layer for PoolLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let pooled = match self.how {
            Statistic::Mean => mean_pool(frames, &lengths),
            Statistic::Max => max_pool(frames, &lengths),
            Statistic::Statistics => statistics_pool(frames, &lengths),
        };
        Ok(output(Value::Vector(pooled)))
    }
}
