//! Regression head of several layers on a vector.

use burn::module::Module;
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mlp_classifier::{Mlp, MlpLayer};
use super::{HeadKind, Predicts};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{values_on, vector_on};
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::Value;

/// `linear → [batch norm] → activation → dropout` for each entry of `hidden`, then `linear` to one
/// number for each of the target's, such as valence, arousal and dominance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MlpRegressor {
    /// Vector to predict from.
    pub input: PortRef,
    /// Continuous labels to predict, such as `data.dimensions` or `data.valence`.
    pub target: PortRef,
    /// Widths of the hidden layers; none for a linear regression.
    #[serde(default = "super::mlp_classifier::default_hidden")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65536)))]
    pub hidden: Vec<usize>,
    /// Function behind each hidden layer.
    #[serde(default)]
    pub activation: Activation,
    /// Dropout probability behind each hidden layer.
    #[serde(default = "super::mlp_classifier::default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Whether hidden layers are batch-normalised in front of their activation.
    #[serde(default)]
    pub batch_norm: bool,
}

impl MlpRegressor {
    fn mlp(&self, inputs: &InputSignals<'_>) -> Result<Mlp<'_>, InferError> {
        Ok(Mlp {
            width: vector_on(inputs, "input")?,
            hidden: &self.hidden,
            outputs: values_on(inputs, "target")?.len(),
            activation: self.activation,
            dropout: self.dropout,
            batch_norm: self.batch_norm,
        })
    }
}

impl HeadKind for MlpRegressor {
    fn predicts(&self) -> Predicts {
        Predicts::Numbers
    }
}

impl Kind for MlpRegressor {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let mlp = self.mlp(inputs)?;
        Ok(Inferred::device(Signal::Vector { width: mlp.outputs }, mlp.cost()))
    }
}

impl DeviceKind for MlpRegressor {
    type Layer = MlpRegressorLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<MlpRegressorLayer, BuildError> {
        Ok(MlpRegressorLayer {
            mlp: self.mlp(inputs)?.build(context.device),
        })
    }
}

/// See [`MlpRegressor`].
#[derive(Module, Debug)]
pub struct MlpRegressorLayer {
    mlp: MlpLayer,
}

impl Layer for MlpRegressorLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let x = inputs.vector("input")?;
        Ok(output(Value::Vector(self.mlp.forward(x, context))))
    }

    fn named_axis(&self, path: &str) -> Option<usize> {
        crate::inference::outputs_axis(path, "mlp.classes")
    }
}
