//! Gradient reversal, for adversarial training.

use burn::module::Module;
use burn::tensor::Tensor;
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::misfit;
use crate::ramp::{Ramp, Shape};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// Passes frames or vectors on unchanged and turns their gradient round: what is upstream learns to
/// hide from the head behind it what that head learns to find.
///
/// # Source
/// Ganin & Lempitsky, ICML 2015, §3; λ by default as in §4.1.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradientReversal {
    /// Frames or vectors.
    pub input: PortRef,
    /// Factor of the reversed gradient at the end of the ramp.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub lambda: f64,
    /// How λ grows over training.
    #[serde(default = "default_ramp")]
    pub ramp: Ramp,
}

fn default_ramp() -> Ramp {
    Ramp {
        from: 0.0,
        begin: 0.0,
        end: 1.0,
        shape: Shape::Sigmoid,
    }
}

impl Kind for GradientReversal {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        match inputs.require("input")? {
            signal @ (Signal::Frames { .. } | Signal::Vector { .. }) => {
                Ok(Inferred::device(signal.clone(), Cost::default()))
            }
            found => Err(misfit("input", "frames or a vector", found)),
        }
    }
}

impl DeviceKind for GradientReversal {
    type Layer = GradientReversalLayer;

    fn build(
        &self,
        _inputs: &InputSignals<'_>,
        _context: &BuildContext<'_>,
    ) -> Result<GradientReversalLayer, BuildError> {
        Ok(GradientReversalLayer {
            lambda: self.lambda,
            ramp: self.ramp,
        })
    }
}

/// See [`GradientReversal`].
#[derive(Module, Debug)]
pub struct GradientReversalLayer {
    #[module(skip)]
    lambda: f64,
    #[module(skip)]
    ramp: Ramp,
}

impl GradientReversalLayer {
    fn reversed<const D: usize>(&self, x: Tensor<D>, context: &Context) -> Tensor<D> {
        if !x.is_autodiff() {
            return x;
        }
        let lambda = self.lambda * self.ramp.at(context.progress);
        let value = x.clone().detach();
        // Zero, with the gradient that is wanted.
        value.clone() + (value - x).mul_scalar(lambda)
    }
}

impl Layer for GradientReversalLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        Ok(output(match inputs.get("input")? {
            Value::Frames(frames, lengths) => Value::Frames(self.reversed(frames.clone(), context), lengths.clone()),
            _ => Value::Vector(self.reversed(inputs.vector("input")?, context)),
        }))
    }
}
