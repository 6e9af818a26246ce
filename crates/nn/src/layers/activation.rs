//! Activation functions by name.

use burn::nn::LeakyReluConfig;
use burn::nn::activation::ActivationConfig;
use burn::tensor::Tensor;
use burn::tensor::activation::{leaky_relu, relu};
use emorun_kernels::gelu;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Slope of the leaky ReLU below zero, as `torch.nn.LeakyReLU`.
const LEAKY_SLOPE: f64 = 0.01;

/// A function applied to each number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x` above zero, `0.01 · x` below (Maas, Hannun & Ng 2013).
    LeakyRelu,
    /// `x · Φ(x)` with Φ the normal distribution (Hendrycks & Gimpel 2016).
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The function's values.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => relu(x),
            Self::LeakyRelu => leaky_relu(x, LEAKY_SLOPE),
            Self::Gelu => gelu(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// The same function in Burn's own modules.
    pub fn config(self) -> ActivationConfig {
        match self {
            Self::Relu => ActivationConfig::Relu,
            Self::LeakyRelu => ActivationConfig::LeakyRelu(LeakyReluConfig::new().with_negative_slope(LEAKY_SLOPE)),
            Self::Gelu => ActivationConfig::Gelu,
            Self::Tanh => ActivationConfig::Tanh,
        }
    }
}
