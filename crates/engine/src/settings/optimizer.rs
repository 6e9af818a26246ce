//! Rules by which parameters follow their gradients.

use emorun_lang::kinded_enum;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

kinded_enum! {
    /// Rule by which parameters follow their gradients.
    pub enum OptimizerConfig {
        /// Adam (Kingma & Ba 2015); weight decay is added to the gradient.
        adam => Adam(AdamSettings),
        /// AdamW (Loshchilov & Hutter 2019); weight decay apart from the gradient.
        adamw => AdamW(AdamWSettings),
        /// Stochastic gradient descent with momentum.
        sgd => Sgd(SgdSettings),
        /// Muon (Jordan et al. 2024) for the matrices of hidden layers, AdamW for all else: vectors, convolutions,
        /// heads, `linear` layers that a loss takes, embeddings, attention's scores and the centres of classes.
        muon => Muon(MuonSettings),
    }
}

impl OptimizerConfig {
    /// The learning rate before scheduling.
    pub fn lr(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.lr,
            Self::AdamW(adamw) => adamw.lr,
            Self::Sgd(sgd) => sgd.lr,
            Self::Muon(muon) => muon.lr,
        }
    }

    /// The weight decay of parameters that have none of their own.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.weight_decay,
            Self::AdamW(adamw) => adamw.weight_decay,
            Self::Sgd(sgd) => sgd.weight_decay,
            Self::Muon(muon) => muon.weight_decay,
        }
    }
}

/// Adam with PyTorch's defaults.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Decay rates of the two moments, each from 0 to below 1.
    #[serde(default = "default_betas")]
    #[schemars(schema_with = "betas_schema")]
    pub betas: [f32; 2],
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f32,
    /// Factor of the parameters added to the gradient.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// AdamW with PyTorch's defaults.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamWSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Decay rates of the two moments, each from 0 to below 1.
    #[serde(default = "default_betas")]
    #[schemars(schema_with = "betas_schema")]
    pub betas: [f32; 2],
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f32,
    /// Share of a parameter taken away each step, times the learning rate.
    #[serde(default = "default_adamw_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// Stochastic gradient descent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SgdSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Momentum; 0 is none.
    #[serde(default)]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub momentum: f64,
    /// Nesterov's form of momentum.
    #[serde(default)]
    pub nesterov: bool,
    /// Factor of the parameters added to the gradient.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

/// Muon with Nesterov's momentum, its updates scaled to the size of AdamW's (Liu et al. 2025, section
/// 2.2), so that both share learning rate and decay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuonSettings {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Momentum of the matrices' gradients.
    #[serde(default = "default_muon_momentum")]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub momentum: f64,
    /// Newton-Schulz iterations that bring a matrix near orthogonality.
    #[serde(default = "default_ns_steps")]
    #[schemars(range(min = 1, max = 100))]
    pub ns_steps: usize,
    /// Decay rates of AdamW's two moments, each from 0 to below 1.
    #[serde(default = "default_betas")]
    #[schemars(schema_with = "betas_schema")]
    pub betas: [f32; 2],
    /// Added to AdamW's denominator.
    #[serde(default = "default_eps")]
    #[schemars(range(min = 0.0))]
    pub eps: f32,
    /// Share of a parameter taken away each step, times the learning rate.
    #[serde(default = "default_muon_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

fn betas_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "number", "minimum": 0.0, "exclusiveMaximum": 1.0 },
        "minItems": 2,
        "maxItems": 2,
    })
}

fn default_betas() -> [f32; 2] {
    [0.9, 0.999]
}

fn default_eps() -> f32 {
    1e-8
}

fn default_adamw_decay() -> f64 {
    0.01
}

fn default_muon_momentum() -> f64 {
    0.95
}

fn default_ns_steps() -> usize {
    5
}

fn default_muon_decay() -> f64 {
    0.1
}
